"""What is told of an outage: as facts for programs, and in words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from reports import formats, status
from reports.audience import feeds, statuspage
from reports.status.answers import IncidentStatus, RegionalOutageStatus

MOST_REGIONS = 200
"""Regions in a message; how many there are is said, and the incident's address tells them all."""
MOST_NAMED = 8
"""Regions that are named in one sentence."""
WORLD = "001"
OPENED, UPDATED, RESOLVED = "incident.opened", "incident.updated", "incident.resolved"


@dataclass(frozen=True)
class Standing:
    """How an incident stands for whoever asks about one region. ``name`` is another one whenever that changed."""

    region: str
    regions: tuple[RegionalOutageStatus, ...]
    over: bool
    news: bool
    """Whether it is worth telling somebody who has heard nothing of it."""
    name: str


def standing(incident: IncidentStatus, region: str, *, beside: Sequence[str] = ()) -> Standing:
    """How ``incident`` stands for the parts of ``region``, and for what it is part of.

    ``beside`` are the refs of parts that were split off from it: to whoever is told of it they are one outage.
    """
    those = tuple(each for ref in (incident.ref, *beside) for each in status.incident_regions(ref))
    if region != WORLD:
        own = tuple(each for each in those if each.region.code == region)
        above = feeds.lineage(region)
        # What was decided for the region itself is nearer than what was for a larger one.
        wider = () if own else tuple(each for each in those if each.region.code in above)
        within = tuple(each for each in those if region in feeds.lineage(each.region.code)[1:])
        those = own + wider + within
    ended = incident.state == "resolved"
    states = sorted(f"{each.region.code}={each.state}" for each in those)
    # Not by its ref: under another one it is the same outage, of which nobody has to be told again.
    named = "|".join((incident.state if ended else "", incident.review, *states))
    return Standing(
        region=region,
        regions=those,
        over=ended or not those,
        news=not ended and any(each.state in ("down", "recovering") for each in those),
        name=blake2b(named.encode(), digest_size=16).hexdigest(),
    )


def kind(found: Standing, *, first: bool) -> str:
    """The type of the event."""
    return OPENED if first else RESOLVED if found.over else UPDATED


def facts(
    incident: IncidentStatus,
    found: Standing,
    kind: str,
    *,
    incident_json: Callable[[IncidentStatus], Mapping[str, Any]],
    site: datetime,
) -> dict[str, Any]:
    """What a program is told."""
    slug = incident.service.slug
    working = [each.link for each in status.siblings(slug, now=site) if each.state == "normal"]
    shown = sorted(found.regions, key=lambda each: -(each.region.population or 0))[:MOST_REGIONS]
    return {
        "type": kind,
        "timestamp": instant(site),
        "data": {
            "incident": dict(incident_json(incident)),
            "severity": statuspage.impact_of(incident),
            "over": found.over,
            "regions": [_region(each) for each in shown],
            "regions_in_all": len(found.regions),
            "still_working": [{"service": link.slug, "name": link.name} for link in working],
            "links": {
                "incident": address("incident", incident.ref),
                "timeline": address("api:incident-timeline", incident.ref),
                "regions": address("api:incident-regions", incident.ref),
                "say_it_is_down": _vote(slug, found.region, "down"),
                "say_it_works": _vote(slug, found.region, "working"),
            },
        },
    }


def _region(each: RegionalOutageStatus) -> dict[str, Any]:
    return {
        "region": each.region.code,
        "region_name": each.region.english,
        "state": each.state,
        "onset_at": instant(each.onset_at),
        "restored_at": instant(each.restored_at),
        "restored_low": instant(each.restored_low),
        "restored_high": instant(each.restored_high),
        "basis": each.basis,
    }


def _vote(slug: str, region: str, kind: str) -> str:
    return f"{address('ask', slug)}?region={region}&kind={kind}"


def address(name: str, *args: str, language: str = "en") -> str:
    """The absolute address of a page, for a message: no request says by what name the site is asked."""
    prefix = "" if language == "en" or name.startswith("api:") else f"/{language}"
    with translation.override("en"):
        return f"{settings.SITE_URL}{prefix}{reverse(name, args=args)}"


def instant(at: datetime | None) -> str | None:
    """ISO 8601, UTC, with a ``Z``."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


# --- In words ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    """A link by what it says and where it leads."""

    text: str
    url: str


@dataclass(frozen=True)
class Words:
    """A message for people: its first sentence, the further ones, and where they can go."""

    title: str
    lines: tuple[str, ...]
    links: tuple[Link, ...]
    manage: Link


def words(message: Mapping[str, Any], *, service: str, region: str, language: str) -> Words:
    """``message`` in words, about the ``service`` by its name and the ``region`` by its code."""
    with translation.override(language):
        data = message["data"]
        place = _place(region)
        manage = str(data["subscription"]["manage"])
        if message["type"] == "subscription.confirm":
            return _question(service, place, manage)
        links, incident = data["links"], data["incident"]
        localised = "" if language == "en" else f"/{language}"

        def link(text: str, name: str) -> Link:
            return Link(text, settings.SITE_URL + localised + links[name].removeprefix(settings.SITE_URL))

        going_on = not data["over"]
        votes = (
            (link(_("Yes, it is down for me"), "say_it_is_down"), link(_("No, it works"), "say_it_works"))
            if going_on
            else ()
        )
        return Words(
            title=_title(data, service=service, place=place),
            lines=tuple(_lines(data, incident, service=service, going_on=going_on)),
            links=(*votes, link(_("Region by region, and why we say so"), "incident")),
            manage=Link(_("Stop these messages"), manage),
        )


def _place(region: str) -> str:
    known = status.region(region)
    return "" if known is None or region == WORLD else known.name


def _question(service: str, place: str, manage: str) -> Words:
    asked = (
        _("Shall we tell you here of outages of %(service)s in %(place)s?")
        if place
        else _("Shall we tell you here of outages of %(service)s?")
    )
    return Words(
        title=asked % {"service": service, "place": place},
        lines=(
            _("Somebody asked for it on our pages. Nothing is sent before you say yes; the question ends in a day."),
            _("If it was not you, there is nothing to do."),
        ),
        links=(Link(_("Yes, tell me"), manage),),
        manage=Link(_("No, and forget the address"), manage),
    )


def _title(data: Mapping[str, Any], *, service: str, place: str) -> str:
    incident = data["incident"]
    states = {each["state"] for each in data["regions"]}
    facts = {"service": service, "place": place, "count": formats.number(data["regions_in_all"])}
    if incident["review"] == "rejected":
        return _("%(service)s: on review this was no outage") % facts
    if incident["state"] == "resolved" or not states:
        return _("The outage of %(service)s is over") % facts
    if not place:
        if "down" not in states and states & {"recovering", "restored"}:
            return _("%(service)s comes back") % facts
        return _("%(service)s is down") % facts
    if "down" in states:
        return _("%(service)s is down in %(place)s") % facts
    if "recovering" in states:
        return _("%(service)s seems to come back in %(place)s") % facts
    if states == {"restored"}:
        return _("%(service)s seems to be back in %(place)s") % facts
    return _("%(service)s: too few reports from %(place)s") % facts


def _lines(data: Mapping[str, Any], incident: Mapping[str, Any], *, service: str, going_on: bool) -> list[str]:
    lines: list[str] = []
    evidence = incident["evidence"]
    if evidence:
        lines.append(
            _("%(observed)s reports in %(minutes)s minutes, where %(expected)s are usual.")
            % {
                "observed": formats.number(evidence["observed"]),
                "minutes": formats.number(evidence["window_minutes"]),
                "expected": formats.number(evidence["expected"], digits=1),
            }
        )
    for state, said in (
        ("down", _("Down: %(places)s.")),
        ("recovering", _("Coming back: %(places)s.")),
        ("restored", _("Back: %(places)s.")),
        ("unknown", _("Too few reports to say: %(places)s.")),
    ):
        names = [_place(each["region"]) or each["region_name"] for each in data["regions"] if each["state"] == state]
        if names:
            lines.append(said % {"places": _named(names)})
    if going_on and data["still_working"]:
        working = formats.listed([each["name"] for each in data["still_working"]])
        lines.append(
            _("As far as we see, these of the same provider still work: %(services)s.") % {"services": working}
        )
    if going_on:
        lines.append(_("Is %(service)s down for you too?") % {"service": service})
    return lines


def _named(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMED:
        return formats.listed(names)
    more = len(names) - MOST_NAMED + 1
    others = translation.ngettext("%(count)s more", "%(count)s more", more) % {"count": formats.number(more)}
    return formats.listed([*names[: MOST_NAMED - 1], others])
