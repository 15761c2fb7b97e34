"""The order of restoration by country: a line for each, and under it its regions."""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from frontend import charts
from frontend.course import MINUTE, Changes, Layer, Row, country_name, length, slider_step
from reports import status
from reports.status.answers import IncidentHistory, RegionLink
from reports.status.nesting import own_people, parts

# What is open without being asked for, and what one page shows before "show all".
MOST_ROWS = 25
MOST_GROUPS = 25
# Of a country's course: finer is than a screen of a telephone shows.
STEPS_A_PART = 2

# What a country is marked by: the worst that is true of any part of it, and not being known is worse than being back.
SEVERITY = ("down", "recovering", "unknown", "restored", "normal")

ORDERS = ("back", "last", "people", "name")


@dataclass(frozen=True)
class Group:
    """A country: how many of its ``regions`` are back at the chosen time, its people, and the rows to be shown.

    ``left`` rows are not among ``rows``; ``digest`` is another one whenever any of its regions has changed.
    """

    code: str
    name: str
    regions: int
    back: int
    state: str
    first_back: datetime | None
    last_back: datetime | None
    people: float
    share: float
    layers: tuple[Layer, ...]
    open: bool
    rows: tuple[Row, ...]
    left: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """The groups to be shown and how many are not; ``found`` regions where names were searched for, else ``None``."""

    groups: tuple[Group, ...]
    groups_left: int
    rows: int
    found: int | None = None


def listing(
    history: IncidentHistory,
    rows: Sequence[Row],
    changes: Changes,
    *,
    at: datetime,
    order: str = ORDERS[0],
    query: str = "",
    opened: Iterable[str] = (),
    everything: bool = False,
) -> Listing:
    """Rows by country with their states at ``at``, in one of :data:`ORDERS`.

    Few rows are all open; of many, those of the countries ``opened``. ``query`` keeps regions whose name, or whose
    country's name, holds it; ``everything`` opens and shows all.
    """
    chosen = [row for row in rows if _matches(row, query)] if query else list(rows)
    by_country: dict[str, list[Row]] = defaultdict(list)
    for row in chosen:
        by_country[row.outage.region.code[:2] if row.outage.region.kind != "world" else "001"].append(row)
    people = own_people(history.regions, elsewhere=history.told_elsewhere)
    whole = sum(people.values()) or 1.0
    groups = sorted(
        (_group(code, found, people, whole, changes, history, at) for code, found in by_country.items()),
        key=_key(order),
    )
    few = len(chosen) <= MOST_ROWS
    wanted = {code.upper() for code in opened}
    shown = groups if everything or few else groups[:MOST_GROUPS]
    # A country asked for by a link stands there, wherever its place in the order is.
    shown = [*shown, *(group for group in groups[len(shown) :] if group.code in wanted)]
    return Listing(
        groups=tuple(
            _opened(group, few=few, alone=len(groups) == 1, wanted=wanted, all_=everything) for group in shown
        ),
        groups_left=len(groups) - len(shown),
        rows=len(chosen),
        found=len(chosen) if query else None,
    )


def _opened(group: Group, *, few: bool, alone: bool, wanted: set[str], all_: bool) -> Group:
    if all_ or few or group.code in wanted:
        return replace(group, open=True)
    if alone:
        return replace(group, open=True, rows=group.rows[:MOST_ROWS], left=max(len(group.rows) - MOST_ROWS, 0))
    return replace(group, rows=(), left=len(group.rows))


def _key(order: str) -> Callable[[Group], tuple[object, ...]]:
    def by_back(group: Group) -> tuple[object, ...]:
        return group.first_back is None, group.first_back, -group.people, group.name

    def by_last(group: Group) -> tuple[object, ...]:
        return group.last_back is not None, -group.last_back.timestamp() if group.last_back else -group.people

    def by_people(group: Group) -> tuple[object, ...]:
        return -group.people, group.name

    def by_name(group: Group) -> tuple[object, ...]:
        return (plain(group.name),)

    return {"last": by_last, "people": by_people, "name": by_name}.get(order, by_back)


def plain(name: str) -> str:
    """A name as people type it: without accents, in small letters."""
    return "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)).casefold()


def _matches(row: Row, query: str) -> bool:
    wanted = plain(query)
    return any(wanted in plain(name) for name in (row.outage.region.name, row.country))


def _group(
    code: str,
    rows: Sequence[Row],
    people: dict[str, float],
    whole: float,
    changes: Changes,
    history: IncidentHistory,
    at: datetime,
) -> Group:
    """One country with all its rows."""
    links = {row.outage.region.code: row.outage.region for row in rows}
    counted = {link.code for link in parts(links.values())}
    backs = [row.outage.restored_at for row in rows if row.outage.region.code in counted]
    restored = [at for at in backs if at]
    living = {link: people.get(link, 0.0) for link in links}
    step = slider_step(history) * STEPS_A_PART
    number = math.ceil(length(history) / step)
    shares = charts.shares(
        living if any(living.values()) else dict.fromkeys(links, 1.0),
        changes,
        history.start,
        history.start + number * step * MINUTE,
        parts=number,
    )
    paths = charts.stack_steps([shares[state] for state in charts.STATES], width=number * step)
    states = [charts.state_at(changes.get(each, ()), at) for each in counted]
    return Group(
        code=code,
        name=_name(code, rows[0].outage.region),
        regions=len(counted),
        back=states.count("restored"),
        state=min(states, key=SEVERITY.index, default="unknown"),
        first_back=min(restored, default=None),
        last_back=max(restored) if len(restored) == len(backs) else None,
        people=sum(living.values()),
        share=sum(living.values()) / whole,
        layers=tuple(Layer(state, path) for state, path in zip(charts.STATES, paths, strict=False) if path),
        open=False,
        rows=tuple(rows),
        left=0,
        digest=status.digest([row.outage for row in rows]),
    )


def _name(code: str, any_region: RegionLink) -> str:
    found = status.region(code)
    return found.name if found else country_name(any_region) or any_region.name
