"""Django's ASGI handler without the thread hops that a request does not need.

Django tells the beginning and the end of a request to synchronous receivers, each in a thread, so that they may close
database connections: 0.8 ms for a view that has none. Connections belong to the thread that used them, and every
request gets a thread of its own on first use, so that there is nothing to look after at the beginning, and at the end
only where there was such a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Handler(ASGIHandler):
    """``django.core.asgi.get_asgi_application()`` for requests of which most never leave the event loop.

    ``request_started`` is not sent: the only receivers are Django's own, which would find nothing to do.
    """

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request."""
        async with ThreadSensitiveContext() as context:
            try:
                body_file = await self.read_body(receive)
            except RequestAborted:
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
