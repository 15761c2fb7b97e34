"""An incident to act on, and what of it must be the same again after an act that was taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from reports.models import Act, Incident, RefCounter, RegionalOutage, Relapse, Statement, TimelineEntry, Word
from tests.incidents.world import World

NAMES = {"GB": "United Kingdom", "GB-ENG": "England", "GB-SCT": "Scotland", "BR-SP": "São Paulo", "BR": "Brazil"}


def open_incident(
    world: World, ref: str, minute: int = 10, *, codes: Iterable[str] = ("GB-ENG", "BR-SP"), service: str = "whatsapp"
) -> Incident:
    """An incident whose regions all went down at ``minute``."""
    # Its number was not drawn: those of parts that are split off must not meet it.
    RefCounter.objects.get_or_create(year=2026, defaults={"last": 100})
    incident = Incident.objects.create(
        ref=ref,
        key=ref,
        service_id=world.services[service],
        onset_at=world.at(minute),
        detected_at=world.at(minute + 2),
        confidence=0.9,
    )
    for code in codes:
        incident.regions.create(
            region_id=world.regions[code],
            region_code=code,
            region_name=NAMES[code],
            onset_at=world.at(minute),
            detected_at=world.at(minute + 2),
        )
    return incident


def over(incident: Incident, world: World, minute: int) -> Incident:
    """The incident after every region of it came back at ``minute``."""
    back = world.at(minute)
    incident.regions.update(
        restored_at=back, restored_low=back, restored_high=back, declared_at=world.at(minute + 3), basis="rate"
    )
    Incident.objects.filter(pk=incident.pk).update(resolved_at=back)
    incident.refresh_from_db()
    return incident


def row(code: str = "GB-ENG", *, ref: str | None = None) -> RegionalOutage:
    """The region's row; of one incident where several have it."""
    found = RegionalOutage.objects.filter(region_code=code)
    return (found if ref is None else found.filter(incident__ref=ref)).get()


def states(ref: str) -> dict[str, str]:
    """The state of each region of an incident, withdrawn ones too."""
    return {row.region_code: row.state for row in RegionalOutage.objects.filter(incident__ref=ref)}


def kinds(ref: str | None = None) -> list[str]:
    """The kinds of the entries of the timeline, in the order in which they were written."""
    entries = TimelineEntry.objects.order_by("id")
    return list((entries if ref is None else entries.filter(incident__ref=ref)).values_list("kind", flat=True))


def twice(act: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Does the act as a form does that is sent twice; the second time changes nothing."""
    result = act(*arguments, **more)
    tables: tuple[Any, ...] = (Incident, RegionalOutage, Relapse, Statement, TimelineEntry, Word, Act)
    once = [list(table.objects.order_by("pk").values()) for table in tables]
    act(*arguments, **more)
    assert [list(table.objects.order_by("pk").values()) for table in tables] == once
    return result


def standing(*, without: Iterable[str] = ()) -> dict[str, Any]:
    """Every incident with its regions and their relapses, as they stand: without ids and without the revision.

    ``without`` are refs of incidents that only exist because of an act.
    """
    left_out = set(without)
    incidents = Incident.objects.exclude(ref__in=left_out).order_by("ref")
    return {
        "incidents": list(
            incidents.values(
                "ref", "onset_at", "detected_at", "peak_at", "peak_reports", "resolved_at", "confirmed_at",
                "rejected_at", "rejected_reason", "merged_at", "merged_into", "split_from",
            )
        ),
        "regions": list(
            RegionalOutage.objects.exclude(incident__ref__in=left_out)
            .order_by("incident__ref", "region_code")
            .values(
                "incident__ref", "region_code", "onset_at", "detected_at", "peak_at", "peak_reports", "recovering_at",
                "unknown_at", "restored_at", "restored_low", "restored_high", "declared_at", "basis", "withdrawn_at",
            )
        ),
        "relapses": list(
            Relapse.objects.exclude(outage__incident__ref__in=left_out)
            .order_by("outage__incident__ref", "outage__region_code", "reopened_at", "restored_at")
            .values(
                "outage__incident__ref", "outage__region_code", "restored_at", "declared_at", "basis", "reopened_at"
            )
        ),
    }  # fmt: skip
