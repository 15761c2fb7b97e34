"""Django's own middleware, fitted to an event loop: without a thread hop, and cookies for the admin only.

Django runs a synchronous middleware under ASGI in a thread, which costs a request some 0.7 ms. Those here do nothing
but compute, so they may run in the loop. What touches the database (sessions, sign-in) keeps Django's way, and runs
for paths under the admin only: the public pages and forms know no session, no user and no CSRF cookie. A public form
needs none: a report carries no authority of its sender that a foreign page could borrow.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.gzip import GZipMiddleware
from django.middleware.security import SecurityMiddleware
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin

from reports.intake import inbox

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
_HEALTH = frozenset({"/healthz", "/readyz"})

Next = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class _InLoop(MiddlewareMixin):
    """Calls the two hooks of a middleware that only computes directly, where Django would take a thread for each."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        before = getattr(self, "process_request", None)
        after = getattr(self, "process_response", None)
        response = before(request) if before else None
        if response is None:
            response = await cast(Next, self.get_response)(request)
        return cast(HttpResponseBase, after(request, response) if after else response)


class _AdminOnly(MiddlewareMixin):
    """Leaves requests for other pages than the admin's alone."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.async_mode or is_admin(request):
            return super().__call__(request)
        return self.get_response(request)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        if is_admin(request):
            return await super().__acall__(request)
        return await cast(Next, self.get_response)(request)


def is_admin(request: HttpRequest) -> bool:
    """Whether the request is for the admin desk, the only place that knows a signed-in user."""
    return request.path_info.startswith(settings.ADMIN_PREFIX)


class SecurityHeaders(_InLoop, SecurityMiddleware):
    """Django's security headers, and the content security policy that Django 5.2 does not know yet."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """The response with every header that it does not carry already."""
        response = super().process_response(request, response)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        # For browsers that do not know frame-ancestors.
        response.headers.setdefault("X-Frame-Options", "DENY")
        return response


class Compression(_InLoop, GZipMiddleware):
    """Compresses pages; what comes compressed already, such as a snapshot, passes untouched."""


class Common(_InLoop, CommonMiddleware):
    """The host check, the trailing slash and the content length."""


class DatabaseAway(_InLoop):
    """Says "later" while the database does not answer, instead of "something failed here": nothing here is broken.

    Where the intake has found it away, it is not asked: a database that hangs would hold a thread for each page.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """503 at once, but for what is sent (reports are still accepted) and for what tells of our health."""
        if request.method == "POST" or request.path_info in _HEALTH or not inbox.database_is_away():
            return None
        return _later(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """503 in the shape of the address, from a template that asks no table; any other failure is left as it is."""
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        # Without the query, which may hold a place, and without the driver's words, which may hold what was sent.
        reason = type(exception.__cause__ or exception).__name__
        logger.warning("the database is away (%s): %s is told to come again", reason, request.path)
        return _later(request)


def _later(request: HttpRequest) -> HttpResponse:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"}
    if request.path_info.startswith("/api/v1/"):
        headers["Access-Control-Allow-Origin"] = "*"
        body = {"detail": "The database does not answer at the moment. Please ask again."}
        return JsonResponse(body, status=503, headers=headers)
    return HttpResponse(render_to_string("503.html"), status=503, headers=headers)


class AdminSessions(_AdminOnly, SessionMiddleware):
    """Sessions, for the admin only."""


class AdminAuthentication(_AdminOnly, AuthenticationMiddleware):
    """`request.user`, for the admin only."""


class AdminMessages(_AdminOnly, MessageMiddleware):
    """Notices after an act, for the admin only."""


class AdminCsrf(_AdminOnly, CsrfViewMiddleware):
    """The check against forged requests, for the admin only: the only place where a browser carries authority."""

    async def process_view(  # type: ignore[override]
        self, request: HttpRequest, callback: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Refuses a forged request. Asynchronous in name, so that Django calls it without a thread."""
        if not is_admin(request):
            return None
        return super().process_view(request, callback, args, kwargs)
