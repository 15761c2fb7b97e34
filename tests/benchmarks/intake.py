"""The intake: what an accepted report costs beside an empty view, a plain endpoint and the broker alone; the drain.

``run`` needs Django set up on an empty, migrated database (``python -m tests.benchmarks.site intake`` makes one); it
leaves its rows there. The load generator shares the machine with the server, so ratios and CPU milliseconds say more
than requests per second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median
from typing import Any

import numpy as np
import psutil
from django.core.management import call_command
from django.db import connection, transaction

from reports import binary, partitions
from reports.intake import inbox
from reports.intake.drain import _Batch, _copy_reports, drain
from reports.intake.guard import Pseudonyms
from reports.models import InboxBlock, Region, Report, Service
from tests.benchmarks import broker
from tests.benchmarks.load import Load, page_request, report_request, send
from tests.benchmarks.server import running_server

CONNECTIONS = 64
SECONDS = 4.0
ROUNDS = 3
SHARES = (0.5, 0.9, 0.99, 0.999)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def run() -> dict[str, Any]:
    """The figures by name."""
    call_command("load_catalogue", verbosity=0)
    return _over_http() | broker.limits() | _drained("widely", wide=True) | _drained("in an outage", wide=False)


# --- Over HTTP -------------------------------------------------------------------------------------------------------


def _over_http() -> dict[str, Any]:
    numbers = count()
    reports = (report_request(next(numbers)) for _ in count())
    views = (page_request("/healthz") for _ in count())
    accepted: list[tuple[Load, float, float]] = []
    empty: list[tuple[Load, float, float]] = []
    before = sum(InboxBlock.objects.values_list("reports", flat=True))
    with running_server() as (port, server):
        database = _database()
        for requests in (reports, views):
            _measured(requests, port, server, database, seconds=1.0)
        # In turn, so that a busy minute of the machine falls on both.
        for _ in range(ROUNDS):
            accepted.append(_measured(reports, port, server, database, seconds=SECONDS))
            empty.append(_measured(views, port, server, database, seconds=SECONDS))
        half = _measured(reports, port, server, database, seconds=SECONDS, per_second=_rate(accepted) / 2)
    # The product's drain would make it.
    partitions.ensure(datetime.now(UTC).date(), datetime.now(UTC).date() + timedelta(days=1))
    with running_server("wsgi", "tests.benchmarks.plain:application") as (port, server):
        _measured(reports, port, server, database, seconds=1.0)
        plain = _measured(reports, port, server, database, seconds=SECONDS)
    if set(plain[0].statuses) != {202}:
        raise RuntimeError(f"the plain endpoint answered {plain[0].statuses}")
    stored = sum(InboxBlock.objects.values_list("reports", flat=True)) - before
    blocks = InboxBlock.objects.count()
    if stored < sum(load.statuses.get(202, 0) for load, _, _ in accepted):
        raise RuntimeError("fewer reports in the inbox than were acknowledged")
    report_ms, view_ms = (median(ms for _, ms, _ in rounds) for rounds in (accepted, empty))
    report_rate, view_rate = _rate(accepted), _rate(empty)
    return {
        "server CPU ms per accepted report": round(report_ms, 3),
        "server CPU ms per empty Django view": round(view_ms, 3),
        "CPU of a report / CPU of an empty view": round(report_ms / view_ms, 2),
        "database CPU ms per accepted report": round(median(ms for _, _, ms in accepted), 3),
        "accepted reports a second": round(report_rate),
        "empty views a second": round(view_rate),
        "reports a second / empty views a second": round(report_rate / view_rate, 2),
        "plain DRF + ORM endpoint, reports a second": round(plain[0].per_second),
        "plain DRF + ORM endpoint, server CPU ms": round(plain[1], 3),
        "plain DRF + ORM endpoint, database CPU ms": round(plain[2], 3),
        "reports a second / those of the plain endpoint": round(report_rate / plain[0].per_second, 1),
        **{
            f"p{100 * share:g} ms of a report at saturation": round(
                median(load.percentile(share) for load, _, _ in accepted), 1
            )
            for share in SHARES
        },
        **{f"p{100 * share:g} ms of a report at half load": round(half[0].percentile(share), 1) for share in SHARES},
        "reports a second at half load": round(half[0].per_second),
        "reports in a block": round(stored / blocks, 1),
        "answers other than expected": sum(
            sum(load.statuses.values()) - load.statuses.get(expected, 0)
            for rounds, expected in (([*accepted, half, plain], 202), (empty, 200))
            for load, _, _ in rounds
        ),
    }


def _rate(rounds: list[tuple[Load, float, float]]) -> float:
    return median(load.per_second for load, _, _ in rounds)


def _measured(
    requests: Iterator[bytes],
    port: int,
    server: psutil.Process,
    database: psutil.Process,
    *,
    seconds: float,
    per_second: float | None = None,
) -> tuple[Load, float, float]:
    """A load, and the CPU milliseconds of the server and of the database for each of its answers."""
    before = _cpu(server), _cpu(database)
    load = asyncio.run(
        send(requests, port=port, connections=CONNECTIONS, decode=False, seconds=seconds, per_second=per_second)
    )
    spent = _cpu(server) - before[0], _cpu(database) - before[1]
    return load, 1000 * spent[0] / len(load.latencies), 1000 * spent[1] / len(load.latencies)


def _cpu(process: psutil.Process) -> float:
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += float(times.user + times.system)
    return total


def _database() -> psutil.Process:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    # The embedded one: its postmaster is the parent of our backend.
    return psutil.Process(psutil.Process(backend).ppid())


# --- The drain -------------------------------------------------------------------------------------------------------


def _drained(name: str, *, wide: bool, reports: int = 200_000, block: int = 500) -> dict[str, Any]:
    """Rows a second with every rule on, beside a bare COPY of the same rows."""
    InboxBlock.objects.all().delete()
    random = np.random.default_rng(7)
    services = np.array(Service.objects.values_list("id", flat=True))
    regions = np.array(Region.objects.values_list("id", flat=True))
    if not wide:
        services, regions = services[:3], regions[:300]
    service, region = random.choice(services, reports).tolist(), random.choice(regions, reports).tolist()
    person = random.integers(1, 2**62, reports).tolist()
    network = random.integers(1, 50_000, reports).tolist()
    entries = [
        inbox.Entry(
            inbox.report_id(NOON + timedelta(milliseconds=i * 600_000 / reports)),
            service[i],
            region[i],
            0,
            None,
            Pseudonyms(person[i], network[i]),
        )
        for i in range(reports)
    ]
    InboxBlock.objects.bulk_create(
        InboxBlock(
            id=entries[i].id,
            reports=len(entries[i : i + block]),
            block=inbox.pack(entries[i : i + block]),
            written_at=inbox.received_at(entries[i].id),
        )
        for i in range(0, reports, block)
    )
    partitions.ensure(NOON.date(), NOON.date())
    bare = _bare_copy(entries)
    began, cpu = time.perf_counter(), _drain_cpu()
    moved = 0
    while (result := drain(now=NOON)).blocks:
        moved += result.reports
    seconds, cpu = time.perf_counter() - began, _drain_cpu() - cpu
    if moved != reports:
        raise RuntimeError(f"{moved} of {reports} reports were drained")
    stored = Report.objects.filter(id__in=[entry.id for entry in entries[:10]]).count()
    if stored != 10:
        raise RuntimeError("the reports are not in the table")
    return {
        f"drain, reports spread {name}, rows a second": round(reports / seconds),
        f"drain, reports spread {name}, rows a CPU second": round(reports / cpu),
        f"bare COPY of the same rows, {name}, rows a second": round(reports / bare),
    }


def _drain_cpu() -> float:
    """CPU seconds of this process and of its database session so far: what one core would need on an idle machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    times = psutil.Process(backend).cpu_times()
    return time.process_time() + float(times.user + times.system)


def _bare_copy(entries: list[inbox.Entry]) -> float:
    batch = _Batch.of(inbox.unpack(inbox.pack(entries)))
    rows = np.arange(len(entries))
    with transaction.atomic(), binary.reading() as cursor:
        began = time.perf_counter()
        _copy_reports(cursor, NOON.date(), batch, rows, has_problem=False, reason="")
        took = time.perf_counter() - began
        transaction.set_rollback(True)
    return took
