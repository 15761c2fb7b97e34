"""What is down now, and what may be asked about: the home page, the list of services, search."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from frontend import counts, maps, words
from frontend.keeping import keep
from frontend.responses import data, map_drawing, page
from reports import clock, status
from reports.status.health import is_stale


@keep()
@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """What is down now, the world map, search."""
    now = clock.now()
    home = status.home(now=now)
    world = status.world_map(now=now).regions
    context = {
        "home": home,
        "verdict": words.home_verdict(home, stale=is_stale(now)),
        "verdicts": [
            (found, words.service_verdict(found, now), found.people_affected, counts.spark(found.link.slug, now))
            for found in home.down
        ],
        "map_states": maps.states(world, with_service=True),
        "map_files": maps.files(state.region.code for state in world),
    }
    return page(request, "frontend/home.html", context, now=now, live="frontend/_home_live.html")


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
    for found in status.services(now=now):
        groups.setdefault(found.link.category_name, []).append(found)
    context = {"groups": sorted(groups.items())}
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
    return page(request, "frontend/search.html", {"text": text, "found": found}, now=now)


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
