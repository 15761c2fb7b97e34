"""The short form of ``python -m tests.intake.faults``: every program is killed or stopped once, under load."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import wait_until
from tests.intake.faults import BROKER, DATABASE, Crowd, Faults, balance, running_site, settle


def test_whatever_is_killed_or_stopped_acknowledged_is_stored_is_counted(collected_static: Path):
    with running_site(collected_static) as site:
        crowd = Crowd(site.port, clients=20, per_second=80, seed=4)
        faults = Faults(site, seed=4, stop_seconds=(3.0, 4.0))
        crowd.start()
        try:
            time.sleep(1.5)
            faults.stop(DATABASE, meanwhile=["worker-drain"])
            time.sleep(2)
            for role in (BROKER, "worker-watch", DATABASE, "web", "beat"):
                faults.kill(role)
                time.sleep(1)
            faults.stop(DATABASE, BROKER)
            time.sleep(1.5)
        finally:
            crowd.end()
        settle(site)
        outcome = balance(site, crowd, faults.done)
    assert outcome.wrong == ()
    assert sum(outcome.kills.values()) == 6
    assert outcome.stops == {DATABASE: 2, BROKER: 1}
    assert outcome.acknowledged > 400
    # The first outage, in which the broker stood by.
    seconds, _also = outcome.first_202_seconds[0]
    assert seconds < 3
    assert outcome.stored == outcome.counted == outcome.in_counts


@pytest.mark.slow
def test_a_web_server_that_starts_while_the_database_has_stopped_accepts_reports(collected_static: Path):
    with running_site(collected_static) as site:
        faults = Faults(site, seed=5)
        database = faults._family(DATABASE)
        before = site.children()["web"].pid
        for process in database:
            process.suspend()
        crowd = Crowd(site.port, clients=5, per_second=20, seed=5)
        try:
            faults.kill("web")
            wait_until(lambda: site.children().get("web", psutil.Process()).pid != before, "a new one", seconds=20)
            wait_until(site.answers, "it answers", seconds=20)
            crowd.start()
            wait_until(lambda: len(crowd.sent.acknowledged) > 100, "reports are acknowledged", seconds=30)
            assert all(process.status() == psutil.STATUS_STOPPED for process in database)
        finally:
            for process in database:
                process.resume()
            crowd.end()
        settle(site)
        outcome = balance(site, crowd, faults.done)
    assert outcome.wrong == ()
