"""The views of the API: open to every origin, and answers kept for as long as nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

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
    """Open to every origin, and to reading only unless a view says more."""

    content_negotiation_class: type[BaseContentNegotiation] = NamedFormat

    methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")

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
        return view

    def respond(
        self,
        request: Request,
        asked: Mapping[str, Any],
        answer: Callable[[], Any],
        *,
        content_type: str = "application/json",
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
        )


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value
