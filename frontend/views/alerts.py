"""Being told of outages: the form, the page of whoever holds a subscription's link, and the question to those told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from frontend import places
from frontend.responses import page
from frontend.views.report import service_link
from reports import clock, formats, status
from reports.audience import alerts
from reports.intake import flood, guard, submission, visits
from reports.status.answers import RegionLink, ServiceLink

UNKEPT = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
FIELDS = ("country", "region", "severity", "channel", "target", "for", "time_zone")
MOST_NEAR = 8
"""Services of the same provider that are offered beside those that are chosen."""


# --- The form ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def subscribe(request: HttpRequest) -> HttpResponseBase:
    """The form, and what became of it. A webhook's key is in the answer to the form, and nowhere else."""
    sent = request.POST if request.method == "POST" else request.GET
    form = {name: sent.get(name, "")[:1000] for name in FIELDS}
    chosen = [slug[:100] for slug in sent.getlist("service")[: alerts.MOST_OF_ONE + 1]]
    holder = alerts.held(form["for"][:200]) if form["for"] else None
    if form["for"] and (holder is None or holder.waiting):
        return _unkept(_page_of_one(request, "over", {}, code=404))
    if request.method != "POST":
        return _form(request, form, chosen)
    address, client = guard.request_client(request)
    now = datetime.now(UTC)
    wanted: dict[str, Any] = {
        "services": chosen,
        "region": places.chosen_region(form["country"], form["region"]),
        "severity": form["severity"],
        "now": now,
    }
    try:
        visits.admit(address, client, now=clock.now())
        if holder is not None:
            alerts.add(holder, **wanted)
            return _of_holder(request, form["for"], "added")
        if form["channel"] in alerts.channels():
            # Each asks somebody else's machine, or mailbox: far fewer of those than of reports.
            visits.admit_question(address, client, now=clock.now())
        asked = alerts.subscribe(
            channel=form["channel"],
            target=form["target"],
            language=get_language() or "en",
            time_zone=form["time_zone"],
            **wanted,
        )
    except flood.Refusal as refusal:
        fault = _("Too many requests came from you or your network. Please try again later.")
        response = _form(request, form, chosen, fault=fault, code=429)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    except alerts.Refused as refused:
        return _form(request, form, chosen, fault=_fault(refused.why, form["channel"], chosen), code=400)
    # A mailbox is not told to strangers: whether it has this subscription already is not said.
    told = asked is not None or form["channel"] == "mail"
    context = {
        "told": told,
        "channel": form["channel"],
        "target": form["target"].strip(),
        "secret": asked.secret if asked else None,
        "token": alerts.token_of(asked.id) if asked and asked.secret else None,
        "link": service_link(chosen[0]) if len(chosen) == 1 else None,
    }
    return _unkept(page(request, "frontend/alerts_asked.html", context, now=clock.now(), code=201 if told else 409))


def _form(
    request: HttpRequest, form: Mapping[str, str], chosen: Sequence[str], *, fault: str = "", code: int = 200
) -> HttpResponseBase:
    now = clock.now()
    near, others = _offered([each.link for each in status.services(now=now)], frozenset(chosen))
    context = {
        "near": near,
        "others": others,
        "chosen": frozenset(chosen),
        "places": places.filled_form(form["country"] or form["region"][:2], form["region"]),
        "form": form,
        "holder": form["for"],
        "channels": alerts.channels(),
        "fault": fault,
    }
    return _unkept(page(request, "frontend/alerts.html", context, now=now, code=code))


def _offered(
    links: Sequence[ServiceLink], chosen: frozenset[str]
) -> tuple[list[ServiceLink], list[tuple[str, list[ServiceLink]]]]:
    """The chosen ones, with others of the same providers; and all the rest by category."""
    providers = {link.provider for link in links if link.slug in chosen}
    near = [link for link in links if link.slug in chosen]
    near += [link for link in links if link.provider in providers and link.slug not in chosen][:MOST_NEAR]
    others: dict[str, list[ServiceLink]] = {}
    for link in links:
        if link not in near:
            others.setdefault(link.category_name or _("Others"), []).append(link)
    return near, sorted(others.items(), key=lambda pair: formats.alphabetical(pair[0]))


def _fault(why: str, channel: str, chosen: Sequence[str]) -> str:
    if why == "target" and channel == "mail":
        return _("That is no e-mail address that we can write to.")
    if why == "place" and not chosen:
        return _("Choose at least one service.")
    return {
        "target": _("An address is needed that begins with https:// and can be reached from the internet."),
        "place": _("There is no such service or region."),
        "kind": _("Choose how you want to be told, and of which outages."),
        "full": _("Too much waits for a confirmation there, or is told there already. Please try again tomorrow."),
    }[why]


# --- The page of a link -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """A subscription as the page shows it."""

    id: UUID
    name: str
    slug: str
    region: RegionLink | None
    severity: str
    waiting: bool


@require_http_methods(["GET", "HEAD", "POST"])
def alert(request: HttpRequest, token: str) -> HttpResponseBase:
    """Subscriptions by their link: what they are, and buttons to begin, change, pause and end them. Looking at it
    changes nothing.

    A mail program's one click (RFC 8058) is a POST here too.
    """
    if request.method != "POST":
        return _of_holder(request, token, "")
    held = alerts.held(token[:200])
    if held is None:
        # Ended before, perhaps by the same click: that is what was wished for.
        one_click = request.POST.get("List-Unsubscribe") == "One-Click"
        return _unkept(_page_of_one(request, "over", {}, code=200 if one_click else 404))
    try:
        done = _act(request, held)
    except alerts.Refused:
        # No button of ours sends it.
        done = ""
    if done in ("stopped", "declined", "never"):
        return _unkept(_page_of_one(request, done, _about(held)))
    return _of_holder(request, token, done)


def _act(request: HttpRequest, held: alerts.Held) -> str:
    """Does what a button says; answers what was done, or nothing."""
    sent, now = request.POST, datetime.now(UTC)
    do = "stop" if sent.get("List-Unsubscribe") == "One-Click" else sent.get("do", "")
    line = next((each.id for each in held.lines if str(each.id) in (sent.get("end"), sent.get("change"))), None)
    if line is not None and "end" in sent:
        alerts.stop(held, line)
        return "stopped" if len(held.lines) == 1 else "ended"
    if line is not None:
        alerts.change(held, line, severity=sent.get("severity", ""))
        return "changed"
    if do == "confirm" and held.channel != "webhook":
        alerts.confirm(held.group, now=now)
        return "confirmed"
    if do in ("no", "never") or (do == "stop" and held.waiting):
        for_good = alerts.decline(held, now=now, for_good=do == "never")
        return "never" if for_good else "stopped" if do == "stop" else "declined"
    if do == "stop":
        alerts.stop(held)
        return "stopped"
    if do == "pause":
        alerts.pause(held, now=now)
        return "paused"
    if do == "resume":
        alerts.resume(held)
        return "resumed"
    if do == "speak":
        alerts.speak(held, sent.get("language", ""))
        return "changed"
    return ""


def _of_holder(request: HttpRequest, token: str, done: str) -> HttpResponseBase:
    held = alerts.held(token[:200])
    if held is None:
        return _unkept(_page_of_one(request, "over", {}, code=404))
    more = {"done": done, "token": token, "languages": settings.LANGUAGES, "held": held}
    return _unkept(_page_of_one(request, "held", _about(held) | more))


def _about(held: alerts.Held) -> dict[str, object]:
    lines = [
        _Line(
            id=each.id,
            name=each.service_name,
            slug=each.service,
            region=None if each.region == places.WORLD else status.region(each.region),
            severity=each.severity,
            waiting=each.waiting,
        )
        for each in held.lines
    ]
    places_of = {line.region for line in lines}
    return {
        "lines": lines,
        "service": formats.listed(list(dict.fromkeys(line.name for line in lines))),
        "slug": lines[0].slug,
        "one_place": len(places_of) == 1,
        "region": lines[0].region,
        "waiting": held.waiting,
        "by_machine": held.channel == "webhook",
        "channel": held.channel,
    }


def _page_of_one(request: HttpRequest, what: str, about: dict[str, object], *, code: int = 200) -> HttpResponseBase:
    return page(request, "frontend/alert.html", {"what": what} | about, now=clock.now(), code=code)


def _unkept(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in UNKEPT.items():
        response.headers[name] = value
    if "ETag" in response.headers:
        del response.headers["ETag"]
    return response


# --- The question -----------------------------------------------------------------------------------------------------


@require_safe
def ask(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Does it work for you? The question that a message's links lead to; a button says it, never the link itself."""
    link = service_link(slug)
    region = status.region(request.GET.get("region", "001")[:10])
    if link is None or region is None:
        raise Http404(_("There is no such service or region."))
    kind = request.GET.get("kind", "")
    world = region.code == places.WORLD
    context = {
        "link": link,
        "region": None if world else region,
        "country": "" if world else region.code[:2],
        "part": region.code if region.kind != "country" and not world else "",
        # Whoever was told of an outage somewhere in the world is asked where they are: there it counts.
        "places": places.place_form(places.here(request)) if world else None,
        "meant": kind if kind in submission.KINDS else "",
        "back": request.GET.get("back") == "1",
    }
    return page(request, "frontend/ask.html", context, now=clock.now(), vary=("Accept-Language",))
