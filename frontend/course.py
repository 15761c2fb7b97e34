"""The course of an incident: rows in order of restoration, the strip, and what the slider reads."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from frontend import charts, words
from reports import status
from reports.status.answers import IncidentHistory, RegionalOutageStatus, RegionLink, StatementFacts
from reports.status.nesting import own_people, parts

MINUTE = timedelta(minutes=1)

# The slider has at most so many positions, which one can still hit with a thumb.
MOST_STEPS = 150
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440)

Changes = Mapping[str, Sequence[tuple[datetime, str]]]

_LETTERS = {"down": "d", "recovering": "r", "restored": "b", "unknown": "u", "normal": "n"}


@dataclass(frozen=True)
class Row:
    """One region of the table: its outage, its state at the chosen instant, and its course as bars.

    ``low``, ``high`` and ``back`` are the interval and the estimate of the restoration in minutes since the beginning.
    """

    outage: RegionalOutageStatus
    country: str
    state: str
    order: int
    spans: tuple[charts.Span, ...]
    low: int | None
    high: int | None
    back: int | None
    down_for: timedelta | None


@dataclass(frozen=True)
class Layer:
    """One state of the strip, as path data."""

    state: str
    path: str


@dataclass(frozen=True)
class Said:
    """A statement as a mark on the strip."""

    x: int
    statement: StatementFacts


@dataclass(frozen=True)
class Course:
    """Everything that stands on the time axis of one incident."""

    start: datetime
    end: datetime
    width: int
    """Of everything that is drawn: minutes, so that what is past stays as it was drawn."""
    at: datetime
    latest: bool
    step: int
    rows: tuple[Row, ...]
    layers: tuple[Layer, ...]
    said: tuple[Said, ...]
    ticks: tuple[charts.TimeTick, ...]
    tally: Mapping[str, int]
    people: Mapping[str, float]
    earlier: str | None
    later: str | None
    cursor: int


def course(history: IncidentHistory, outages: Sequence[RegionalOutageStatus], *, at: datetime | None) -> Course:
    """The course at the instant ``at``, or at its end where ``at`` is ``None`` or lies beyond it."""
    changes = by_region(history)
    shown = history.end if at is None else min(max(at, history.start), history.end)
    step = slider_step(history)
    width = length(history)
    living = own_people(history.regions, elsewhere=history.told_elsewhere)
    rows = _rows(history, outages, changes, shown)
    # The last part may reach beyond the end, where the plot is cut.
    number = math.ceil(width / step)
    # Regions of which nobody knows the people still have their states.
    weights = living if any(living.values()) else dict.fromkeys(living, 1.0)
    layers = charts.shares(weights, changes, history.start, history.start + number * step * MINUTE, parts=number)
    paths = charts.stack([layers[state] for state in charts.STATES], width=number * step)
    people: dict[str, float] = defaultdict(float)
    for code, population in living.items():
        people[charts.state_at(changes[code], shown)] += population
    tally = dict.fromkeys(charts.STATES, 0)
    for code in (link.code for link in parts(history.regions)):
        tally[charts.state_at(changes[code], shown)] += 1
    leap = max(history.end - history.start, MINUTE) / 12
    return Course(
        start=history.start,
        end=history.end,
        width=width,
        at=shown,
        latest=shown >= history.end,
        step=step,
        rows=rows,
        layers=tuple(Layer(state, path) for state, path in zip(charts.STATES, paths, strict=False) if path),
        said=tuple(
            Said(charts.position(said.said_at, history.start, history.end, width=width), said)
            for said in history.statements
            if history.start <= said.said_at <= history.end
        ),
        ticks=charts.time_ticks(history.start, history.end, most=8),
        tally=tally,
        people=dict(people),
        earlier=_link_time(shown - leap) if shown > history.start else None,
        later=_link_time(shown + leap) if shown + leap < history.end else None,
        cursor=charts.position(shown, history.start, history.end, width=width),
    )


def _link_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def by_region(history: IncidentHistory) -> dict[str, list[tuple[datetime, str]]]:
    """The changes of each region of the incident, in order of time."""
    found: dict[str, list[tuple[datetime, str]]] = {link.code: [] for link in history.regions}
    for change in history.transitions:
        found.setdefault(change.region, []).append((change.at, change.state))
    return found


def length(history: IncidentHistory) -> int:
    """Whole minutes, and at least one."""
    return max(math.ceil((history.end - history.start) / MINUTE), 1)


def slider_step(history: IncidentHistory) -> int:
    """Whole minutes from one position of the slider to the next."""
    minutes = length(history)
    return next((step for step in _STEPS if minutes / step <= MOST_STEPS), math.ceil(minutes / MOST_STEPS))


def _rows(
    history: IncidentHistory,
    outages: Sequence[RegionalOutageStatus],
    changes: Changes,
    shown: datetime,
) -> tuple[Row, ...]:
    def rank(outage: RegionalOutageStatus) -> tuple[bool, datetime, int]:
        # Who came back first stands first; who is not back, by people.
        back = outage.restored_at
        return back is None, back or history.end, -(outage.region.population or 0)

    width = length(history)

    def place(instant: datetime | None) -> int | None:
        return None if instant is None else charts.position(instant, history.start, history.end, width=width)

    shown_outages = [outage for outage in outages if outage.region.kind != "world"] or outages
    return tuple(
        Row(
            outage=outage,
            country=country_name(outage.region),
            state=charts.state_at(changes.get(outage.region.code, ()), shown),
            order=order,
            spans=charts.spans(changes.get(outage.region.code, ()), history.start, history.end, width=width),
            low=place(outage.restored_low),
            high=place(outage.restored_high),
            back=place(outage.restored_at),
            down_for=outage.restored_at - outage.onset_at if outage.restored_at else None,
        )
        for order, outage in enumerate(sorted(shown_outages, key=rank), start=1)
    )


def country_name(link: RegionLink) -> str:
    """The name of the country that a region lies in; empty for countries and the world themselves."""
    if link.kind in ("world", "country"):
        return ""
    country = status.region(link.code[:2])
    return country.name if country else ""


def map_states(history: IncidentHistory, at: datetime) -> dict[str, str]:
    """The state of every region that a map draws at ``at``, those included that take it from a region above."""
    changes = by_region(history)
    found = {code: charts.state_at(course, at) for code, course in changes.items()}
    for code, above in covers(history).items():
        found[code] = found[above]
    return {code: state for code, state in found.items() if state != "normal"}


def covers(history: IncidentHistory) -> dict[str, str]:
    """Which region takes its state from which one above.

    A verdict on the whole world colours the map only where there is no other: it says that the service is down in
    many places, and the regions say in which.
    """
    alone = all(link.code == "001" for link in history.regions)
    return {cover.region: cover.by for cover in history.covered if alone or cover.by != "001"}


def as_json(history: IncidentHistory) -> dict[str, object]:
    """The history for ``timeline.js``: minutes since its start, one letter a state."""
    changes = by_region(history)
    counted = {link.code for link in parts(history.regions)}
    covered: dict[str, list[str]] = defaultdict(list)
    for code, above in covers(history).items():
        covered[above].append(code)
    return {
        "version": history.version,
        "start": words.utc(history.start),
        "end": words.utc(history.end),
        "step": slider_step(history),
        "covered": covered,
        "uncounted": [link.code for link in history.regions if link.code not in counted],
        "regions": {
            link.code: [
                link.name,
                *([round((at - history.start) / MINUTE), _LETTERS[state]] for at, state in changes[link.code]),
            ]
            for link in history.regions
        },
    }
