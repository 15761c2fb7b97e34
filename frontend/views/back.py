"""Is it back for you? What whoever reported "down" is asked later; without a script, by a link on their receipt."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid5

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from frontend.responses import data, kept_aside, page, unavailable
from frontend.views.report import SeeOther, service_link, turned_away
from reports import clock, status
from reports.audience import returns
from reports.intake import coalescer, flood, guard, inbox, submission
from reports.intake.submission import Receipt

RECEIPT_LASTS = timedelta(days=1)
"""How long after a report its receipt asks whether it is back: who comes later speaks of another outage."""


@require_safe
def standing(request: HttpRequest, slug: str) -> HttpResponseBase:
    """How the service stands in ``?region=``, for the question in the page."""
    region = status.region(request.GET.get("region", "")[:10])
    found = returns.standing(slug, region.code, now=clock.now()) if region else None
    if found is None:
        return data({"detail": _("There is no such service or region.")}, code=404)
    since = None if found.since is None else found.since.isoformat()
    return data({"state": found.state, "since": since}, seconds=10)


@require_http_methods(["GET", "HEAD", "POST"])
def back(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The question to the holder of a receipt, and their answer, which counts once for each kind."""
    now = clock.now()
    token = (request.POST if request.method == "POST" else request.GET).get("receipt", "")[:500]
    receipt = submission.read_receipt(token)
    link = service_link(slug)
    if receipt is None or link is None or receipt.service != link.slug or receipt.kind != "down":
        raise Http404(_("This is no receipt of ours."))
    over = now - receipt.received_at > RECEIPT_LASTS
    answer = request.POST.get("kind", "") if request.method == "POST" else ""
    if request.method == "POST" and not over and answer in submission.KINDS:
        return _answered(request, receipt, token, answer)
    region = status.region(receipt.region)
    found = returns.standing(link.slug, receipt.region, now=now)
    context = {
        "link": link,
        "region": region if region and region.code != "001" else None,
        "receipt": receipt,
        "token": token,
        "state": found.state if found else "unknown",
        "over": over,
        "unanswered": request.method == "POST",
    }
    code = 410 if over else 400 if request.method == "POST" else 200
    return page(request, "frontend/back.html", context, now=now, code=code)


def _answered(request: HttpRequest, receipt: Receipt, token: str, kind: str) -> HttpResponseBase:
    address, client = guard.request_client(request)
    form = {"country": receipt.region[:2], "region": receipt.region, "kind": kind, "problem": ""}
    try:
        accepted = submission.submit(
            {
                "service": receipt.service,
                "region": receipt.region,
                "kind": kind,
                # Made of the receipt: the same answer sent again is the same report, whoever sends it.
                "id": str(uuid5(receipt.id, kind)),
            },
            address=address,
            client=client,
            received_at=clock.now(),
        )
    except submission.Invalid as invalid:
        # The service was retired since, or the region is no more.
        raise Http404(" ".join(text for texts in invalid.errors.values() for text in texts)) from invalid
    except flood.Refusal as refusal:
        return turned_away(request, receipt.service, form, refusal)
    except inbox.Unavailable:
        return unavailable(request, {"receipt": token, "kind": kind})
    if coalescer.database_is_away():
        return kept_aside()
    return SeeOther(f"{reverse('reported', args=[accepted.service])}?receipt={accepted.receipt}")
