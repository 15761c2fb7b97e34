"""Counts: what is written is what is read, in every shape that somebody asks for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction

from reports import binary, counts
from reports.clock import minute_of
from reports.counts import Additions
from reports.models import ReportCount

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
FIRST = minute_of(NOON)

# minute after noon, service, region, kind, problem, reports, networks
ROWS = [
    (0, 1, 10, 0, 0, 5, 3),
    (0, 1, 10, 0, 7, 2, 1),
    (0, 1, 10, 1, 0, 4, 4),
    (0, 1, 11, 0, 0, 1, 1),
    (1, 2, 10, 1, 0, 6, 2),
    (1, 1, 10, 0, 7, 8, 0),
    (59, 1, 10, 0, 0, 9, 9),
    (60, 1, 10, 0, 8, 3, 3),
]


def additions(rows: Sequence[tuple[int, ...]] = ROWS) -> Additions:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 7).T
    # Half of the networks of a cell had reported the service elsewhere before.
    return Additions(*(columns[0] + FIRST, *columns[1:], columns[6] // 2))


def add(rows: Sequence[tuple[int, ...]] = ROWS) -> None:
    with transaction.atomic(), binary.reading() as cursor:
        counts.add(cursor, additions(rows))


def table(found: Any) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in vars(found).values()), strict=True))


@pytest.fixture
def stored(db: None) -> None:
    add()


def test_what_is_added_is_in_the_table(stored: None):
    found = ReportCount.objects.values_list(
        "minute", "service_id", "region_id", "kind", "problem_key", "reports", "networks"
    )
    assert sorted((int((minute - NOON).total_seconds() // 60), *rest) for minute, *rest in found) == sorted(ROWS)


def test_adding_again_adds(stored: None):
    add()
    add([(0, 1, 10, 0, 0, 1, 0), (500, 1, 10, 0, 0, 1, 0)])
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == 2 * sum(row[5] for row in ROWS) + 2
    assert ReportCount.objects.count() == len(ROWS) + 1


def test_new_minutes_and_known_ones_are_added_to_at_once_whatever_their_order(stored: None):
    rows = [(61, 1, 10, 0, 0, 2, 1), (0, 1, 10, 0, 0, 7, 0), (60, 3, 10, 0, 0, 1, 1), (30, 1, 10, 0, 0, 4, 2)]
    add(rows)
    add(rows)
    found = {
        (int((minute - NOON).total_seconds() // 60), service): (reports, networks)
        for minute, service, reports, networks in ReportCount.objects.filter(
            region=10, kind=0, problem_key=0
        ).values_list("minute", "service_id", "reports", "networks")
    }
    assert found == {(0, 1): (19, 3), (30, 1): (8, 4), (59, 1): (9, 9), (60, 3): (2, 2), (61, 1): (4, 2)}


def test_adding_nothing_is_nothing(db: None):
    add([])
    assert not ReportCount.objects.exists()


def test_the_database_refuses_more_networks_than_reports(db: None):
    with pytest.raises(IntegrityError):
        add([(0, 1, 10, 0, 0, 1, 2)])


def test_minutes_are_grouped_by_cell_sorted_and_half_open(stored: None):
    found = counts.minutes(FIRST, FIRST + 60)
    assert [(minute - FIRST, *rest) for minute, *rest in table(found)] == [
        (0, 1, 10, 7, 4, 4, 1, 4),
        (0, 1, 11, 1, 0, 1, 0, 0),
        (1, 1, 10, 8, 0, 0, 0, 0),
        (1, 2, 10, 0, 6, 0, 0, 2),
        (59, 1, 10, 9, 0, 9, 4, 0),
    ]
    assert all(column.dtype == np.int64 for column in vars(found).values())
    assert table(counts.minutes(FIRST + 2, FIRST + 59)) == []


def test_the_minutes_of_one_service_are_its_own(stored: None):
    found = counts.region_minutes(2, start=NOON, end=NOON + timedelta(hours=2))
    assert table(found) == [(FIRST + 1, 2, 10, 0, 6, 0, 0, 2)]


def test_a_series_has_an_element_for_each_step(stored: None):
    reports, working = counts.series(
        1, [10, 11], start=NOON, end=NOON + timedelta(minutes=61), step=timedelta(minutes=30)
    )
    assert reports.tolist() == [16, 9, 3]
    assert working.tolist() == [4, 0, 0]
    reports, working = counts.series(
        1, [11], start=NOON - timedelta(minutes=1), end=NOON + timedelta(minutes=2), step=timedelta(minutes=1)
    )
    assert reports.tolist() == [0, 1, 0]


def test_a_series_of_nothing_is_zeros(stored: None):
    reports, working = counts.series(1, [], start=NOON, end=NOON + timedelta(minutes=3), step=timedelta(minutes=1))
    assert reports.tolist() == working.tolist() == [0, 0, 0]
    reports, _ = counts.series(1, [10], start=NOON, end=NOON, step=timedelta(minutes=1))
    assert reports.tolist() == []


@pytest.mark.parametrize("step", [timedelta(), timedelta(seconds=30), timedelta(seconds=90), -timedelta(minutes=1)])
def test_a_step_is_whole_minutes(step: timedelta):
    with pytest.raises(ValueError, match="step: expected a positive whole number of minutes"):
        counts.series(1, [10], start=NOON, end=NOON + timedelta(hours=1), step=step)


def test_totals_are_by_service_or_by_cell(stored: None):
    hour: dict[str, Any] = {"start": NOON, "end": NOON + timedelta(hours=1)}
    assert table(counts.totals(**hour)) == [(1, 0, 25, 4, 14), (2, 0, 0, 6, 0)]
    assert table(counts.totals([1], [10], **hour)) == [(1, 0, 24, 4, 13)]
    assert table(counts.totals(by_region=True, **hour)) == [
        (1, 10, 24, 4, 13),
        (1, 11, 1, 0, 1),
        (2, 10, 0, 6, 0),
    ]
    assert table(counts.totals([], **hour)) == table(counts.totals([1], [], **hour)) == []


def test_several_windows_are_summed_at_once(stored: None):
    found = counts.windows([1, 2, 1], starts=[NOON] * 3, ends=[NOON + timedelta(minutes=n) for n in (1, 60, 61)])
    assert sorted(table(found)) == [(0, 10, 7, 4), (0, 11, 1, 0), (1, 10, 0, 6), (2, 10, 27, 4), (2, 11, 1, 0)]


def test_problems_are_counted_the_commonest_first(stored: None):
    day: dict[str, Any] = {"start": NOON, "end": NOON + timedelta(days=1)}
    assert list(counts.by_problem(1, **day).items()) == [(None, 15), (7, 10), (8, 3)]
    assert counts.by_problem(1, [11], **day) == {None: 1}
    assert counts.by_problem(2, **day) == {}


def test_half_hours_are_numbered_from_the_beginning_asked_for(stored: None):
    found = counts.half_hours(NOON - timedelta(minutes=30), NOON + timedelta(hours=2))
    assert table(found) == [(1, 10, 1, 15), (1, 10, 2, 9), (1, 10, 3, 3), (1, 11, 1, 1)]
    assert table(counts.half_hours(NOON, NOON)) == []


def test_the_earliest_minute_is_known(stored: None):
    assert counts.earliest() == NOON
    ReportCount.objects.all().delete()
    assert counts.earliest() is None


def test_history_is_copied_as_it_is(db: None):
    counts.copy_history([additions()])
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == sum(row[5] for row in ROWS)
    with pytest.raises(IntegrityError), transaction.atomic():
        counts.copy_history([additions(ROWS[:1])])
    # And what comes after it adds to it.
    add()
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == 2 * sum(row[5] for row in ROWS)


@pytest.mark.alone
def test_a_long_history_is_copied_and_read_quickly(db: None):
    size = 200_000
    numbers = np.arange(size, dtype=np.int64)
    ones = np.ones(size, dtype=np.int64)
    rows = Additions(FIRST + numbers // 100, numbers % 100, ones * 7, ones * 0, ones * 0, ones * 2, ones, ones)
    began = time.monotonic()
    counts.copy_history([rows])
    found = counts.minutes(FIRST, FIRST + size)
    assert len(found.minute) == size
    assert found.reports.sum() == 2 * size
    # 0.6 s on two idle cores; the bound leaves room for a busy machine and none for a loop over rows.
    assert time.monotonic() - began < 10


# --- The binary format -----------------------------------------------------------------------------------------------


def test_numbers_survive_the_way_there_and_back(db: None):
    values = np.array([-(2**63), -1, 0, 1, 2**63 - 1], dtype=np.int64)
    with binary.reading() as cursor:
        cursor.execute("SELECT * FROM unnest(%s)", [binary.BigintArray(values)])
        assert [value for (value,) in cursor.fetchall()] == values.tolist()
        (found,) = binary.fetch(cursor, "SELECT unnest(%s)", [binary.BigintArray(values)], columns=1)
        assert found.tolist() == values.tolist()
        (found,) = binary.fetch(cursor, "SELECT unnest(%s)", [binary.BigintArray(values[:0])], columns=1)
        assert found.tolist() == []


def test_every_type_of_column_is_written_as_it_is(db: None):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE kinds (a uuid, b bigint, c integer, d smallint, e boolean, f timestamptz, g text,"
            " h text, i integer) ON COMMIT DROP"
        )
    columns: list[Any] = [
        ("a", "uuid", np.array([b"\x01" * 16, bytes(16)], dtype="V16")),
        ("b", "bigint", np.array([-5, 2**40])),
        ("c", "integer", np.array([-6, 6])),
        ("d", "smallint", np.array([-7, 7])),
        ("e", "boolean", np.array([True, False])),
        ("f", "timestamptz", np.array([0, 1_772_625_600_000_001])),
        ("g", "text:wörd", None),
        ("h", "text:", None),
        ("i", "null", None),
    ]
    with binary.reading() as cursor:
        binary.copy_in(cursor, "kinds", columns, rows=2)
        none = [(name, kind, None if values is None else values[:0]) for name, kind, values in columns]
        binary.copy_in(cursor, "kinds", none, rows=0)
        found = cursor.execute("SELECT * FROM kinds ORDER BY b").fetchall()
    assert [str(row[0])[:8] for row in found] == ["01010101", "00000000"]
    assert [row[1:5] for row in found] == [(-5, -6, -7, True), (2**40, 6, 7, False)]
    assert [row[5] for row in found] == [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 4, 12, 0, 0, 1, tzinfo=UTC),
    ]
    assert [row[6:] for row in found] == [("wörd", "", None)] * 2


def test_rows_of_another_shape_are_refused(db: None):
    with binary.reading() as cursor, pytest.raises(ValueError, match="expected 2 columns"):
        binary.fetch(cursor, "SELECT 1::bigint, 2::integer", [], columns=2)
