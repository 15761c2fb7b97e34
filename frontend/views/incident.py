"""Incidents: the list of them, and each one through time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from frontend import calibration, charts, counts, course, drawings, maps, places, words
from frontend.keeping import keep
from frontend.responses import drawing, map_drawing, page
from reports import clock, status
from reports.status.answers import IncidentHistory, IncidentStatus, RegionalOutageStatus
from reports.status.nesting import own_people, parts

# A table of every region of the world would be a megabyte: the rest is one link away.
MOST_ROWS = 100
MOST_LINES = 300
MANY_REGIONS = 100
INCIDENT_STATES = ("open", "recovering", "resolved")
REVIEWS = ("automatic", "confirmed", "rejected", "merged")


@keep("service", "state", "review", "region", "since", "cursor")
@require_safe
def incidents(request: HttpRequest) -> HttpResponseBase:
    """Past and present incidents, with filters."""
    now = clock.now()
    asked = {name: request.GET.get(name, "").strip()[:60] for name in ("service", "state", "review", "region", "since")}
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


@keep("t", "all", "region")
@require_safe
def incident(request: HttpRequest, ref: str) -> HttpResponseBase:
    """One incident: the map through time, the order of restoration, the evidence."""
    now = clock.now()
    found, history = _incident(ref, now)
    outages = status.incident_regions(ref)
    # The timeline of a large incident is thousands of lines: it is read with the page, not every few seconds.
    large = len(history.regions) > MANY_REGIONS
    lines = () if large and request.GET.get("part") else status.incident_timeline(ref)
    series = status.incident_chart(ref, now=now)
    shown = course.course(history, outages, at=_asked_instant(request))
    rows = shown.rows if request.GET.get("all") else shown.rows[:MOST_ROWS]
    context = {
        "incident": found,
        "verdict": words.incident_verdict(found, now),
        "confidence_basis": calibration.basis(found.confidence),
        "course": shown,
        "rows": rows,
        "rows_left": len(shown.rows) - len(rows),
        "selected": request.GET.get("region", "")[:10],
        "history": course.as_json(history),
        "chart": counts.chart(series) if series else None,
        "timeline": lines if len(lines) <= MOST_LINES else (),
        "lines": len(lines),
        "chapters": [line for line in lines if line.region is None or line.source_type != "engine"],
        "affected_people": sum(own_people(history.regions).values()),
        "still_affected": len(parts(found.currently_affected)),
        "last_restored": _last_restored(found, outages),
        "map_files": maps.files(link.code for link in history.regions),
        "player_words": json.dumps(
            {
                **{state: words.state_name(state) for state in charts.STATES},
                "play": _("Play"),
                "pause": _("Pause"),
            }
        ),
        "states": charts.STATES,
    }
    return page(
        request,
        "frontend/incident.html",
        context,
        now=now,
        live="frontend/_incident_live.html",
        refresh_seconds=300 if found.resolved_at else 20 if large else 10,
        replay_seconds=300 if found.resolved_at else 8 if large else 3,
    )


def _last_restored(found: IncidentStatus, outages: Sequence[RegionalOutageStatus]) -> datetime | None:
    if found.currently_affected:
        return None
    return max((outage.restored_at for outage in outages if outage.restored_at), default=None)


def _incident(ref: str, now: datetime) -> tuple[IncidentStatus, IncidentHistory]:
    found, history = status.incident(ref), status.incident_history(ref, now=now)
    if found is None or history is None:
        raise Http404(_("There is no incident with this reference."))
    return found, history


def _asked_instant(request: HttpRequest) -> datetime | None:
    """The instant in ``?t=``, or ``None`` where it is none: a mistyped link shows the present."""
    try:
        found = datetime.fromisoformat(request.GET.get("t", "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@keep("t", "theme")
@require_safe
def incident_drawing(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The map of an incident at ``?t=`` as an SVG."""
    _found, history = _incident(ref, clock.now())
    at = _asked_instant(request)
    return map_drawing(request, course.map_states(history, min(at, history.end) if at else history.end))


@keep("theme")
@require_safe
def incident_chart(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The counts of an incident against what was expected, as an SVG of its own."""
    now = clock.now()
    found, _history = _incident(ref, now)
    series = status.incident_chart(ref, now=now)
    if series is None:
        raise Http404
    context = {
        **counts.chart(series),
        "incident": found,
        "now": now,
        "palette": drawings.palette(request.GET.get("theme", "light")),
    }
    return drawing(request, "frontend/chart.svg", context)
