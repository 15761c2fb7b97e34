"""Being told by web push, when it is back or of outages: the site's key, the wish, and the service worker that shows
the message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from frontend.responses import answer, data
from reports import clock, status
from reports.audience import alerts, push, returns
from reports.intake import flood, guard, visits

WORKER = Path(settings.BASE_DIR) / "frontend" / "sw.js"
BODY_LIMIT = 4096


@require_safe
def worker(request: HttpRequest) -> HttpResponseBase:
    """The service worker, at the root so that it is that of every page."""
    return answer(request, WORKER.read_text(encoding="utf-8"), "text/javascript; charset=utf-8")


@require_safe
def key(_request: HttpRequest) -> HttpResponseBase:
    """The site's public key, which a browser's subscription is bound to."""
    return data({"key": push.public_key()})


@require_POST
def subscriptions(request: HttpRequest) -> HttpResponseBase:
    """Keeps the wish to be told when a service is back in a region, or of outages. JSON from our own pages only."""
    if not _is_ours(request):
        return _problem(_("Only this site's own pages may ask for this."), 403)
    if request.content_type != "application/json":
        return _problem(_("JSON is expected here."), 415)
    if len(request.body) > BODY_LIMIT:
        return _problem(_("That is too long for a subscription."), 413)
    try:
        sent = json.loads(request.body)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        return _problem(_("A JSON object is expected here."), 400)
    code = sent.get("region")
    region = status.region(code[:10]) if isinstance(code, str) else None
    if region is None:
        return _problem(_("There is no such service or region."), 400)
    try:
        endpoint, keys = push.read(sent.get("subscription"))
    except push.Malformed as malformed:
        return _problem(str(malformed), 400)
    address, client = guard.request_client(request)
    keep = _keep_outages if sent.get("wish") == "outages" else _keep_return
    try:
        visits.admit(address, client, now=clock.now())
        return keep(sent, endpoint, keys, region.code)
    except flood.Refusal as refusal:
        response = _problem(_("Too many requests came from you or your network. Please try again later."), 429)
        response["Retry-After"] = str(refusal.retry_after)
        return response


def _keep_return(sent: Mapping[str, Any], endpoint: str, keys: Mapping[str, str], region: str) -> HttpResponseBase:
    service = sent.get("service")
    try:
        wished = isinstance(service, str) and returns.subscribe(
            endpoint=endpoint,
            keys=keys,
            service=service[:100],
            region=region,
            language=get_language() or "en",
            now=datetime.now(UTC),
            site=clock.now(),
        )
    except returns.Full:
        return _problem(_("So many people wait to be told that no more can be taken."), 503)
    if not wished:
        return _problem(_("There is no such service or region."), 400)
    return data({"id": str(wished.id), "until": wished.until.isoformat()}, code=201)


def _keep_outages(sent: Mapping[str, Any], endpoint: str, keys: Mapping[str, str], region: str) -> HttpResponseBase:
    services, severity, zone = sent.get("services"), sent.get("severity"), sent.get("time_zone", "")
    if not isinstance(services, list) or not isinstance(severity, str) or not isinstance(zone, str):
        return _problem(_("A JSON object is expected here."), 400)
    try:
        group = alerts.subscribe_browser(
            endpoint=endpoint,
            keys=keys,
            services=[str(each)[:100] for each in services],
            region=region,
            severity=severity,
            language=get_language() or "en",
            time_zone=zone[:64],
            now=datetime.now(UTC),
        )
    except alerts.Refused as refused:
        if refused.why == "full":
            return _problem(_("So many people wait to be told that no more can be taken."), 503)
        return _problem(_("There is no such service or region."), 400)
    return data({"manage": reverse("alert", args=[alerts.token_of(group)])}, code=201)


def _is_ours(request: HttpRequest) -> bool:
    """Whether the request comes from a page of this site, as browsers say of each that changes something."""
    return urlsplit(request.headers.get("Origin", "")).netloc == request.get_host()


def _problem(detail: str, code: int) -> HttpResponse:
    return data({"detail": detail}, code=code)
