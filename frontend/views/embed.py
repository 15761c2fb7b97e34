"""What others put on their own pages: a card for a frame, and the page that tells how to build on this site."""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from frontend.keeping import keep
from frontend.responses import page
from reports import clock, status
from reports.audience.badges import badge
from reports.status.answers import ServiceStatus

THEMES = ("auto", "light", "dark")
# The only page of the site that others may frame. It runs our one script, sends no form and sets no cookie.
CARD_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors *"
)
CARD_SECONDS = 60
CARD_SIZE = (340, 190)


@keep("region", "theme")
@require_safe
def card(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Whether a service is down, in the world or in one region, in a frame."""
    now = clock.now()
    code = request.GET.get("region", "")[:10]
    region = status.region(code) if code else None
    found = status.service_status(slug, now=now, region=region.code if region else None)
    if found is None or (code and region is None):
        raise Http404(_("There is no service or region with this name."))
    here = next((state for state in (*found.down, *found.restored) if state.region == region), None)
    theme = request.GET.get("theme", "auto")
    response = page(
        request,
        "frontend/embed.html",
        {
            "found": found,
            "link": found.link,
            "region": region,
            "badge": badge(found, region),
            "since": here.since if here else found.since,
            "theme": theme if theme in THEMES else "auto",
            "target": resolve_url("region", slug, region.code) if region else resolve_url("service", slug),
            "seconds": CARD_SECONDS,
        },
        now=now,
    )
    response.headers["Content-Security-Policy"] = CARD_POLICY
    return response


@keep("service")
@require_safe
def developers(request: HttpRequest) -> HttpResponseBase:
    """Everything that others can build on, with examples that are live."""
    now = clock.now()
    services = status.services(now=now)
    chosen = _example(services, request.GET.get("service", ""))
    width, height = CARD_SIZE
    context = {
        "services": services,
        "link": chosen.link if chosen else None,
        "root": request.build_absolute_uri("/").rstrip("/"),
        "width": width,
        "height": height,
    }
    return page(request, "frontend/developers.html", context, now=now)


def _example(services: tuple[ServiceStatus, ...], slug: str) -> ServiceStatus | None:
    """The one asked for, else one that is down, since it shows the most; else the first."""
    asked = (each for each in services if each.link.slug == slug)
    down = sorted((each for each in services if each.incident), key=lambda each: -each.people_affected)
    return next(iter((*asked, *down, *services)), None)
