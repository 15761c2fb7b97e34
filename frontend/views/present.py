"""What is down now, and what may be asked about: the home page, the list of services, search."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from frontend import counts, maps, places, verdicts
from frontend.keeping import keep
from frontend.responses import data, map_drawing, page
from reports import clock, status
from reports.status.health import is_stale

MOST_OVER = 8
MOST_REPORTED = 8


@keep("here", "country", "region", by_country=True, followed=True)
@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """What is down now, in the world and where the reader is, the world map, search."""
    now = clock.now()
    home = status.home(now=now)
    here, stale = places.here(request), is_stale(now)
    world = status.world_map(now=now).regions
    local = [
        found
        for each in home.down
        if here and (found := status.service_status(each.link.slug, now=now, region=here.code))
    ]
    context = {
        "home": home,
        "here": here,
        "verdict": verdicts.home_verdict(home, stale=stale),
        "here_sentences": verdicts.here_sentences(local, here.region, stale=stale) if here else (),
        "places": places.place_form(here),
        "outages": [
            (found, verdicts.service_verdict(found, now), counts.spark(found.link.slug, now)) for found in home.down
        ],
        "over": home.recently_resolved[:MOST_OVER],
        # What follows an outage asks for an explanation first.
        "reported": sorted(home.most_reported, key=lambda each: each.echo_of is None)[:MOST_REPORTED],
        "map_states": maps.states(world, with_service=True),
        "map_files": maps.files(state.region.code for state in world),
    }
    return page(
        request,
        "frontend/home.html",
        context,
        now=now,
        live="frontend/_home_live.html",
        vary=("Accept-Language",),
    )


@keep("theme")
@require_safe
def world_drawing(request: HttpRequest) -> HttpResponseBase:
    """The world map of the present as an SVG."""
    now = clock.now()
    return map_drawing(request, {state.region.code: state.state for state in status.world_map(now=now).regions})


@keep()
@require_safe
def services(request: HttpRequest) -> HttpResponseBase:
    """Every service, by category."""
    now = clock.now()
    groups: dict[str, list[object]] = {}
    found = status.services(now=now)
    for each in found:
        groups.setdefault(each.link.category_name, []).append(each)
    context = {
        "groups": sorted(groups.items()),
        "number": len(found),
        "down": [each for each in found if each.incident],
    }
    return page(request, "frontend/services.html", context, now=now)


@require_safe
def search(request: HttpRequest) -> HttpResponseBase:
    """What a name may mean; the service itself where it can mean but one."""
    now = clock.now()
    text = request.GET.get("q", "").strip()[:100]
    found = status.search(text) if text else ()
    exact = [link for link in found if text.casefold() in (link.name.casefold(), link.slug)]
    if len(found) == 1 or len(exact) == 1:
        link = (exact or list(found))[0]
        return HttpResponseRedirect(reverse("service", args=[link.slug]))
    services = [each for link in found if (each := status.service_status(link.slug, now=now))]
    return page(request, "frontend/search.html", {"text": text, "found": services}, now=now)


@require_safe
def suggestions(request: HttpRequest) -> HttpResponseBase:
    """The same for the search field while somebody types."""
    text = request.GET.get("q", "").strip()[:100]
    found = status.search(text, limit=8) if text else ()
    return data(
        {
            "services": [
                {
                    "name": link.name,
                    "detail": link.category_name if link.provider_name == link.name else link.provider_name,
                    "href": reverse("service", args=[link.slug]),
                }
                for link in found
            ]
        },
        seconds=60,
    )
