"""The drain: exactly once, by the counting rule, whatever stands in the inbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.intake.drain import DrainResult, drain
from reports.intake.guard import COUNTING_WINDOW
from reports.intake.submission import Accepted, submit
from reports.intake.weighing import _first_in_window
from reports.models import DrainBatch, InboxBlock, Report, ReportCount, Seen
from tests.intake.making import Catalogue

NOON = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)


def report(
    region: str = "GB-ENG",
    *,
    at: datetime = NOON,
    address: str = "192.0.2.1",
    service: str = "whatsapp",
    client: str = "",
    **more: str,
) -> Accepted:
    return submit({"service": service, "region": region, **more}, address=address, received_at=at, client=client)


def counted() -> int:
    return sum(ReportCount.objects.values_list("reports", flat=True))


def test_a_report_becomes_one_row_and_one_count(known: Catalogue):
    accepted = report(problem="messages")
    assert drain(now=NOON) == DrainResult(blocks=1, reports=1, counted=1)
    stored = Report.objects.get()
    assert stored.id == accepted.id
    assert stored.received_at == accepted.received_at == NOON
    assert (stored.service_id, stored.region_id, stored.problem_id) == (
        known.whatsapp.id,
        known.england.id,
        known.messages.id,
    )
    assert (stored.kind, stored.counted, stored.reason) == (0, True, "")
    count = ReportCount.objects.get()
    assert count.minute == NOON.replace(second=0)
    assert (count.service_id, count.region_id, count.kind, count.problem_key) == (
        known.whatsapp.id,
        known.england.id,
        0,
        known.messages.id,
    )
    assert (count.reports, count.networks) == (1, 1)
    batch = DrainBatch.objects.get()
    assert (batch.drained_at, batch.blocks, batch.reports, batch.counted) == (NOON, 1, 1, 1)
    assert batch.oldest_minute == batch.newest_minute == NOON.replace(second=0)


def test_draining_twice_changes_nothing(known: Catalogue):
    report()
    report(kind="working", address="192.0.2.2")
    drain(now=NOON)
    before = (list(Report.objects.values()), list(ReportCount.objects.values()), list(DrainBatch.objects.values()))
    assert drain(now=NOON) == DrainResult(0, 0, 0)
    assert before == (
        list(Report.objects.values()),
        list(ReportCount.objects.values()),
        list(DrainBatch.objects.values()),
    )
    assert not InboxBlock.objects.exists()


def test_down_and_working_are_counted_apart(known: Catalogue):
    report()
    report(kind="working")
    drain(now=NOON)
    assert list(ReportCount.objects.order_by("kind").values_list("kind", "reports", "networks")) == [
        (0, 1, 1),
        (1, 1, 1),
    ]


def test_a_person_counts_once_in_a_window_for_a_service_and_kind(known: Catalogue):
    report()
    report(at=NOON + timedelta(minutes=5))
    report("GB-SCT", at=NOON + timedelta(minutes=6))
    assert drain(now=NOON).counted == 1
    report(at=NOON + COUNTING_WINDOW - timedelta(milliseconds=1))
    assert drain(now=NOON).counted == 0
    assert list(Report.objects.filter(counted=False).values_list("reason", flat=True)) == ["repeated"] * 3
    report(at=NOON + COUNTING_WINDOW)
    assert drain(now=NOON).counted == 1
    assert Report.objects.count() == 5
    assert counted() == 2


def test_a_person_may_report_many_services(known: Catalogue):
    report(service="whatsapp")
    report(service="instagram")
    report(service="lloyds-bank")
    assert drain(now=NOON).counted == 3


def test_two_browsers_behind_one_address_are_two_people_on_one_network(known: Catalogue):
    report(client="Firefox")
    report(client="Safari")
    assert drain(now=NOON).counted == 2
    assert ReportCount.objects.get().networks == 1


def test_a_network_counts_once_in_a_window_whatever_the_batch(known: Catalogue):
    report(address="192.0.2.1")
    drain(now=NOON)
    report(address="192.0.2.2", at=NOON + timedelta(minutes=1))
    report(address="198.51.100.1", at=NOON + timedelta(minutes=1))
    report("GB-SCT", address="192.0.2.3", at=NOON + timedelta(minutes=1))
    drain(now=NOON)
    assert list(
        ReportCount.objects.order_by("minute", "region").values_list("region__code", "reports", "networks")
    ) == [("GB-ENG", 1, 1), ("GB-ENG", 2, 1), ("GB-SCT", 1, 1)]


@pytest.mark.parametrize("drained_between", [True, False])
def test_midnight_begins_no_new_window(known: Catalogue, drained_between: bool):
    late = datetime(2026, 3, 4, 23, 50, tzinfo=UTC)
    report(at=late)
    if drained_between:
        drain(now=late)
    report(at=late + timedelta(minutes=20))
    report(at=late + timedelta(minutes=59), address="192.0.2.77")
    drain(now=late)
    assert list(Report.objects.order_by("id").values_list("counted", flat=True)) == [True, False, True]
    assert sum(ReportCount.objects.values_list("networks", flat=True)) == 1


@pytest.mark.parametrize("drained_between", [True, False])
def test_after_midnight_the_window_goes_on_from_the_first_counted_report(known: Catalogue, drained_between: bool):
    midnight = datetime(2026, 3, 5, tzinfo=UTC)
    for minutes in (-50, 15, 70, 76):
        report(at=midnight + timedelta(minutes=minutes))
        if drained_between:
            drain(now=midnight)
    drain(now=midnight)
    assert list(Report.objects.order_by("id").values_list("counted", flat=True)) == [True, True, False, True]


def test_a_batch_longer_than_the_window_counts_a_person_again(known: Catalogue):
    for minutes in (0, 30, 60, 90, 119, 120):
        report(at=NOON + timedelta(minutes=minutes))
    assert drain(now=NOON).counted == 3
    # The person, the network in its cell, and the network about the service.
    assert Seen.objects.count() == 3


def test_each_report_lands_in_the_partition_of_its_own_day(known: Catalogue):
    report(at=datetime(2024, 4, 3, 23, 59, 59, 999_000, tzinfo=UTC))
    report(at=datetime(2024, 4, 4, tzinfo=UTC), address="192.0.2.9")
    assert drain(now=NOON).reports == 2
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM reports_report ORDER BY id")
        assert cursor.fetchall() == [("reports_report_20240403",), ("reports_report_20240404",)]


def test_a_block_that_cannot_be_read_is_set_aside_and_stops_nobody(known: Catalogue, caplog: pytest.LogCaptureFixture):
    bad = report()
    block = InboxBlock.objects.get()
    block.block = bytes(block.block[:-1]) + b"\xff"
    block.save()
    short = UUID(int=7)
    InboxBlock.objects.create(id=short, reports=1, block=b"OMB", written_at=NOON)
    good = report(address="192.0.2.2")
    assert drain(now=NOON) == DrainResult(blocks=3, reports=1, counted=1)
    assert Report.objects.get().id == good.id
    kept = {row.id: row for row in InboxBlock.objects.all()}
    assert kept[block.id].fault == "the checksum does not fit"
    assert kept[short].fault == "3 bytes are too few for a block"
    assert all(row.broken_at == NOON for row in kept.values())
    assert str(bad.id) in caplog.text
    assert drain(now=NOON) == DrainResult(0, 0, 0)


def test_a_block_that_the_tables_refuse_is_set_aside_and_stops_nobody(known: Catalogue):
    report()
    stored = InboxBlock.objects.get()
    drain(now=NOON)
    report(address="192.0.2.2", at=NOON - timedelta(seconds=1))
    # The same reports once more, as from a backup that was played back.
    InboxBlock.objects.create(id=stored.id, reports=1, block=stored.block, written_at=NOON)
    report(address="192.0.2.3", at=NOON + timedelta(seconds=1))
    while drain(now=NOON).blocks:
        pass
    refused = InboxBlock.objects.get()
    assert (refused.id, refused.broken_at) == (stored.id, NOON)
    assert "already exists" in refused.fault
    assert Report.objects.count() == counted() == 3


def test_one_transaction_takes_no_further_block_once_it_has_enough(known: Catalogue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reports.intake.drain.MAX_REPORTS", 2)
    for i in range(5):
        report(address=f"192.0.2.{i}", at=NOON + timedelta(seconds=i))
    assert [drain(now=NOON).blocks for _ in range(4)] == [2, 2, 1, 0]
    assert Report.objects.count() == counted() == 5


def test_only_one_drain_runs_at_a_time(committed: Catalogue):
    import psycopg
    from django.db import connection

    from reports.intake.drain import LOCK

    report()
    parameters = {k: v for k, v in connection.get_connection_params().items() if k not in ("cursor_factory", "context")}
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        assert drain(now=NOON) == DrainResult(0, 0, 0)
    assert drain(now=NOON).reports == 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), max_size=40),
    st.dictionaries(st.integers(0, 3), st.integers(-100, 0)),
)
def test_the_counting_rule_is_that_of_a_plain_loop(sent: list[tuple[int, int]], seen: dict[int, int]):
    minute = 60_000
    sent.sort(key=lambda one: one[1])
    last = {key: at * minute for key, at in seen.items()}
    key = np.array([key for key, _ in sent], dtype=np.int64)
    at = np.array([at * minute for _, at in sent], dtype=np.int64)
    before = np.array([last.get(k, -(10**15)) for k in key.tolist()], dtype=np.int64)
    expected = []
    for one, instant in zip(key.tolist(), at.tolist(), strict=True):
        expected.append(abs(instant - last.get(one, -(10**15))) >= 60 * minute)
        if expected[-1]:
            last[one] = instant
    assert _first_in_window(key, at, before).tolist() == expected
