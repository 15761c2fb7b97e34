"""Readers of the pages and of the API: how many a second, what one costs, and what a flood of reports changes.

The load generator shares the machine with the server, so CPU milliseconds a page say more than pages a second.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterable, Iterator
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
        figures |= _api(port, server)
    return figures


def _api(port: int, server: psutil.Process) -> dict[str, Any]:
    """What an answer costs that is kept, known already, or has to be made, beside a view that does nothing."""
    call = "/api/v1/services/whatsapp/"
    known = f"If-None-Match: {_tag(port, call)}\r\n"
    # Another question each time: each has to be made.
    numbers = count(1)
    fresh = (f"/api/v1/services/?limit={1 + n % 1000}&search=wh{n:x}" for n in numbers)
    kinds: dict[str, tuple[Iterator[bytes], int]] = {
        "a view that does nothing": (_pages(["/healthz"]), 200),
        "api: 200, kept": (_pages([call]), 200),
        "api: 304": (_pages([call], known), 304),
        "api: 200, made": (_pages(fresh), 200),
    }
    figures: dict[str, Any] = {}
    for name, (requests, expected) in kinds.items():
        asyncio.run(send(requests, port=port, connections=8, decode=False, seconds=1.0))
        before = _cpu(server)
        load = asyncio.run(send(requests, port=port, connections=CONNECTIONS, decode=False, seconds=SECONDS))
        spent = _cpu(server) - before
        figures |= {
            f"{name}: answers a second": round(load.per_second),
            f"{name}: server CPU ms an answer": round(1000 * spent / len(load.latencies), 3),
            f"{name}: answers other than {expected}": sum(load.statuses.values()) - load.statuses.get(expected, 0),
        }
    return figures


def _tag(port: int, path: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Encoding": "gzip, deflate, br"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        tag: str = answer.headers["ETag"]
        return tag


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


def _pages(paths: Iterable[str], headers: str = "") -> Iterator[bytes]:
    for path in cycle(paths) if isinstance(paths, list) else paths:
        yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{BROWSER}{headers}\r\n".encode()


def _cpu(process: psutil.Process) -> float:
    return sum(
        float(times.user + times.system)
        for times in (one.cpu_times() for one in (process, *process.children(recursive=True)))
    )
