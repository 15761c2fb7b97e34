"""Providers: what they run, and how long after the crowd they speak of an outage.

Derived from incidents and statements whenever it is asked: a correction of either is a correction of these figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Min, Q

from reports.models import Incident, Provider, Service, Statement
from reports.status import snapshots
from reports.status.answers import LeadTimes, ProviderStatus, Spread


def providers() -> tuple[ProviderStatus, ...]:
    """Every provider with a service on offer, by slug."""
    return snapshots.kept(("providers",), _providers)


def provider(slug: str) -> ProviderStatus | None:
    """The provider with this slug, or ``None``."""
    return next((each for each in providers() if each.slug == slug), None)


def _providers() -> tuple[ProviderStatus, ...]:
    services: dict[int, list[str]] = {}
    for service, owner in Service.objects.filter(retired_at=None).order_by("slug").values_list("slug", "provider"):
        services.setdefault(owner, []).append(service)
    told = _told()
    return tuple(
        ProviderStatus(
            slug=row.slug,
            name=row.name,
            country=row.country,
            homepage=row.homepage,
            status_url=row.status_url,
            services=tuple(services[row.pk]),
            lead=_lead(told.get(row.pk, ())),
        )
        for row in Provider.objects.filter(pk__in=services).order_by("slug")
    )


_Told = tuple[datetime, datetime, datetime | None, datetime | None]


def _told() -> dict[int, list[_Told]]:
    """Onset, detection, end and first word of each outage, by provider. An echo is no outage of its own: its provider
    has nothing to admit. What was said of what was merged into it, or of a part that an administrator split off, stands
    with the whole. A denial admits nothing."""
    heard = Q(statements__withdrawn_at=None) & ~Q(statements__meaning=Statement.Meaning.DENIED)
    rows = Incident.objects.filter(rejected_at=None).select_related("service").defer("siblings").order_by("id")
    incidents = {row.pk: row for row in rows.annotate(spoken_at=Min("statements__said_at", filter=heard))}
    words: dict[int, list[datetime]] = {}
    for row in incidents.values():
        if row.spoken_at:
            words.setdefault(_whole(row, incidents), []).append(row.spoken_at)
    found: dict[int, list[_Told]] = {}
    for row in incidents.values():
        if not (row.merged_at or row.split_from_id or row.echo_of_id):
            spoken_at = min(words.get(row.pk, ()), default=None)
            found.setdefault(row.service.provider_id, []).append(
                (row.onset_at, row.detected_at, row.resolved_at, spoken_at)
            )
    return found


def _whole(row: Incident, incidents: Mapping[int, Incident]) -> int:
    """The incident (its id) that this one belongs to."""
    seen: set[int] = set()
    # A part may have been merged into what its whole was merged into.
    while row.pk not in seen and (above := incidents.get(row.merged_into_id or row.split_from_id or 0)):
        seen.add(row.pk)
        row = above
    return row.pk


def _lead(told: Sequence[_Told]) -> LeadTimes:
    from_onset = [spoke - onset for onset, _detected, _resolved, spoke in told if spoke]
    from_detection = [spoke - detected for _onset, detected, _resolved, spoke in told if spoke]
    return LeadTimes(
        outages=len(told),
        spoken=len(from_onset),
        never=sum(resolved is not None and spoke is None for _onset, _detected, resolved, spoke in told),
        first=sum(lead <= timedelta(0) for lead in from_detection),
        onset=_spread(from_onset),
        detection=_spread(from_detection),
    )


def _spread(leads: Sequence[timedelta]) -> Spread | None:
    if not leads:
        return None
    middle = timedelta(seconds=median(lead.total_seconds() for lead in leads))
    return Spread(median=middle, shortest=min(leads), longest=max(leads))
