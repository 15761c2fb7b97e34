"""Pages that are made once and sent as often as anybody asks, until something changes.

    @keep("t", "region")
    @require_safe
    def incident(request, ref): ...

The view names the query parameters that it reads; it is given no others, and no cookie, so that nothing which the name
of the page does not tell can get into it. A finished page is kept in every encoding a browser may ask for. While it is
at hand the event loop answers (``outagemap.middleware.ReadyPages``): no thread, no query. While the database is away
the last page there was goes out, and says from when it is.
"""

from __future__ import annotations

import copy
import functools
import gzip
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

import brotli
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import get_script_prefix
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.utils.translation import get_language

from frontend import snapshot
from frontend.places import guessed_country
from reports import clock
from reports.status import snapshots

# A longer query is nobody's but somebody's who wants to fill the memory.
LONGEST_QUERY = 200
# As the middleware that compresses the rest.
COMPRESS_FROM = 200
COMPRESSIBLE = ("text/", "image/svg", "application/json", "application/atom")
BROTLI_QUALITY = 5
# In the page of `base.html`; what is said of an old page goes before it.
NOTES_BEGIN = b'<p class="note" data-connection'


@dataclass(frozen=True)
class Finished:
    """A page as it goes out, in each encoding."""

    body: bytes
    gzipped: bytes | None
    brotlied: bytes | None
    name: str
    """Of the content: the tag of each encoding is made of it."""
    headers: tuple[tuple[str, str], ...]
    made_at: datetime

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The page in the best encoding that the reader takes, or 304 where they have it."""
        taken = request.META.get("HTTP_ACCEPT_ENCODING", "")
        encoding, body = "", self.body
        if self.brotlied is not None and "br" in taken:
            encoding, body = "br", self.brotlied
        elif self.gzipped is not None and "gzip" in taken:
            encoding, body = "gzip", self.gzipped
        # Two encodings of one page are two representations: a strong tag is never that of both.
        tag = f'"{self.name}-{encoding}"' if encoding else f'"{self.name}"'
        known = request.META.get("HTTP_IF_NONE_MATCH", "")
        response = HttpResponse(status=304) if known and _knows(known, tag) else HttpResponse(body)
        for header, value in self.headers:
            response.headers[header] = value
        response.headers["ETag"] = tag
        if response.status_code == 304:
            del response.headers["Content-Type"]
        elif encoding:
            response.headers["Content-Encoding"] = encoding
        return response


def _knows(known: str, tag: str) -> bool:
    return known == tag or any(each in {"*", tag} for each in (one.removeprefix("W/") for one in parse_etags(known)))


class Kept:
    """A view whose pages are kept. ``view`` is the view itself, which makes one."""

    def __init__(
        self, view: Callable[..., HttpResponseBase], query: tuple[str, ...], *, by_country: bool, slow: bool
    ) -> None:
        functools.update_wrapper(self, view)
        self.view = view
        self._name = f"{view.__module__}.{view.__name__}"
        self._query = (*query, "part")
        self._by_country = by_country
        self._slow = slow

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, kept or made now."""
        asked = self._asked(request)
        if asked is None:
            return self.view(request, *args, **kwargs)
        passed: list[HttpResponseBase] = []

        def make() -> Finished | None:
            response = self.view(asked.request(request), *args, **kwargs)
            if response.status_code == 200 and isinstance(response, HttpResponse) and not response.cookies:
                return _finished(response)
            # A redirect or a refusal: known to be one, but not worth keeping.
            passed.append(response)
            return None

        key = self._key(request, asked)
        found = snapshots.rendered(key, make, minute=clock.minute_of(clock.now()), slow=self._slow)
        if found is not None:
            return found.answer(request)
        return passed[0] if passed else self.view(request, *args, **kwargs)

    def at_hand(self, request: HttpRequest) -> HttpResponse | None:
        """The page if it lies ready; for the event loop: it asks no database and waits for nobody."""
        now = clock.at_hand()
        asked = self._asked(request) if now else None
        if now is None or asked is None:
            return None
        found = snapshots.rendered_at_hand(self._key(request, asked), minute=clock.minute_of(now))
        return None if found is None else found.answer(request)

    def former(self, request: HttpRequest) -> HttpResponse | None:
        """The last page there was, which says from when it is; ``None`` where there was none, and for a part of one,
        since the page that asks for it has an older one and says so itself.
        """
        asked = self._asked(request)
        if asked is None or asked.part:
            return None
        found = snapshots.last_rendered(self._key(request, asked))
        if found is None:
            # After a restart: the copy on the disk, which says from when it is.
            copied = snapshot.file(request.path_info) if request.path_info.endswith("/") else None
            return None if copied is None else HttpResponse(copied, headers={"Cache-Control": "no-store"})
        body = found.body
        if NOTES_BEGIN in body:
            said = render_to_string(
                "frontend/_from_then.html", {"at": found.made_at, "now": clock.at_hand() or found.made_at}
            )
            body = body.replace(NOTES_BEGIN, said.encode() + NOTES_BEGIN, 1)
        response = HttpResponse(body)
        for header, value in found.headers:
            response.headers[header] = value
        response.headers["Cache-Control"] = "no-store"
        return response

    def _asked(self, request: HttpRequest) -> _Asked | None:
        if request.method not in {"GET", "HEAD"}:
            return None
        query = tuple((name, value) for name in self._query for value in request.GET.getlist(name) if value)
        if sum(len(value) for _, value in query) > LONGEST_QUERY:
            return None
        country = guessed_country(request.META.get("HTTP_ACCEPT_LANGUAGE", "")[:200]) if self._by_country else None
        return _Asked(query, country)

    def _key(self, request: HttpRequest, asked: _Asked) -> Hashable:
        # The page carries its own whole address in its link previews.
        where = request.scheme, request.get_host(), get_script_prefix(), request.path
        return self._name, where, asked, get_language(), clock.speed_at_hand()


@dataclass(frozen=True)
class _Asked:
    """What a page may depend on besides its address."""

    query: tuple[tuple[str, str], ...]
    country: str | None

    @property
    def part(self) -> bool:
        return any(name == "part" for name, _ in self.query)

    def request(self, request: HttpRequest) -> HttpRequest:
        """The request as it would have been, had it said nothing else."""
        plain = copy.copy(request)
        plain.__dict__.pop("headers", None)
        plain.method = "GET"
        plain.GET = QueryDict(urlencode(self.query))
        plain.COOKIES = {}
        plain.META = {
            name: value
            for name, value in request.META.items()
            if not name.startswith("HTTP_IF_") and name not in {"HTTP_ACCEPT_LANGUAGE", "HTTP_COOKIE", "HTTP_RANGE"}
        }
        plain.META["QUERY_STRING"] = urlencode(self.query)
        if self.country:
            plain.META["HTTP_ACCEPT_LANGUAGE"] = f"und-{self.country}"
        return plain


def keep(
    *query: str, by_country: bool = False, slow: bool = False
) -> Callable[[Callable[..., HttpResponseBase]], Kept]:
    """Keeps the pages of a view, which reads the query parameters ``query`` and, ``by_country``, the country that the
    reader's browser names. It may depend on its address, the language and the host, too; on nothing else. What is
    ``slow`` to make is made one at a time.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Kept:
        return Kept(view, query, by_country=by_country, slow=slow)

    return decorate


def _finished(response: HttpResponse) -> Finished:
    body = response.content
    patch_vary_headers(response, ["Accept-Encoding"])
    del response.headers["ETag"]
    worth_it = len(body) >= COMPRESS_FROM and response.headers.get("Content-Type", "").startswith(COMPRESSIBLE)
    return Finished(
        body=body,
        # As small as it gets: made once, sent to many.
        gzipped=gzip.compress(body, 9, mtime=0) if worth_it else None,
        brotlied=brotli.compress(body, quality=BROTLI_QUALITY) if worth_it else None,
        name=blake2b(body, digest_size=12).hexdigest(),
        headers=tuple(response.headers.items()),
        made_at=clock.now(),
    )
