"""The updates of incidents that matter to somebody who follows from afar: a few of each, however many regions it has.

Each is an entry of the append-only timeline, so that it keeps its id and its instant for ever; only the words are made
when it is read. What changes a lot of regions one by one is told when it has grown by a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports import formats
from reports.incidents import timeline
from reports.incidents.timeline import EntryKind
from reports.models import Incident, Statement, TimelineEntry
from reports.status import snapshots
from reports.status.answers import Milestone

# An outage has grown much when so many regions have gone down in it.
STEPS = (3, 10, 30, 100, 300, 1000, 3000)

_WHOLE = {
    EntryKind.DETECTED: "opened",
    EntryKind.CONFIRMED: "confirmed",
    EntryKind.REJECTED: "rejected",
    EntryKind.REJECTION_UNDONE: "reinstated",
    EntryKind.RESOLVED: "resolved",
    EntryKind.REOPENED: "reopened",
    EntryKind.STATEMENT: "said",
    EntryKind.JOINED: "joined",
    EntryKind.SPLIT: "split",
    EntryKind.SPLIT_FROM: "split_from",
    EntryKind.UNDONE: "corrected",
}
# Of these only the first of an incident.
_FIRST = {EntryKind.REGION_RESTORED: "first_back", EntryKind.REGION_RELAPSED: "relapsed"}
_OF_A_REGION = {
    EntryKind.REGION_DOWN: "region_down",
    EntryKind.REGION_DOWN_AGAIN: "region_down",
    EntryKind.REGION_RELAPSED: "region_relapsed",
    EntryKind.REGION_RESTORED: "region_restored",
    EntryKind.REGION_UNKNOWN: "region_unknown",
    EntryKind.REGION_WITHDRAWN: "region_withdrawn",
    EntryKind.REGION_OVERRIDDEN: "region_overridden",
}


def milestones(refs: Sequence[str], *, regions: Sequence[str] = ()) -> dict[str, tuple[Milestone, ...]]:
    """The milestones of each of these incidents, in order of when they were told; in a fixed number of queries.

    With ``regions`` (codes), also what happened in each of them.
    """
    key = ("milestones", tuple(refs), tuple(regions))
    return snapshots.kept(key, lambda: _milestones(refs, regions))


def _milestones(refs: Sequence[str], regions: Sequence[str]) -> dict[str, tuple[Milestone, ...]]:
    incidents = {row.pk: row for row in Incident.objects.filter(ref__in=refs).select_related("merged_into")}
    found: dict[int, list[Milestone]] = {pk: [] for pk in incidents}
    spoke = _first_down(incidents)
    whole = TimelineEntry.objects.filter(incident__in=incidents, kind__in=_WHOLE).select_related(
        "region", "evidence", "statement"
    )
    for entry in whole.order_by("id"):
        kind = _WHOLE[EntryKind(entry.kind)]
        text = timeline.text(entry)
        if kind == "opened" and entry.incident_id in spoke:
            text = f"{text} {timeline.text(spoke[entry.incident_id])}"
        if entry.statement and kind == "said" and entry.statement.meaning == Statement.Meaning.DENIED:
            kind = "denied"
        elif kind == "said" and not any(one.kind == "acknowledged" for one in found[entry.incident_id]):
            kind = "said" if entry.statement and entry.statement.withdrawn_at else "acknowledged"
        found[entry.incident_id].append(_milestone(incidents[entry.incident_id], entry, kind, text))
    for entry, text in (*_firsts(incidents), *_grown(incidents)):
        kind = _FIRST.get(EntryKind(entry.kind), "grew")
        found[entry.incident_id].append(_milestone(incidents[entry.incident_id], entry, kind, text))
    if regions:
        here = TimelineEntry.objects.filter(
            incident__in=incidents, kind__in=_OF_A_REGION, region__code__in=regions
        ).select_related("region", "evidence", "statement")
        for entry in here.order_by("id"):
            kind = _OF_A_REGION[EntryKind(entry.kind)]
            found[entry.incident_id].append(
                _milestone(incidents[entry.incident_id], entry, kind, timeline.text(entry), of_region=True)
            )
    mergers = _mergers(incidents)
    for pk, row in incidents.items():
        if row.merged_at:
            found[pk].append(_merger(row, row.merged_at, mergers.get(pk)))
    return {
        incidents[pk].ref: tuple(sorted(told, key=lambda one: (one.told_at, one.number))) for pk, told in found.items()
    }


def _milestone(row: Incident, entry: TimelineEntry, kind: str, text: str, *, of_region: bool = False) -> Milestone:
    return Milestone(
        # One entry may be told twice in one feed: as the first region back, and as what happened here.
        id=f"{row.ref}/{entry.pk}" + ("/here" if of_region else ""),
        kind=kind,
        at=entry.at,
        told_at=entry.recorded_at,
        text=text,
        region=entry.region.name if entry.region else "",
        source_url=entry.statement.url if entry.statement else "",
        number=entry.pk,
    )


def _mergers(incidents: Iterable[int]) -> dict[int, int]:
    """The entry of the merger that holds: one that was taken back is no update any more, and a later one is another."""
    rows = TimelineEntry.objects.filter(
        incident__in=list(incidents), kind=EntryKind.MERGED, recorded_at=F("incident__merged_at")
    )
    return dict(rows.order_by("id").values_list("incident_id", "id"))


def _merger(row: Incident, merged_at: datetime, number: int | None) -> Milestone:
    into = row.merged_into.ref if row.merged_into else ""
    text = _("Merged into %(ref)s, which tells the rest.") % {"ref": into} if into else _("Merged into another one.")
    return Milestone(
        # A part whose split was taken back has no entry of a merger: that happens to it once.
        id=f"{row.ref}/{number or 'merged'}",
        kind="merged",
        at=merged_at,
        told_at=merged_at,
        text=text,
        number=number or 0,
    )


def _first_down(incidents: Iterable[int]) -> dict[int, TimelineEntry]:
    """The region that spoke first for each incident, with its figures."""
    rows = TimelineEntry.objects.filter(
        incident__in=list(incidents), kind=EntryKind.REGION_DOWN, evidence__isnull=False
    )
    chosen = rows.order_by("incident_id", "id").distinct("incident_id").select_related("region", "evidence")
    return {row.incident_id: row for row in chosen}


def _firsts(incidents: Iterable[int]) -> list[tuple[TimelineEntry, str]]:
    rows = TimelineEntry.objects.filter(incident__in=list(incidents), kind__in=_FIRST)
    chosen = rows.order_by("incident_id", "kind", "id").distinct("incident_id", "kind")
    return [(row, timeline.text(row)) for row in chosen.select_related("region", "evidence")]


def _grown(incidents: Iterable[int]) -> list[tuple[TimelineEntry, str]]:
    """The entries with which so many regions were down in an incident as :data:`STEPS` says, beyond its opening."""
    rows = TimelineEntry.objects.filter(incident__in=list(incidents), kind=EntryKind.REGION_DOWN)
    went: dict[int, set[int | None]] = {}
    opened: dict[int, datetime] = {}
    passed: dict[int, int] = {}
    for pk, incident, region, at in rows.order_by("id").values_list("id", "incident_id", "region_id", "at"):
        regions = went.setdefault(incident, set())
        if region in regions:
            continue
        regions.add(region)
        first = opened.setdefault(incident, at)
        # What was down from the beginning is told by the opening.
        if len(regions) in STEPS and at > first:
            passed[pk] = len(regions)
    entries = TimelineEntry.objects.filter(pk__in=passed).select_related("region").order_by("id")
    return [(entry, _grew(passed[entry.pk])) for entry in entries]


def _grew(regions: int) -> str:
    return ngettext(
        "It has spread: %(count)s region has gone down by now.",
        "It has spread: %(count)s regions have gone down by now.",
        regions,
    ) % {"count": formats.number(regions)}
