"""``POST /api/v1/reports/`` as a bare ASGI application, in front of Django.

The one address that has to stay cheap in the worst hour. Errors keep DRF's shape. The report is on disk when the answer
``202`` is sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, cast
from urllib.parse import parse_qsl

from reports.intake import flood, guard, inbox, proof, submission

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)

BODY_LIMIT = 8192
# A body of 8 KB that takes longer is not being sent in earnest.
BODY_SECONDS = 10.0
RETRY_AFTER_SECONDS = 5

# One encoder for all: json.dumps makes a new one for each call.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_METHODS = b"POST, OPTIONS"
_COMMON: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
_PREFLIGHT: Headers = [
    *_COMMON,
    (b"access-control-allow-methods", _METHODS),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"86400"),
    (b"allow", _METHODS),
    (b"content-length", b"0"),
]


class _Refused(Exception):
    """The request ends here, with this status, body and further headers."""

    def __init__(self, status: int, detail: Mapping[str, object] | str, headers: Headers | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = {"detail": detail} if isinstance(detail, str) else detail
        self.headers = headers or []


class _Gone(Exception):
    """The client left before its request was complete."""


async def report_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Accepts one report, or says why not."""
    headers: Headers = []
    try:
        if scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": _PREFLIGHT})
            await send({"type": "http.response.body", "body": b""})
            return
        status, body = 202, await _accept(scope, receive)
    except _Refused as refused:
        status, body, headers = refused.status, refused.body, refused.headers
    except _Gone:
        return
    except Exception:
        # Whatever it was, the client gets an answer and a reason to come again. Neither body nor address are logged.
        logger.exception("a report could not be taken in")
        status, body = 500, {"detail": "A server error occurred."}
    await _answer(send, status, body, headers)


async def _accept(scope: Scope, receive: Receive) -> Mapping[str, object]:
    if scope["method"] != "POST":
        raise _Refused(405, f'Method "{scope["method"]}" not allowed.', [(b"allow", _METHODS)])
    content_type, length = _declared(scope)
    if content_type not in (_JSON, _FORM, ""):
        raise _Refused(415, f'Unsupported media type "{content_type}" in request.')
    body = await _body(receive, length)
    data = _form(body) if content_type == _FORM else _json(body)
    try:
        address, browser = guard.scope_client(scope)
        accepted = await submission.asubmit(
            data, address=address, client=browser, received_at=await submission.arrival()
        )
    except submission.Invalid as invalid:
        raise _Refused(400, invalid.errors) from None
    except flood.Refusal as refusal:
        raise _turned_away(refusal) from None
    except inbox.Unavailable:
        retry = [(b"retry-after", str(RETRY_AFTER_SECONDS).encode())]
        raise _Refused(503, "Reports cannot be stored at the moment. Please send it again.", retry) from None
    return accepted.as_json()


def _turned_away(refusal: flood.Refusal) -> _Refused:
    minutes = -(-refusal.retry_after // 60)
    when = f"in {minutes} minutes" if minutes > 1 else "in a minute"
    if isinstance(refusal, flood.ProofNeeded):
        return _Refused(
            403,
            {
                "detail": "Very many reports are coming. Solve the challenge and send the same report again with the "
                f"solution as `altcha`, or come again {when}.",
                "code": "proof_needed",
                "challenge": proof.challenge(refusal.person, hashes=refusal.hashes),
            },
        )
    who = "your network has" if isinstance(refusal, flood.TooMany) and refusal.network else "you have"
    return _Refused(
        429,
        f"For now {who} sent as many reports as are taken in. What was accepted is counted; come again {when}.",
        [(b"retry-after", str(refusal.retry_after).encode())],
    )


def _declared(scope: Scope) -> tuple[str, int | None]:
    """The media type and the length that the headers declare."""
    content_type, length = "", None
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.partition(b";")[0].strip().lower().decode("latin-1")
        elif name == b"content-length" and value.isdigit():
            length = int(value[:20])
    return content_type, length


async def _body(receive: Receive, length: int | None) -> bytes:
    if length is not None and length > BODY_LIMIT:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _whole(receive)
    except TimeoutError:
        raise _Refused(408, "The body took too long to arrive.", [(b"connection", b"close")]) from None
    if len(body) > BODY_LIMIT:
        raise _too_large()
    return body


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while len(body) <= BODY_LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _too_large() -> _Refused:
    return _Refused(413, f"The body is larger than {BODY_LIMIT} bytes.", [(b"connection", b"close")])


def _json(body: bytes) -> Mapping[str, object]:
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else error
        raise _Refused(400, f"JSON parse error - {reason}") from None
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise _Refused(400, {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
    return cast("dict[str, object]", data)


def _form(body: bytes) -> Mapping[str, object]:
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="strict"))
    except ValueError as error:
        raise _Refused(400, f"Form parse error - {error}") from None


async def _answer(send: Send, status: int, body: Mapping[str, object], headers: Headers) -> None:
    content = _encode(body).encode()
    length = str(len(content)).encode()
    own = [(b"content-type", b"application/json"), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": _COMMON + own})
    await send({"type": "http.response.body", "body": content})
