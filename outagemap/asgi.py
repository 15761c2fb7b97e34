"""The ASGI application: `granian --interface asgi outagemap.asgi:application`.

Three kinds of request are told apart before Django sees them: reports, which have a way of their own because they must
stay cheap in the worst hour; a static file; and everything else.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

import django

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "outagemap.settings")
django.setup(set_prefix=False)

from outagemap.handler import Handler  # noqa: E402

django_handler = Handler()
django_app = cast(Application, django_handler)

from django.conf import settings  # noqa: E402
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: E402
from servestatic import ServeStaticASGI  # noqa: E402

from reports.audience import tally  # noqa: E402
from reports.intake import coalescer, origin  # noqa: E402
from reports.intake.batch import batch_app  # noqa: E402
from reports.intake.endpoint import report_app  # noqa: E402
from reports.intake.submission import learn  # noqa: E402

# Here, so that an odd line stops the start, and no report waits for the reading.
origin.lists()

REPORT_PATH = "/api/v1/reports/"
BATCH_PATH = "/api/v1/reports/batch/"


def _add_static_headers(headers: Any, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    # An SVG opened by itself is a document too.
    headers["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY


static_app: Application
if settings.DEBUG:
    static_app = cast(Application, ASGIStaticFilesHandler(django_handler))
else:
    static_app = ServeStaticASGI(
        django_app,
        root=settings.STATIC_ROOT,
        prefix=settings.STATIC_URL,
        max_age=3600,
        add_headers_function=_add_static_headers,
        # A name with a hash in it can be kept for ever: other content gets another name.
        immutable_file_test=r"\.[0-9a-f]{12}\.[^/]+$",
    )


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            # Without holding up the start: what reports need is at hand even if the first of them come when the
            # database is away.
            learning = asyncio.get_running_loop().create_task(learn())
            coalescer.of_this_loop()
        else:
            learning.cancel()
            await coalescer.of_this_loop().close()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _counting(scope: Scope, send: Send) -> Send:
    """The same ``send``, which counts what is answered: one addition in memory."""
    way = None
    if scope["method"] == "POST":
        way = {REPORT_PATH: "api", BATCH_PATH: "batch"}.get(scope["path"])
        if way is None and scope["path"].startswith("/services/") and scope["path"].endswith("/report/"):
            way = "form"

    async def counted(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            tally.answered(message["status"], way)
        await send(message)

    return counted


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI entry point."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] != "http":
        raise ValueError(f"only HTTP is served here, not {scope['type']}")
    else:
        await _app_for(scope["path"])(scope, receive, _counting(scope, send))


def _app_for(path: str) -> Application:
    if path == REPORT_PATH:
        return cast(Application, report_app)
    if path == BATCH_PATH:
        return cast(Application, batch_app)
    return static_app if path.startswith(settings.STATIC_URL) else django_app
