"""A service in the shape of a Statuspage (the public API, version 2), so that what reads status pages reads this too.

Each region is a component. The shape knows no "cannot say", and silence must not pass for "operational":

* while nobody watches, there is no answer (:class:`CannotSay`, a 503): clients then say that they do not know;
* a region that was down and then fell silent is ``degraded_performance``, and its description says why.

Ids are made of what they name, so that they never change: 12 letters and digits, as the original has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports import status
from reports.audience import recent
from reports.status.answers import IncidentStatus, Milestone, RegionLink, RegionState, ServiceStatus
from reports.status.health import is_stale
from reports.status.nesting import own_people

MOST_INCIDENTS = 50
# An incident of more regions names their countries.
MOST_REGIONS = 20
# How many people live where it is down; below the first it is minor.
MAJOR, CRITICAL = 10_000_000, 100_000_000
# The catalogue does not know since when it has a region.
CREATED = datetime(2026, 1, 1, tzinfo=UTC)

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_COMPONENT = {"down": "major_outage", "recovering": "degraded_performance", "unknown": "degraded_performance"}
# What an incident has come to with an update; others leave it as it was.
_PHASES = {
    "opened": "investigating",
    "reinstated": "investigating",
    "reopened": "investigating",
    "relapsed": "investigating",
    "acknowledged": "identified",
    "said": "identified",
    "confirmed": "identified",
    "first_back": "monitoring",
    "resolved": "resolved",
    "rejected": "resolved",
    "merged": "resolved",
}

Address = Callable[..., str]
"""The absolute address of a page, by the name of its route and its arguments."""
Shape = dict[str, Any]


class CannotSay(Exception):
    """Nobody watches at the moment: neither "operational" nor anything else would be true."""


@dataclass(frozen=True)
class Subject:
    """What one page is made of."""

    found: ServiceStatus
    incidents: tuple[IncidentStatus, ...]
    """Those that were found last, over or not."""
    unresolved: tuple[IncidentStatus, ...]
    """Those that go on, however long ago they were found."""
    updates: Mapping[str, tuple[Milestone, ...]]
    components: Mapping[str, Shape]
    """By the code of the region."""
    page: Shape
    address: Address


def subject(slug: str, *, now: datetime, address: Address) -> Subject | None:
    """Everything about a service; ``None`` for one that nobody knows."""
    found = status.service_status(slug, now=now)
    if found is None:
        return None
    incidents = status.incidents(service=slug, limit=MOST_INCIDENTS).results
    newest = {incident.ref: incident for incident in incidents}
    going_on = recent.going_on(service=slug, limit=MOST_INCIDENTS)
    # Nearly always they are among the newest, and no more is asked.
    known = newest | {each.ref: each for each in recent.incidents([ref for ref in going_on if ref not in newest])}
    unresolved = tuple(known[ref] for ref in going_on)
    updates = status.milestones(list(known))
    page: Shape = {
        "id": _id("page", slug),
        "name": found.link.name,
        "url": address("service", slug),
        "time_zone": "Etc/UTC",
        # Somebody looked today, or there would be no answer.
        "updated_at": _instant(
            max([now.replace(hour=0, minute=0, second=0, microsecond=0), *_changes(found, updates)])
        ),
    }
    components = _components(found, page["id"], status.reporting_countries(slug))
    return Subject(found, incidents, unresolved, updates, components, page, address)


def _changes(found: ServiceStatus, updates: Mapping[str, Sequence[Milestone]]) -> Iterable[datetime]:
    yield from (region.since for region in (*found.down, *found.restored) if region.since)
    yield from (told[-1].told_at for told in updates.values() if told)


# --- the answers ------------------------------------------------------------------------------------------------------


def summary(about: Subject, *, now: datetime) -> Shape:
    """Status, components, and what is not yet over. Raises :class:`CannotSay`."""
    return {
        **components(about, now=now),
        **unresolved(about, now=now),
        **maintenances(about, now=now),
        **overall(about, now=now),
    }


def overall(about: Subject, *, now: datetime) -> Shape:
    """The page in one word. Raises :class:`CannotSay`."""
    if is_stale(now):
        raise CannotSay
    return {"page": about.page, "status": {"indicator": _indicator(about.found), "description": _words(about.found)}}


def components(about: Subject, *, now: datetime) -> Shape:
    """Every region that has something to say. Raises :class:`CannotSay`."""
    if is_stale(now):
        raise CannotSay
    return {"page": about.page, "components": list(about.components.values())}


def incidents(about: Subject, *, now: datetime) -> Shape:  # noqa: ARG001  # each answer is asked alike
    """The newest incidents, whether over or not."""
    return {"page": about.page, "incidents": [_incident(about, each) for each in about.incidents]}


def unresolved(about: Subject, *, now: datetime) -> Shape:  # noqa: ARG001
    """Those that go on."""
    return {"page": about.page, "incidents": [_incident(about, each) for each in about.unresolved]}


def maintenances(about: Subject, *, now: datetime) -> Shape:  # noqa: ARG001
    """None: people report outages, nobody announces them here."""
    return {"page": about.page, "scheduled_maintenances": []}


# --- what they are made of --------------------------------------------------------------------------------------------


def _indicator(found: ServiceStatus) -> str:
    if found.state == "normal":
        return "none"
    return _impact(found.people_affected) if found.state == "down" else "minor"


def impact_of(*incidents: IncidentStatus) -> str:
    """``minor``, ``major`` or ``critical``, by how many people live wherever it was; of several that are one outage, by
    all of theirs."""
    living = (
        own_people((*each.currently_affected, *each.previously_affected), elsewhere=each.told_elsewhere)
        for each in incidents
    )
    return _impact(sum(sum(own.values()) for own in living))


def _impact(people: float) -> str:
    return "critical" if people >= CRITICAL else "major" if people >= MAJOR else "minor"


def _words(found: ServiceStatus) -> str:
    if found.state == "normal":
        return _("No outage seen")
    if found.state == "recovering":
        return _("Coming back")
    if found.state == "unknown":
        return _("Too few reports to say whether it is back")
    return ngettext("Down in %(count)s region", "Down in %(count)s regions", found.regions_down) % {
        "count": f"{found.regions_down:,}"
    }


def _components(found: ServiceStatus, page: str, heard: Sequence[RegionLink]) -> dict[str, Shape]:
    """Countries from which people report, by name, each followed by its parts that are not normal."""
    slug = found.link.slug
    states = {state.region.code: state for state in (*found.down, *found.restored)}
    shown = {link.code: link for link in heard}
    parts: dict[str, list[RegionState]] = {}
    for code, state in states.items():
        if state.region.kind in ("world", "country"):
            shown[code] = state.region
        else:
            above = status.region(code[:2])
            if above is not None:
                shown[above.code] = above
            if state.state != "restored":
                parts.setdefault(code[:2], []).append(state)
    listed: dict[str, Shape] = {}

    def add(link: RegionLink, state: RegionState | None, **more: Any) -> None:
        listed[link.code] = {
            "id": _id("component", slug, link.code),
            "name": link.name,
            "status": _COMPONENT.get(state.state, "operational") if state else "operational",
            "created_at": _instant(CREATED),
            "updated_at": _instant((state and state.since) or CREATED),
            "position": len(listed) + 1,
            "description": _component_words(state),
            "showcase": False,
            "start_date": None,
            "group_id": None,
            "page_id": page,
            "group": False,
            "only_show_if_degraded": False,
            **more,
        }

    # The world as a whole stands before its countries.
    for link in sorted(shown.values(), key=lambda each: (each.kind != "world", each.name, each.code)):
        inside = sorted(parts.get(link.code, ()), key=lambda state: state.region.name)
        own = states.get(link.code)
        add(link, own)
        if inside:
            country = listed[link.code]
            country["group"] = True
            country["components"] = [_id("component", slug, state.region.code) for state in inside]
            country["status"] = _group_status(own, inside)
            country["updated_at"] = max(
                country["updated_at"], *(_instant(state.since) for state in inside if state.since)
            )
            for state in inside:
                add(state.region, state, group_id=country["id"], only_show_if_degraded=True)
    return listed


def _group_status(own: RegionState | None, parts: Sequence[RegionState]) -> str:
    if own is not None and own.state == "down":
        return "major_outage"
    return "partial_outage" if any(part.state == "down" for part in parts) else "degraded_performance"


def _component_words(state: RegionState | None) -> str | None:
    if state is None:
        return None
    return {
        "recovering": _("Reports fall, but are not yet usual."),
        "unknown": _("It was down, and too little is heard since to say whether it is back."),
    }.get(state.state)


def _incident(about: Subject, incident: IncidentStatus) -> Shape:
    updates = about.updates.get(incident.ref, ())
    number = _id("incident", incident.ref)
    ended = next((told.told_at for told in reversed(updates) if told.kind in ("rejected", "merged")), None)
    regions = (*incident.currently_affected, *incident.previously_affected)
    return {
        "id": number,
        "name": _("Outage of %(service)s, %(ref)s") % {"service": incident.service.name, "ref": incident.ref},
        "status": _phase(incident),
        "created_at": _instant(incident.detected_at),
        "updated_at": _instant(updates[-1].told_at if updates else incident.detected_at),
        "monitoring_at": _instant(next((told.told_at for told in updates if told.kind == "first_back"), None)),
        "resolved_at": _instant(incident.resolved_at or ended) if incident.state == "resolved" else None,
        "impact": "none" if incident.review == "rejected" else impact_of(incident),
        "shortlink": about.address("incident", incident.ref),
        "started_at": _instant(incident.onset_at),
        "page_id": about.page["id"],
        "incident_updates": _updates(number, updates),
        "components": [about.components[code] for code in _codes(incident, regions) if code in about.components],
    }


def _phase(incident: IncidentStatus) -> str:
    if incident.state == "resolved":
        return "resolved"
    if incident.state == "recovering":
        return "monitoring"
    return "identified" if incident.acknowledged_at or incident.review == "confirmed" else "investigating"


def _codes(incident: IncidentStatus, regions: Sequence[RegionLink]) -> list[str]:
    """The regions that it concerns now, or did; their countries where they are many."""
    named = [link.code for link in incident.currently_affected or regions]
    if len(named) <= MOST_REGIONS and incident.state != "resolved":
        return named
    return list(dict.fromkeys(code if code.isdigit() else code[:2] for code in named))


def _updates(incident: str, updates: Sequence[Milestone]) -> list[Shape]:
    """Newest first."""
    phase = "investigating"
    told: list[Shape] = []
    for update in updates:
        phase = _PHASES.get(update.kind, phase)
        at = _instant(update.told_at)
        told.append(
            {
                "id": _id("update", update.id),
                "status": phase,
                "body": f"{update.text} {update.source_url}".rstrip(),
                "incident_id": incident,
                "created_at": at,
                "updated_at": at,
                "display_at": at,
                "affected_components": None,
                "deliver_notifications": True,
                "custom_tweet": None,
                "tweet_id": None,
            }
        )
    return told[::-1]


def _id(*named: str) -> str:
    number = int.from_bytes(blake2b("/".join(named).encode(), digest_size=16).digest())
    letters = []
    for _place in range(12):
        number, digit = divmod(number, 36)
        letters.append(_DIGITS[digit])
    return "".join(letters)


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
