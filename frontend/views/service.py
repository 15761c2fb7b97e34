"""One service in the world or in a region, its provider, and the report that a visitor makes."""

from __future__ import annotations

from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from frontend import charts, counts, maps, places, words
from frontend.keeping import keep
from frontend.responses import data, map_drawing, page
from reports import clock, status
from reports.status.answers import RegionLink, RegionState, ServiceStatus

MOST_LISTED = 12


@keep("country", "problem", by_country=True)
@require_safe
def service(request: HttpRequest, slug: str, code: str | None = None) -> HttpResponseBase:
    """Whether a service is down, in the world or in one region, and the two buttons."""
    now = clock.now()
    region = status.region(code or places.WORLD)
    if region is None:
        raise Http404(_("There is no region with this code."))
    if code and region.code == places.WORLD:
        return HttpResponseRedirect(reverse("service", args=[slug]))
    if code and region.code != code:
        return HttpResponseRedirect(reverse("region", args=[slug, region.code]))
    found = status.service_status(slug, now=now, region=code)
    shown = status.service_map(slug, now=now)
    if found is None or shown is None:
        raise Http404(_("There is no service with this name."))
    here = next((state for state in (*found.down, *found.restored) if state.region == region), None)
    series = counts.day(slug, region.code, now)
    incidents = status.incidents(service=slug, region=code, limit=6)
    context = {
        "found": found,
        "link": found.link,
        "people": found.people_affected,
        "region": region if code else None,
        "above": _above(region) if code else (),
        "below": status.regions(parent=region.code) if code else (),
        "verdict": _verdict(found, region if code else None, here, now),
        "chart": counts.chart(series) if series else None,
        "listed": [*found.down, *found.restored][:MOST_LISTED],
        "siblings": status.siblings(slug, now=now),
        "most_problem": max((reports for _choice, reports in found.problems), default=0),
        "incidents": incidents.results,
        "problems": status.problem_choices(slug),
        "places": places.place_form(request, region if code else None),
        "problem": request.GET.get("problem", ""),
        "map_states": maps.states(shown.regions),
        "map_files": maps.files(state.region.code for state in shown.regions),
        "report_words": words.report_words(found.link.name),
    }
    return page(
        request,
        "frontend/service.html",
        context,
        now=now,
        live="frontend/_service_live.html",
        vary=("Accept-Language",),
    )


def _verdict(found: ServiceStatus, region: RegionLink | None, here: RegionState | None, now: datetime) -> SafeString:
    if region is None:
        return words.service_verdict(found, now)
    if here is None and (found.down or found.restored):
        return words.area_verdict(found, region, now)
    return words.region_verdict(found, region, here, now)


def _above(region: RegionLink) -> tuple[RegionLink, ...]:
    found: list[RegionLink] = []
    above = region.parent
    while above and above != places.WORLD and (link := status.region(above)):
        found.insert(0, link)
        above = link.parent
    return tuple(found)


@keep("theme")
@require_safe
def service_drawing(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The map of one service as an SVG."""
    found = status.service_map(slug, now=clock.now())
    if found is None:
        raise Http404
    return map_drawing(
        request, {state.region.code: state.state for state in found.regions if not maps.by_the_world(state)}
    )


@keep()
@require_safe
def provider(request: HttpRequest, slug: str) -> HttpResponseBase:
    """A provider's services side by side, and what it said."""
    now = clock.now()
    found = status.services(now=now, provider=slug)
    if not found:
        raise Http404(_("There is no provider with this name."))
    incidents = status.incidents(provider=slug, limit=12).results
    statements = [(said, incident) for incident in incidents for said in incident.statements]
    worst_first = sorted(found, key=lambda each: (-each.people_affected, -each.reports_last_hour, each.link.name))
    series = [counts.day(each.link.slug, places.WORLD, now) for each in worst_first]
    # One scale for all: a sibling that is fine shows by how little it moves.
    most = max((max((*each.reports, *each.upper), default=0) for each in series if each), default=0)
    context = {
        "name": found[0].link.provider_name,
        "services": [
            (each, words.service_verdict(each, now), counts.chart(found, top=charts.nice_top(most)) if found else None)
            for each, found in zip(worst_first, series, strict=True)
        ],
        "incidents": incidents,
        "statements": sorted(statements, key=lambda pair: pair[0].said_at, reverse=True),
    }
    return page(request, "frontend/provider.html", context, now=now)


@require_safe
def regions(request: HttpRequest) -> HttpResponseBase:
    """What a country is divided into, for the report's form."""
    found = status.region(request.GET.get("country", "")[:10])
    links = places.regions_of(found.code) if found and found.kind == "country" else ()
    return data({"regions": [{"code": link.code, "name": link.name} for link in links]}, seconds=86_400)
