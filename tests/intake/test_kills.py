"""Whatever is killed, at whatever moment: acknowledged = stored = counted, nothing lost and nothing twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest

from reports.intake.drain import drain
from reports.models import DrainBatch, InboxBlock, Report, ReportCount
from tests.benchmarks.load import Load, report_request, send
from tests.conftest import environment_for_children, start_process, stop_process, wait_until
from tests.intake.making import Catalogue

KILLS = 25


class Victims:
    """A forking parent, and one child of it at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.killed = 0

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run_and_kill(self, after: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        child = int(self.line())
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        assert int(self.line()) == -signal.SIGKILL
        self.killed += 1


@contextmanager
def victims(*arguments: str) -> Iterator[Victims]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.intake.victims", *arguments],
        env=environment_for_children(),
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            found = Victims(process)
            assert found.line() == "ready"
            yield found
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def drain_all() -> None:
    def empty() -> bool:
        # A killed drain's transaction lives on until the server has noticed.
        # In several transactions: on a busy machine those that are killed may not finish one.
        drain(now=datetime.now(UTC), max_blocks=100)
        return not InboxBlock.objects.exists()

    wait_until(empty, "the inbox is empty")


def check(acknowledged: set[UUID]) -> None:
    stored = list(Report.objects.values_list("id", "counted"))
    assert len(stored) == len({id for id, _ in stored})
    assert acknowledged <= {id for id, _ in stored}
    # Every report was of another person, so every one counts.
    assert all(counted for _, counted in stored)
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == len(stored)
    assert sum(DrainBatch.objects.values_list("reports", flat=True)) == len(stored)
    assert not InboxBlock.objects.exists()


def test_writers_and_drains_are_killed_under_load(committed: Catalogue, tmp_path: Path):
    log = tmp_path / "acknowledged"
    rolls = random.Random(4)
    with victims("write", str(log)) as writers, victims("drain") as drains:
        killers = [
            Thread(target=lambda one=one, after=after: [one.run_and_kill(t) for t in after])
            for one, after in (
                (writers, [rolls.uniform(0.0, 0.15) for _ in range(KILLS)]),
                (drains, [rolls.uniform(0.0, 0.15) for _ in range(KILLS)]),
            )
        ]
        for killer in killers:
            killer.start()
        for killer in killers:
            killer.join()
        assert writers.killed == drains.killed == KILLS
    drain_all()
    acknowledged = {UUID(line) for line in log.read_text().split("\n") if len(line) == 36}
    assert len(acknowledged) > 10 * KILLS
    assert DrainBatch.objects.count() > 5
    check(acknowledged)


def test_the_server_is_killed_under_load(committed: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Everybody comes from another network, or the guard would set some of them aside.
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws"]
    command += ["--workers", "1", "outagemap.asgi:application"]
    requests = (report_request(number) for number in count())
    acknowledged: set[UUID] = set()
    for _ in range(2):
        server = start_process(command, tmp_path / "granian.log")
        try:
            wait_until(lambda: _answers(port), "the server answers", seconds=30)
            loads: list[Load] = []
            sender = Thread(
                target=lambda loads=loads: loads.append(
                    asyncio.run(send(requests, port=port, connections=32, seconds=1.5))
                )
            )
            sender.start()
            time.sleep(1.0)
            os.killpg(server.pid, signal.SIGKILL)
            sender.join()
        finally:
            stop_process(server)
        acknowledged |= {UUID(answer["id"]) for answer in loads[0].answers}
        assert set(loads[0].statuses) == {202}
        drain(now=datetime.now(UTC))
    drain_all()
    assert len(acknowledged) > 100
    check(acknowledged)


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
