"""What programs read beside the API: each answer is kept until something changes, and open to every origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from reports import clock
from reports.audience import ready
from reports.audience import statuspage as pages

RETRY_AFTER_SECONDS = 30

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
