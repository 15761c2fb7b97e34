"""Which incidents belong together because an administrator merged them or split them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from reports.models import DetectorState, Incident, Service


def hold_service(incident_ids: Iterable[int]) -> None:
    """Locks the services of these incidents until the end of the transaction, in the order of their ids.

    Administrators act on the incidents of a service one after the other. Neither reports that refer to the service nor
    the engine wait for it.
    """
    held = Service.objects.filter(pk__in=Incident.objects.filter(pk__in=list(incident_ids)).values("service"))
    list(held.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))


def hold_detector() -> None:
    """Lets no detection cycle begin before the end of the transaction, and waits for the one that runs.

    A cycle writes minutes of many incidents in one transaction; whoever makes two of them one, or gives one a ref,
    would else be waited for by a cycle that it waits for itself.
    """
    DetectorState.objects.select_for_update().order_by("pk").values_list("pk", flat=True).first()


def relatives(ids: Iterable[int]) -> set[int]:
    """The incidents with these ids, and all that any of them was merged with, split from or split into."""
    known: set[int] = set()
    new = set(ids)
    while new:
        known |= new
        around = Incident.objects.filter(Q(pk__in=new) | Q(merged_into__in=new) | Q(split_from__in=new)).order_by()
        links = around.values_list("pk", "merged_into_id", "split_from_id")
        new = {pk for link in links for pk in link if pk is not None} - known
    return known


def told_in(incident_id: int, field: str = "incident") -> Q:
    """Rows (by their ``field``) of this incident and of those that were merged into it, one after the other."""
    told = Q(**{field: incident_id})
    for depth in range(1, 4):
        told |= Q(**{field + "__merged_into" * depth: incident_id})
    return told


def open_of(service_id: int) -> QuerySet[Incident]:
    """The open incidents of a service: one, and those that were split off from it."""
    return Incident.objects.filter(
        service_id=service_id, resolved_at__isnull=True, rejected_at__isnull=True, merged_at__isnull=True
    )
