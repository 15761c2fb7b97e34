"""What the address of an incident's page asks for: every state of the page has an address, with or without a script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from frontend import grouping, modes, places
from reports import status
from reports.status.answers import IncidentHistory, IncidentStatus, RegionLink


@dataclass(frozen=True)
class Asked:
    """The instant, the mode of the map, the reader's region, and which part of the list in which order."""

    at: datetime | None
    mode: str
    region: RegionLink | None
    country: RegionLink | None
    order: str
    query: str
    opened: frozenset[str]
    everything: bool
    part: str


def asked(request: HttpRequest) -> Asked:
    """Reads the query; what means nothing is left out, and a mistyped link shows the page as it is without."""
    get = request.GET
    named = places.chosen_region(get.get("country", "")[:10], get.get("region", "")[:10])
    region = status.region(named) if named != places.WORLD else None
    order = get.get("sort", "")
    return Asked(
        at=asked_instant(request),
        mode=modes.chosen(get.get("mode", "")),
        region=region,
        country=status.region(region.code[:2]) if region else None,
        order=order if order in grouping.ORDERS else grouping.ORDERS[0],
        query=get.get("q", "").strip()[:60],
        opened=frozenset(code[:2] for code in get.getlist("open")[:20]),
        everything=bool(get.get("all")),
        part=get.get("part", ""),
    )


def asked_instant(request: HttpRequest, name: str = "t") -> datetime | None:
    """The instant in ``?t=``, or ``None`` where it is none."""
    try:
        found = datetime.fromisoformat(request.GET.get(name, "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def found_incident(ref: str, now: datetime) -> tuple[IncidentStatus, IncidentHistory]:
    """The incident and its history up to ``now``; a reference that nobody knows is a page that is not there."""
    found, history = status.incident(ref), status.incident_history(ref, now=now)
    if found is None or history is None:
        raise Http404(_("There is no incident with this reference."))
    return found, history
