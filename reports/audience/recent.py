"""Which incidents are told to those who follow from afar.

Not those that were found last: what is told of one that went on for days, its end above all, would be hidden by as many
small ones that were found since.
"""

from __future__ import annotations

from collections.abc import Collection

from reports import status
from reports.incidents.timeline import EntryKind
from reports.models import OPEN, TimelineEntry
from reports.status.answers import IncidentStatus
from reports.status.choosing import chosen

TOLD = (
    EntryKind.DETECTED,
    EntryKind.CONFIRMED,
    EntryKind.REJECTED,
    EntryKind.REJECTION_UNDONE,
    EntryKind.RESOLVED,
    EntryKind.REOPENED,
    EntryKind.STATEMENT,
    EntryKind.JOINED,
    EntryKind.MERGED,
    EntryKind.SPLIT,
    EntryKind.SPLIT_FROM,
    EntryKind.UNDONE,
)
"""What is told of an incident as a whole. Regions come and go by the hundred, but only while it goes on."""


def going_on(*, limit: int, **which: str) -> list[str]:
    """Refs of the incidents that go on, of those that fit ``which``; the ones found last where they are more."""
    return list(chosen(which).filter(OPEN).order_by("-detected_at", "-pk").values_list("ref", flat=True)[:limit])


def told_last(*, entries: int, **which: str) -> list[str]:
    """Refs of the incidents that the newest ``entries`` of the timeline are about."""
    told = TimelineEntry.objects.filter(incident__in=chosen(which), kind__in=TOLD)
    return list(dict.fromkeys(told.order_by("-pk").values_list("incident__ref", flat=True)[:entries]))


def incidents(refs: Collection[str]) -> tuple[IncidentStatus, ...]:
    """The incidents with these refs, the ones found last first."""
    return status.incidents(ref=tuple(refs), limit=len(refs)).results if refs else ()
