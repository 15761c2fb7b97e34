"""Regional outages through time: every change of state, the state at an instant, and how far each one reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from reports.detection.decisions import IntArray
from reports.incidents import kinship
from reports.incidents.timeline import EntryKind
from reports.models import Incident, RegionalOutage, Relapse, TimelineEntry
from reports.status import catalogue

AFFECTED = frozenset({"down", "recovering"})
# The worse first; on the world map the worst service of a region shows.
SEVERITY: Mapping[str, int] = {"down": 0, "recovering": 1, "unknown": 2, "restored": 3, "normal": 4}

Change = tuple[datetime, str]


@dataclass(frozen=True, eq=False)
class Course:
    """A region in an incident: its row, and its relapses in order."""

    outage: RegionalOutage
    relapses: tuple[Relapse, ...]


def courses(incidents: Iterable[int]) -> dict[int, list[Course]]:
    """The courses of incidents (ids), the earliest onset first, in two queries.

    Not by ``prefetch_related``, which would send the ids of thousands of regions back to the database.
    """
    ids = list(incidents)
    relapses: dict[int, list[Relapse]] = {}
    for relapse in Relapse.objects.filter(outage__incident__in=ids).order_by("reopened_at"):
        relapses.setdefault(relapse.outage_id, []).append(relapse)
    found: dict[int, list[Course]] = {number: [] for number in ids}
    for outage in RegionalOutage.objects.filter(incident__in=ids):
        found[outage.incident_id].append(Course(outage, tuple(relapses.get(outage.pk, ()))))
    return found


def changes(course: Course, told: Iterable[Change] = ()) -> tuple[Change, ...]:
    """From when on the region was in which state, in order; none for a region that was no part of it after all.

    By what is known today: a restoration counts from its estimated instant, not from when we said so. ``told`` are the
    changes that the timeline has of this region (see :func:`told_changes`): the row itself remembers, besides its
    relapses, only the newest.
    """
    outage, relapses = course.outage, course.relapses
    if outage.withdrawn_at:
        return ()
    begins = [outage.onset_at, *(relapse.reopened_at for relapse in relapses)]
    ends = [*(relapse.restored_at for relapse in relapses), outage.restored_at]
    between = sorted({*told, *_newest(outage)})
    found: list[Change] = []
    for began_at, restored_at in zip(begins, ends, strict=True):
        found.append((began_at, "down"))
        # The estimated restoration may lie before the first sign that was noticed: then the sign tells nothing more.
        found += [change for change in between if began_at < change[0] and (not restored_at or change[0] < restored_at)]
        if restored_at:
            found.append((restored_at, "restored"))
            between = [change for change in between if change[0] > restored_at]
        else:
            between = []
    return tuple(change for at, change in enumerate(found) if at == 0 or change[1] != found[at - 1][1])


def _newest(outage: RegionalOutage) -> list[Change]:
    newest: list[Change] = []
    if outage.recovering_at and (outage.unknown_at is None or outage.recovering_at < outage.unknown_at):
        newest.append((outage.recovering_at, "recovering"))
    if outage.unknown_at:
        newest.append((outage.unknown_at, "unknown"))
    return newest


_TOLD = {
    EntryKind.REGION_RECOVERING.value: "recovering",
    EntryKind.REGION_UNKNOWN.value: "unknown",
    EntryKind.REGION_DOWN_AGAIN.value: "down",
}


def told_changes(incident_id: int) -> dict[int, list[Change]]:
    """What the timeline of an incident says of each region (by id) between going down and being restored.

    The timelines of those that were merged into it say it of the regions that they brought.
    """
    entries = TimelineEntry.objects.filter(
        incident__in=kinship.told_in(incident_id), kind__in=_TOLD, region__isnull=False
    )
    told: dict[int, list[Change]] = {}
    for region, kind, at in entries.values_list("region_id", "kind", "at"):
        if region is not None:
            told.setdefault(region, []).append((at, _TOLD[kind]))
    return told


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


def people(states: Mapping[int, str]) -> int:
    """How many people live where it is down or recovering; nobody twice where regions nest.

    A region back within a country that is still down is taken off again. The world as a whole counts for nobody: that
    its reports together rose says that it is down somewhere, not everywhere.
    """
    links, lineage = catalogue.links(), catalogue.tree().lineage
    states = {region: state for region, state in states.items() if links[region].parent is not None}
    total = 0
    for region, state in states.items():
        above = next((index for index in lineage[region][1:].tolist() if index in states), None)
        here, there = state in AFFECTED, above is not None and states[above] in AFFECTED
        if here != there:
            total += (1 if here else -1) * (links[region].population or 0)
    return max(total, 0)
