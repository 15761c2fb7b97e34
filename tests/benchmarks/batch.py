"""The bulk intake: what an item costs the server and the database.

The load generator shares the machine with the server: CPU says more than items per second. ``run`` needs Django set up
on an empty, migrated database (``python -m tests.benchmarks.site batch`` makes one).
"""

from __future__ import annotations

import http.client
import json
import time
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from statistics import median
from typing import Any
from uuid import uuid4

import psutil
from django.core.management import call_command

from reports.intake import keys
from reports.models import InboxBlock, Region, Service
from tests.benchmarks.intake import _cpu, _database
from tests.benchmarks.server import running_server

ITEMS = 10_000
ROUNDS = 5


def run() -> dict[str, Any]:
    """The figures by name."""
    call_command("load_catalogue", verbosity=0)
    _, token = keys.issue("benchmark", owner="benchmark", now=datetime.now(UTC), rate_per_minute=100_000_000)
    with running_server() as (port, server):
        database = _database()
        figures: dict[str, Any] = {}
        for name, more, as_array in (
            ("lines", False, False),
            ("lines with occurred_at, reporter and network", True, False),
            ("an array", False, True),
        ):
            rounds = [
                _measured(_items(more), port, token, server, database, as_array=as_array) for _ in range(ROUNDS + 1)
            ]
            seconds, server_seconds, database_seconds = (median(column) for column in zip(*rounds[1:], strict=True))
            figures |= {
                f"{name}: items a second": round(ITEMS / seconds),
                f"{name}: items a second of server CPU": round(ITEMS / server_seconds),
                f"{name}: server CPU ms an item": round(1000 * server_seconds / ITEMS, 4),
                f"{name}: database CPU ms an item": round(1000 * database_seconds / ITEMS, 4),
            }
        before = _resident_mb(server)
        for _ in range(10):
            _measured(_items(False), port, token, server, database, as_array=False)
        figures["growth of the server's memory over 100,000 items, MB"] = round(_resident_mb(server) - before, 1)
    stored = sum(InboxBlock.objects.values_list("reports", flat=True))
    if stored != ITEMS * (3 * (ROUNDS + 1) + 10):
        raise RuntimeError("not each item is in the inbox, once")
    return figures


def _items(more: bool) -> list[dict[str, str]]:
    services = cycle(Service.objects.filter(retired_at=None).values_list("slug", flat=True)[:50])
    regions = cycle(Region.objects.values_list("code", flat=True)[:301])
    said = {}
    if more:
        said = {"occurred_at": (datetime.now(UTC) - timedelta(minutes=3)).isoformat(), "network": "AS64500"}
    return [
        {"id": str(uuid4()), "service": service, "region": region, **said, **({"reporter": str(i)} if more else {})}
        for i, service, region in islice(zip(range(ITEMS), services, regions, strict=False), ITEMS)
    ]


def _measured(
    items: list[dict[str, str]],
    port: int,
    token: str,
    server: psutil.Process,
    database: psutil.Process,
    *,
    as_array: bool,
) -> tuple[float, float, float]:
    """Seconds of a call, and the CPU seconds of the server and of the database."""
    body = json.dumps(items) if as_array else "\n".join(map(json.dumps, items))
    media_type = "application/json" if as_array else "application/x-ndjson"
    before, began = (_cpu(server), _cpu(database)), time.monotonic()
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Api-Key {token}", "Content-Type": media_type}
    asked.request("POST", "/api/v1/reports/batch/", body, headers)
    found = json.loads(asked.getresponse().read())
    asked.close()
    if found != {"accepted": ITEMS, "duplicates": 0, "rejected": []}:
        raise RuntimeError(f"not everything was accepted: {str(found)[:200]}")
    return time.monotonic() - began, _cpu(server) - before[0], _cpu(database) - before[1]


def _resident_mb(server: psutil.Process) -> float:
    return sum(one.memory_info().rss for one in (server, *server.children(recursive=True))) / 2**20
