"""What can be reported on, held in the process: names to numbers and back, so that a report asks no table.

The catalogue seldom changes. A process looks for a change every ``REFRESH_SECONDS`` at most and reads it anew when
there was one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from django.db import connection

from reports.models import Problem, Region, Service, ServiceAlias

REFRESH_SECONDS = 5.0
SUGGESTIONS = 5


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service as the intake needs it."""

    id: int
    slug: str
    name: str
    category_id: int
    retired: bool


@dataclass(frozen=True)
class Known:
    """One reading of the catalogue; ``spellings`` are the slugs, names and aliases of services in lower case."""

    fingerprint: tuple[object, ...]
    services: Mapping[str, KnownService]
    spellings: Mapping[str, KnownService]
    service_slugs: Mapping[int, str]
    problems: Mapping[tuple[int, str], int]
    """By category and slug."""
    problem_slugs: Mapping[int, str]
    regions: Mapping[str, int]
    region_codes: Mapping[int, str]
    region_names: Mapping[str, str]

    def problems_of(self, service: KnownService) -> list[str]:
        """The slugs of what can fail with this service."""
        return [slug for category, slug in self.problems if category == service.category_id]

    def services_like(self, text: str) -> list[KnownService]:
        """The services whose slug, name or alias is most like ``text``, the likeliest first."""
        alike = get_close_matches(text.lower()[:60], self.spellings, n=3 * SUGGESTIONS, cutoff=0.6)
        found = {service.slug: service for service in map(self.spellings.__getitem__, alike) if not service.retired}
        return list(found.values())[:SUGGESTIONS]


_known: Known | None = None
_checked_at = 0.0


def at_hand() -> Known | None:
    """What this process read last, if it is fresh: asks no database."""
    return _known if _known and time.monotonic() - _checked_at < REFRESH_SECONDS else None


def stale() -> Known | None:
    """What this process read last, however old: better than nothing while the database is away."""
    return _known


def read() -> Known:
    """The catalogue, looked at now: read from the tables if it has changed since the last time."""
    global _known, _checked_at
    checked_at = time.monotonic()
    fingerprint = _fingerprint()
    if _known is None or _known.fingerprint != fingerprint:
        _known = _read(fingerprint)
    _checked_at = checked_at
    return _known


def _fingerprint() -> tuple[object, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT md5(string_agg(s::text, ' ' ORDER BY id)) FROM reports_service s),"
            " (SELECT md5(string_agg(a::text, ' ' ORDER BY id)) FROM reports_servicealias a),"
            " (SELECT md5(string_agg(p::text, ' ' ORDER BY id)) FROM reports_problem p),"
            # Regions come from a file and are neither renamed nor renumbered while the site runs.
            " (SELECT count(*) || ' ' || min(id) || ' ' || max(id) FROM reports_region)"
        )
        row: tuple[object, ...] = cursor.fetchone()
    return row


def _read(fingerprint: tuple[object, ...]) -> Known:
    services = {
        slug: KnownService(number, slug, name, category_id, retired_at is not None)
        for number, slug, name, category_id, retired_at in Service.objects.values_list(
            "id", "slug", "name", "category_id", "retired_at"
        )
    }
    by_id = {service.id: service for service in services.values()}
    spellings: dict[str, KnownService] = {}
    # The later ones win: a slug means its own service, whatever others are called.
    for alias, service_id in ServiceAlias.objects.values_list("alias", "service_id"):
        spellings[alias.lower()] = by_id[service_id]
    for service in services.values():
        spellings[service.name.lower()] = service
    for service in services.values():
        spellings[service.slug] = service
    problems = {
        (category_id, slug): number
        for number, category_id, slug in Problem.objects.values_list("id", "category_id", "slug")
    }
    regions = list(Region.objects.values_list("id", "code", "name"))
    return Known(
        fingerprint=fingerprint,
        services=services,
        spellings=spellings,
        service_slugs={service.id: service.slug for service in services.values()},
        problems=problems,
        problem_slugs={number: slug for (_category, slug), number in problems.items()},
        regions={code: number for number, code, _name in regions},
        region_codes={number: code for number, code, _name in regions},
        region_names={code: name for _number, code, name in regions},
    )
