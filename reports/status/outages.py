"""Regional outages through time: every change of state, the state at an instant, and how far each one reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np

from reports.detection.decisions import IntArray
from reports.models import Incident, RegionalOutage
from reports.status import catalogue

AFFECTED = frozenset({"down", "recovering"})
# The worse first; on the world map the worst service of a region shows.
SEVERITY: Mapping[str, int] = {"down": 0, "recovering": 1, "unknown": 2, "restored": 3, "normal": 4}

Change = tuple[datetime, str]


def changes(outage: RegionalOutage) -> tuple[Change, ...]:
    """From when on the region was in which state, in order; none for a region that was no part of it after all.

    By what is known today: a restoration counts from its estimated instant, not from when we said so. Prefetch
    ``relapses``.
    """
    if outage.withdrawn_at:
        return ()
    found: list[Change] = [(outage.onset_at, "down")]
    for relapse in sorted(outage.relapses.all(), key=lambda relapse: relapse.reopened_at):
        found += [(relapse.restored_at, "restored"), (relapse.reopened_at, "down")]
    again_at = found[-1][0]
    last = [
        (at, state)
        for at, state in ((outage.recovering_at, "recovering"), (outage.unknown_at, "unknown"))
        if at is not None and at >= again_at
    ]
    if outage.restored_at:
        # The estimate may lie before the first sign that was noticed: then the sign tells nothing more.
        last = [change for change in last if change[0] < outage.restored_at]
        last.append((outage.restored_at, "restored"))
    elif outage.unknown_at:
        last = [change for change in last if change[0] <= outage.unknown_at]
    return tuple(found + sorted(last))


def state_at(history: Sequence[Change], at: datetime) -> Change | None:
    """The state at ``at`` and since when; ``None`` before the first change."""
    past = [change for change in history if change[0] <= at]
    return past[-1] if past else None


def state_of(incident: Incident, states: Iterable[str]) -> str:
    """``open``, ``recovering`` or ``resolved``, from the present states of the incident's regions.

    What was rejected or merged goes on no more, so it is not open either; ``review`` says what became of it.
    """
    if incident.resolved_at or incident.rejected_at or incident.merged_at:
        return "resolved"
    found = set(states)
    return "recovering" if "down" not in found and found & {"recovering", "restored"} else "open"


def reach(rows: IntArray) -> IntArray:
    """For every region, the nearest one of ``rows`` (indices) that it is or lies in; -1 where none does."""
    lineage = catalogue.tree().lineage
    has_row = np.zeros(len(lineage), dtype=np.bool_)
    has_row[rows] = True
    nearest = np.full(len(lineage), -1, dtype=np.int64)
    for above in lineage.T:
        found = (nearest < 0) & (above >= 0)
        found[found] = has_row[above[found]]
        nearest[found] = above[found]
    return nearest


def topmost(rows: Iterable[int]) -> tuple[int, ...]:
    """Those of the regions that lie in no other one of them."""
    chosen = set(rows)
    lineage = catalogue.tree().lineage
    return tuple(row for row in sorted(chosen) if not chosen.intersection(lineage[row][1:].tolist()))


def people(states: Mapping[int, str]) -> int:
    """How many people live where it is down or recovering; nobody twice where regions nest.

    A region back within a country that is still down is taken off again.
    """
    links, lineage = catalogue.links(), catalogue.tree().lineage
    total = 0
    for region, state in states.items():
        above = next((index for index in lineage[region][1:].tolist() if index in states), None)
        here, there = state in AFFECTED, above is not None and states[above] in AFFECTED
        if here != there:
            total += (1 if here else -1) * (links[region].population or 0)
    return max(total, 0)
