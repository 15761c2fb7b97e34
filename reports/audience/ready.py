"""Ready answers: rendered and compressed once for each version, sent again as often as anybody asks."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.translation import get_language
from rest_framework.renderers import JSONRenderer

from reports import clock
from reports.intake import coalescer
from reports.status import snapshots

# As in the compressing middleware, which would turn the strong validator of what it compresses into a weak one.
COMPRESS_FROM = 200
CORS_SECONDS = 86_400
FRESH_SECONDS = 10
"""For how long a client or cache need not ask again: as long as a watch cycle."""

Asked = ParamSpec("Asked")


@dataclass(frozen=True)
class Body:
    """One answer in both encodings, and the strong validator of each."""

    plain: bytes
    plain_tag: str
    gzipped: bytes | None
    gzipped_tag: str
    made_at: datetime


def body(plain: bytes) -> Body:
    """The answer whose bytes are ``plain``."""
    name = hashlib.blake2b(plain, digest_size=12).hexdigest()
    # Without the time in its header, so that equal content has equal bytes and the validator may be a strong one.
    gzipped = gzip.compress(plain, 6, mtime=0) if len(plain) >= COMPRESS_FROM else None
    return Body(plain=plain, plain_tag=f'"{name}"', gzipped=gzipped, gzipped_tag=f'"{name}-gzip"', made_at=clock.now())


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
    when_away: bool = True,
) -> HttpResponseBase:
    """What ``answer`` made, made anew only when something changed since ``asked`` was asked here last; else a 304.

    The last answer there was is given out ``when_away`` is the database, with its age. Otherwise Django's
    ``OperationalError`` is raised.
    """
    # Links in the answer carry the address under which the site was asked, and its words are in one language.
    key = (request.build_absolute_uri(request.path), get_language(), *asked)
    age: timedelta | None = None
    try:
        if coalescer.database_is_away():
            raise OperationalError("the intake has found the database away")
        found = snapshots.rendered(key, lambda: body(answer()), minute=clock.minute_of(clock.now()))
    except OperationalError:
        last: Body | None = snapshots.last_rendered(key) if when_away else None
        if last is None:
            raise
        found, age = last, (clock.at_hand() or last.made_at) - last.made_at
    zipped = found.gzipped if "gzip" in request.headers.get("Accept-Encoding", "") else None
    tag = found.plain_tag if zipped is None else found.gzipped_tag
    response = HttpResponse(found.plain if zipped is None else zipped, content_type=content_type)
    response["ETag"] = tag
    response["Cache-Control"] = f"public, max-age={fresh_seconds}, stale-if-error=600"
    if age is not None:
        response["Age"] = str(max(round(age.total_seconds()), 0))
        response["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["Accept-Encoding"])
    if zipped is not None:
        response["Content-Encoding"] = "gzip"
    conditional = get_conditional_response(request, etag=tag, response=response)
    return response if conditional is None else conditional


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
    def answered(request: HttpRequest, /, *args: Asked.args, **kwargs: Asked.kwargs) -> HttpResponseBase:
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
    answered.answers_when_away = True  # type: ignore[attr-defined]
    return answered


def later(said: str, *, seconds: int = 5) -> HttpResponseBase:
    """Nothing now; it is worth coming again in so many ``seconds``."""
    return JsonResponse({"detail": said}, status=503, headers={"Retry-After": str(seconds)})
