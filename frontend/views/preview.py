"""The pictures that messengers show beside a link."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta
from html import unescape

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.html import strip_tags
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from frontend import course, maps, previews, verdicts, words
from frontend.keeping import keep
from reports import clock, formats, status
from reports.status.health import is_stale

# A messenger asks once and keeps what it got; in between, so may every cache on the way.
KEEP_SECONDS = 300
RETRY_AFTER_SECONDS = 60
MINUTE = timedelta(minutes=1)


@keep(slow=True)
@require_safe
def home(_request: HttpRequest) -> HttpResponseBase:
    """What is down now."""
    now = clock.now()
    found = status.home(now=now)
    with previews.writable():
        title = verdicts.home_verdict(found, stale=is_stale(now))
        return _png(title, _as_of(now), {each.region.code: each.state for each in status.world_map(now=now).regions})


@keep(slow=True)
@require_safe
def service(_request: HttpRequest, slug: str) -> HttpResponseBase:
    """The verdict on a service, and where it is down."""
    now = clock.now()
    found, shown = status.service_status(slug, now=now), status.service_map(slug, now=now)
    if found is None or shown is None:
        raise Http404
    states = {each.region.code: each.state for each in shown.regions if not maps.by_the_world(each)}
    with previews.writable():
        return _png(_plain(verdicts.service_verdict(found, now)), _as_of(now), states)


@keep(slow=True)
@require_safe
def incident(_request: HttpRequest, ref: str) -> HttpResponseBase:
    """An incident as it stands; of one that is over, where it was at its widest."""
    now = clock.now()
    found, history = status.incident(ref), status.incident_history(ref, now=now)
    if found is None or history is None:
        raise Http404
    at = history.end
    over = found.state == "resolved"
    if over and found.first_restored_at:
        # As long as nothing had come back.
        at = max(found.first_restored_at - MINUTE, history.start)
    with previews.writable():
        note = _then(at) if over else _as_of(now)
        return _png(_plain(words.incident_verdict(found, now)), note, course.map_states(history, at))


def _plain(verdict: str) -> str:
    return unescape(strip_tags(verdict))


def _as_of(at: datetime) -> str:
    return _("As people reported it until {time} UTC").format(time=formats.day_and_hour(at, year=True))


def _then(at: datetime) -> str:
    return _("The map shows {time} UTC").format(time=formats.day_and_hour(at, year=True))


def _png(title: str, note: str, states: Mapping[str, str]) -> HttpResponse:
    try:
        body = previews.picture(title=title, note=note, states=states)
    except subprocess.TimeoutExpired:
        # Others need the machine more than a picture does.
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"}
        return HttpResponse(status=503, headers=headers)
    return HttpResponse(body, content_type="image/png", headers={"Cache-Control": f"public, max-age={KEEP_SECONDS}"})
