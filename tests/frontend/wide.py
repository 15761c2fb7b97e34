"""An outage of any size: every region that a map draws, or only a few, down and back in a wave. For measuring."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.management import call_command

from reports.incidents import timeline
from reports.incidents.timeline import EntryKind
from reports.models import Incident, Region, RegionalOutage, Service, TimelineEntry
from reports.status import outlines, snapshots

MINUTE = timedelta(minutes=1)
LENGTH = timedelta(minutes=280)


def lay(now: datetime, *, regions: int | None = None, ref: str = "OUT-2026-0009", slug: str = "whatsapp") -> str:
    """Writes an incident of the last hours in so many regions (all of them for ``None``); answers its ref.

    Each region goes down within half an hour and recovers and comes back within the last three; a few do not.
    """
    call_command("load_catalogue", verbosity=0)
    snapshots.forget()
    now = now.replace(second=0, microsecond=0)
    onset = now - LENGTH
    drawn = sorted(outlines.region_outline())
    if regions is not None:
        # A few of one country, or some all over the world.
        drawn = ["GB-SCT", "GB-WLS", "GB-NIR"][:regions] if regions <= 3 else drawn[:: len(drawn) // regions][:regions]
    incident = Incident.objects.create(
        ref=ref,
        key=ref,
        service=Service.objects.get(slug=slug),
        onset_at=onset,
        detected_at=onset + 3 * MINUTE,
        confidence=0.9,
    )
    outages, entries = [], []
    for i, region in enumerate(Region.objects.filter(code__in=drawn)):
        down = onset + (i * 7 % 30) * MINUTE
        back = onset + (90 + i * 11 % 185) * MINUTE
        open_still = i % 20 == 19
        outages.append(
            RegionalOutage(
                incident=incident,
                region=region,
                region_code=region.code,
                region_name=region.name,
                onset_at=down,
                detected_at=down + 3 * MINUTE,
                recovering_at=back - 15 * MINUTE,
                restored_at=None if open_still else back,
                restored_low=None if open_still else back - 4 * MINUTE,
                restored_high=None if open_still else back + 4 * MINUTE,
                declared_at=None if open_still else back + 2 * MINUTE,
                basis="" if open_still else "rate",
            )
        )
        entries.append(_entry(incident, EntryKind.REGION_DOWN, region, down, {"onset_at": down.isoformat()}))
        if not open_still:
            facts = {
                "restored_at": back.isoformat(),
                "low": (back - 4 * MINUTE).isoformat(),
                "high": (back + 4 * MINUTE).isoformat(),
                "declared_at": (back + 2 * MINUTE).isoformat(),
                "basis": "rate",
                "working": 0,
            }
            entries.append(_entry(incident, EntryKind.REGION_RESTORED, region, back, facts))
    RegionalOutage.objects.bulk_create(outages, batch_size=500)
    timeline.write(entries)
    snapshots.forget()
    return ref


def _entry(
    incident: Incident, kind: EntryKind, region: Region, at: datetime, facts: dict[str, object]
) -> TimelineEntry:
    return timeline.entry(incident, kind=kind, at=at, recorded_at=at + 2 * MINUTE, region_id=region.pk, facts=facts)
