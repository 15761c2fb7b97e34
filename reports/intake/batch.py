"""``POST /api/v1/reports/batch/`` as a bare ASGI application: who calls, how the body comes, what is answered.

What becomes of the items is told in ``reports.intake.bulk``. Whatever ends a call before its items do, the answer says
what was accepted by then; a sender who hears no answer sends the same items again and loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reports.intake import bulk, inbox, keys
from reports.models import Scope

ASGIScope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger(__name__)

# A sender from whom nothing comes for so long, or who is not done after so long, is told to come again.
CHUNK_SECONDS = 10.0
CALL_SECONDS = 300.0
RETRY_AFTER_SECONDS = 5
# Calls at once: each holds a block, or an array of ``bulk.ARRAY_LIMIT``, in memory.
CALLS_LIMIT = 16
CALLS_OF_A_KEY = 4

METHODS = "POST, OPTIONS"
ARRAY = "application/json"
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
# A browser may not read what a partner's key brings: no origin is allowed.
_COMMON = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_CHALLENGE = {"www-authenticate": 'Api-Key realm="reports"'}

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Call:
    """The head of a request."""

    method: str
    authorization: str
    content_type: str
    content_encoding: str
    length: int | None


@dataclass(frozen=True)
class Answer:
    """The answer to a call; the names of headers are in lower case."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


class Gone(Exception):
    """The client left before its request was complete."""


class _Slow(Exception):
    """The body takes too long to arrive."""


class _Refused(Exception):
    """The call ends before any item was looked at."""

    def __init__(self, status: int, detail: str | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        body = {"detail": detail} if isinstance(detail, str) else detail
        # The rest of the body is not read, so that the connection can serve for nothing else.
        self.answer = Answer(status, body, {"connection": "close", **(headers or {})})


async def batch_app(scope: ASGIScope, receive: Receive, send: Send) -> None:
    """Accepts many reports, and answers for each of them."""
    named = {name: value.decode("latin-1") for name, value in scope["headers"]}
    length = named.get(b"content-length", "")
    call = Call(
        method=scope["method"],
        authorization=named.get(b"authorization", ""),
        content_type=named.get(b"content-type", ""),
        content_encoding=named.get(b"content-encoding", ""),
        length=int(length[:20]) if length.isascii() and length.isdigit() else None,
    )
    try:
        answer = await answer_to(call, _chunks(receive))
    except Gone:
        return
    content = b"" if answer.status == 204 else _encode(answer.body).encode()
    headers = {"content-type": "application/json", "content-length": str(len(content))} if content else {}
    told = [(name.encode(), value.encode()) for name, value in {**_COMMON, **headers, **answer.headers}.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": told})
    await send({"type": "http.response.body", "body": content})


async def answer_to(call: Call, chunks: AsyncIterator[bytes]) -> Answer:
    """Takes in the body that comes in ``chunks``. Raises :class:`Gone` when these do."""
    if call.method == "OPTIONS":
        return Answer(204, {}, {"allow": METHODS})
    try:
        if call.method != "POST":
            raise _Refused(405, f'Method "{call.method}" not allowed.', {"allow": METHODS})
        key = await _authorised(call.authorization)
        media_type = _media_type(call)
        with _place(key):
            keys.note_use(key)
            return await _take(key, media_type, call.length, chunks)
    except _Refused as refused:
        return refused.answer
    except inbox.Unavailable:
        return _refused(503, _AWAY, retry_after=RETRY_AFTER_SECONDS).answer
    except Gone:
        raise
    except Exception:
        # Neither body nor key are logged.
        logger.exception("a batch could not be taken in")
        return _Refused(500, "A server error occurred.").answer


_AWAY = "Reports cannot be stored at the moment. Please send them again with the same ids."


def _refused(status: int, detail: str | Mapping[str, Any], *, retry_after: int) -> _Refused:
    return _Refused(status, detail, {"retry-after": str(retry_after)})


async def _authorised(authorization: str) -> keys.Key:
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "api-key":
        raise _Refused(401, 'A key is needed: "Authorization: Api-Key …".', _CHALLENGE)
    key = await keys.holder(token.strip())
    if key is None:
        raise _Refused(401, "This key is unknown, revoked or expired.", _CHALLENGE)
    if Scope.REPORTS_WRITE not in key.scopes:
        raise _Refused(403, "This key may not send reports.", _CHALLENGE)
    return key


def _media_type(call: Call) -> str:
    if call.content_encoding.strip().lower() not in ("", "identity"):
        raise _Refused(415, f'Unsupported content encoding "{call.content_encoding}" in request.')
    media_type = call.content_type.partition(";")[0].strip().lower()
    if media_type != ARRAY and media_type not in LINES:
        raise _Refused(415, f'Unsupported media type "{media_type}" in request.')
    return media_type


_calls: Counter[int] = Counter()


@contextmanager
def _place(key: keys.Key) -> Iterator[None]:
    """A place among the calls of this process, for as long as the block lasts."""
    if _calls[key.id] >= CALLS_OF_A_KEY:
        raise _refused(429, f"More than {CALLS_OF_A_KEY} calls of this key at once.", retry_after=1)
    if _calls.total() >= CALLS_LIMIT:
        raise _refused(503, "Too many batches are being taken in at once. Please send it again.", retry_after=1)
    _calls[key.id] += 1
    try:
        yield
    finally:
        _calls[key.id] -= 1


async def _take(key: keys.Key, media_type: str, length: int | None, chunks: AsyncIterator[bytes]) -> Answer:
    intake = bulk.Intake(key)

    def so_far(detail: str) -> dict[str, Any]:
        return {"detail": detail, **intake.tally.as_json()}

    try:
        if media_type == ARRAY:
            await bulk.take_array(await _whole(chunks, length), intake)
        else:
            await bulk.take_lines(chunks, intake)
    except bulk.NotAList as fault:
        raise _Refused(400, fault.errors) from None
    except bulk.TooMany as stop:
        raise _Refused(413, so_far(stop.reason)) from None
    except bulk.Exhausted as stop:
        raise _refused(429, so_far(stop.reason), retry_after=stop.retry_after) from None
    except _Slow:
        raise _Refused(408, so_far("The body took too long to arrive.")) from None
    except inbox.Unavailable:
        raise _refused(503, so_far(_AWAY), retry_after=RETRY_AFTER_SECONDS) from None
    return Answer(202, intake.tally.as_json(), {})


async def _whole(chunks: AsyncIterator[bytes], length: int | None) -> bytes:
    body = bytearray()
    if length is None or length <= bulk.ARRAY_LIMIT:
        async for chunk in chunks:
            body += chunk
            if len(body) > bulk.ARRAY_LIMIT:
                break
        else:
            return bytes(body)
    raise _Refused(413, f"The array is larger than {bulk.ARRAY_LIMIT} bytes. NDJSON may be longer.")


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    end = loop.time() + CALL_SECONDS
    more = True
    while more:
        try:
            async with asyncio.timeout_at(min(loop.time() + CHUNK_SECONDS, end)):
                message = await receive()
        except TimeoutError:
            raise _Slow from None
        if message["type"] == "http.disconnect":
            raise Gone
        more = message.get("more_body", False)
        chunk = message.get("body", b"")
        if chunk:
            yield chunk
