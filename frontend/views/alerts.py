"""Being told of outages: the form, the page of whoever holds a subscription's link, and the question to those told."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from frontend import places
from frontend.responses import page
from frontend.views.report import service_link
from reports import clock, status
from reports.audience import alerts, returns
from reports.intake import flood, guard, submission, visits

UNKEPT = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@require_http_methods(["GET", "HEAD", "POST"])
def subscribe(request: HttpRequest) -> HttpResponseBase:
    """The form, and what became of it. A webhook's key is in the answer to the form, and nowhere else."""
    sent = request.POST if request.method == "POST" else request.GET
    form = {
        name: sent.get(name, "")[:1000] for name in ("service", "country", "region", "severity", "channel", "target")
    }
    if request.method != "POST":
        return _form(request, form)
    address, client = guard.request_client(request)
    try:
        visits.admit(address, client, now=clock.now())
        asked = alerts.subscribe(
            channel=form["channel"],
            target=form["target"],
            service=form["service"][:100],
            region=places.chosen_region(form["country"], form["region"]),
            severity=form["severity"],
            language=get_language() or "en",
            now=datetime.now(UTC),
        )
    except flood.Refusal as refusal:
        fault = _("Too many requests came from you or your network. Please try again later.")
        response = _form(request, form, fault=fault, code=429)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    except alerts.Refused as refused:
        return _form(request, form, fault=_fault(refused.why, form["channel"]), code=400)
    # A mailbox is not told to strangers: whether it has this subscription already is not said.
    told = asked is not None or form["channel"] == "mail"
    context = {
        "told": told,
        "channel": form["channel"],
        "target": form["target"].strip(),
        "secret": asked.secret if asked else None,
        "token": alerts.token_of(asked.id) if asked and asked.secret else None,
        "link": service_link(form["service"]),
    }
    return _unkept(page(request, "frontend/alerts_asked.html", context, now=clock.now(), code=201 if told else 409))


def _form(request: HttpRequest, form: dict[str, str], *, fault: str = "", code: int = 200) -> HttpResponseBase:
    now = clock.now()
    context = {
        "services": status.services(now=now),
        "places": places.filled_form(form["country"] or form["region"][:2], form["region"]),
        "form": form,
        "channels": alerts.channels(),
        "fault": fault,
    }
    return _unkept(page(request, "frontend/alerts.html", context, now=now, code=code))


def _fault(why: str, channel: str) -> str:
    if why == "target" and channel == "mail":
        return _("That is no e-mail address that we can write to.")
    return {
        "target": _("An address is needed that begins with https:// and can be reached from the internet."),
        "place": _("There is no such service or region."),
        "kind": _("Choose how you want to be told, and of which outages."),
        "full": _("Too much waits for a confirmation there already. Please answer that first, or try again tomorrow."),
    }[why]


@require_http_methods(["GET", "HEAD", "POST"])
def alert(request: HttpRequest, token: str) -> HttpResponseBase:
    """A subscription by its link: what it is, and buttons to begin and to end it. Looking at it changes nothing.

    A mail program's one click (RFC 8058) is a POST here too.
    """
    held = alerts.held(token[:200])
    posted = request.POST if request.method == "POST" else {}
    one_click = posted.get("List-Unsubscribe") == "One-Click"
    if held is None:
        # Ended before, perhaps by the same click: that is what was wished for.
        return _unkept(_page_of_one(request, "over", {}, code=200 if one_click else 404))
    done = ""
    if one_click or posted.get("do") == "stop":
        returns.unsubscribe(held.pk)
        done = "stopped"
    elif posted.get("do") == "confirm" and held.channel != "webhook":
        alerts.confirm(held.pk, now=datetime.now(UTC))
        done = "confirmed"
    about: dict[str, object] = {
        "service": held.service.name,
        "slug": held.service.slug,
        "region": None if held.region.code == "001" else status.region(held.region.code),
        "waiting": held.confirmed_at is None,
        "by_machine": held.channel == "webhook",
    }
    return _unkept(_page_of_one(request, done or "asked", about))


def _page_of_one(request: HttpRequest, what: str, about: dict[str, object], *, code: int = 200) -> HttpResponseBase:
    return page(request, "frontend/alert.html", {"what": what} | about, now=clock.now(), code=code)


def _unkept(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in UNKEPT.items():
        response.headers[name] = value
    if "ETag" in response.headers:
        del response.headers["ETag"]
    return response


@require_safe
def ask(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Does it work for you? The question that a message's links lead to; a button says it, never the link itself."""
    link = service_link(slug)
    region = status.region(request.GET.get("region", "001")[:10])
    if link is None or region is None:
        raise Http404(_("There is no such service or region."))
    kind = request.GET.get("kind", "")
    context = {
        "link": link,
        "region": None if region.code == "001" else region,
        "country": region.code[:2] if region.code != "001" else "001",
        "part": region.code if region.kind != "country" and region.code != "001" else "",
        "meant": kind if kind in submission.KINDS else "",
    }
    return page(request, "frontend/ask.html", context, now=clock.now())
