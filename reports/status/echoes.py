"""Rises that another service's outage explains: people report the service that they see, not the one that failed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from reports.detection.parameters import Parameters
from reports.detection.scope import Level, is_echo
from reports.incidents import kinship
from reports.incidents.timeline import EntryKind
from reports.models import TimelineEntry
from reports.status import catalogue
from reports.status.answers import ServiceLink
from reports.status.catalogue import Entry

# What rose less than this needs no explanation.
LEAST_RATIO = 1.5
LEAST_EXCESS = 5.0


def noted(incidents: Mapping[int, int]) -> dict[int, int]:
    """What detection noted on these incidents (id to id of the service): services that follow one of them, and which.

    It notes a rise only once that would have opened an incident of its own.
    """
    if not incidents:
        return {}
    services = catalogue.catalogue().by_slug
    told = kinship.told_in(*incidents)
    rows = TimelineEntry.objects.filter(incident__in=told, kind=EntryKind.ECHO).order_by("at", "id")
    return {
        services[facts["service"]].id: service_id
        for service_id, facts in rows.values_list("incident__service_id", "facts")
        if facts.get("service") in services
    }


def causes(
    entries: Iterable[Entry],
    levels: Mapping[int, tuple[int, float]],
    down: Collection[int],
    *,
    noted: Mapping[int, int],
) -> dict[int, ServiceLink]:
    """The service whose outage explains the rise of another one (by id), for those that are not ``down`` themselves.

    ``levels`` are the reports and the expected of the last hour. What detection noted stands; of a rise too small for
    it to note, a sibling's outage is the explanation by the same rule.
    """
    links = catalogue.catalogue().by_id
    siblings: dict[str, list[int]] = {}
    for service in down:
        siblings.setdefault(links[service].link.provider, []).append(service)
    parameters = Parameters()
    found: dict[int, ServiceLink] = {}
    for entry in entries:
        own = Level(*levels[entry.id])
        if entry.id in down or own.excess < LEAST_EXCESS or own.ratio < LEAST_RATIO:
            continue
        cause = noted.get(entry.id)
        if cause is None:
            cause = next(
                (
                    other
                    for other in siblings.get(entry.link.provider, ())
                    if other in levels and is_echo(own, Level(*levels[other]), siblings=True, parameters=parameters)
                ),
                None,
            )
        if cause is not None and cause in down:
            found[entry.id] = links[cause].link
    return found
