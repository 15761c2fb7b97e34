"""The inbox: what was accepted, on disk before anybody is told so.

Reports of one moment are written as one row, a *block*, and the drain expands it later.

A block is a header (``OMB2``, the number of reports, a CRC-32 of the rest) and for each report a record of ``RECORD``,
packed, little-endian. The instant of a report is the first 48 bits of its id. A changed layout gets another mark, and
the old one is still read: what was accepted before an upgrade is drained after it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, LiteralString, cast
from uuid import UUID
from zlib import crc32

import numpy as np
import psycopg
from django.db import transaction
from numpy.typing import NDArray

from reports import binary
from reports.intake.guard import Pseudonyms

RECORD = np.dtype(
    [
        ("id", "V16"),
        ("service", "<i4"),
        ("region", "<i4"),
        ("problem", "<i4"),  # 0: nobody said what fails
        ("kind", "u1"),
        ("person", "<i8"),
        ("network", "<i8"),
        ("person_before", "<i8"),
        ("network_before", "<i8"),
        ("origin", "u1"),  # see reports.intake.origin
    ]
)
_PACK = struct.Struct("<16siiiBqqqqB").pack
_MARK = b"OMB2"
_HEADER = struct.Struct("<4sII")
# As they were before the origin.
_OLD_MARK = b"OMB1"
_OLD_RECORD = np.dtype([(name, RECORD[name]) for name in RECORD.names or () if name != "origin"])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Unavailable(Exception):
    """The report could not be written, or nobody knows whether it was: to be sent again later."""


class Unreadable(ValueError):
    """The bytes are no block, or not the block that was written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted report on its way into the inbox."""

    id: UUID
    service_id: int
    region_id: int
    kind: int
    problem_id: int | None
    who: Pseudonyms
    client_id: UUID | None = None
    arrival: UUID | None = None
    """A UUIDv7 of the instant at which it came in, where ``id`` tells an earlier one."""
    origin: int = 0
    """The bits of :mod:`reports.intake.origin`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands for a report that was sent: itself, or what was accepted earlier under the same client id."""

    id: UUID
    service_id: int
    region_id: int
    kind: int
    problem_id: int | None


# --- Ids and blocks --------------------------------------------------------------------------------------------------


def report_id(received_at: datetime) -> UUID:
    """A new UUIDv7 of the instant ``received_at``, which decides the day's partition; its other 74 bits are random."""
    milliseconds = (received_at - _EPOCH) // _MILLISECOND
    random = int.from_bytes(os.urandom(10), "little")
    # 48 bits of time, the version 7, 12 random bits, the variant 10, 62 random bits.
    high = milliseconds << 16 | 0x7000 | random & 0xFFF
    low = 0x8000_0000_0000_0000 | (random >> 12) & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=high << 64 | low)


def received_at(id: UUID) -> datetime:
    """The instant of a report, from its id: whole milliseconds."""
    return _EPOCH + (id.int >> 80) * _MILLISECOND


def pack(entries: Sequence[Entry]) -> bytes:
    """The block of these reports."""
    records = b"".join(
        [
            _PACK(
                entry.id.bytes,
                entry.service_id,
                entry.region_id,
                entry.problem_id or 0,
                entry.kind,
                entry.who.person,
                entry.who.network,
                entry.who.person_before,
                entry.who.network_before,
                entry.origin,
            )
            for entry in entries
        ]
    )
    return _HEADER.pack(_MARK, len(entries), crc32(records)) + records


def repacked(records: NDArray[np.void]) -> bytes:
    """The block of these records."""
    content = records.tobytes()
    return _HEADER.pack(_MARK, len(records), crc32(content)) + content


def unpack(block: bytes) -> NDArray[np.void]:
    """The records of a block, as ``RECORD``. Raises :class:`Unreadable`, saying what is wrong."""
    if len(block) < _HEADER.size:
        raise Unreadable(f"{len(block)} bytes are too few for a block")
    mark, reports, checksum = _HEADER.unpack_from(block)
    if mark not in (_MARK, _OLD_MARK):
        raise Unreadable(f"begins with {mark!r}, expected {_MARK!r}")
    layout = RECORD if mark == _MARK else _OLD_RECORD
    if len(block) != _HEADER.size + reports * layout.itemsize:
        raise Unreadable(f"{len(block)} bytes do not fit {reports} reports")
    if crc32(memoryview(block)[_HEADER.size :]) != checksum:
        raise Unreadable("the checksum does not fit")
    records = cast("NDArray[np.void]", np.frombuffer(block, dtype=layout, offset=_HEADER.size))
    if layout is _OLD_RECORD:
        records = _widened(records)
    if not reports or records["kind"].max() > 1:
        raise Unreadable("holds no reports, or some of an unknown kind")
    return records


def _widened(old: NDArray[np.void]) -> NDArray[np.void]:
    records = np.zeros(len(old), dtype=RECORD)
    for name in _OLD_RECORD.names or ():
        records[name] = old[name]
    return records


# --- Writing: one plan of statements, carried out by a blocking or by an awaiting connection -------------------------

_Statement = tuple[LiteralString, Sequence[Any]]
Plan = Generator[_Statement, list[tuple[Any, ...]], list[Standing]]


class Landed(Exception):
    """The attempt before this one had been committed after all; nothing of this one may stay."""


@dataclass(frozen=True)
class Batch:
    """Reports that are written together, in a block with the id and the instant of the first that came in."""

    entries: Sequence[Entry]

    @cached_property
    def key(self) -> UUID:
        """The id of their block."""
        return min(entry.arrival or entry.id for entry in self.entries)

    @property
    def in_one_statement(self) -> bool:
        """Whether nothing has to be claimed first."""
        return all(entry.client_id is None for entry in self.entries)


def plan(batch: Batch, *, again: bool) -> Plan:
    """The statements that write ``batch`` in one transaction; each is sent the rows of its predecessor's answer.

    With ``again`` an earlier attempt may have been committed; raises :class:`Landed` when it was.
    """
    claimants: dict[UUID, Entry] = {}
    for entry in batch.entries:
        if entry.client_id is not None:
            # The same id twice in one batch: the first one stands.
            claimants.setdefault(entry.client_id, entry)
    standing: dict[UUID, Standing] = {}
    refused: set[UUID] = set()
    if claimants:
        standing = yield from _claims(claimants, again=again)
        refused = {id for id, found in standing.items() if found.id != claimants[id].id}
    written = [
        entry
        for entry in batch.entries
        if entry.client_id is None or (entry.client_id not in refused and claimants[entry.client_id] is entry)
    ]
    if written:
        # One that is written again leaves its id behind: the first attempt may still come about.
        found = yield _INSERT_BLOCK, [batch.key, len(written), pack(written), received_at(batch.key), again]
        if not found:
            raise Landed
        if again and (yield _ARE_DRAINED, [[entry.id for entry in written]]):
            raise Landed
    return answers(batch, standing)


def landed(batch: Batch) -> Plan:
    """The statements that find out what stands for the reports of a batch that was committed without our knowing."""
    ids = sorted({entry.client_id for entry in batch.entries if entry.client_id is not None})
    rows = (yield _EARLIER, [ids]) if ids else []
    return answers(batch, {id: Standing(*row) for id, *row in rows})


def answers(batch: Batch, standing: Mapping[UUID, Standing]) -> list[Standing]:
    """What stands for each report of ``batch``, by what stands for their client ids."""
    return [stands(e) if e.client_id is None else standing[e.client_id] for e in batch.entries]


def _claims(
    claimants: dict[UUID, Entry], *, again: bool
) -> Generator[_Statement, list[tuple[Any, ...]], dict[UUID, Standing]]:
    """Claims the client ids: for each id what stands for it, ours or an earlier one."""
    standing: dict[UUID, Standing] = {}
    open_ids = claimants
    while open_ids:
        # In one order everywhere, so that two writers wait for each other and not in a circle.
        entries = [open_ids[id] for id in sorted(open_ids)]
        columns = zip(
            *[(e.client_id, e.id, e.service_id, e.region_id, e.kind, e.problem_id, received_at(e.id)) for e in entries],
            strict=True,
        )
        claimed = yield _CLAIM, [list(column) for column in columns]
        for (id,) in claimed:
            standing[id] = stands(claimants[id])
        left = [id for id in open_ids if id not in standing]
        if left:
            for id, *row in (yield _EARLIER, [left]):
                standing[id] = Standing(*row)
                if again and standing[id].id == claimants[id].id:
                    raise Landed
        # What is neither ours nor there was swept away between the two statements: ask once more.
        open_ids = {id: entry for id, entry in open_ids.items() if id not in standing}
    return standing


Claim = tuple[UUID, UUID, int, int, int, int | None, datetime]
"""A client id, its report and the columns of ``AcceptedId``: service, region, kind, problem and instant."""


def claim(cursor: psycopg.Cursor[tuple[Any, ...]], claims: Sequence[Claim]) -> dict[UUID, UUID]:
    """Claims client ids in the caller's transaction.

    ``claims`` come sorted by client id. Returns for each the report that stands for it, the given one or an earlier.
    """
    standing: dict[UUID, UUID] = {}
    while open_claims := [one for one in claims if one[0] not in standing]:
        cursor.execute(_CLAIM, [list(column) for column in zip(*open_claims, strict=True)])
        claimed = {id for (id,) in cursor}
        standing |= {client_id: id for client_id, id, *_ in open_claims if client_id in claimed}
        cursor.execute(_EARLIER, [[client_id for client_id, *_ in open_claims if client_id not in claimed]])
        standing |= {client_id: id for client_id, id, *_ in cursor}
    return standing


def stands(entry: Entry) -> Standing:
    """What stands for a report that nothing was accepted before."""
    return Standing(entry.id, entry.service_id, entry.region_id, entry.kind, entry.problem_id)


_CLAIM: LiteralString = """
INSERT INTO reports_acceptedid (client_id, report_id, service_id, region_id, kind, problem_id, received_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[],
    %s::timestamptz[])
ON CONFLICT (client_id) DO NOTHING RETURNING client_id
"""
_EARLIER: LiteralString = """
SELECT client_id, report_id, service_id, region_id, kind, problem_id FROM reports_acceptedid WHERE client_id = ANY(%s)
"""
_INSERT_BLOCK: LiteralString = """
INSERT INTO reports_inboxblock (id, reports, block, written_at, uncertain, fault) VALUES (%s, %s, %s, %s, %s, '')
ON CONFLICT (id) DO NOTHING RETURNING id
"""
_ARE_DRAINED: LiteralString = "SELECT 1 FROM reports_report WHERE id = ANY(%s) LIMIT 1"
# Where somebody has switched durability off for the whole server, ours is switched on again.
DURABLY: LiteralString = (
    "SELECT set_config('synchronous_commit', 'on', %s) WHERE current_setting('synchronous_commit') = 'off'"
)


def write(entries: Sequence[Entry]) -> list[Standing]:
    """Writes reports as one block and returns, after the commit, what stands for each of them.

    Raises ``RuntimeError`` within a transaction: an answer must not be given before the commit.
    """
    if not entries:
        return []
    with transaction.atomic(durable=True), binary.reading() as cursor:
        cursor.execute(DURABLY, [True])
        steps = plan(Batch(entries), again=False)
        try:
            statement = next(steps)
            while True:
                cursor.execute(*statement)
                statement = steps.send(cursor.fetchall())
        except StopIteration as end:
            return cast("list[Standing]", end.value)
