"""The broker's own limit: the smallest durable write of a report to it, by itself, one at a time and pipelined."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psutil
import redis
from django.conf import settings

CONNECTIONS = 64
SECONDS = 2.0
PIPELINED = 500
# What a report takes in a block of the inbox.
_REPORT = b"x" * 61


def limits() -> dict[str, Any]:
    """Writes a second and CPU microseconds of the broker for each, for ``XADD`` and ``SET``, pipelined and not."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    server = psutil.Process(int(client.info("server")["process_id"]))  # type: ignore[index]
    figures: dict[str, Any] = {}
    for name, command in (
        ("XADD", _command(b"XADD", b"outagemap:bench", b"*", b"b", _REPORT)),
        ("SET", _command(b"SET", b"outagemap:bench:one", _REPORT)),
    ):
        for how, times in (("", 1), (", pipelined", PIPELINED)):
            before = server.cpu_times()
            done, seconds = asyncio.run(_written(command, times))
            after = server.cpu_times()
            spent = after.user + after.system - before.user - before.system
            figures[f"broker alone, {name}{how}, writes a second"] = round(done / seconds)
            figures[f"broker alone, {name}{how}, CPU µs of the broker for each"] = round(1e6 * spent / done, 2)
            client.delete("outagemap:bench", "outagemap:bench:one")
    client.close()
    return figures


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def _written(command: bytes, times: int) -> tuple[int, float]:
    began = time.perf_counter()
    done = 0
    # The answer to XADD is a bulk string, of two lines; to SET one line.
    lines = times * (2 if command.startswith(b"*5") else 1)

    async def one_client() -> None:
        nonlocal done
        address = settings.REDIS_URL.removeprefix("unix://").partition("?")[0]
        if settings.REDIS_URL.startswith("unix://"):
            reader, writer = await asyncio.open_unix_connection(address)
        else:
            host, _, port = address.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")
            reader, writer = await asyncio.open_connection(host, int(port or 6379))
        request = command * times
        while time.perf_counter() < began + SECONDS:
            writer.write(request)
            waited = 0
            while waited < lines:
                waited += (await reader.read(1 << 16)).count(b"\n")
            done += times
        writer.close()

    await asyncio.gather(*(one_client() for _ in range(CONNECTIONS)))
    return done, time.perf_counter() - began
