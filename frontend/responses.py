"""How an answer goes out: rendered once, named by its content, so that nothing new costs a 304."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response, patch_vary_headers

from frontend import drawings
from frontend.charts import STATES
from reports import clock, status
from reports.status import snapshots
from reports.status.health import counted_until, is_stale

SVG = "image/svg+xml; charset=utf-8"
HTML = "text/html; charset=utf-8"

# As the API says for the same.
RETRY_AFTER_SECONDS = 5


def page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, object],
    *,
    now: datetime,
    live: str | None = None,
    refresh_seconds: int = 15,
    replay_seconds: int = 3,
    vary: tuple[str, ...] = (),
    code: int = 200,
) -> HttpResponseBase:
    """The page, or with ``?part=live`` only what changes on it: the fragment ``live``.

    Every page of a replaying site says so, and lives by the scenario's quicker clock: it is asked for again every
    ``replay_seconds``.
    """
    banner = status.scenario_banner()
    whole = {
        **context,
        "now": now,
        "banner": banner,
        "map_legend": STATES[:4],
        "stale": is_stale(now),
        "counted_until": counted_until(),
        "refresh": (replay_seconds if banner else refresh_seconds) if live else None,
    }
    if live and request.GET.get("part") == "live":
        # Whether our counting is behind may change under a page that stays open, too.
        body = render_to_string(live, whole, request=request) + render_to_string("frontend/_behind.html", whole)
    else:
        body = render_to_string(template, whole, request=request)
    return answer(request, body, HTML, vary=vary, code=code)


def not_found(request: HttpRequest, why: str, *, text: str) -> HttpResponseBase:
    """The page for a name that nobody has, with those most like ``text``."""
    found = status.search(text.replace("-", " "), limit=6)
    return page(request, "404.html", {"why": why, "found": found}, now=clock.now(), code=404)


def drawing(request: HttpRequest, template: str, context: Mapping[str, object]) -> HttpResponseBase:
    """A standalone SVG."""
    return answer(request, render_to_string(template, context), SVG)


def map_drawing(request: HttpRequest, states: dict[str, str]) -> HttpResponseBase:
    """A map as a standalone SVG: region codes to states, in the colours of ``?theme=``."""
    theme = request.GET.get("theme", "light")

    def draw() -> str:
        return render_to_string("frontend/map.svg", {"drawing": drawings.draw_map(states, theme=theme)})

    # Most services have the same one: that of a world in which nothing is down.
    return answer(request, snapshots.kept(("map", theme, frozenset(states.items())), draw), SVG)


def answer(
    request: HttpRequest, body: str, content_type: str, *, vary: tuple[str, ...] = (), code: int = 200
) -> HttpResponseBase:
    """The answer with a strong tag of its content; 304 where the reader has it already."""
    response = HttpResponse(body, content_type=content_type, status=code)
    # Kept by the browser, but asked about each time: a page about an outage must not be an old one.
    response["Cache-Control"] = "no-cache"
    if vary:
        patch_vary_headers(response, vary)
    if code != 200:
        return response
    response["ETag"] = f'"{blake2b(response.content, digest_size=12).hexdigest()}"'
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


def data(body: Mapping[str, object], *, seconds: int = 0, code: int = 200) -> JsonResponse:
    """A small JSON answer for the site's own scripts, which may be kept for ``seconds``."""
    keep = f"public, max-age={seconds}" if seconds else "no-store"
    return JsonResponse(dict(body), status=code, headers={"Cache-Control": keep})


def kept_aside() -> HttpResponse:
    """Thanks for a report that was accepted while the database is away; asks no table."""
    return HttpResponse(render_to_string("503.html", {"stored": True}), headers={"Cache-Control": "no-store"})


def unavailable(request: HttpRequest, fields: Mapping[str, str]) -> HttpResponse:
    """The page for a form that could not be stored: it asks no table, and its button sends ``fields`` again."""
    body = render_to_string("503.html", {"action": request.path, "fields": fields})
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"}
    return HttpResponse(body, status=503, headers=headers)
