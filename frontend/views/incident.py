"""Incidents: the list of them, and each one through time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import cast

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from frontend import (
    calibration,
    chapters,
    charts,
    counts,
    course,
    drawings,
    grouping,
    maps,
    modes,
    moments,
    pinned,
    places,
    words,
)
from frontend.asking import Asked, asked, found_incident
from frontend.keeping import keep
from frontend.responses import page
from frontend.views.incident_data import mapped
from reports import clock, status
from reports.status.answers import IncidentHistory, IncidentStatus, RegionalOutageStatus
from reports.status.nesting import own_people, parts

MANY_REGIONS = 100
INCIDENT_STATES = ("open", "recovering", "resolved")
REVIEWS = ("automatic", "confirmed", "rejected", "merged")


@keep("service", "state", "review", "region", "since", "cursor")
@require_safe
def incidents(request: HttpRequest) -> HttpResponseBase:
    """Past and present incidents, with filters."""
    now = clock.now()
    # PostgreSQL knows no text with a NUL in it.
    asked = {
        name: request.GET.get(name, "").replace("\x00", "").strip()[:60]
        for name in ("service", "state", "review", "region", "since")
    }
    since = _day(asked["since"])
    service = next((link.slug for link in status.search(asked["service"], limit=1)), asked["service"])
    region = status.region(asked["region"]) if asked["region"] else None
    try:
        found = status.incidents(
            service=service if asked["service"] else None,
            region=region.code if region else asked["region"] or None,
            state=asked["state"] if asked["state"] in INCIDENT_STATES else None,
            review=asked["review"] if asked["review"] in REVIEWS else None,
            since=datetime(since.year, since.month, since.day, tzinfo=UTC) if since else None,
            limit=30,
            cursor=request.GET.get("cursor") or None,
        )
    except status.CursorError as error:
        raise Http404(str(error)) from error
    query = request.GET.copy()
    query.pop("cursor", None)
    context = {
        "found": found,
        "verdicts": [(incident, words.incident_verdict(incident, now)) for incident in found.results],
        "asked": asked,
        "filtered": any(asked.values()),
        "query": query.urlencode(),
        "states": [(state, words.state_name(state)) for state in INCIDENT_STATES],
        "reviews": [(review, words.review_name(review)) for review in REVIEWS],
        "countries": places.countries(),
    }
    return page(request, "frontend/incidents.html", context, now=now)


def _day(text: str) -> date | None:
    """The day that a filter names; ``None`` where it names none, and the list is shown without it."""
    try:
        return parse_date(text) if len(text) == len("2026-01-31") else None
    except ValueError:
        # Well formed, but no day: the 30th of February.
        return None


@keep("t", "mode", "region", "country", "sort", "q", "open", "all", followed=True)
@require_safe
def incident(request: HttpRequest, ref: str) -> HttpResponseBase:
    """One incident: the map through time, the order of restoration, the evidence.

    ``?part=`` asks for a piece of it: ``live`` what changes by itself, ``order`` the list, ``country`` the rows of the
    countries in ``?open=``, ``mine`` what is said about ``?region=``.
    """
    now = clock.now()
    found, history = found_incident(ref, now)
    wanted = asked(request)
    template, context_of = PARTS.get(wanted.part, ("frontend/incident.html", _whole))
    large, over = len(history.regions) > MANY_REGIONS, found.state == "resolved"
    return page(
        request,
        template,
        {
            "incident": found,
            "over": over,
            # It was none, or is told elsewhere: its figures are nobody's facts.
            "told_here": found.review not in ("rejected", "merged"),
            "asked": wanted,
            "part": wanted.part,
            **context_of(request, found, history, wanted, now),
        },
        now=now,
        live="frontend/_incident_live.html",
        refresh_seconds=300 if over else 20 if large else 10,
        replay_seconds=300 if over else 8 if large else 3,
    )


Context = dict[str, object]


def _whole(
    request: HttpRequest, found: IncidentStatus, history: IncidentHistory, wanted: Asked, now: datetime
) -> Context:
    outages = status.incident_regions(found.ref)
    series = status.incident_chart(found.ref, now=now)
    shown = course.course(history, outages, at=wanted.at)
    lines = status.incident_timeline(found.ref)
    chosen = moments.moments(history, over=found.state == "resolved")
    return {
        "verdict": words.incident_verdict(found, now),
        "confidence_basis": calibration.basis(found.confidence),
        "course": shown,
        "chart": counts.chart(series) if series else None,
        "chapters": chapters.chapters(lines),
        "affected_people": sum(own_people(history.regions, elsewhere=history.told_elsewhere).values()),
        "standing": _standing(outages, over=found.state == "resolved"),
        "map_files": maps.files(link.code for link in history.regions),
        "moments": chosen,
        "moments_version": status.digest(chosen),
        "history_version": history.version,
        "small_size": drawings.small_size(mapped(history)),
        "map_modes": _map_modes(found, history, wanted),
        "drawing_query": f"mode={wanted.mode}&t={words.utc(shown.at)}",
        "page_words": words_for_scripts(),
        "states": charts.STATES,
        **_listing(history, shown, wanted),
        **_mine(request, found, history, wanted, now),
    }


def _listing(history: IncidentHistory, shown: course.Course, wanted: Asked) -> Context:
    listing = grouping.listing(
        history,
        shown.rows,
        course.by_region(history),
        at=shown.at,
        order=wanted.order,
        query=wanted.query,
        opened=wanted.opened,
        everything=wanted.everything,
    )
    return {"course": shown, "listing": listing, "orders": _orders()}


def _order(
    _request: HttpRequest, found: IncidentStatus, history: IncidentHistory, wanted: Asked, _now: datetime
) -> Context:
    return _listing(history, course.course(history, status.incident_regions(found.ref), at=wanted.at), wanted)


def _country(
    request: HttpRequest, found: IncidentStatus, history: IncidentHistory, wanted: Asked, now: datetime
) -> Context:
    context = _order(request, found, history, replace(wanted, query="", everything=False), now)
    listing = cast(grouping.Listing, context["listing"])
    return context | {"groups": [group for group in listing.groups if group.code in wanted.opened]}


def _mine(
    request: HttpRequest, found: IncidentStatus, _history: IncidentHistory, wanted: Asked, now: datetime
) -> Context:
    """What is said about the reader's region, and the fields to choose it."""
    context: Context = {"places": places.place_form(places.here(request), about=wanted.region)}
    if wanted.region is None:
        return context
    outages = status.incident_regions(found.ref)
    mine = pinned.pinned(wanted.region, outages, status.incident_timeline(found.ref), now)
    shown = mine.above.code if mine.above else wanted.region.code
    series = status.incident_chart(found.ref, now=now, region=shown) if mine.state != "normal" else None
    return context | {"mine": mine, "mine_chart": counts.chart(series) if series else None}


PARTS: Mapping[str, tuple[str, Callable[..., Context]]] = {
    "order": ("frontend/_incident_groups.html", _order),
    "country": ("frontend/_incident_country.html", _country),
    "mine": ("frontend/_incident_mine.html", _mine),
}


def _map_modes(found: IncidentStatus, history: IncidentHistory, wanted: Asked) -> list[dict[str, object]]:
    """The modes of the map: the word, the name, whether it is chosen, and the legend (the states have their own)."""
    names = {
        "state": _("State"),
        "rate": _("Reports against the usual"),
        "restore": _("Time until it was back"),
    }
    restoration = modes.restoration(history, over=found.state == "resolved")
    keys = {"state": (), "rate": modes.rate_keys(), "restore": restoration.keys}
    return [
        {
            "mode": mode,
            "name": names[mode],
            "chosen": mode == wanted.mode,
            "keys": keys[mode],
            "breaks": json.dumps(restoration.breaks) if mode == "restore" else "",
        }
        for mode in modes.MODES
    ]


def _orders() -> list[tuple[str, str]]:
    return [
        ("back", _("who came back first")),
        ("last", _("who is still down, or came back last")),
        ("people", _("most people")),
        ("name", _("name")),
    ]


def words_for_scripts() -> str:
    """What the scripts of the page say, as JSON."""
    return json.dumps(
        {
            **{state: words.state_name(state) for state in charts.STATES},
            "play": _("Play"),
            "pause": _("Pause"),
            "backOf": _("{back} of {n} back"),
            "copied": _("The link is copied."),
            "copyFailed": _("The link could not be copied; it stands in the address bar."),
            "noRate": _("The counts could not be loaded."),
            "rates": {key.fill: key.label for key in modes.rate_keys()},
            "toEnd": _("The whole course"),
        }
    )


@dataclass(frozen=True)
class Standing:
    """How far the restoration is: regions that are ``out`` (down or coming back) and ``silent``, the last return known.

    As everywhere, a country beside its parts is not counted. Of what is over, whoever is not back is silent.
    """

    out: int
    silent: int
    last_back: datetime | None


def _standing(outages: Sequence[RegionalOutageStatus], *, over: bool) -> Standing:
    counted = {link.code for link in parts([outage.region for outage in outages])}
    chosen = [outage for outage in outages if outage.region.code in counted]
    backs = [outage.restored_at for outage in chosen if outage.restored_at]
    out = 0 if over else sum(outage.state in ("down", "recovering") for outage in chosen)
    return Standing(out=out, silent=len(chosen) - len(backs) - out, last_back=max(backs, default=None))
