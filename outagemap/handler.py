"""Django's ASGI handler without the thread hops that a request does not need.

Django tells the beginning and the end of a request to synchronous receivers, each in a thread, so that they may close
database connections: 0.8 ms for a view that has none. Connections belong to the thread that used them, and every
request gets a thread of its own on first use, so that there is nothing to look after at the beginning, and at the end
only where there was such a thread.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

BODY_LIMIT = 64 * 1024
"""Bytes of a body: a form of the site is far below. A form of the admin may be as large as Django reads at all."""
BODY_SECONDS = 10.0
"""So long a body may take to arrive: who sends a head only would else keep a connection for ever."""


class _Refused(Exception):
    """The body is not waited for, or not read. ``args`` are the status and what is said of it."""


class Handler(ASGIHandler):
    """``django.core.asgi.get_asgi_application()`` for requests of which most never leave the event loop.

    ``request_started`` is not sent: the only receivers are Django's own, which would find nothing to do.
    """

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request."""
        async with ThreadSensitiveContext() as context:
            try:
                body_file = await self._body(scope, receive)
            except RequestAborted:
                return
            except _Refused as refusal:
                await _refuse(send, scope["path"], *refusal.args)
                return
            try:
                set_script_prefix(get_script_prefix(scope))
                request, error = self.create_request(scope, body_file)
                if request is not None:
                    await self._close(await self._answered(request, receive, send), context)
                elif error is not None:
                    await self.send_response(error, send)
                    await self._close(error, context)
            finally:
                body_file.close()

    async def _body(self, scope: dict[str, Any], receive: Receive) -> IO[bytes]:
        """The whole body. Raises :class:`_Refused` for one that is too large or too slow."""
        desk = scope["path"].startswith(settings.ADMIN_PREFIX)
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if desk else BODY_LIMIT
        too_large = _Refused(413, f"The body is larger than {limit} bytes.")
        if any(
            name == b"content-length" and value.isdigit() and int(value[:20]) > limit
            for name, value in scope["headers"]
        ):
            raise too_large
        body = tempfile.SpooledTemporaryFile(max_size=BODY_LIMIT)  # noqa: SIM115  # closed with the request
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RequestAborted
                    body.write(message.get("body", b""))
                    if body.tell() > limit:
                        raise too_large
                    more = message.get("more_body", False)
        except BaseException as error:
            body.close()
            if isinstance(error, TimeoutError):
                raise _Refused(408, "The body took too long to arrive.") from None
            raise
        body.seek(0)
        return body

    async def _answered(self, request: HttpRequest, receive: Receive, send: Send) -> HttpResponseBase | None:
        """The response that was sent, or ``None`` where the client left before there was one."""

        async def answer() -> HttpResponseBase:
            response: HttpResponseBase = await self.run_get_response(request)
            # The client may leave while it is being sent: it is to be closed all the same.
            with suppress(asyncio.CancelledError):
                await self.send_response(response, send)
            return response

        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        answering = asyncio.create_task(answer())
        await asyncio.wait((leaving, answering), return_when=asyncio.FIRST_COMPLETED)
        for task in (leaving, answering):
            if not task.done():
                # A view may want to clean up.
                task.cancel()
            with suppress(asyncio.CancelledError, RequestAborted):
                await task
        return None if answering.cancelled() else answering.result()

    async def _close(self, response: HttpResponseBase | None, context: ThreadSensitiveContext) -> None:
        if context not in SyncToAsync.context_to_thread_executor:
            self._finish(response)
        else:
            await sync_to_async(self._finish)(response)

    def _finish(self, response: HttpResponseBase | None) -> None:
        # Closing a response says so to the receivers.
        if response is None:
            signals.request_finished.send(sender=self.__class__)
        else:
            response.close()


async def _refuse(send: Send, path: str, status: int, reason: str) -> None:
    api = path.startswith("/api/")
    content = json.dumps({"detail": reason}).encode() if api else reason.encode()
    headers = [
        (b"content-type", b"application/json" if api else b"text/plain; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        # The rest of it may still be coming.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
