"""Which language a page speaks, and how its links keep it.

An address without a language answers in the one that the browser asks for; ``/de/services/whatsapp/`` is German for
everybody. The language of an address is a script prefix: `reverse()` puts it into every link, routes know nothing of
it, and no cookie is needed. What programs read (`PLAIN`) has one language, English, and one address.

Not Django's `LocaleMiddleware` with `i18n_patterns`: there an address without a prefix is either the default language
or a redirect, and a cookie may decide.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix, set_script_prefix
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header

CODES = tuple(code for code, _name in settings.LANGUAGES)
_PREFIX = re.compile(rf"/({'|'.join(CODES)})(?=/|$)")

PLAIN = re.compile(
    r"/(?:api|admin|static|badges)/|/(?:healthz|readyz|metrics|favicon\.ico)$|/services/[^/]+/api/|.*\.atom$"
)
"""What is for programs and for the administrators' desk: always English, never under a language's prefix."""

Answer = Callable[[HttpRequest], HttpResponseBase]
LaterAnswer = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@dataclass(frozen=True)
class Choice:
    """One language to choose: its code, its own name for itself, and the present page in it."""

    code: str
    name: str
    href: str
    current: bool


@dataclass(frozen=True)
class Choices:
    """The present page in each language. ``host`` is what makes an address absolute; ``default`` is the page in the
    language that a browser asks for; ``canonical`` the absolute address of the page as it is, without its query."""

    choices: tuple[Choice, ...]
    host: str
    default: str
    canonical: str


@dataclass(frozen=True)
class _Spoken:
    """The language of one request; ``prefix`` is empty where the browser decided, ``/de`` where the address did."""

    code: str
    prefix: str
    negotiated: bool


class Languages:
    """Middleware: strips the language from the path, activates it, and says so in the answer. It only computes, so it
    runs in the event loop."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Answer | LaterAnswer) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """The answer to one request, in its language."""
        if self.is_async:
            return self._later(request)
        spoken = _spoken(request)
        if isinstance(spoken, HttpResponseBase):
            return spoken
        with _speaking(spoken):
            return _told(cast(Answer, self.get_response)(request), spoken)

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        spoken = _spoken(request)
        if isinstance(spoken, HttpResponseBase):
            return spoken
        with _speaking(spoken):
            return _told(await cast(LaterAnswer, self.get_response)(request), spoken)


def _spoken(request: HttpRequest) -> _Spoken | HttpResponseBase:
    """The language of the request, whose ``path_info`` loses it; or the way to where the page has its address."""
    found = _PREFIX.match(request.path_info)
    if found is None:
        plain = PLAIN.match(request.path_info) is not None
        code = settings.LANGUAGE_CODE if plain else negotiated(request.headers.get("Accept-Language", ""))
        return _Spoken(code, "", negotiated=not plain)
    rest = request.path_info[found.end() :]
    query = f"?{request.META['QUERY_STRING']}" if request.META.get("QUERY_STRING") else ""
    above = get_script_prefix().rstrip("/")
    if not rest:
        return HttpResponsePermanentRedirect(f"{above}{found[0]}/{query}")
    # "//" would be the address of another host.
    if PLAIN.match(rest) and not rest.startswith("//"):
        moved = HttpResponsePermanentRedirect(f"{above}{rest}{query}")
        # With the method and the body that were sent.
        moved.status_code = 308
        return moved
    request.path_info = rest
    return _Spoken(found[1], found[0], negotiated=False)


@contextmanager
def _speaking(spoken: _Spoken) -> Iterator[None]:
    above = get_script_prefix()
    with translation.override(spoken.code):
        set_script_prefix(f"{above.rstrip('/')}{spoken.prefix}/")
        try:
            yield
        finally:
            set_script_prefix(above)


def _told(response: HttpResponseBase, spoken: _Spoken) -> HttpResponseBase:
    if spoken.negotiated:
        patch_vary_headers(response, ("Accept-Language",))
    response.headers.setdefault("Content-Language", spoken.code)
    return response


def negotiated(accept_language: str) -> str:
    """The first of our languages in the order of the reader's wishes; English where none fits."""
    for wanted, _quality in parse_accept_lang_header(accept_language[:500].lower()):
        if wanted == "*":
            break
        try:
            return get_supported_language_variant(wanted)
        except LookupError:
            continue
    return str(settings.LANGUAGE_CODE)


def variant() -> str:
    """What tells a rendered page in one language from another: for the keys of what is kept. Links differ between a
    language that the address fixes and the same language negotiated."""
    return f"{get_script_prefix()} {translation.get_language()}"


def plain(address: str) -> str:
    """The address without a language where it has none: the API's, a feed's, a badge's."""
    prefix = get_script_prefix()
    found = _PREFIX.search(prefix.rstrip("/"))
    if found is None or not address.startswith(prefix):
        return address
    above, rest = prefix[: found.start()], address[len(prefix) - 1 :]
    return f"{above}{rest}" if PLAIN.match(rest) else address


def choices(request: HttpRequest) -> Choices:
    """The present page in each language, with its query; the home page where what was posted cannot be asked for."""
    again = request.method in ("GET", "HEAD")
    path = request.path_info if again else "/"
    query = f"?{request.META['QUERY_STRING']}" if again and request.META.get("QUERY_STRING") else ""
    above = _PREFIX.sub("", get_script_prefix().rstrip("/"))
    host = f"{request.scheme}://{request.get_host()}"
    return Choices(
        choices=tuple(
            Choice(code, name, f"{above}/{code}{path}{query}", code == translation.get_language())
            for code, name in settings.LANGUAGES
        ),
        host=host,
        default=f"{above}{path}{query}",
        canonical=f"{host}{get_script_prefix().rstrip('/')}{path}",
    )
