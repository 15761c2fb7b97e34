"""Django's own middleware, fitted to an event loop: without a thread hop, and cookies for the admin only.

Django runs a synchronous middleware under ASGI in a thread, which costs a request some 0.7 ms. Those here do nothing
but compute, so they may run in the loop. What touches the database (sessions, sign-in) keeps Django's way, and runs
for paths under the admin only: the public pages and forms know no session, no user and no CSRF cookie. A public form
needs none: a report carries no authority of its sender that a foreign page could borrow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import brotli
from django.conf import settings
from django.contrib.auth import logout
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
from django.urls import Resolver404, resolve
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin
from django_otp.middleware import OTPMiddleware

from reports.intake import coalescer

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
# As Django's own; and a tenth of the time of the tightest, for a few percent.
COMPRESS_FROM = 200
BROTLI_QUALITY = 4
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
        if "frame-ancestors *" not in response.headers["Content-Security-Policy"]:
            # For browsers that do not know frame-ancestors.
            response.headers.setdefault("X-Frame-Options", "DENY")
        return response


class Compression(_InLoop, GZipMiddleware):
    """Compresses what does not come compressed already, as pages that are kept do."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """With Brotli where the reader takes it; in the admin with gzip only, whose length Django blurs."""
        taken = request.META.get("HTTP_ACCEPT_ENCODING", "")
        if "br" not in taken or is_admin(request) or not isinstance(response, HttpResponse):
            return super().process_response(request, response)
        if "Content-Encoding" in response.headers or len(response.content) < COMPRESS_FROM:
            return response
        patch_vary_headers(response, ["Accept-Encoding"])
        compressed = brotli.compress(response.content, quality=BROTLI_QUALITY)
        if len(compressed) < len(response.content):
            response.content = compressed
            response.headers["Content-Encoding"] = "br"
            response.headers["Content-Length"] = str(len(compressed))
            if (tag := response.get("ETag")) and tag.startswith('"'):
                # No longer that of these bytes.
                response.headers["ETag"] = f"W/{tag}"
        return response


class Common(_InLoop, CommonMiddleware):
    """The host check, the trailing slash and the content length."""


class ReadyPages(_InLoop):
    """Answers with a page that lies ready (``frontend.keeping``) from the event loop, before a thread is taken."""

    async def process_view(
        self, request: HttpRequest, callback: Callable[..., Any], _args: tuple[Any, ...], _kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """The page at hand, if there is one. Asynchronous in name, so that Django calls it without a thread."""
        at_hand = getattr(callback, "at_hand", None)
        return at_hand(request) if at_hand else None


class DatabaseAway(_InLoop):
    """Answers with the last page there was while the database does not, else "later": nothing here is broken.

    It is asked in the event loop whether it answers, once a second at most: one that hangs would hold a thread for each
    page.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        # Who signed in stands in the database: at the desk already the session would wait for it, and no act is done
        # without it.
        if is_admin(request) and not await coalescer.database_answers():
            return _later(request)
        return await super().__acall__(request)

    async def process_view(
        self, request: HttpRequest, callback: Callable[..., Any], _args: tuple[Any, ...], _kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """At once, but for what is sent (reports are still accepted) and for what tells of our health."""
        if request.method == "POST" or request.path_info in _HEALTH or await coalescer.database_answers():
            return None
        # Such a view knows what to say then, once it is known.
        if getattr(callback, "answers_when_away", False):
            return None
        return _former(request, callback) or _later(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """503 in the shape of the address, from a template that asks no table; any other failure is left as it is."""
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        # Without the query, which may hold a place, and without the driver's words, which may hold what was sent.
        reason = type(exception.__cause__ or exception).__name__
        former = _former(request, request.resolver_match.func) if request.resolver_match else None
        told = "gets its last page" if former else "is told to come again"
        logger.warning("the database is away (%s): %s %s", reason, request.path, told)
        return former or _later(request)


def _former(request: HttpRequest, callback: Callable[..., Any]) -> HttpResponse | None:
    former = getattr(callback, "former", None)
    return former(request) if former else None


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


class AdminIdle(_AdminOnly):
    """Ends a session that nobody has used for a while, and any some hours after signing in, for the admin only.

    A page that asks by itself whether there is news is nobody's act: its view is marked ``unattended``.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Signs out whose time is over; what was asked for is then answered as to anybody: with the way to sign in."""
        try:
            self._end_what_is_over(request)
        except (OperationalError, InterfaceError):
            # Who it is stands in the database; `DatabaseAway` hears of views only.
            return _later(request)
        return None

    @staticmethod
    def _end_what_is_over(request: HttpRequest) -> None:
        if not request.user.is_authenticated:
            return
        now, session = time.time(), request.session
        seen, since = session.get(_SEEN), session.get(_SINCE)
        if seen is None or since is None:
            session[_SEEN] = session[_SINCE] = now
        elif now - seen > settings.ADMIN_IDLE.total_seconds() or now - since > settings.SESSION_COOKIE_AGE:
            logout(request)
        elif now - seen > _NOTED_EVERY_SECONDS and not _is_unattended(request):
            session[_SEEN] = now


_SEEN, _SINCE = "outagemap.seen", "outagemap.since"
# Each note is a write.
_NOTED_EVERY_SECONDS = 60


def _is_unattended(request: HttpRequest) -> bool:
    try:
        return bool(getattr(resolve(request.path_info).func, "unattended", False))
    except Resolver404:
        return False


class AdminSecondFactor(_AdminOnly):
    """The device that verified `request.user`, for the admin only."""

    def process_request(self, request: HttpRequest) -> None:
        """Lets django-otp lay its word on the user."""
        OTPMiddleware(lambda _request: None)(request)


class AdminLockout(_AdminOnly):
    """Says so to a network that failed to sign in too often; django-axes counts."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response, or "later" in its place."""
        if not getattr(request, "axes_locked_out", False):
            return response
        seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
        body = render_to_string("admin/locked_out.html", {"minutes": seconds // 60}, request=request)
        headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
        return HttpResponse(body, status=429, headers=headers)


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
