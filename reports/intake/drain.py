"""The drain: from blocks of the inbox to reports and counts, exactly once.

One transaction takes blocks away, applies the counting rule, copies the reports into their day's partition and adds to
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
from reports.binary import BigintArray, Cursor, Integers
from reports.intake import inbox
from reports.intake.guard import COUNTING_WINDOW
from reports.models import DrainBatch

logger = logging.getLogger(__name__)

MAX_BLOCKS = 100

# Why a report is kept but not counted: the person was counted for this service and kind within the counting window.
REPEATED = "repeated"

_LOCK = 0x6F75_7461_0002
_WINDOW = COUNTING_WINDOW // timedelta(milliseconds=1)
_NEVER = np.iinfo(np.int64).min // 2
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
    try:
        return _drain(now, max_blocks)
    except (DataError, IntegrityError):
        # One of them is refused. One at a time, the sound ones get through and the culprit is found.
        return _drain(now, 1)


def lock(cursor: Cursor) -> bool:
    """Whether no other drain is at work; none begins before the end of this transaction."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
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
                if max_blocks > 1:
                    raise
                broken[sound[0]] = str(refusal)
        _set_aside(cursor, broken, now)
        return DrainResult(result.blocks + len(broken), result.reports, result.counted)


def _read(cursor: Cursor, max_blocks: int) -> tuple[NDArray[np.void], list[UUID], dict[UUID, str]]:
    """The records of the oldest blocks, the ids of these blocks, and the faults of unreadable ones."""
    cursor.execute(_OLDEST, [max_blocks])
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
SELECT id, reports, block FROM reports_inboxblock WHERE broken_at IS NULL AND drained_at IS NULL
ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""


def _move(cursor: Cursor, records: NDArray[np.void], blocks: list[UUID], now: datetime) -> DrainResult:
    cursor.execute("DELETE FROM reports_inboxblock WHERE id = ANY(%s) AND NOT uncertain", [blocks])
    # The id stays: another attempt to write the block, late for whatever reason, then finds it taken.
    cursor.execute(
        "UPDATE reports_inboxblock SET drained_at = %s, block = '' WHERE id = ANY(%s) AND uncertain", [now, blocks]
    )
    batch = _Batch.of(records)
    partitions.ensure_days(_day(number) for number in np.unique(batch.received_at // _DAY))
    counted, new_network = _apply_counting_rule(cursor, batch)
    _store(cursor, batch, counted)
    counts.add(cursor, _additions(batch, counted, new_network))
    result = DrainResult(len(blocks), len(records), int(counted.sum()))
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
class _Batch:
    """The reports of a batch in the order in which they were received; ``received_at`` in milliseconds since 1970."""

    id: NDArray[np.void]
    received_at: Integers
    service: Integers
    region: Integers
    kind: Integers
    problem: Integers
    person: Integers
    network: Integers
    person_before: Integers
    network_before: Integers

    @classmethod
    def of(cls, records: NDArray[np.void]) -> _Batch:
        octets = np.ascontiguousarray(records["id"]).view(np.uint8).reshape(-1, 16).astype(np.int64)
        received_at = octets[:, :6] @ (1 << np.arange(40, -1, -8, dtype=np.int64))
        order = np.argsort(received_at, kind="stable")
        names = ("service", "region", "kind", "problem", "person", "network", "person_before", "network_before")
        columns = {name: records[name][order].astype(np.int64) for name in names}
        return cls(id=records["id"][order], received_at=received_at[order], **columns)


# --- The counting rule -----------------------------------------------------------------------------------------------


def _apply_counting_rule(cursor: Cursor, batch: _Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each report whether it counts, and whether it is the first counted one of its network in its cell.

    Both are remembered in ``Seen``.
    """
    what = _mixed(batch.service, batch.kind)
    where = _mixed(batch.service, batch.kind, batch.region)
    person = _mixed(batch.person, what)
    person_before = np.where(batch.person_before == 0, person, _mixed(batch.person_before, what))
    network = _mixed(batch.network, where)
    network_before = np.where(batch.network_before == 0, network, _mixed(batch.network_before, where))

    old_person, old_network = person_before[person_before != person], network_before[network_before != network]
    seen = _Seen(cursor, np.concatenate((person, old_person, network, old_network)))
    counted = _first_in_window(
        _across_midnight(person, person_before), batch.received_at, seen.last(person, person_before)
    )
    new_network = np.zeros(len(counted), dtype=np.bool_)
    new_network[counted] = _first_in_window(
        _across_midnight(network, network_before)[counted],
        batch.received_at[counted],
        seen.last(network, network_before)[counted],
    )
    seen.remember(
        np.concatenate((person[counted], network[new_network])),
        np.concatenate((batch.received_at[counted], batch.received_at[new_network])),
    )
    return counted, new_network


def _across_midnight(key: Integers, key_before: Integers) -> Integers:
    """One key for what a batch knows by two: that of the new day, wherever some row has both."""
    both = key_before != key
    while both.any():
        old, place = np.unique(key_before[both], return_index=True)
        new = key[both][place]
        found = np.minimum(np.searchsorted(old, key), len(old) - 1)
        renamed = np.where(old[found] == key, new[found], key)
        if (renamed == key).all():
            break
        # A batch that spans two midnights renames what has been renamed.
        key = renamed
    return key


def _first_in_window(key: Integers, at: Integers, last: Integers) -> NDArray[np.bool_]:
    """For each report, in order of time, whether a window has passed since its key was counted last.

    ``last`` is when the key had been counted before this batch. One pass counts the first candidate of each key; a
    further pass is needed only when a batch is longer than the window.
    """
    chosen = np.zeros(len(key), dtype=np.bool_)
    # Sorted by key and, within a key, still by time.
    order = np.argsort(key, kind="stable")
    key, at, last = key[order], at[order], last[order]
    # On either side: a report may come late, or the clock of a replay begin anew.
    open_ = np.abs(at - last) >= _WINDOW
    while open_.any():
        rows = np.flatnonzero(open_)
        is_first = np.concatenate(([True], key[rows][1:] != key[rows][:-1]))
        first = rows[is_first]
        chosen[order[first]] = True
        # Each open row lies behind the first one of its key, whose instant now counts as the last.
        open_[rows] = at[rows] - at[first][np.cumsum(is_first) - 1] >= _WINDOW
    return chosen


class _Seen:
    """The ``Seen`` rows of a set of keys: read at once, and written at once."""

    def __init__(self, cursor: Cursor, keys: Integers) -> None:
        self._cursor = cursor
        # Not by COPY: most keys are new, so that little comes back, and a list of literals costs more than it saves.
        cursor.execute(_WHEN_SEEN, [BigintArray(np.unique(keys))], binary=True)
        found = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 2)
        self._keys, self._at = found[np.argsort(found[:, 0])].T

    def last(self, key: Integers, key_before: Integers) -> Integers:
        """When a key, or what it was called the day before, was counted last; long ago for those never counted."""
        return np.maximum(self._of(key), self._of(key_before))

    def _of(self, key: Integers) -> Integers:
        if not len(self._keys):
            return np.full(len(key), _NEVER)
        place = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        return np.where(self._keys[place] == key, self._at[place], _NEVER)

    def remember(self, key: Integers, at: Integers) -> None:
        """Writes when each key was counted last."""
        # The last of equal keys: they come in order of time.
        unique, from_end = np.unique(key[::-1], return_index=True)
        at = at[::-1][from_end]
        known = np.intersect1d(unique, self._keys, assume_unique=True)
        if len(known):
            self._cursor.execute("DELETE FROM reports_seen WHERE key = ANY(%s)", [BigintArray(known)])
        binary.copy_in(
            self._cursor,
            "reports_seen",
            [("key", "bigint", unique), ("counted_at", "timestamptz", at * 1000)],
            rows=len(unique),
        )


_WHEN_SEEN = """
SELECT key, (extract(epoch FROM counted_at) * 1000)::bigint FROM reports_seen WHERE key = ANY(%s)
"""


def _mixed(first: Integers, *others: Integers) -> Integers:
    """One well-mixed 64-bit number for each row: after each column the finaliser of SplitMix64 (Steele et al. 2014)."""
    mixed = first.astype(np.uint64)
    for column in (np.zeros(1, dtype=np.int64), *others):
        mixed = mixed * np.uint64(0x9E37_79B9_7F4A_7C15) + column.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed.astype(np.int64)


# --- Into the tables -------------------------------------------------------------------------------------------------


def _store(cursor: Cursor, batch: _Batch, counted: NDArray[np.bool_]) -> None:
    days = batch.received_at // _DAY
    said = batch.problem != 0
    for day in np.unique(days):
        # A NULL and an empty text have other lengths than a value: each mixture is a COPY of its own.
        for has_problem in (False, True):
            for counts_ in (False, True):
                rows = np.flatnonzero((days == day) & (said == has_problem) & (counted == counts_))
                if len(rows):
                    _copy_reports(cursor, _day(day), batch, rows, has_problem=has_problem, counted=counts_)


def _copy_reports(
    cursor: Cursor, day: date, batch: _Batch, rows: NDArray[np.intp], *, has_problem: bool, counted: bool
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
            ("counted", "boolean", np.full(len(rows), counted)),
            ("reason", "text:" if counted else f"text:{REPEATED}", None),
        ],
        rows=len(rows),
    )


def _additions(batch: _Batch, counted: NDArray[np.bool_], new_network: NDArray[np.bool_]) -> counts.Additions:
    minute = batch.received_at // 60_000
    columns = (minute, batch.service, batch.region, batch.kind, batch.problem)
    (minute, service, region, kind, problem), group = _groups([column[counted] for column in columns])
    return counts.Additions(
        minute=minute,
        service_id=service,
        region_id=region,
        kind=kind,
        problem=problem,
        reports=np.bincount(group, minlength=len(minute)).astype(np.int64),
        networks=np.bincount(group, weights=new_network[counted], minlength=len(minute)).astype(np.int64),
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
