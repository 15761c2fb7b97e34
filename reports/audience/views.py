"""What programs read beside the API: each answer is kept until something changes, and open to every origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _

from reports import clock, status
from reports.audience import badges, feeds, metrics, ready
from reports.audience import statuspage as pages

Found = TypeVar("Found")

RETRY_AFTER_SECONDS = 30
_UNKEPT = {"Cache-Control": "no-store"}

_STATUSPAGE: Mapping[str, Callable[..., dict[str, Any]]] = {
    "summary": pages.summary,
    "status": pages.overall,
    "components": pages.components,
    "incidents": pages.incidents,
    "incidents/unresolved": pages.unresolved,
    "scheduled-maintenances": pages.maintenances,
    "scheduled-maintenances/upcoming": pages.maintenances,
    "scheduled-maintenances/active": pages.maintenances,
}
_PRESENT = frozenset({"summary", "status", "components"})


def address_of(request: HttpRequest) -> Callable[..., str]:
    """How to make absolute addresses of pages, under the name by which the site was asked."""

    def address(name: str, *args: str) -> str:
        return request.build_absolute_uri(reverse(name, args=args))

    return address


@ready.public
def statuspage(request: HttpRequest, slug: str, what: str) -> HttpResponseBase:
    """One answer of the Statuspage API about a service."""
    now = clock.now()
    if what not in _STATUSPAGE:
        raise Http404(f"There is {', '.join(f'{name}.json' for name in _STATUSPAGE)}.")

    def answer() -> bytes:
        about = pages.subject(slug, now=now, address=address_of(request))
        if about is None:
            raise Http404("No service found.")
        return ready.as_json(_STATUSPAGE[what](about, now=now))

    try:
        # What was so a while ago is not told as if it were so now.
        return ready.kept(request, (), answer, when_away=what not in _PRESENT)
    except pages.CannotSay:
        said = "Reports are not being watched at the moment, so nothing can be said about the present."
        return ready.later(said, seconds=RETRY_AFTER_SECONDS)


def _found(answer: Found | None, what: str) -> Found:
    if answer is None:
        raise Http404(f"No {what} found.")
    return answer


# --- feeds ------------------------------------------------------------------------------------------------------------


def _feed(request: HttpRequest, name: str, title: Callable[[], str], page: str, **which: str) -> HttpResponseBase:
    """The feed of the incidents ``which`` fit; ``title`` raises ``Http404`` where there is nothing of the name."""

    def answer() -> bytes:
        channel = feeds.Channel(
            name=name,
            title=title(),
            page=request.build_absolute_uri(page),
            own=request.build_absolute_uri(request.path),
        )
        chosen = feeds.incidents(**which)
        regions = feeds.lineage(which["region"]) if "region" in which else ()
        return feeds.feed(channel, chosen, address=address_of(request), regions=regions)

    return ready.kept(request, (), answer, content_type=feeds.CONTENT_TYPE)


@ready.public
def site_feed(request: HttpRequest) -> HttpResponseBase:
    """What happened to any service."""
    return _feed(request, "incidents", lambda: _("Outages, as people report them"), reverse("incidents"))


@ready.public
def provider_feed(request: HttpRequest, slug: str) -> HttpResponseBase:
    """What happened to the services of one provider."""

    def title() -> str:
        services = status.services(now=clock.now(), provider=slug)
        first = _found(services[0] if services else None, "provider")
        return _("Outages of the services of %(provider)s") % {"provider": first.link.provider_name}

    return _feed(request, f"providers/{slug}", title, reverse("provider", args=[slug]), provider=slug)


@ready.public
def service_feed(request: HttpRequest, slug: str) -> HttpResponseBase:
    """What happened to one service."""

    def title() -> str:
        service = _found(status.service_status(slug, now=clock.now()), "service")
        return _("Outages of %(service)s") % {"service": service.link.name}

    return _feed(request, f"services/{slug}", title, reverse("service", args=[slug]), service=slug)


@ready.public
def region_feed(request: HttpRequest, slug: str, code: str) -> HttpResponseBase:
    """What happened to one service in one region."""
    region = _found(status.region(code), "region")

    def title() -> str:
        service = _found(status.service_status(slug, now=clock.now()), "service")
        return _("Outages of %(service)s in %(place)s") % {"service": service.link.name, "place": region.name}

    name, page = f"services/{slug}/{region.code}", reverse("region", args=[slug, region.code])
    return _feed(request, name, title, page, service=slug, region=region.code)


# --- badges -----------------------------------------------------------------------------------------------------------


def _badge(request: HttpRequest, slug: str, shape: Callable[[badges.Badge], bytes], **kind: Any) -> HttpResponseBase:
    code = request.GET.get("region", "")[:10]
    region = _found(status.region(code), "region") if code else None

    def answer() -> bytes:
        now = clock.now()
        service = status.service_status(slug, now=now, region=region.code if region else None)
        return shape(badges.badge(_found(service, "service"), region))

    return ready.kept(request, (region.code if region else None,), answer, fresh_seconds=badges.FRESH_SECONDS, **kind)


@ready.public
def badge_drawing(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The state of a service as a small drawing."""
    return _badge(request, slug, badges.drawn, content_type="image/svg+xml; charset=utf-8")


@ready.public
def badge_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The same for shields.io and whatever draws badges of its own."""
    return _badge(request, slug, badges.told)


# --- Prometheus -------------------------------------------------------------------------------------------------------


def prometheus(request: HttpRequest) -> HttpResponseBase:
    """Our own health and every service's state, for those who may see them."""
    if not metrics.may_read(request):
        said = "Only addresses in METRICS_NETWORKS may read this.\n"
        return HttpResponse(said, status=403, content_type="text/plain; charset=utf-8", headers=_UNKEPT)
    return HttpResponse(metrics.text(now=clock.now()), content_type=metrics.CONTENT_TYPE, headers=_UNKEPT)


# It tells of an absent database, too.
prometheus.answers_when_away = True  # type: ignore[attr-defined]
