"""Living parts that the reader has already are not sent again: each is named by its content, and the browser tells the
names that it holds. What is new in a minute of a large incident is a small part of its page."""

from __future__ import annotations

import re
from hashlib import blake2b

from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase

HELD = "Pieces-Held"
NAMES = "Pieces"
_BEGINNING = re.compile(r'(?=<(?:div|section)\s[^>]*\bdata-live=")')


def only_new(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer to ``?part=live`` without the parts whose names the request tells; other answers as they are.

    Its tag stays that of the whole, which is what the reader has after putting the new parts in.
    """
    if request.GET.get("part") != "live" or not isinstance(response, HttpResponse) or response.status_code != 200:
        return response
    parts = [part for part in _BEGINNING.split(response.content.decode()) if part.strip()]
    names = [blake2b(part.strip().encode(), digest_size=5).hexdigest() for part in parts]
    held = set(request.headers.get(HELD, "").split(","))
    response.content = "".join(part for part, name in zip(parts, names, strict=True) if name not in held)
    response[NAMES] = ",".join(names)
    return response
