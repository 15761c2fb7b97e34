"""What speaks for an outage and what against it, each with its figure: sentences of a picture, no tables asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from reports import formats
from reports.admin.pictures import Networks, Picture
from reports.incidents import timeline
from reports.incidents.stakes import LOOKING, Stakes
from reports.incidents.timeline import EntryKind
from reports.models import Kind, Statement

STILL_RISEN = 2.0
BACK = 1.3
"""Times the ordinary from which on the last hour is a rise, and below which it is none."""
FEW_REPORTS = 20
"""Fewer in all are soon made by a handful of people."""
SHORT = timedelta(minutes=15)
_SHAPES = {
    "concentrated": "from too few networks",
    "hosting": "from hosting companies’ networks",
    "misplaced": "from other countries’ networks",
    "regular": "by the clock",
}
SURE, UNSURE = 0.8, 0.5


@dataclass(frozen=True)
class Ground:
    """One reason: the figure that it rests on, and what it means."""

    figure: str
    text: str


@dataclass(frozen=True)
class Grounds:
    """The reasons on both sides, the weightiest first."""

    speaks_for: tuple[Ground, ...]
    speaks_against: tuple[Ground, ...]


Said = tuple[bool, Ground]
"""Whether it speaks for an outage, and what."""


def set_aside_because(shape: str) -> str:
    """Why a flow of this shape was set aside: what its reports came like."""
    return _SHAPES.get(shape, shape)


def grounds(picture: Picture) -> Grounds:
    """Every reason that the picture holds, on its side."""
    found = [
        said
        for reasons in (
            _provider,
            _causes,
            _set_aside,
            _networks,
            _rise,
            _breadth,
            _now,
            _votes,
            _siblings,
            _upstream,
            _calibration,
            _earlier,
            _few,
        )
        for said in reasons(picture)
    ]
    return Grounds(
        speaks_for=tuple(ground for is_for, ground in found if is_for),
        speaks_against=tuple(ground for is_for, ground in found if not is_for),
    )


def _provider(picture: Picture) -> Iterator[Said]:
    said = [statement.meaning for statement in picture.told.statements]
    if Statement.Meaning.DENIED in said:
        yield False, Ground("denied", "The provider denies an outage.")
    # Whatever else it says of the outage grants it.
    if granted := [meaning for meaning in said if meaning != Statement.Meaning.DENIED]:
        yield True, Ground(plural(len(granted), "statement"), "The provider speaks of it itself.")


def _causes(picture: Picture) -> Iterator[Said]:
    for cause in picture.causes[:2]:
        figure = f"{timeline.quantity(round(cause.times, 1))} ×"
        verdict = "Noted as its echo" if cause.noted else "It may be an echo"
        theirs, own = _count(cause.other.excess), _count(cause.own.excess)
        text = f"{cause.service} ({cause.ref}) has {theirs} reports beyond the ordinary in the last hour, this {own}."
        yield False, Ground(figure, f"{verdict}: {text}")
    echo_of = picture.incident.echo_of
    if echo_of is not None and not any(cause.noted for cause in picture.causes):
        yield False, Ground(echo_of.ref, f"Noted as an echo of {echo_of.service.name}.")


def _set_aside(picture: Picture) -> Iterator[Said]:
    held = [row for row in picture.set_aside if row.released_at is None and row.kind == Kind.DOWN]
    if held:
        text = f"Set aside at the same time, in {plural(len(held), 'flow')} unlike a crowd; none of them is counted."
        yield False, Ground(plural(sum(row.reports for row in held), "report"), text)
    votes = sum(row.reports for row in picture.set_aside if row.released_at is None and row.kind == Kind.WORKING)
    if votes:
        text = "“Works again” votes were set aside too: somebody may want it closed. None of them is counted."
        yield True, Ground(plural(votes, "vote"), text)


def _networks(picture: Picture) -> Iterator[Said]:
    found = picture.networks
    if found is None:
        return
    if found.share is None:
        is_for = found.networks >= found.needed
        text = f"Of {plural(found.observed, 'report')}; how much the largest sent is not known."
        yield is_for, Ground(plural(found.networks, "network"), text)
        return
    figure = f"{plural(found.networks, 'network')}, largest {_share(found.share)}"
    if found.least >= found.needed:
        yield True, Ground(figure, f"As widely spread as a crowd of {_count(found.observed)} is.")
    elif found.most < found.needed:
        yield False, Ground(figure, f"Closer together than a crowd of {_count(found.observed)} would be.")


def crowd(found: Networks | None) -> str:
    """What an honest crowd would look like beside what there was, in plain words."""
    if found is None:
        return "From how many networks the reports came is not known: they were counted before it was noted."
    told = f"{plural(found.observed, 'report')} of the strongest decision came from {plural(found.networks, 'network')}"
    if found.share is not None:
        told += f"; the largest sent {_count(found.largest or 0)} ({_share(found.share)})"
    needed = timeline.quantity(round(found.needed, 1))
    return (
        f"{told}. An honest crowd of that size comes from at least {needed} networks as busy as each other, of which"
        f" none would send more than {_share(1 / found.needed)}."
    )


def _rise(picture: Picture) -> Iterator[Said]:
    if not picture.strongest:
        return
    best = picture.strongest[0]
    place = best.region.name if best.region else "the world as a whole"
    figure = f"{timeline.quantity(round(best.observed / max(best.expected, 0.1), 1))} × the ordinary"
    told = against(best.observed, best.window_minutes, best.expected)
    yield True, Ground(figure, f"In {place}: {told} ({timeline.probability(best.log10_p)}).")


def _breadth(picture: Picture) -> Iterator[Said]:
    regions = sum(picture.waiting.states.values())
    if regions > 1:
        places = formats.listed(list(picture.waiting.places[:3]))
        more = len(picture.waiting.places) - 3
        yield (
            True,
            Ground(plural(regions, "region"), f"Rose together: {places}{f' and {more} more' if more > 0 else ''}."),
        )


def _now(picture: Picture) -> Iterator[Said]:
    if picture.incident.resolved_at is not None:
        lasted = picture.incident.resolved_at - picture.incident.onset_at
        if lasted < SHORT:
            yield False, Ground(hours(lasted), "It was over before long.")
        return
    if picture.last_hour is None:
        return
    level = picture.last_hour.level
    figure = f"{timeline.quantity(round(level.ratio, 1))} × the ordinary"
    told = f"{_count(level.observed)} in the last hour, {timeline.quantity(level.expected)} expected"
    if level.ratio >= STILL_RISEN:
        yield True, Ground(figure, f"It goes on: {told}.")
    elif level.ratio < BACK:
        yield False, Ground(figure, f"Reports are down to the ordinary: {told}.")


def _votes(picture: Picture) -> Iterator[Said]:
    # Where it comes back somewhere, people saying so is part of an outage; then all that was said counts.
    comes_back = bool(picture.waiting.states.get("recovering") or picture.waiting.states.get("restored"))
    hour = None if comes_back else picture.last_hour
    down, working = (hour.level.observed, hour.working) if hour else (picture.told.reports, picture.told.working)
    when = "in the last hour" if hour else "since it began"
    if not down and not working:
        return
    figure = f"{_count(down)} down, {_count(working)} working"
    if working > down:
        yield False, Ground(figure, f"More say that it works than that it is down, {when}.")
    elif down >= 4 * working:
        yield True, Ground(figure, f"Few say that it works, {when}.")


def _siblings(picture: Picture) -> Iterator[Said]:
    for sibling in picture.told.siblings:
        if sibling.state == "down":
            told = against(sibling.observed, sibling.window_minutes, sibling.expected)
            yield True, Ground(f"{sibling.service.name} too", f"A sibling is down: {told}.")


def _upstream(picture: Picture) -> Iterator[Said]:
    for entry in picture.notes:
        if entry.kind == EntryKind.SCOPE and "upstream" in entry.facts:
            yield True, Ground(str(entry.facts["upstream"]), timeline.text(entry))


def _calibration(picture: Picture) -> Iterator[Said]:
    confidence = picture.incident.confidence
    if confidence >= 1:
        yield True, Ground("by hand", "An administrator opened it.")
        return
    if confidence >= SURE:
        yield True, Ground(percent(confidence), "The detector is sure.")
    elif confidence < UNSURE:
        yield False, Ground(percent(confidence), "The detector thinks it more likely that it is none.")


def kept(picture: Picture) -> str:
    """How the confidence was kept: of incidents told with about as much, how many were outages."""
    basis = picture.basis
    band = f"{round(100 * basis.low)} to {round(100 * basis.high)} %"
    parts = []
    if basis.simulated:
        of, real = _count(basis.simulated.incidents), _count(basis.simulated.real)
        parts.append(
            f"Of {of} simulated incidents told with {band}, {real} ({_share(basis.simulated.share)}) were outages."
        )
    else:
        parts.append(f"No simulated incident was told with {band}.")
    if basis.reviewed:
        parts.append(f"Of {_count(basis.reviewed.incidents)} judged here, {_count(basis.reviewed.real)} were.")
    else:
        parts.append(
            f"Judged here so far: {_count(basis.reviewed_incidents)}, too few to say ({basis.needed_reviewed})."
        )
    return " ".join(parts)


def _earlier(picture: Picture) -> Iterator[Said]:
    confirmed, rejected = picture.judged.confirmed, picture.judged.rejected
    if confirmed + rejected < 2 or confirmed == rejected:
        return
    figure = f"{confirmed} of {confirmed + rejected}"
    yield confirmed > rejected, Ground(figure, "Earlier incidents of this service that were confirmed here.")


def _few(picture: Picture) -> Iterator[Said]:
    if picture.told.reports < FEW_REPORTS:
        yield False, Ground(plural(picture.told.reports, "report"), "In all; a handful of people can send as many.")


# --- words ------------------------------------------------------------------------------------------------------------


def plural(number: int, word: str) -> str:
    """``1 report``, ``1,234 reports``."""
    return f"{_count(number)} {word}" + ("s" if number != 1 else "")


def _count(number: float) -> str:
    return f"{round(number):,}"


def against(observed: int, minutes: int, expected: float) -> str:
    """``41 in 12 minutes, 3.2 expected``."""
    return f"{_count(observed)} in {plural(minutes, 'minute')}, {timeline.quantity(expected)} expected"


def totals(picture: Picture) -> str:
    """How many said what, in all."""
    told = picture.told
    return f"{plural(told.reports, 'report')} of it being down in all, {plural(told.working, 'vote')} that it works."


def percent(probability: float) -> str:
    """A probability for the desk: never "100 %", which nobody can promise."""
    return "over 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def _share(share: float) -> str:
    """``7 %``, ``0.5 %``."""
    return f"{100 * share:.0f} %" if share >= 0.0095 else f"{100 * share:.1f} %"


def hours(length: timedelta) -> str:
    """``12 minutes``, ``3.4 hours``, ``2.1 days``."""
    minutes = length.total_seconds() / 60
    if minutes < 90:
        return plural(round(minutes), "minute")
    return f"{minutes / 60:.1f} hours" if minutes < 48 * 60 else f"{minutes / 1440:.1f} days"


def people(number: float) -> str:
    """Expected people, to two figures: more would pretend."""
    if number < 10:
        return "less than 1" if 0 < number < 1 else f"{number:.0f}"
    digits = len(str(int(number))) - 2
    return f"{round(number, -digits):,.0f}"


def made_of(found: Stakes) -> str:
    """The parts that the cost of leaving it was made of, in a line."""
    span = hours(found.told) + (f" and {hours(found.ahead)} to come" if found.ahead else "")
    looked = f"{_share(LOOKING)} an hour of {found.residents:,} people who live there, over {span}"
    told = plural(found.subscribers, "subscriber")
    return f"{percent(1 - found.chance_true)} chance that it is none × ({looked}, and {told})"
