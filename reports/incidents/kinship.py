"""Which incidents belong together because an administrator merged them or split them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import Q, QuerySet

from reports.models import OPEN, DetectorState, Incident, Service


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
    would else be waited for by a cycle that it waits for itself. Nor can a word be taken back while it is being heeded.
    """
    DetectorState.objects.select_for_update().order_by("pk").values_list("pk", flat=True).first()


def relatives(ids: Iterable[int]) -> set[int]:
    """The incidents with these ids, and all that any of them was merged with, split from or split into."""
    return set(_links(ids))


def families(ids: Iterable[int]) -> list[tuple[int, ...]]:
    """The same by what belongs together: each incident in one family, alone where nobody merged or split it."""
    links = _links(ids)
    found: list[tuple[int, ...]] = []
    left = set(links)
    while left:
        family: set[int] = set()
        near = {min(left)}
        while near:
            family |= near
            near = {other for one in near for other in links[one]} - family
        left -= family
        found.append(tuple(sorted(family)))
    return found


def _links(ids: Iterable[int]) -> dict[int, set[int]]:
    """Who was merged or split with whom, around these incidents as far as it reaches."""
    links: dict[int, set[int]] = {}
    known: set[int] = set()
    new = set(ids)
    while new:
        known |= new
        around = Incident.objects.filter(Q(pk__in=new) | Q(merged_into__in=new) | Q(split_from__in=new)).order_by()
        for pk, *others in around.values_list("pk", "merged_into_id", "split_from_id"):
            links.setdefault(pk, set())
            for other in others:
                if other is not None:
                    links[pk].add(other)
                    links.setdefault(other, set()).add(pk)
        new = set(links) - known
    return links


TELLERS = ("pk", "merged_into", "merged_into__merged_into", "merged_into__merged_into__merged_into")
"""Who tells of an incident: itself, and what it was merged into, one after the other."""


def told_in(*ids: int) -> QuerySet[Incident]:
    """These incidents and those that were merged into one of them, one after the other."""
    found = Q()
    for teller in TELLERS:
        found |= Q(**{f"{teller}__in": ids})
    return Incident.objects.filter(found).order_by()


def tellers(ids: Collection[int]) -> dict[int, set[int]]:
    """Which of these incidents tells of each one of :func:`told_in`."""
    return {chain[0]: set(ids) & set(chain) for chain in told_in(*ids).values_list(*TELLERS)}


def teller(incident: Incident) -> Incident:
    """The incident, or the one that tells of it since it was merged."""
    while incident.merged_into is not None:
        incident = incident.merged_into
    return incident


def open_of(service_id: int) -> QuerySet[Incident]:
    """The open incidents of a service: one, and those that were split off from it."""
    return Incident.objects.filter(OPEN, service_id=service_id)
