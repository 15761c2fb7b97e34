"""The views of the API: open to every origin, and answers kept for as long as nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, NoReturn

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, Throttled, ValidationError
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from reports.api.throttles import Meter, WorkThrottle
from reports.audience import ready


class NamedFormat(DefaultContentNegotiation):
    """Django REST framework's choice of a form, which names the parameter that asks for one there is not."""

    def filter_renderers(self, renderers: Any, format: str) -> Any:
        """Those of this form. Raises DRF's ``ValidationError`` where there is none."""
        found = [renderer for renderer in renderers if renderer.format == format]
        if not found:
            known = ", ".join(sorted({renderer.format for renderer in renderers}))
            raise ValidationError({"format": [f"Expected {known}, or nothing."]})
        return found


class OpenView(APIView):
    """Open to every origin, and to reading only unless a view says more. The work that reading causes is limited."""

    throttle_classes: Sequence[type[BaseThrottle]] = (WorkThrottle,)

    content_negotiation_class: type[BaseContentNegotiation] = NamedFormat

    methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")

    @cached_property
    def meter(self) -> Meter:
        """Counts the work of this request."""
        return Meter(self.request._request)

    def handle_exception(self, exc: Exception) -> Response:
        """The answer to what went wrong. To find that out was work too, or guessing names would cost nothing."""
        at_fault = isinstance(exc, APIException) and exc.status_code < 500 and not isinstance(exc, Throttled)
        if at_fault and self.throttle_classes and not self.meter.spent:
            try:
                self.meter.spend()
            except Throttled as throttled:
                exc = throttled
        response: Response = super().handle_exception(exc)
        return response

    def throttled(self, request: Request, wait: float) -> NoReturn:  # noqa: ARG002  # the framework's
        """Says when to come again."""
        raise Throttled(wait)

    def options(self, _request: Request, *_args: Any, **_kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """The answer to a browser that asks first."""
        return ready.preflight(self.methods)

    @property
    def allowed_methods(self) -> list[str]:
        """What the ``Allow`` header says."""
        return list(self.methods)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """The response, readable by scripts of any origin. Errors are not to be kept by caches."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        if final.status_code in (200, 304):
            # A kept answer comes without it too.
            final.headers.pop("Allow", None)
        ready.open_to_all(final)
        return final


class KeptView(OpenView):
    """A view whose answer is kept for as long as nothing changes, and given out while the database is away."""

    fresh_seconds = ready.FRESH_SECONDS
    """For how long a client or cache need not ask again."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, marked as one that has something to say while the database is away."""
        view: Any = super().as_view(**initkwargs)
        view.answers_when_away = True
        view.at_hand = ready.at_hand
        return view

    def respond(
        self,
        request: Request,
        asked: Mapping[str, Any],
        answer: Callable[[], Any],
        *,
        content_type: str = "application/json",
        vary: tuple[str, ...] = (),
    ) -> HttpResponseBase:
        """The JSON of ``answer()``, or its text under another ``content_type``, made anew only when something changed
        since ``asked`` was asked here last."""

        def body() -> bytes:
            made = answer()
            return made.encode() if isinstance(made, str) else ready.as_json(made)

        return ready.kept(
            request._request,
            tuple((name, _hashable(value)) for name, value in asked.items()),
            body,
            content_type=content_type,
            fresh_seconds=self.fresh_seconds,
            vary=vary,
            meter=self.meter,
        )


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value
