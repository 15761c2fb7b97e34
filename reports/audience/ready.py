"""Ready answers: rendered and compressed once for each version, sent again as often as anybody asks."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol

import brotli
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.translation import get_language
from rest_framework.renderers import JSONRenderer

from reports import clock
from reports.status import snapshots

# As in the compressing middleware, which would turn the strong validator of what it compresses into a weak one.
COMPRESS_FROM = 200
# Made once, sent to many: a little better than gzip at its best, in the time that takes.
BROTLI_QUALITY = 5
GZIP_LEVEL = 9
# A longer query or `Accept` is nobody's but somebody's who wants to fill the memory.
LONGEST = 500
MOST_ADDRESSES = 20_000
CORS_SECONDS = 86_400
FRESH_SECONDS = 10
"""For how long a client or cache need not ask again: as long as a watch cycle."""

Asked = ParamSpec("Asked")


@dataclass(frozen=True)
class Body:
    """One answer or page in every encoding."""

    plain: bytes
    gzipped: bytes | None
    brotlied: bytes | None
    name: str
    """Of the content: the tag of each encoding is made of it."""
    made_at: datetime

    def best(self, taken: str) -> tuple[bytes, str]:
        """The body for who takes these encodings, and the encoding that it is in."""
        if self.brotlied is not None and "br" in taken:
            return self.brotlied, "br"
        if self.gzipped is not None and "gzip" in taken:
            return self.gzipped, "gzip"
        return self.plain, ""

    def tag(self, encoding: str) -> str:
        """The entity tag of the body in that encoding: two of them are two representations, and a strong tag is never
        that of both."""
        return f'"{self.name}-{encoding}"' if encoding else f'"{self.name}"'


def body(plain: bytes, *, name: str = "", made_at: datetime | None = None, compressible: bool = True) -> Body:
    """The answer whose bytes are ``plain``, named by its content and made now, unless something else is said."""
    worth_it = compressible and len(plain) >= COMPRESS_FROM
    return Body(
        plain=plain,
        # Without the time in its header, so that equal content has equal bytes and the validator may be a strong one.
        gzipped=gzip.compress(plain, GZIP_LEVEL, mtime=0) if worth_it else None,
        brotlied=brotli.compress(plain, quality=BROTLI_QUALITY) if worth_it else None,
        name=name or hashlib.blake2b(plain, digest_size=12).hexdigest(),
        made_at=made_at or clock.now(),
    )


def as_json(data: Any) -> bytes:
    """``data`` as JSON."""
    rendered: bytes = JSONRenderer().render(data)
    return rendered


def kept(
    request: HttpRequest,
    asked: tuple[Hashable, ...],
    answer: Callable[[], bytes],
    *,
    content_type: str = "application/json",
    fresh_seconds: int = FRESH_SECONDS,
    vary: tuple[str, ...] = (),
    when_away: bool = True,
    meter: Meter | None = None,
) -> HttpResponseBase:
    """What ``answer`` made, made anew only when something changed since ``asked`` was asked here last; else a 304.

    The last answer there was is given out ``when_away`` is the database, with its age. Otherwise Django's
    ``OperationalError`` is raised. What has to be made is counted by the ``meter``, which may raise.
    """
    # Links in the answer carry the address under which the site was asked, and its words are in one language.
    key = (request.build_absolute_uri(request.path), get_language(), *asked)
    age: timedelta | None = None
    made = False

    def make() -> Body:
        nonlocal made
        made = True
        return body(answer())

    try:
        minute = clock.minute_of(clock.now())
        # Not within `make`: what it raises is raised in everybody who waits for the same answer.
        if meter is not None and not snapshots.is_rendered(key, minute=minute):
            meter.spend()
        found = snapshots.rendered(key, make, minute=minute)
        if meter is not None and not made:
            meter.give_back()
    except OperationalError:
        last: Body | None = snapshots.last_rendered(key) if when_away else None
        if last is None:
            raise
        found, age = last, (clock.at_hand() or last.made_at) - last.made_at
    kind = Kind(content_type, fresh_seconds, vary)
    address = _address(request)
    if address is not None:
        if len(_addresses) >= MOST_ADDRESSES:
            _addresses.clear()
        _addresses[address] = (key, kind)
    return answered(request, found, kind, age=age)


@dataclass(frozen=True)
class Kind:
    """What is said of an answer beside its content."""

    content_type: str
    fresh_seconds: int = FRESH_SECONDS
    vary: tuple[str, ...] = ()


def answered(request: HttpRequest, found: Body, kind: Kind, *, age: timedelta | None = None) -> HttpResponseBase:
    """The body in the best encoding that is taken, or a 304 where it is known already."""
    content, encoding = found.best(request.headers.get("Accept-Encoding", ""))
    tag = found.tag(encoding)
    response = HttpResponse(content, content_type=kind.content_type)
    response["ETag"] = tag
    response["Cache-Control"] = f"public, max-age={kind.fresh_seconds}, stale-if-error=600"
    if age is not None:
        response["Age"] = str(max(round(age.total_seconds()), 0))
        response["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["Accept-Encoding", *kind.vary])
    if encoding:
        response["Content-Encoding"] = encoding
    conditional = get_conditional_response(request, etag=tag, response=response)
    return response if conditional is None else conditional


# What lies under which address, as it was asked: for the event loop, which cannot look up what a parameter means.
_addresses: dict[Hashable, tuple[Hashable, Kind]] = {}


def _address(request: HttpRequest) -> Hashable | None:
    """All of a request that an answer may depend on; ``None`` for one that is not worth remembering."""
    query, accept = request.META.get("QUERY_STRING", ""), request.META.get("HTTP_ACCEPT", "")
    if request.method not in ("GET", "HEAD") or len(query) + len(accept) > LONGEST:
        return None
    return request.build_absolute_uri(request.path), query, accept, get_language()


def at_hand(request: HttpRequest) -> HttpResponseBase | None:
    """The answer if it lies ready under the very address that is asked for; for the event loop: it asks no database
    and waits for nobody."""
    now, address = clock.at_hand(), _address(request)
    known = None if address is None else _addresses.get(address)
    if now is None or known is None:
        return None
    key, kind = known
    found: Body | None = snapshots.rendered_at_hand(key, minute=clock.minute_of(now))
    if found is None:
        return None
    response = answered(request, found, kind)
    open_to_all(response)
    return response


class Meter(Protocol):
    """Counts work, and may refuse it by raising."""

    def spend(self, cost: int = 1) -> None:
        """Something has to be made."""

    def give_back(self) -> None:
        """It had not to be after all."""


def open_to_all(response: HttpResponseBase) -> None:
    """Lets scripts of any origin read it. What says nothing about caches, such as an error, is not to be kept."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "ETag, Retry-After"
    response.headers.setdefault("Cache-Control", "no-store")


def preflight(methods: tuple[str, ...]) -> HttpResponse:
    """The answer to a browser that asks first."""
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = ", ".join(methods)
    response["Access-Control-Allow-Headers"] = "Content-Type, If-None-Match"
    response["Access-Control-Max-Age"] = str(CORS_SECONDS)
    return response


def public(
    view: Callable[Concatenate[HttpRequest, Asked], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, Asked], HttpResponseBase]:
    """A view that anybody's program may read: with ``GET``, from every origin, its errors in the API's shape."""
    methods = ("GET", "HEAD", "OPTIONS")

    @wraps(view)
    def offered(request: HttpRequest, /, *args: Asked.args, **kwargs: Asked.kwargs) -> HttpResponseBase:
        response: HttpResponseBase
        if request.method == "OPTIONS":
            response = preflight(methods)
        elif request.method not in methods:
            response = JsonResponse({"detail": f'Method "{request.method}" not allowed.'}, status=405)
            response["Allow"] = ", ".join(methods)
        else:
            try:
                response = view(request, *args, **kwargs)
            except Http404 as missing:
                response = JsonResponse({"detail": str(missing) or "Not found."}, status=404)
            except OperationalError:
                response = later("The database does not answer at the moment. Please ask again.")
        open_to_all(response)
        return response

    # It says itself what there is to say while the database is away.
    offered.answers_when_away = True  # type: ignore[attr-defined]
    offered.at_hand = at_hand  # type: ignore[attr-defined]
    return offered


def later(said: str, *, seconds: int = 5) -> HttpResponseBase:
    """Nothing now; it is worth coming again in so many ``seconds``."""
    return JsonResponse({"detail": said}, status=503, headers={"Retry-After": str(seconds)})
