"""Readers of the pages: how many a second, what one costs, and what a flood of reports at the same time changes.

The load generator shares the machine with the server, so CPU milliseconds a page say more than pages a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count, cycle
from typing import Any

import psutil
from django.core.management import call_command

from reports import partitions
from tests.benchmarks.load import Load, report_request, send
from tests.benchmarks.server import running_server
from tests.frontend import scene

CONNECTIONS = 32
SECONDS = 5.0
REPORTS_A_SECOND = 300
BROWSER = "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"


def run() -> dict[str, Any]:
    """Pages a second and their cost, in peace and in a flood."""
    call_command("load_catalogue", verbosity=0)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    ref = scene.lay(now)
    partitions.keep(now, 30)
    kinds = {
        "home": ["/"],
        "service": ["/services/whatsapp/"],
        "incident": [f"/incidents/{ref}/"],
        "live part of a service": ["/services/whatsapp/?part=live"],
        "many pages": [f"/services/{slug}/{code}" for slug in SERVICES for code in ("", "GB/", "US-CA/", "DE/")],
    }
    figures: dict[str, Any] = {}
    with running_server() as (port, server):
        for name, paths in kinds.items():
            for flood in (False, True):
                figures |= _read(name, paths, port, server, flood=flood)
    return figures


SERVICES = ("whatsapp", "instagram", "facebook", "telegram", "youtube", "netflix", "gmail", "discord")


def _read(name: str, paths: list[str], port: int, server: psutil.Process, *, flood: bool) -> dict[str, Any]:
    asyncio.run(send(_pages(paths), port=port, connections=8, decode=False, seconds=1.0))
    before = _cpu(server)
    load, reports = asyncio.run(_together(paths, port, flood=flood))
    spent = _cpu(server) - before
    label = f"{name}, {REPORTS_A_SECOND} reports/s" if flood else name
    return {
        f"{label}: pages a second": round(load.per_second),
        f"{label}: p50/p99/longest ms": [round(load.percentile(share), 1) for share in (0.5, 0.99, 1)],
        f"{label}: server CPU ms a page": round(1000 * spent / len(load.latencies), 2),
        f"{label}: answers other than 200": sum(load.statuses.values()) - load.statuses.get(200, 0),
        **({f"{label}: reports accepted a second": round(reports.per_second)} if reports else {}),
    }


async def _together(paths: list[str], port: int, *, flood: bool) -> tuple[Load, Load | None]:
    reading = send(_pages(paths), port=port, connections=CONNECTIONS, decode=False, seconds=SECONDS)
    if not flood:
        return await reading, None
    numbers = count()
    reports = (report_request(next(numbers)) for _ in count())
    flooding = send(
        reports, port=port, connections=16, decode=False, seconds=SECONDS, per_second=float(REPORTS_A_SECOND)
    )
    read, reported = await asyncio.gather(reading, flooding)
    return read, reported


def _pages(paths: list[str]) -> Iterator[bytes]:
    for path in cycle(paths):
        yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{BROWSER}\r\n".encode()


def _cpu(process: psutil.Process) -> float:
    return sum(
        float(times.user + times.system)
        for times in (one.cpu_times() for one in (process, *process.children(recursive=True)))
    )
