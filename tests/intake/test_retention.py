"""The inbox against retention: no missing or dropped day loses a report or keeps one for ever."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.db.models import Sum

from reports import partitions
from reports.intake.drain import drain
from reports.intake.submission import submit
from reports.models import InboxBlock, Report, ReportCount
from tests.conftest import environment_for_children
from tests.intake.making import Catalogue

MIDNIGHT = datetime(2026, 3, 15, tzinfo=UTC)
RETENTION = 30


@pytest.fixture
def none_left(committed: Catalogue) -> None:
    partitions.drop_before(datetime(2200, 1, 1, tzinfo=UTC).date())


def report(at: datetime, address: str = "192.0.2.1") -> None:
    submit({"service": "whatsapp", "region": "GB-ENG"}, address=address, received_at=at)


def counted() -> int:
    return ReportCount.objects.aggregate(total=Sum("reports"))["total"] or 0


def test_the_turn_of_a_day_without_its_partition_loses_nothing(none_left: None):
    # Whoever was to make the partitions has been away for days.
    report(MIDNIGHT - timedelta(milliseconds=1), "192.0.2.1")
    report(MIDNIGHT, "192.0.2.2")
    report(MIDNIGHT + timedelta(days=1, milliseconds=-1), "192.0.2.3")
    drain(now=MIDNIGHT + timedelta(days=1))
    assert (Report.objects.count(), counted(), InboxBlock.objects.count()) == (3, 3, 0)
    assert sorted(partitions._existing()) == ["reports_report_20260314", "reports_report_20260315"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM reports_report_20260315")
        assert cursor.fetchone() == (2,)


def test_what_comes_for_a_day_that_retention_has_dropped_is_counted_and_its_report_goes_again(none_left: None):
    old = MIDNIGHT - timedelta(days=RETENTION + 5)
    report(old)
    drain(now=MIDNIGHT)
    assert counted() == 1
    for _ in range(2):
        partitions.keep(MIDNIGHT, RETENTION)
        assert not Report.objects.exists()
        assert partitions.name_of(old.date()) not in partitions._existing()
    # The count stays, and what follows for the same day adds to it.
    report(old + timedelta(hours=2))
    drain(now=MIDNIGHT)
    partitions.keep(MIDNIGHT, RETENTION)
    assert counted() == 2
    assert not Report.objects.exists()


def test_dropping_waits_for_a_drain_at_work_and_then_takes_the_day(none_left: None):
    old = MIDNIGHT - timedelta(days=RETENTION + 5)
    report(old)
    drain(now=MIDNIGHT)
    dropped: list[str] = []

    def drop() -> None:
        dropped.extend(partitions.drop_before((MIDNIGHT - timedelta(days=RETENTION)).date()))
        connection.close()

    with psycopg.connect(environment_for_children()["DATABASE_URL"]) as at_work:
        # What the drain's COPY holds until it commits.
        at_work.execute(f"LOCK TABLE {partitions.name_of(old.date())} IN ROW EXCLUSIVE MODE")
        thread = Thread(target=drop)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(10)
    assert dropped == [partitions.name_of(old.date())]
    assert counted() == 1


def test_a_drop_that_would_make_readers_wait_too_long_gives_up_and_comes_again(none_left: None, monkeypatch: Any):
    monkeypatch.setattr(partitions, "LOCK_SECONDS", 0.2)
    old = MIDNIGHT - timedelta(days=RETENTION + 5)
    report(old)
    drain(now=MIDNIGHT)
    with psycopg.connect(environment_for_children()["DATABASE_URL"]) as reader:
        reader.execute("SELECT count(*) FROM reports_report")
        with pytest.raises(OperationalError):
            partitions.keep(MIDNIGHT, RETENTION)
        # What is ahead was made all the same.
        assert partitions.name_of((MIDNIGHT + partitions.AHEAD).date()) in partitions._existing()
    partitions.keep(MIDNIGHT, RETENTION)
    assert partitions.name_of(old.date()) not in partitions._existing()


def test_drains_and_drops_at_the_same_time_count_each_report_once(none_left: None):
    old = MIDNIGHT - timedelta(days=RETENTION + 5)
    done = False

    def dropping() -> None:
        while not done:
            with suppress(OperationalError):
                partitions.keep(MIDNIGHT, RETENTION)
        connection.close()

    thread = Thread(target=dropping)
    thread.start()
    try:
        for i in range(40):
            # At no steady pace, which the guard would take for a machine's.
            report(old + timedelta(seconds=i * i), f"198.51.{i}.1")
            # Its day was dropped between its making and its use: nothing is moved, and the next run does it.
            with suppress(OperationalError, ProgrammingError):
                drain(now=MIDNIGHT)
    finally:
        done = True
        thread.join()
    while drain(now=MIDNIGHT).blocks:
        pass
    assert (counted(), InboxBlock.objects.count()) == (40, 0)
    partitions.keep(MIDNIGHT, RETENTION)
    assert not Report.objects.exists()
    assert counted() == 40
