"""Under pressure: slow clients hold nobody up, and reads and reports do not keep each other from being answered."""

from __future__ import annotations

import asyncio
import random
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, cycle
from pathlib import Path
from uuid import uuid4

import pytest

from reports.incidents.watch import watch
from reports.intake import inbox
from reports.intake.coalescer import Coalescer
from reports.intake.drain import drain
from reports.management.commands.up import WEB_LIMITS
from reports.models import InboxBlock, Report
from tests.benchmarks.load import Load, page_request, report_request, send
from tests.browser_fixtures import free_port
from tests.conftest import start_process, stop_process, wait_until
from tests.intake.making import Catalogue
from tests.intake.test_inbox import entry, in_loop
from tests.intake.test_standby import home, refusing, stored

SLOW = 1500
PAGES = ("/", "/services/whatsapp/", "/api/v1/services/")


@pytest.fixture
def port(committed: Catalogue, collected_static: Path, tmp_path: Path) -> Iterator[int]:
    """Where the real server answers, on the test database."""
    port = free_port()
    command = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws", *WEB_LIMITS]
    server: subprocess.Popen[bytes] = start_process([*command, "outagemap.asgi:application"], tmp_path / "granian.log")
    try:
        wait_until(lambda: _answers(port), "the server answers", seconds=60)
        yield port
    finally:
        stop_process(server)


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def tell(what: str, load: Load) -> None:
    print(  # noqa: T201 - the figures are what one runs this for (-s)
        f"{what}: {load.per_second:.0f}/s, p50 {load.percentile(0.5):.0f} ms, p99 {load.percentile(0.99):.0f} ms"
        f" {load.statuses}"
    )


@pytest.mark.alone
def test_clients_that_never_finish_hold_nobody_up(port: int):
    """Slowloris: half a request line, half a header, half a body, or nothing at all, on many connections at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < SLOW + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, SLOW + 500), hard))
    whole = report_request(0)
    beginnings = [
        b"",
        b"POST /api/v1/rep",
        whole[: whole.index(b"Content-Type") + 5],
        whole[:-10],
        b"GET / HTTP/1.1\r\n",
    ]
    rolls = random.Random(3)

    async def slow() -> asyncio.StreamWriter | None:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(rolls.choice(beginnings))
            return writer
        return None

    async def run() -> tuple[int, Load]:
        held = [one for one in await asyncio.gather(*(slow() for _ in range(SLOW))) if one is not None]
        await asyncio.sleep(0.5)
        load = await send((report_request(number) for number in range(1, 201)), port=port, connections=10)
        for one in held:
            one.close()
        return len(held), load

    held, load = asyncio.run(run())
    tell(f"reports beside {held} clients that never finish", load)
    assert held == SLOW
    assert load.statuses == {202: 200}
    assert load.percentile(0.99) < 3000


@pytest.mark.alone
def test_pages_are_answered_while_reports_flood_in_and_reports_while_pages_are_asked_for(port: int):
    pages = [page_request(path) for path in PAGES]

    async def both(readers: int, reporters: int) -> tuple[Load, Load]:
        # Once each, so that what is made once a version is made.
        await send(iter(pages * 2), port=port, connections=1)
        return await asyncio.gather(
            send(cycle(pages), port=port, connections=readers, seconds=4, decode=False),
            send((report_request(number) for number in numbers), port=port, connections=reporters, seconds=4),
        )

    numbers = count(1)
    accepted = 0
    for readers, reporters in ((4, 64), (64, 4)):
        reads, reports = asyncio.run(both(readers, reporters))
        tell(f"pages, {readers} readers beside {reporters} reporters", reads)
        tell(f"reports, {reporters} reporters beside {readers} readers", reports)
        assert set(reads.statuses) == {200}
        assert set(reports.statuses) == {202}
        assert reads.broken == reports.broken == 0
        # A busy test machine is no measure: they are answered within a moment that a person waits.
        assert reads.percentile(0.99) < 5000
        assert reports.percentile(0.99) < 5000
        accepted += len(reports.answers)
    while InboxBlock.objects.filter(drained_at=None).exists():
        drain(now=datetime.now(UTC))
    assert Report.objects.count() == accepted


@pytest.mark.parametrize("held", [False, True])
def test_a_server_whose_clock_is_wrong_loses_and_repeats_nothing(committed: Catalogue, standing_by: object, held: bool):
    """Two web servers, one a day behind or ahead: each report has the day it was told, and the others theirs."""
    now = datetime.now(UTC)
    id = uuid4()
    sent = [entry(person, at=now + timedelta(days=skew)) for person, skew in enumerate((0, -1, 1, 0), start=1)]
    # The same report, sent again to the server whose clock is wrong.
    first, again = (entry(9, at=now + timedelta(days=skew), client_id=id) for skew in (0, 1))
    with refusing() if held else nullcontext():
        for one in (*sent, first, again):
            in_loop(partial(Coalescer.put, entry=one))
    home()
    assert stored() == {one.id for one in (*sent, first)}
    assert Report.objects.filter(counted=True).count() == 5
    days = {inbox.received_at(id).date() for id in Report.objects.values_list("id", flat=True)}
    assert len(days) == 3
    # Detection goes on by its own clock.
    watch(now=now)
    assert watch(now=now + timedelta(minutes=2)).waiting == 0
