"""Ready answers: rendered and compressed once for each version, sent again as often as anybody asks."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reports import clock
from reports.status import snapshots

# As in the compressing middleware, which would turn the strong validator of what it compresses into a weak one.
COMPRESS_FROM = 200
CORS_SECONDS = 86_400


@dataclass(frozen=True)
class Body:
    """One answer in both encodings, and the strong validator of each."""

    plain: bytes
    plain_tag: str
    gzipped: bytes | None
    gzipped_tag: str


def body(data: Any) -> Body:
    """``data`` as JSON."""
    plain: bytes = JSONRenderer().render(data)
    name = hashlib.blake2b(plain, digest_size=12).hexdigest()
    # Without the time in its header, so that equal content has equal bytes and the validator may be a strong one.
    gzipped = gzip.compress(plain, 6, mtime=0) if len(plain) >= COMPRESS_FROM else None
    return Body(plain=plain, plain_tag=f'"{name}"', gzipped=gzipped, gzipped_tag=f'"{name}-gzip"')


class OpenView(APIView):
    """Open to every origin, and to reading only unless a view says more."""

    methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")

    def options(self, _request: Request, *_args: Any, **_kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """The answer to a browser that asks first."""
        response = HttpResponse(status=204)
        response["Access-Control-Allow-Methods"] = ", ".join(self.methods)
        response["Access-Control-Allow-Headers"] = "Content-Type, If-None-Match"
        response["Access-Control-Max-Age"] = str(CORS_SECONDS)
        return response

    @property
    def allowed_methods(self) -> list[str]:
        """What the ``Allow`` header says."""
        return list(self.methods)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """The response, readable by scripts of any origin. Errors are not to be kept by caches."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        final["Access-Control-Allow-Origin"] = "*"
        final["Access-Control-Expose-Headers"] = "ETag, Retry-After"
        final.headers.setdefault("Cache-Control", "no-store")
        return final


class KeptView(OpenView):
    """A view whose answer is kept for as long as nothing changes."""

    fresh_seconds = 10
    """For how long a client or cache need not ask again: as long as a watch cycle."""

    def respond(self, request: Request, asked: Mapping[str, Any], answer: Callable[[], Any]) -> HttpResponseBase:
        """The JSON of ``answer()``, made anew only when something changed since ``asked`` was asked here last."""
        http: HttpRequest = request._request
        # Links in the answer carry the address under which the site was asked.
        key = (http.build_absolute_uri(http.path), *((name, _hashable(value)) for name, value in asked.items()))
        kept = snapshots.kept(key, lambda: body(answer()), minute=clock.minute_of(clock.now()))
        zipped = kept.gzipped if "gzip" in http.headers.get("Accept-Encoding", "") else None
        tag = kept.plain_tag if zipped is None else kept.gzipped_tag
        response = HttpResponse(kept.plain if zipped is None else zipped, content_type="application/json")
        response["ETag"] = tag
        response["Cache-Control"] = f"public, max-age={self.fresh_seconds}, stale-if-error=600"
        patch_vary_headers(response, ["Accept-Encoding"])
        if zipped is not None:
            response["Content-Encoding"] = "gzip"
        conditional = get_conditional_response(http, etag=tag, response=response)
        return response if conditional is None else conditional


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value
