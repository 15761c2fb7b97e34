"""The way home: what the broker held while the database was away goes into the inbox, and with it the claims of ids.

A block is removed from the broker only after the database has committed it; whoever dies in between leaves it to be
brought home again, which changes nothing: its id is in the inbox, or its reports are in the tables. It runs under the
drain's lock, so nothing is drained between the look and the write.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import redis
from django.db import DataError, IntegrityError, connection, transaction
from numpy.typing import NDArray

from reports import binary
from reports.binary import Cursor
from reports.intake import drain, guard, inbox, standby
from reports.models import InboxBlock, Salt

logger = logging.getLogger(__name__)

MAX_BLOCKS = 100


# The last millisecond of the year 9999, the last that can be told.
_LAST_INSTANT = 253_402_300_799_999
# How long detection waits for what is on its way home, before it leaves those minutes unjudged.
PATIENCE = timedelta(minutes=15)
# Blocks that are older than this when all are home still have to be drained.
_DRAINED_SOON = timedelta(minutes=1)


def recover() -> int:
    """Brings up to ``MAX_BLOCKS`` blocks home, oldest first; how many left the broker.

    A block that cannot be read, or that the tables refuse, is set aside in the broker: it stops nobody, and is kept.
    Without a broker nothing can be brought home, and nothing is.
    """
    try:
        return _recover()
    except redis.RedisError as error:
        logger.warning("what the broker may hold has to wait: %s", type(error).__name__)
        return 0


def is_over(now: datetime) -> bool:
    """Whether the broker holds nothing, as far as is known; once what it held is drained, detection goes on."""
    try:
        if standby.waiting().blocks:
            return False
        oldest = InboxBlock.objects.filter(broken_at=None, drained_at=None).order_by("id").first()
        if oldest is None or oldest.written_at > now - _DRAINED_SOON:
            standby.recovered()
    except redis.RedisError:
        return False
    return True


@dataclass(frozen=True)
class Look:
    """Whether detection has to wait for what was held, and the instant of the oldest report still in the broker."""

    to_be_waited_for: bool
    since: datetime | None = None


def look() -> Look:
    """What detection has to know. A broker that does not answer may hold anything: that is waited for too."""
    try:
        held = standby.waiting()
        begun = standby.recovering_since(begin=held.blocks > 0)
    except redis.RedisError:
        return Look(to_be_waited_for=True)
    waits = begun is not None and datetime.now(UTC) - begun < PATIENCE
    return Look(to_be_waited_for=waits, since=held.since)


def _recover() -> int:
    _adopt_secrets()
    blocks: list[_Block] = []
    aside = 0
    found = standby.oldest(MAX_BLOCKS)
    if found:
        standby.recovering_since(begin=True)
    for id, payload in found:
        try:
            blocks.append(_Block.of(id, payload))
        except (standby.Unreadable, inbox.Unreadable) as fault:
            _set_aside(id, str(fault))
            aside += 1
    try:
        return aside + _bring(blocks)
    except (DataError, IntegrityError):
        # One of them is refused. One at a time, the sound ones get through and the culprit is found.
        for block in blocks:
            try:
                aside += _bring([block])
            except (DataError, IntegrityError) as refusal:
                _set_aside(block.id, str(refusal))
                aside += 1
        return aside


@dataclass
class _Block:
    """A held block; ``refused`` marks the records that give way to an earlier report under the same client id."""

    id: UUID
    payload: bytes
    records: NDArray[np.void]
    client_ids: dict[int, UUID]
    attempted: bool
    refused: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, id: UUID, payload: bytes) -> _Block:
        held = standby.unpack(payload)
        records = inbox.unpack(held.block)
        if id.int >> 80 > _LAST_INSTANT:
            raise inbox.Unreadable("its id tells no instant")
        return cls(id, payload, records, dict(held.client_ids), held.attempted)

    def report_ids(self) -> list[UUID]:
        """Those by which it would be known in the tables."""
        # Where nothing can have been refused, the first stands for all.
        some = self.records if self.client_ids else self.records[:1]
        return [UUID(bytes=id.tobytes()) for id in some["id"]]


def _bring(blocks: Sequence[_Block]) -> int:
    if not blocks:
        return 0
    with transaction.atomic(durable=True), binary.reading() as cursor:
        if not drain.lock(cursor):
            return 0
        drained = _drained(cursor, blocks)
        left = [block for block in blocks if block.id not in drained]
        with connection.wrap_database_errors:
            _claim(cursor, left)
            _insert(cursor, left)
    standby.release((block.id, block.payload, block.client_ids.values()) for block in blocks)
    return len(blocks)


def _drained(cursor: Cursor, blocks: Sequence[_Block]) -> set[UUID]:
    """The blocks whose reports are in the tables already."""
    of = {id: block.id for block in blocks for id in block.report_ids()}
    cursor.execute("SELECT id FROM reports_report WHERE id = ANY(%s)", [list(of)])
    return {of[id] for (id,) in cursor}


def _claim(cursor: Cursor, blocks: Sequence[_Block]) -> None:
    """Claims the client ids, and marks the records whose id was accepted before under another report."""
    claimants: dict[UUID, tuple[_Block, int]] = {}
    for block in blocks:
        for place, client_id in block.client_ids.items():
            if client_id in claimants:
                block.refused.add(place)
            else:
                claimants[client_id] = (block, place)
    claims: list[inbox.Claim] = []
    for client_id in sorted(claimants):
        block, place = claimants[client_id]
        row = block.records[place]
        id = UUID(bytes=row["id"].tobytes())
        service, region, kind, problem = (int(row[name]) for name in ("service", "region", "kind", "problem"))
        claims.append((client_id, id, service, region, kind, problem or None, inbox.received_at(id)))
    for client_id, stands in inbox.claim(cursor, claims).items():
        block, place = claimants[client_id]
        if stands.bytes != block.records[place]["id"].tobytes():
            block.refused.add(place)


def _insert(cursor: Cursor, blocks: Sequence[_Block]) -> None:
    rows = []
    for block in blocks:
        keep = np.ones(len(block.records), dtype=np.bool_)
        keep[list(block.refused)] = False
        if keep.any():
            records = block.records[keep]
            rows.append((block.id, len(records), inbox.repacked(records), inbox.received_at(block.id), block.attempted))
    if rows:
        cursor.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])


# What was attempted in the database leaves its id behind when it is drained: the attempt may still come about.
_INSERT = """
INSERT INTO reports_inboxblock (id, reports, block, written_at, uncertain, fault)
SELECT *, '' FROM unnest(%s::uuid[], %s::integer[], %s::bytea[], %s::timestamptz[], %s::boolean[])
ON CONFLICT (id) DO NOTHING
"""


def _set_aside(id: UUID, fault: str) -> None:
    logger.error("the held block %s is set aside in the broker: %s", id, fault)
    standby.set_aside(id)


def _adopt_secrets() -> None:
    """Takes the secrets of days that began without the database into the table, then destroys them in the broker."""
    for day in standby.secret_days():
        if not Salt.objects.filter(day=day).exists():
            guard.adopt_secret(day)
        standby.destroy_secret(day)
