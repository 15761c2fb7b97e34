"""What is told of an outage: as facts for programs, and in words for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

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
    # Whoever asked about England is done when England is back, though the incident goes on elsewhere.
    over = ended or not those or (region != WORLD and all(each.state == "restored" for each in those))
    states = sorted(f"{each.region.code}={each.state}" for each in those)
    # Not by its ref: under another one it is the same outage, of which nobody has to be told again.
    named = "|".join(("over" if over else "", incident.review, *states))
    return Standing(
        region=region,
        regions=those,
        over=over,
        news=not ended and any(each.state in ("down", "recovering") for each in those),
        name=blake2b(named.encode(), digest_size=16).hexdigest(),
    )


def kind(found: Standing, *, first: bool) -> str:
    """The type of the event."""
    return OPENED if first else RESOLVED if found.over else UPDATED


Gist = tuple[bool, str, bool]
"""What a message comes to: whether it is over, at what stage it is, and whether it is down anywhere."""


def gist(data: Mapping[str, Any]) -> Gist:
    """What was said in the ``data`` of :func:`facts`."""
    # Of all regions, also those that it did not name.
    states = set(data.get("regions_by_state") or [each["state"] for each in data["regions"]])
    incident = data["incident"]
    return bool(data["over"]), _stage_of(incident["review"], incident["state"], states), "down" in states


def present_gist(incident: IncidentStatus, found: Standing) -> Gist:
    """What would be said now."""
    states = {each.state for each in found.regions}
    return found.over, _stage_of(incident.review, incident.state, states), "down" in states


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
            "regions_by_state": dict(Counter(each.state for each in found.regions)),
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


def words(message: Mapping[str, Any], *, service: str, region: str, language: str, time_zone: str = "") -> Words:
    """``message`` in words, about the ``service`` by its name and the ``region`` by its code. Times are UTC, and before
    that those of ``time_zone``."""
    with translation.override(language):
        data = message["data"]
        place = _place(region)
        manage = str(data["subscription"]["manage"])
        if message["type"] == "subscription.confirm":
            names = [each["name"] for each in data.get("subscriptions", ())] or [service]
            return _question(formats.listed(names), place, manage)
        stage = _stage(data)
        return Words(
            title=_title(data, stage, service=service, place=place),
            lines=tuple(_lines(data, stage, message["timestamp"], service=service, zone=_zone(time_zone))),
            links=(
                *_votes(data["links"], stage, language),
                Link(_("Region by region, and why we say so"), _localised(data["links"]["incident"], language)),
            ),
            manage=Link(_("Change or stop these messages"), manage),
        )


def _stage(data: Mapping[str, Any]) -> str:
    return _stage_of(data["incident"]["review"], data["incident"]["state"], {each["state"] for each in data["regions"]})


def _stage_of(review: str, state: str, states: Set[str]) -> str:
    """What is to be said of it: that it was ``none``, is ``over``, comes ``back``, or is ``down``."""
    if review == "rejected":
        return "none"
    if state == "resolved" or not states:
        return "over"
    # What is back is asked about: whoever still has it down there speaks against it.
    return "back" if "down" not in states and states & {"recovering", "restored"} else "down"


def _votes(links: Mapping[str, str], stage: str, language: str) -> tuple[Link, ...]:
    down, works = (_localised(links[name], language) for name in ("say_it_is_down", "say_it_works"))
    if stage == "down":
        return Link(_("Yes, it is down for me"), down), Link(_("No, it works"), works)
    if stage == "back":
        return Link(_("Yes, it works again"), f"{works}&back=1"), Link(_("No, still down"), f"{down}&back=1")
    return ()


def _localised(url: str, language: str) -> str:
    prefix = "" if language == "en" else f"/{language}"
    return settings.SITE_URL + prefix + url.removeprefix(settings.SITE_URL)


def _place(region: str) -> str:
    known = status.region(region)
    # As within a sentence: "the United Kingdom".
    return "" if known is None or region == WORLD else status.place_name(known)


def _question(services: str, place: str, manage: str) -> Words:
    asked = (
        _("Shall we tell you here of outages of %(service)s in %(place)s?")
        if place
        else _("Shall we tell you here of outages of %(service)s?")
    )
    return Words(
        title=asked % {"service": services, "place": place},
        lines=(
            _("Somebody asked for it on our pages. Nothing is sent before you say yes; the question ends in a day."),
            _("If it was not you, there is nothing to do."),
        ),
        links=(Link(_("Yes, tell me"), manage),),
        manage=Link(_("No, and forget the address"), manage),
    )


def _title(data: Mapping[str, Any], stage: str, *, service: str, place: str) -> str:
    states = {each["state"] for each in data["regions"]}
    facts = {"service": service, "place": place}
    if stage == "none":
        return _("%(service)s: on review this was no outage") % facts
    if stage == "over":
        return _("The outage of %(service)s is over") % facts
    if not place:
        return (_("%(service)s comes back") if stage == "back" else _("%(service)s is down")) % facts
    if "down" in states:
        return _("%(service)s is down in %(place)s") % facts
    if "recovering" in states:
        return _("%(service)s seems to come back in %(place)s") % facts
    if states == {"restored"}:
        return _("%(service)s seems to be back in %(place)s") % facts
    return _("%(service)s: too few reports from %(place)s") % facts


def _lines(data: Mapping[str, Any], stage: str, told: str, *, service: str, zone: ZoneInfo | None) -> list[str]:
    if stage == "none":
        return [_("Whoever is on duty looked at the reports and found none. Sorry for the noise.")]
    lines: list[str] = []
    evidence = data["incident"]["evidence"]
    if evidence:
        minutes, expected = evidence["window_minutes"], evidence["expected"]
        said = translation.ngettext(
            "%(observed)s reports in %(minutes)s minute, where %(expected)s are usual.",
            "%(observed)s reports in %(minutes)s minutes, where %(expected)s are usual.",
            minutes,
        )
        lines.append(
            said
            % {
                "observed": formats.number(evidence["observed"]),
                "minutes": formats.number(minutes),
                # Where nearly nobody reports, the third figure would still say nothing.
                "expected": formats.number(expected, digits=1)
                if expected >= 0.1
                else _("fewer than %(number)s") % {"number": formats.number(0.1, digits=1)},
            }
        )
    onsets = [each["onset_at"] for each in data["regions"] if each["onset_at"]]
    ends = [each["restored_at"] for each in data["regions"] if each["restored_at"]]
    if onsets:
        since = _moment(min(onsets), told, zone)
        over = data["incident"]["resolved_at"] if stage == "over" else None
        until = over or (max(ends) if len(ends) == data["regions_in_all"] else None)
        lines.append(
            _("Down from about %(since)s until about %(until)s.")
            % {"since": since, "until": _moment(until, told, zone)}
            if until
            else _("Since about %(since)s.") % {"since": since}
        )
    counts = data.get("regions_by_state", {})
    for state, said in (
        ("down", _("Down: %(places)s.")),
        ("recovering", _("Coming back: %(places)s.")),
        ("restored", _("Back: %(places)s.")),
        ("unknown", _("Too few reports to say: %(places)s.")),
    ):
        codes = [each["region"] for each in data["regions"] if each["state"] == state]
        in_all = counts.get(state, len(codes))
        if len(codes) > 1 and WORLD in codes:
            # What is decided for all of it says nothing beside its parts.
            codes.remove(WORLD)
            in_all -= 1
        if codes:
            names = [found.name if (found := status.region(code)) else code for code in codes]
            lines.append(said % {"places": _named(names, in_all=in_all)})
    if stage in ("down", "back") and data["still_working"]:
        working = formats.listed([each["name"] for each in data["still_working"]])
        lines.append(
            _("As far as we see, these of the same provider still work: %(services)s.") % {"services": working}
        )
    if stage == "down":
        lines.append(_("Is %(service)s down for you too?") % {"service": service})
    elif stage == "back":
        lines.append(_("Is %(service)s back for you?") % {"service": service})
    return lines


def _named(names: Sequence[str], *, in_all: int) -> str:
    if in_all <= MOST_NAMED:
        return formats.listed(names)
    shown = names[: MOST_NAMED - 1]
    more = in_all - len(shown)
    others = translation.ngettext("%(count)s more", "%(count)s more", more) % {"count": formats.number(more)}
    return formats.listed([*shown, others])


def _moment(text: str, told: str, zone: ZoneInfo | None) -> str:
    """``19:02 (18:02 UTC)``, or ``18:02 UTC``; with the day where it is not that on which it is ``told``."""
    at, now = datetime.fromisoformat(text), datetime.fromisoformat(told)
    utc = f"{_clock(at, now)} UTC"
    return utc if zone is None else f"{_clock(_within(at, zone), _within(now, zone))} ({utc})"


def _within(at: datetime, zone: ZoneInfo) -> datetime:
    # As the formats read it: they know no other zone.
    return at.astimezone(zone).replace(tzinfo=UTC)


def _clock(at: datetime, now: datetime) -> str:
    return formats.hour(at) if at.date() == now.date() else formats.day_and_hour(at)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, OSError, ValueError):
        # One that this machine does not know.
        return None


def notification(
    message: Mapping[str, Any], words: Words, *, subscription: UUID, event: str, language: str
) -> dict[str, Any]:
    """``words`` as a browser shows them: the title, the first lines, and two buttons that send a report."""
    data, votes = message["data"], words.links[:-1]
    body = "\n".join(words.lines)
    shown: dict[str, Any] = {
        "title": words.title[:200],
        # A message has some three thousand bytes; a screen shows less.
        "body": body if len(body.encode()) <= 1200 else body.encode()[:1200].decode(errors="ignore") + "…",
        # What is told of one incident takes the place of what was, and is heard all the same.
        "tag": data["incident"]["ref"],
        "again": True,
        "url": _path(_localised(data["links"]["incident"], language)),
        "service": data["subscription"]["service"],
        "region": data["subscription"]["region"],
        "language": language,
    }
    if votes:
        kinds = ("working", "down") if _stage(data) == "back" else ("down", "working")
        shown |= {
            "actions": [[kind, vote.text] for kind, vote in zip(kinds, votes, strict=True)],
            # What the answer is sent under: the same for however many copies of this message.
            "ids": {kind: str(uuid5(subscription, f"{event}/{kind}")) for kind in kinds},
            "ask": _path(votes[0].url),
        }
    return shown


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
