"""The pages: each view asks `reports.status` and hands the answer to a template."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from frontend import calibration, charts, counts, course, drawings, maps, places, words
from frontend.nesting import own_people, parts, people_affected
from frontend.responses import answer, data, drawing, kept_aside, page, unavailable
from reports import clock, status
from reports.intake import flood, guard, inbox, submission
from reports.status.answers import (
    HomeStatus,
    IncidentHistory,
    IncidentStatus,
    RegionalOutageStatus,
    RegionLink,
    RegionState,
    ServiceLink,
    ServiceStatus,
)
from reports.status.health import is_stale
from reports.status.rules import counting_rules, detection_results, rules

RECOMPUTE = Path(settings.BASE_DIR) / "docs" / "recompute.py"

# A table of every region of the world would be a megabyte: the rest is one link away.
MOST_ROWS = 100
MOST_LISTED = 12
MOST_LINES = 300
MANY_REGIONS = 100
INCIDENT_STATES = ("open", "recovering", "resolved")
REVIEWS = ("automatic", "confirmed", "rejected", "merged")


class SeeOther(HttpResponseRedirect):
    """What was posted has been dealt with; what comes next is a page to look at."""

    status_code = 303


# --- What is down now -------------------------------------------------------------------------------------------------


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """What is down now, the world map, search."""
    now = clock.now()
    home = status.home(now=now)
    home = replace(home, down=tuple(sorted(home.down, key=people_affected, reverse=True)))
    world = _world(home, now)
    context = {
        "home": home,
        "verdict": words.home_verdict(home, stale=is_stale(now)),
        "verdicts": [
            (found, words.service_verdict(found, now), people_affected(found), counts.spark(found.link.slug, now))
            for found in home.down
        ],
        "map_states": maps.states(world, with_service=True),
        "map_files": maps.files(state.region.code for state in world),
    }
    return page(request, "frontend/home.html", context, now=now, live="frontend/_home_live.html")


@require_safe
def world_drawing(request: HttpRequest) -> HttpResponseBase:
    """The world map of the present as an SVG."""
    now = clock.now()
    return _draw(request, {state.region.code: state.state for state in _world(status.home(now=now), now)})


def _world(home: HomeStatus, now: datetime) -> tuple[RegionState, ...]:
    shown = ((found.link, status.service_map(found.link.slug, now=now)) for found in home.down)
    return maps.worst((link, each) for link, each in shown if each)


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


# --- One service ------------------------------------------------------------------------------------------------------


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
        "people": people_affected(found),
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
        "report_words": _report_words(found.link.name),
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


def _report_words(name: str) -> str:
    return json.dumps(
        {
            "ask": _("One more tap, if you like; you are counted either way."),
            "sending": _("Sending…"),
            "countedDown": _("Counted: {service} is down for you.").format(service=name),
            "countedWorking": _("Counted: {service} works for you.").format(service=name),
            "receipt": _("Thank you."),
            "offline": _("Your report could not be sent: no connection."),
            "busy": _("Your report could not be sent just now."),
            "refused": _("Your report could not be taken."),
            "checking": _("Checking that you are not a program…"),
            "cancel": _("Stop"),
            "cancelled": _("Stopped. Your report was not sent."),
            "again": _("Try again"),
        }
    )


@require_POST
def report(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Takes the plain form, and leads on to the receipt, so that reloading sends nothing again."""
    form = {name: request.POST.get(name, "") for name in ("country", "region", "kind", "problem")}
    if not form["kind"].strip():
        # A program may leave it out and means "down"; a form has two buttons, and without either nobody said anything.
        return _refused(request, slug, form, {"kind": [_("Choose one of the two: it is down for you, or it works.")]})
    address, client = guard.request_client(request)
    try:
        accepted = submission.submit(
            {
                "service": slug,
                "region": places.chosen_region(form["country"], form["region"]),
                "kind": form["kind"],
                "problem": form["problem"],
            },
            address=address,
            client=client,
            received_at=clock.now(),
        )
    except submission.Invalid as invalid:
        return _refused(request, slug, form, invalid.errors)
    except flood.Refusal as refusal:
        return _turned_away(request, slug, form, refusal)
    except inbox.Unavailable:
        return unavailable(request, {name: value for name, value in form.items() if value})
    if inbox.database_is_away():
        # The receipt's page would have to ask it.
        return kept_aside()
    place = f"{reverse('reported', args=[accepted.service])}?receipt={accepted.receipt}"
    return SeeOther(place)


def _turned_away(request: HttpRequest, slug: str, form: Mapping[str, str], refusal: flood.Refusal) -> HttpResponseBase:
    """Too much for now, said kindly, with the form as it was filled in. With JavaScript it solves the challenge."""
    proof = isinstance(refusal, flood.ProofNeeded)
    context = {
        "proof": proof,
        "network": isinstance(refusal, flood.TooMany) and refusal.network,
        "minutes": -(-refusal.retry_after // 60),
    }
    response = _form_again(request, slug, form, "frontend/turned_away.html", context, code=403 if proof else 429)
    response["Retry-After"] = str(refusal.retry_after)
    response["Cache-Control"] = "no-store"
    return response


def _refused(
    request: HttpRequest, slug: str, form: Mapping[str, str], errors: Mapping[str, Sequence[str]]
) -> HttpResponseBase:
    """What is wrong, and the form again with what was chosen."""
    return _form_again(request, slug, form, "frontend/refused.html", {"errors": errors}, code=400)


def _form_again(
    request: HttpRequest, slug: str, form: Mapping[str, str], template: str, said: Mapping[str, object], *, code: int
) -> HttpResponseBase:
    link = _service_link(slug)
    context: dict[str, object] = {**said, "link": link}
    if link:
        context |= {
            "places": places.filled_form(form["country"], form["region"]),
            "problems": status.problem_choices(slug),
            "problem": form["problem"],
            "report_words": _report_words(link.name),
        }
    return page(request, template, context, now=clock.now(), code=code)


@require_safe
def reported(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The receipt of a report."""
    receipt = submission.read_receipt(request.GET.get("receipt", "")[:500])
    link = _service_link(slug)
    if receipt is None or link is None or receipt.service != link.slug:
        raise Http404(_("This is no receipt of ours."))
    context = {"receipt": receipt, "link": link, "region": status.region(receipt.region)}
    return page(request, "frontend/reported.html", context, now=clock.now())


def _service_link(slug: str) -> ServiceLink | None:
    found = status.service_status(slug, now=clock.now())
    return found.link if found else None


@require_safe
def regions(request: HttpRequest) -> HttpResponseBase:
    """What a country is divided into, for the report's form."""
    found = status.region(request.GET.get("country", "")[:10])
    links = places.regions_of(found.code) if found and found.kind == "country" else ()
    return data({"regions": [{"code": link.code, "name": link.name} for link in links]}, seconds=86_400)


@require_safe
def service_drawing(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The map of one service as an SVG."""
    found = status.service_map(slug, now=clock.now())
    if found is None:
        raise Http404
    return _draw(request, {state.region.code: state.state for state in found.regions if not maps.by_the_world(state)})


@require_safe
def provider(request: HttpRequest, slug: str) -> HttpResponseBase:
    """A provider's services side by side, and what it said."""
    now = clock.now()
    found = status.services(now=now, provider=slug)
    if not found:
        raise Http404(_("There is no provider with this name."))
    incidents = status.incidents(provider=slug, limit=12).results
    statements = [(said, incident) for incident in incidents for said in incident.statements]
    worst_first = sorted(found, key=lambda each: (-people_affected(each), -each.reports_last_hour, each.link.name))
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


# --- Incidents --------------------------------------------------------------------------------------------------------


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


@require_safe
def incident_drawing(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The map of an incident at ``?t=`` as an SVG."""
    _found, history = _incident(ref, clock.now())
    at = _asked_instant(request)
    return _draw(request, course.map_states(history, min(at, history.end) if at else history.end))


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


# --- The map ----------------------------------------------------------------------------------------------------------


def _draw(request: HttpRequest, states: dict[str, str]) -> HttpResponseBase:
    context = {"drawing": drawings.draw_map(states, theme=request.GET.get("theme", "light"))}
    return drawing(request, "frontend/map.svg", context)


# --- About the site ---------------------------------------------------------------------------------------------------


@require_safe
def methodology(request: HttpRequest) -> HttpResponseBase:
    """How it counts and decides, and where it is weak."""
    found = status.calibration()
    context = {
        "all_states": charts.STATES,
        "rules": rules(),
        "counting": counting_rules(),
        "parameters": [(field.name, getattr(rules(), field.name)) for field in fields(rules())],
        "calibration": found,
        "opening": calibration.diagram(found.main.opening),
        "later": calibration.diagram(found.main.later),
        "reviewed": calibration.diagram(found.reviewed),
        "results": detection_results(),
    }
    return page(request, "frontend/methodology.html", context, now=clock.now())


@require_safe
def recompute(request: HttpRequest) -> HttpResponseBase:
    """The program with which anyone works out again what is said of an incident."""
    return answer(request, RECOMPUTE.read_text(encoding="utf-8"), "text/plain; charset=utf-8")


@require_safe
def privacy(request: HttpRequest) -> HttpResponseBase:
    """What is stored about visitors, and what is not."""
    return page(request, "frontend/privacy.html", {"retention_days": settings.RETENTION_DAYS}, now=clock.now())


@require_safe
def own_status(request: HttpRequest) -> HttpResponseBase:
    """The site's own health, for readers."""
    now = clock.now()
    return page(request, "frontend/status.html", {"health": status.readiness(now=now)}, now=now)


@require_safe
def readyz(_request: HttpRequest) -> HttpResponseBase:
    """The site's own health, for machines: 503 when what it says cannot be trusted."""
    health = status.readiness(now=clock.now())
    return data(
        {
            "ready": health.ready,
            "database": health.database,
            "broker": health.broker,
            "last_drain_age_s": _seconds(health.last_drain_age),
            "last_watch_age_s": _seconds(health.last_watch_age),
            "inbox_blocks": health.inbox_blocks,
            "held_blocks": health.held_blocks,
            "held_since": None if health.held_since is None else health.held_since.isoformat(),
            "problems": list(health.problems),
        },
        code=200 if health.ready else 503,
    )


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)
