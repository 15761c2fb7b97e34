"""The drain: from blocks of the inbox to reports and counts, exactly once.

One transaction takes blocks away, weighs what is in them, copies the reports into their day's partition and adds to
the counts. It is committed as a whole or not at all, so whatever dies, nothing is lost and nothing is counted twice.
Only one drain runs at a time; that alone makes it safe to read who was seen first and to write it afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import DataError, IntegrityError, connection, transaction
from numpy.typing import NDArray

from reports import binary, counts, partitions
from reports.binary import Cursor, Integers
from reports.intake import inbox
from reports.intake.weighing import REASONS, Arrivals, Weighed, weigh
from reports.models import DrainBatch

logger = logging.getLogger(__name__)

MAX_REPORTS = 100_000
"""A transaction takes no further block once it has so many. The more it has, the less each costs: a flow is read and
written once, however many reports it got, and neighbours in an index are met together. So many are a second of CPU."""
MAX_BLOCKS = 2_000

LOCK = 0x6F75_7461_0002
"""The advisory lock of whoever changes reports and their counts together."""
_DAY = 86_400_000


@dataclass(frozen=True)
class DrainResult:
    """What one transaction moved. ``blocks`` is 0 when there was nothing to do, or another drain was at work."""

    blocks: int
    reports: int
    counted: int


NOTHING = DrainResult(0, 0, 0)


def drain(*, now: datetime, max_blocks: int = MAX_BLOCKS) -> DrainResult:
    """Moves up to ``max_blocks`` blocks into the tables.

    A block that cannot be read, or that the tables refuse, is set aside with its fault: it stops nobody, and nothing in
    it is lost.
    """
    while True:
        try:
            return _drain(now, max_blocks)
        except _Refused as refusal:
            # One of them. Half of them at a time, the sound ones get through and the culprit is found.
            max_blocks = refusal.blocks // 2


class _Refused(Exception):
    """The tables refuse what is in one of several blocks."""

    def __init__(self, blocks: int) -> None:
        super().__init__(blocks)
        self.blocks = blocks


def lock(cursor: Cursor, *, wait: bool = False) -> bool:
    """Whether no other drain is at work; none begins before the end of this transaction.

    With ``wait`` its end is waited for, so that it is true for sure.
    """
    if wait:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        return True
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    return cursor.fetchone() == (True,)


def _drain(now: datetime, max_blocks: int) -> DrainResult:
    with transaction.atomic(), binary.reading() as cursor:
        if not lock(cursor):
            return NOTHING
        records, sound, broken = _read(cursor, max_blocks)
        result = NOTHING
        if sound:
            try:
                with transaction.atomic(), connection.wrap_database_errors:
                    result = _move(cursor, records, sound, now)
            except (DataError, IntegrityError) as refusal:
                if len(sound) > 1:
                    raise _Refused(len(sound)) from refusal
                broken[sound[0]] = str(refusal)
        _set_aside(cursor, broken, now)
        return DrainResult(result.blocks + len(broken), result.reports, result.counted)


def _read(cursor: Cursor, max_blocks: int) -> tuple[NDArray[np.void], list[UUID], dict[UUID, str]]:
    """The records of the oldest blocks, the ids of these blocks, and the faults of unreadable ones."""
    cursor.execute(_OLDEST, [max_blocks, MAX_REPORTS])
    pieces: list[NDArray[np.void]] = [np.empty(0, dtype=inbox.RECORD)]
    sound: list[UUID] = []
    broken: dict[UUID, str] = {}
    for id, reports, block in cursor:
        try:
            records = inbox.unpack(bytes(block))
            if len(records) != reports:
                raise inbox.Unreadable(f"holds {len(records)} reports, expected {reports}")
        except inbox.Unreadable as fault:
            broken[id] = str(fault)
        else:
            pieces.append(records)
            sound.append(id)
    return np.concatenate(pieces), sound, broken


_OLDEST = """
SELECT id, reports, block FROM reports_inboxblock WHERE id = ANY(ARRAY(
    SELECT id FROM (
        SELECT id, sum(reports) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - reports AS before FROM reports_inboxblock
        WHERE broken_at IS NULL AND drained_at IS NULL ORDER BY id LIMIT %s
    ) AS oldest WHERE before < %s
)) AND broken_at IS NULL AND drained_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED
"""


def _move(cursor: Cursor, records: NDArray[np.void], blocks: list[UUID], now: datetime) -> DrainResult:
    cursor.execute("DELETE FROM reports_inboxblock WHERE id = ANY(%s) AND NOT uncertain", [blocks])
    # The id stays: another attempt to write the block, late for whatever reason, then finds it taken.
    cursor.execute(
        "UPDATE reports_inboxblock SET drained_at = %s, block = '' WHERE id = ANY(%s) AND uncertain", [now, blocks]
    )
    batch = _Batch.of(records)
    partitions.ensure_days(_day(number) for number in np.unique(batch.received_at // _DAY))
    weighed = weigh(cursor, batch)
    _store(cursor, batch, weighed.reason)
    counts.add(cursor, _additions(batch, weighed))
    result = DrainResult(len(blocks), len(records), int(weighed.counted.sum()))
    DrainBatch.objects.create(
        drained_at=now,
        blocks=result.blocks,
        reports=result.reports,
        counted=result.counted,
        oldest_minute=_minute(batch.received_at[0]),
        newest_minute=_minute(batch.received_at[-1]),
    )
    return result


def _set_aside(cursor: Cursor, broken: dict[UUID, str], now: datetime) -> None:
    for id, fault in broken.items():
        logger.error("the inbox block %s is set aside: %s", id, fault)
        cursor.execute("UPDATE reports_inboxblock SET broken_at = %s, fault = %s WHERE id = %s", [now, fault[:200], id])


# --- The batch as columns --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Batch(Arrivals):
    """The reports of a batch with their ids."""

    id: NDArray[np.void]

    @classmethod
    def of(cls, records: NDArray[np.void]) -> _Batch:
        octets = np.ascontiguousarray(records["id"]).view(np.uint8).reshape(-1, 16).astype(np.int64)
        received_at = octets[:, :6] @ (1 << np.arange(40, -1, -8, dtype=np.int64))
        order = np.argsort(received_at, kind="stable")
        names = (
            "service",
            "region",
            "kind",
            "problem",
            "person",
            "network",
            "person_before",
            "network_before",
            "origin",
        )
        columns = {name: records[name][order].astype(np.int64) for name in names}
        return cls(id=records["id"][order], received_at=received_at[order], **columns)


# --- Into the tables -------------------------------------------------------------------------------------------------


def _store(cursor: Cursor, batch: _Batch, reason: NDArray[np.int8]) -> None:
    days = batch.received_at // _DAY
    said = batch.problem != 0
    for day in np.unique(days):
        # A NULL and texts of different lengths do not fit one row layout: each mixture is a COPY of its own.
        for has_problem in (False, True):
            for why in np.unique(reason):
                rows = np.flatnonzero((days == day) & (said == has_problem) & (reason == why))
                if len(rows):
                    _copy_reports(cursor, _day(day), batch, rows, has_problem=has_problem, reason=REASONS[why])


def _copy_reports(
    cursor: Cursor, day: date, batch: _Batch, rows: NDArray[np.intp], *, has_problem: bool, reason: str
) -> None:
    binary.copy_in(
        cursor,
        partitions.name_of(day),
        [
            ("id", "uuid", batch.id[rows]),
            ("received_at", "timestamptz", batch.received_at[rows] * 1000),
            ("service_id", "bigint", batch.service[rows]),
            ("region_id", "bigint", batch.region[rows]),
            ("kind", "smallint", batch.kind[rows]),
            ("problem_id", "bigint", batch.problem[rows]) if has_problem else ("problem_id", "null", None),
            ("person", "bigint", batch.person[rows]),
            ("network", "bigint", batch.network[rows]),
            ("counted", "boolean", np.full(len(rows), not reason)),
            ("reason", f"text:{reason}", None),
        ],
        rows=len(rows),
    )


def _additions(batch: _Batch, weighed: Weighed) -> counts.Additions:
    counted = weighed.counted
    minute = batch.received_at // 60_000
    columns = (minute, batch.service, batch.region, batch.kind, batch.problem)
    (minute, service, region, kind, problem), group = _groups([column[counted] for column in columns])

    def total(which: NDArray[np.bool_]) -> Integers:
        return np.bincount(group, weights=which[counted], minlength=len(minute)).astype(np.int64)

    return counts.Additions(
        minute=minute,
        service_id=service,
        region_id=region,
        kind=kind,
        problem=problem,
        reports=np.bincount(group, minlength=len(minute)).astype(np.int64),
        networks=total(weighed.new_network),
        service_networks=total(weighed.new_to_service),
    )


def _groups(columns: Sequence[Integers]) -> tuple[list[Integers], NDArray[np.intp]]:
    """The distinct rows of these columns, and for each row the number of the distinct one it equals."""
    order = np.lexsort(columns[::-1])
    ordered = [column[order] for column in columns]
    changed = np.zeros(len(order), dtype=np.bool_)
    changed[:1] = True
    for column in ordered:
        changed[1:] |= column[1:] != column[:-1]
    group = np.empty(len(order), dtype=np.intp)
    group[order] = np.cumsum(changed) - 1
    return [column[changed] for column in ordered], group


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number))


def _minute(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) // 60_000 * 60, tz=UTC)
