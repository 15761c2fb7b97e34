"""Pages that are made once and sent as often as anybody asks, until something changes.

    @keep("t", "region")
    @require_safe
    def incident(request, ref): ...

The view names the query parameters that it reads; it is given no others, and no cookie, so that nothing which the name
of the page does not tell can get into it. A finished page is kept in every encoding a browser may ask for. While it is
at hand the event loop answers (``outagemap.middleware.ReadyPages``): no thread, no query. While the database is away
the last page there was goes out, and says from when it is.

Who has a version of a page that is followed names it in ``?since=`` and gets what changed (``deltas.py``), or the
whole where this process does not know that version, or where that is less. Versions are named by their content, so
whose answer it is, and which cache gave it out, makes no difference.
"""

from __future__ import annotations

import copy
import functools
import gzip
import json
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import get_script_prefix
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.utils.translation import get_language

from frontend import snapshot
from frontend.deltas import edits
from frontend.places import guessed_country
from reports import clock
from reports.audience import ready
from reports.audience.ready import Body
from reports.status import snapshots
from reports.status.shelf import Shelf

# A longer query is nobody's but somebody's who wants to fill the memory.
LONGEST_QUERY = 200
COMPRESSIBLE = ("text/", "image/svg", "application/json", "application/atom")
# In each process: some thousand versions, compressed, and what changed between two of them.
MOST_FORMER_BYTES = 24 * 2**20
MOST_DELTA_BYTES = 8 * 2**20
TOGETHER = "-parts"
DELTA = "application/vnd.outagemap.delta+json"
_NAME = re.compile(r"[0-9a-f]{24}")
_Version = tuple[str, str, str]
_former: Shelf[bytes] = Shelf(most_bytes=MOST_FORMER_BYTES)
# In the page of `base.html`; what is said of an old page goes before it.
NOTES_BEGIN = b'<p class="note" data-connection'


@dataclass(frozen=True)
class Finished:
    """A page as it goes out."""

    body: Body
    headers: tuple[tuple[str, str], ...]

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The page in the best encoding that the reader takes, or 304 where they have it."""
        body, encoding = self.body.best(request.META.get("HTTP_ACCEPT_ENCODING", ""))
        tag = self.body.tag(encoding)
        known = request.META.get("HTTP_IF_NONE_MATCH", "")
        # Who put the page together from what changed knows no tag of an encoding.
        same = known and (_knows(known, tag) or _knows(known, f'"{self.body.name}{TOGETHER}"'))
        response = HttpResponse(status=304) if same else HttpResponse(body)
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


_deltas: Shelf[Finished] = Shelf(most_bytes=MOST_DELTA_BYTES)


class Kept:
    """A view whose pages are kept. ``view`` is the view itself, which makes one."""

    def __init__(
        self,
        view: Callable[..., HttpResponseBase],
        query: tuple[str, ...],
        *,
        by_country: bool,
        slow: bool,
        followed: bool,
    ) -> None:
        functools.update_wrapper(self, view)
        self.view = view
        self._name = f"{view.__module__}.{view.__name__}"
        self._query = (*query, "part")
        self._by_country = by_country
        self._slow = slow
        self._followed = followed

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, kept or made now."""
        asked = self._asked(request)
        if asked is None:
            return self.view(request, *args, **kwargs)
        passed: list[HttpResponseBase] = []

        def make() -> Finished | None:
            response = self.view(asked.request(request), *args, **kwargs)
            if response.status_code == 200 and isinstance(response, HttpResponse) and not response.cookies:
                return self._remembered(request, _finished(response))
            # A redirect or a refusal: known to be one, but not worth keeping.
            passed.append(response)
            return None

        key = self._key(request, asked)
        found = snapshots.rendered(key, make, minute=clock.minute_of(clock.now()), slow=self._slow)
        if found is not None:
            return (self._news(request, found) or found).answer(request)
        return passed[0] if passed else self.view(request, *args, **kwargs)

    def at_hand(self, request: HttpRequest) -> HttpResponse | None:
        """The page if it lies ready; for the event loop: it asks no database and waits for nobody."""
        now = clock.at_hand()
        asked = self._asked(request) if now else None
        if now is None or asked is None:
            return None
        found = snapshots.rendered_at_hand(self._key(request, asked), minute=clock.minute_of(now))
        if found is None:
            return None
        if version := self._version(request, found):
            found = _deltas.at_hand((version, found.body.name), None)
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
        body, made_at = found.body.plain, found.body.made_at
        if NOTES_BEGIN in body:
            said = render_to_string("frontend/_from_then.html", {"at": made_at, "now": clock.at_hand() or made_at})
            body = body.replace(NOTES_BEGIN, said.encode() + NOTES_BEGIN, 1)
        response = HttpResponse(body)
        for header, value in found.headers:
            response.headers[header] = value
        response.headers["Cache-Control"] = "no-store"
        return response

    def _remembered(self, request: HttpRequest, made: Finished) -> Finished:
        """A page that somebody will name as the version that they have."""
        if self._followed:
            page = made.body
            _former.get((self._name, request.path, page.name), None, lambda: page.gzipped or gzip.compress(page.plain))
        return made

    def _version(self, request: HttpRequest, found: Finished) -> _Version | None:
        """The version that the reader has, where it is another one than ``found`` and known here."""
        since = request.GET.get("since", "") if self._followed else ""
        if since == found.body.name or not _NAME.fullmatch(since):
            return None
        version = self._name, request.path, since
        return version if _former.at_hand(version, None) else None

    def _news(self, request: HttpRequest, found: Finished) -> Finished | None:
        """What changed since the version that the reader has; ``None`` where only the whole will do."""
        version = self._version(request, found)
        if version is None:
            return None
        former = _former.at_hand(version, None)
        if former is None:
            return None
        return _deltas.get((version, found.body.name), None, lambda: _delta(version[-1], former, found))

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
    *query: str, by_country: bool = False, slow: bool = False, followed: bool = False
) -> Callable[[Callable[..., HttpResponseBase]], Kept]:
    """Keeps the pages of a view, which reads the query parameters ``query`` and, ``by_country``, the country that the
    reader's browser names. It may depend on its address, the language and the host, too; on nothing else. What is
    ``slow`` to make is made one at a time. What is ``followed`` by open pages is told as what changed, too.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Kept:
        return Kept(view, query, by_country=by_country, slow=slow, followed=followed)

    return decorate


def _delta(since: str, former: bytes, found: Finished) -> Finished:
    """What changed between the two; ``found`` itself where that is no less."""
    page = found.body
    changed = edits(gzip.decompress(former), page.plain)
    told = {"since": since, "name": page.name, "bytes": len(page.plain), "edits": changed}
    content = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
    made = ready.body(content, name=f"{page.name}.{since}", made_at=page.made_at)
    if len(made.best("br")[0]) >= len(page.best("br")[0]):
        return found
    return Finished(made, tuple({**dict(found.headers), "Content-Type": DELTA}.items()))


def _finished(response: HttpResponse) -> Finished:
    patch_vary_headers(response, ["Accept-Encoding"])
    del response.headers["ETag"]
    compressible = response.headers.get("Content-Type", "").startswith(COMPRESSIBLE)
    return Finished(ready.body(response.content, compressible=compressible), tuple(response.headers.items()))
