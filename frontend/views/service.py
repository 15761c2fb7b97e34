"""One service in the world or in a region, and its provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from frontend import charts, counts, maps, places, verdicts, words
from frontend.keeping import keep
from frontend.responses import data, map_drawing, not_found, page
from reports import clock, status
from reports.status.answers import IncidentStatus, RegionLink, RegionState, ServiceStatus

MOST_LISTED = 12
MOST_INCIDENTS = 6
MOST_STATEMENTS = 4


@keep("here", "country", "region", "problem", by_country=True, followed=True)
@require_safe
def service(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Whether a service is down, first where the reader is, then elsewhere; and the two buttons."""
    now = clock.now()
    found = status.service_status(slug, now=now)
    shown = status.service_map(slug, now=now)
    if found is None or shown is None:
        return not_found(request, _("No service is known here by this name."), text=slug)
    here = places.here(request)
    local = status.service_status(slug, now=now, region=here.code) if here else None
    siblings = status.siblings(slug, now=now)
    incidents = status.incidents(service=slug, limit=MOST_INCIDENTS).results
    context = _shared(request, found, now, region=None, here=here) | {
        "here": here,
        "local": local or found,
        # A link's preview is nobody's own region.
        "world_verdict": verdicts.service_verdict(found, now),
        "verdict": verdicts.verdict(
            found, now=now, region=here.region if here else None, local=local, siblings=siblings
        ),
        "countries": found.countries[:MOST_LISTED],
        "more_countries": found.countries[MOST_LISTED:],
        "siblings": siblings,
        "incidents": incidents,
        "statements": _said(incidents, found, now),
        "map_states": maps.states(shown.regions),
        "map_files": maps.files(state.region.code for state in shown.regions),
    }
    return page(
        request,
        "frontend/service.html",
        context,
        now=now,
        live="frontend/_service_live.html",
        vary=("Accept-Language",),
    )


@keep("problem", followed=True)
@require_safe
def region(request: HttpRequest, slug: str, code: str) -> HttpResponseBase:
    """Whether a service is down in one region, its parts and neighbours, and its past there."""
    now = clock.now()
    region = status.region(code)
    whole = status.service_status(slug, now=now)
    if whole is None:
        return not_found(request, _("No service is known here by this name."), text=slug)
    if region is None:
        raise Http404(_("There is no region with this code."))
    if region.code == places.WORLD:
        return HttpResponseRedirect(reverse("service", args=[slug]))
    if region.code != code:
        return HttpResponseRedirect(reverse("region", args=[slug, region.code]))
    found = status.service_status(slug, now=now, region=region.code)
    assert found is not None
    siblings = status.siblings(slug, now=now)
    known = {state.region.code: state for state in (*found.down, *found.restored, *found.silent)}
    around = {state.region.code: state for state in (*whole.down, *whole.restored, *whole.silent)}
    context = _shared(request, found, now, region=region, here=None) | {
        "region": region,
        "above": _above(region),
        "below": _with_states(
            places.regions_of(region.code) if region.kind == "country" else status.regions(parent=region.code), known
        ),
        "beside": _with_states(
            [each for each in status.regions(parent=region.parent) if each != region]
            if region.parent and region.parent != places.WORLD
            else [],
            around,
        ),
        "verdict": verdicts.verdict(whole, now=now, region=region, local=found, siblings=siblings),
        "siblings": [
            each for link in siblings if (each := status.service_status(link.link.slug, now=now, region=region.code))
        ],
        "records": status.region_records(slug, region.code, limit=MOST_INCIDENTS),
    }
    return page(
        request,
        "frontend/region.html",
        context,
        now=now,
        live="frontend/_region_live.html",
    )


def _shared(
    request: HttpRequest, found: ServiceStatus, now: datetime, *, region: RegionLink | None, here: places.Here | None
) -> dict[str, object]:
    slug = found.link.slug
    series = counts.day(slug, region.code if region else places.WORLD, now)
    return {
        "found": found,
        "link": found.link,
        "chart": counts.chart(series) if series else None,
        "most_problem": max((reports for _choice, reports in found.problems), default=0),
        "problems": status.problem_choices(slug),
        "places": places.place_form(here, about=region),
        "problem": request.GET.get("problem", ""),
        "report_words": words.report_words(found.link.name),
    }


def _said(incidents: Sequence[IncidentStatus], found: ServiceStatus, now: datetime) -> list[object]:
    """What the provider said about the incident that goes on, or one of the last day; the latest first."""
    recent = next(
        (
            each
            for each in incidents
            if each.review not in ("rejected", "merged")
            and (each.ref == found.incident or (each.resolved_at and now - each.resolved_at < timedelta(days=1)))
        ),
        None,
    )
    if recent is None:
        return []
    said = sorted(recent.statements, key=lambda each: each.said_at, reverse=True)
    return [(each, recent) for each in said[:MOST_STATEMENTS]]


def _with_states(
    links: Sequence[RegionLink], known: dict[str, RegionState]
) -> list[tuple[RegionLink, RegionState | None]]:
    """The regions by name, each with its own state where one was decided; those that are not normal first."""
    paired = [(link, known.get(link.code)) for link in links]
    return sorted(
        paired,
        key=lambda pair: (charts.STATES.index(pair[1].state) if pair[1] else len(charts.STATES), pair[0].name),
    )


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


# --- the provider -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """How long before the provider the crowd knew of one incident."""

    from_onset: timedelta
    from_detection: timedelta
    """Negative where the provider spoke before we saw it."""


@keep(followed=True)
@require_safe
def provider(request: HttpRequest, slug: str) -> HttpResponseBase:
    """A provider's services side by side, what it said, and how long after the crowd."""
    now = clock.now()
    found = status.services(now=now, provider=slug)
    if not found:
        return not_found(request, _("No provider is known here by this name."), text=slug)
    incidents = [each for each in status.incidents(provider=slug).results if each.review not in ("rejected", "merged")]
    statements = [(said, incident) for incident in incidents[:MOST_LISTED] for said in incident.statements]
    drawn = [(each, counts.day(each.link.slug, places.WORLD, now)) for each in found]
    most = {each.link.slug: max((*series.reports, *series.upper), default=0) for each, series in drawn if series}
    drawn.sort(key=lambda pair: (-pair[0].people_affected, -most.get(pair[0].link.slug, 0), pair[0].link.name))
    # One scale for all: a sibling that is fine shows by how little it moves.
    top = charts.nice_top(max(most.values(), default=0))
    leads = [(incident, _lead(incident)) for incident in incidents]
    known = status.provider(slug)
    spoke = known.lead if known and known.lead.spoken else None
    context = {
        "name": found[0].link.provider_name,
        "headline": verdicts.provider_verdict(found[0].link.provider_name, found),
        "services": [
            (each, verdicts.service_verdict(each, now), counts.chart(series, top=top) if series else None)
            for each, series in drawn
        ],
        "incidents": leads[:MOST_LISTED],
        "spoke": spoke,
        "never": known.lead.never if known else 0,
        "number": len(leads),
        "statements": sorted(statements, key=lambda pair: pair[0].said_at, reverse=True),
    }
    return page(request, "frontend/provider.html", context, now=now, live="frontend/_provider_live.html")


def _lead(incident: IncidentStatus) -> Lead | None:
    said = incident.acknowledged_at
    return Lead(said - incident.onset_at, said - incident.detected_at) if said else None


@require_safe
def regions(request: HttpRequest) -> HttpResponseBase:
    """What a country is divided into, for the forms that ask where somebody is."""
    found = status.region(request.GET.get("country", "")[:10])
    links = places.regions_of(found.code) if found and found.kind == "country" else ()
    return data({"regions": [{"code": link.code, "name": link.name} for link in links]}, seconds=86_400)


@require_safe
def region_names(_request: HttpRequest) -> HttpResponseBase:
    """What the map's regions are called in the language of the page, in the shape of the English file."""
    return data({link.code: [link.name] for link in status.regions()}, seconds=86_400)
