"""Day partitions: made once, however many want them at once; dropped past retention."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from reports import partitions
from reports.intake.inbox import report_id
from reports.models import AcceptedId, DrainBatch, Report

DAY = date(2020, 2, 28)
NOW = datetime(2020, 2, 28, 12, tzinfo=UTC)


@pytest.fixture
def none_yet(db: None) -> None:
    for name in partitions._existing():
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {name}")


@pytest.fixture
def none_committed(transactional_db: None) -> Iterator[None]:
    partitions.drop_before(date(2200, 1, 1))
    yield
    partitions.drop_before(date(2200, 1, 1))


def existing() -> list[str]:
    return sorted(name.removeprefix("reports_report_") for name in partitions._existing())


def store(at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reports_report (id, received_at, service_id, region_id, kind, person, network, counted)"
            " VALUES (%s, %s, 1, 1, 0, 1, 1, true)",
            [report_id(at), at],
        )


@given(st.dates(date(1970, 1, 2), date(2500, 1, 1)), st.timedeltas(timedelta(), timedelta(days=1, microseconds=-1)))
def test_every_instant_of_a_day_lies_between_its_bounds(day: date, into: timedelta):
    id = report_id(datetime(day.year, day.month, day.day, tzinfo=UTC) + into)
    assert partitions.lowest_id(day) <= id < partitions.lowest_id(day + timedelta(days=1))


@given(st.datetimes(datetime(1970, 1, 2), datetime(2500, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_no_id_of_an_instant_is_below_its_lowest_and_none_from_before_above_it(at: datetime):
    assert partitions.lowest_id(at) <= report_id(at)
    assert report_id(at - timedelta(milliseconds=1)) < partitions.lowest_id(at)


def test_the_days_asked_for_are_made_and_a_second_time_nothing(none_yet: None):
    assert partitions.ensure(DAY, DAY + timedelta(days=2)) == [DAY, date(2020, 2, 29), date(2020, 3, 1)]
    assert partitions.ensure(DAY, DAY + timedelta(days=3)) == [date(2020, 3, 2)]
    assert partitions.ensure(DAY, DAY + timedelta(days=3)) == []
    assert existing() == ["20200228", "20200229", "20200301", "20200302"]


def test_reports_find_their_day(none_yet: None):
    partitions.ensure(DAY, DAY + timedelta(days=1))
    midnight = datetime(2020, 2, 29, tzinfo=UTC)
    for at in (midnight - timedelta(milliseconds=1), midnight, midnight + timedelta(hours=23, minutes=59)):
        store(at)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM reports_report GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [("reports_report_20200228", 1), ("reports_report_20200229", 2)]


def test_the_same_id_cannot_be_stored_twice(none_yet: None):
    from django.db import IntegrityError

    partitions.ensure(DAY, DAY)
    store(NOW)
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("INSERT INTO reports_report SELECT * FROM reports_report")


def test_many_makers_at_once_make_each_day_once(none_committed: None):
    together, made = Barrier(5), []

    def make() -> None:
        together.wait()
        made.extend(partitions.ensure(DAY, DAY + timedelta(days=3)))
        connection.close()

    threads = [Thread(target=make) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [DAY + timedelta(days=i) for i in range(4)]


def test_old_days_are_dropped_with_their_reports_and_later_ones_kept(none_committed: None):
    partitions.ensure(DAY, DAY + timedelta(days=3))
    for days in range(4):
        store(NOW + timedelta(days=days))
    assert partitions.drop_before(DAY + timedelta(days=2)) == ["reports_report_20200228", "reports_report_20200229"]
    assert partitions.drop_before(DAY + timedelta(days=2)) == []
    assert Report.objects.count() == 2


def test_keeping_makes_the_days_ahead_and_drops_those_past_retention(none_committed: None):
    partitions.ensure(DAY - timedelta(days=9), DAY - timedelta(days=5))
    for _ in range(2):
        partitions.keep(NOW, 7)
        assert existing() == [f"{DAY + timedelta(days=i):%Y%m%d}" for i in (-7, -6, -5, -1, 0, 1, 2, 3)]


def test_keeping_sweeps_what_nobody_asks_for_again(none_yet: None):
    for days in (1, 1.9, 2.1, 30):
        AcceptedId.objects.create(
            client_id=uuid4(),
            report_id=uuid4(),
            service_id=1,
            region_id=1,
            kind=0,
            received_at=NOW - timedelta(days=days),
        )
    for days in (6, 8):
        at = NOW - timedelta(days=days)
        DrainBatch.objects.create(drained_at=at, blocks=1, reports=1, counted=1, oldest_minute=at, newest_minute=at)
    for _ in range(2):
        partitions.keep(NOW, 30)
        assert AcceptedId.objects.count() == 2
        assert DrainBatch.objects.count() == 1
