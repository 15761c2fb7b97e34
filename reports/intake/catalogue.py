"""What can be reported on, held in the process: names to numbers and back, so that a report asks no table.

The catalogue seldom changes. A process looks for a change every ``REFRESH_SECONDS`` at most and reads it anew when
there was one. The broker keeps a copy, for a web server that starts while the database is away.
"""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from django.db import connection

from reports.intake import standby
from reports.models import Problem, Region, Service, ServiceAlias

logger = logging.getLogger(__name__)

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
        rows = _rows()
        _known = _of(rows, fingerprint)
        _keep(rows)
    _checked_at = checked_at
    return _known


def held() -> Known | None:
    """What the broker keeps, for a process that has read nothing yet; ``None`` where it keeps nothing, or is away."""
    global _known
    if _known is None:
        try:
            content = standby.kept_catalogue()
            if content is not None:
                # No reading of the tables has this fingerprint: the next one takes its place.
                _known = _of(json.loads(zlib.decompress(content)), ("held",))
        except (standby.Refused, zlib.error, ValueError, KeyError, TypeError) as error:
            logger.warning("the catalogue that the broker keeps cannot be used: %r", error)
    return _known


def keep() -> None:
    """Gives the broker a copy of the catalogue as it is now."""
    _keep(_rows())


def _keep(rows: Mapping[str, Sequence[Any]]) -> None:
    try:
        standby.keep_catalogue(zlib.compress(json.dumps({"layout": 1, **rows}).encode()))
    except standby.Refused as refusal:
        logger.warning("the broker keeps no copy of the catalogue: %s", refusal)


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


def _rows() -> dict[str, list[Any]]:
    services = Service.objects.values_list("id", "slug", "name", "category_id", "retired_at")
    return {
        "services": [(*row, retired_at is not None) for *row, retired_at in services],
        "aliases": list(ServiceAlias.objects.values_list("alias", "service_id")),
        "problems": list(Problem.objects.values_list("id", "category_id", "slug")),
        "regions": list(Region.objects.values_list("id", "code", "name")),
    }


def _of(rows: Mapping[str, Sequence[Any]], fingerprint: tuple[object, ...]) -> Known:
    services = {row[1]: KnownService(*row) for row in rows["services"]}
    by_id = {service.id: service for service in services.values()}
    spellings: dict[str, KnownService] = {}
    # The later ones win: a slug means its own service, whatever others are called.
    for alias, service_id in rows["aliases"]:
        spellings[alias.lower()] = by_id[service_id]
    for service in services.values():
        spellings[service.name.lower()] = service
    for service in services.values():
        spellings[service.slug] = service
    problems = {(category_id, slug): number for number, category_id, slug in rows["problems"]}
    regions = rows["regions"]
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
