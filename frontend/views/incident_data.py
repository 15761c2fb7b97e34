"""What the page of an incident draws and loads: its map and charts as SVG, its history and rates as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.http.response import Http404, HttpResponseBase
from django.views.decorators.http import require_safe

from frontend import counts, course, drawings, modes, moments
from frontend.asking import asked_instant, found_incident
from frontend.keeping import keep
from frontend.responses import answer, drawing
from reports import clock, status
from reports.status import IncidentRates
from reports.status.answers import IncidentHistory

JSON = "application/json"


@keep(followed=True)
@require_safe
def history(request: HttpRequest, ref: str) -> HttpResponseBase:
    """Every change of state of every region."""
    _found, course_of = found_incident(ref, clock.now())
    return _json(request, course.as_json(course_of))


@keep(followed=True)
@require_safe
def rates(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The class of every region at every position of the slider, for the mode that compares with the usual."""
    found, course_of = found_incident(ref, clock.now())
    return _json(request, modes.rates_json(course_of, _rates(found.ref, course_of)))


def _json(request: HttpRequest, body: Mapping[str, object]) -> HttpResponseBase:
    return answer(request, json.dumps(body, separators=(",", ":"), ensure_ascii=False), JSON)


def _rates(ref: str, history: IncidentHistory, at: datetime | None = None) -> IncidentRates:
    step = timedelta(minutes=course.slider_step(history))
    instants = modes.instants(history)
    if at is not None:
        # One drawing needs one instant.
        instants = [min(instants, key=lambda each: abs(each - at))]
    codes = [link.code for link in history.regions if link.kind != "world"]
    found = status.incident_rates(ref, codes, instants=instants, step=step)
    if found is None:
        raise Http404
    return found


def mapped(history: IncidentHistory) -> list[str]:
    """The regions that the map of an incident is about, those included that take their state from one above."""
    return [*(link.code for link in history.regions if link.kind != "world"), *course.covers(history)]


@keep("t", "mode", "theme")
@require_safe
def incident_map(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The map of an incident at ``?t=`` in one of the modes, as an SVG."""
    found, course_of = found_incident(ref, clock.now())
    asked = asked_instant(request)
    at = min(asked, course_of.end) if asked else course_of.end
    mode = modes.chosen(request.GET.get("mode", ""))
    if mode == "rate":
        own = modes.rate_fills(_rates(found.ref, course_of, at))
        covers = course.covers(course_of).items()
        fills: Mapping[str, str] = {code: own[above] for code, above in covers if above in own} | own
    elif mode == "restore":
        fills = modes.restoration(course_of).fills
    else:
        fills = course.map_states(course_of, at)
    theme = request.GET.get("theme", "light")
    drawn = drawings.draw_map(fills, theme=theme, around=mapped(course_of))
    return drawing(request, "frontend/map.svg", {"drawing": drawn})


@keep("theme")
@require_safe
def incident_moments(request: HttpRequest, ref: str) -> HttpResponseBase:
    """Small maps of the instants that tell the course, in one SVG: each is a view of it, ``#m0``, ``#m1``, ..."""
    found, course_of = found_incident(ref, clock.now())
    chosen = moments.moments(course_of, over=found.state == "resolved")
    small = drawings.draw_small_maps(
        [course.map_states(course_of, moment.at) for moment in chosen],
        theme=request.GET.get("theme", "light"),
        around=mapped(course_of),
    )
    return drawing(request, "frontend/moments.svg", {"small": small})


@keep("theme")
@require_safe
def incident_chart(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The counts of an incident against what was expected, as an SVG of its own."""
    now = clock.now()
    found, _history = found_incident(ref, now)
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
