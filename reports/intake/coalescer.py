"""The coalescer: reports of concurrent requests become one block, in the database or in the broker.

One round trip and one fsync for all of them, and each is answered after the commit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import nullcontext, suppress
from socket import SHUT_RDWR, socket
from threading import get_ident
from typing import Any, cast
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connections

from reports import clock
from reports.intake import flood, guard, inbox, standby
from reports.intake.inbox import Batch, Entry, Landed, Plan, Standing, Unavailable

logger = logging.getLogger(__name__)

# Reports in one block: enough that the round trip no longer matters, few enough that nobody waits long for the others.
BLOCK_LIMIT = 1000
# Reports that may wait in one process. Beyond that it is more honest to say "later" than to let people wait.
WAITING_LIMIT = 20_000
# How long a database is waited for before a block is given to the broker instead.
SWITCH_SECONDS = 0.7
# How long a block is tried again while both are away, before its senders are told "later".
RETRY_SECONDS = 3.0
# A database that neither answers nor refuses is given up after this time, where the broker cannot help out.
ATTEMPT_SECONDS = 5.0
# How often a database that is away is asked whether it is back, and at most how often one that is there whether it
# answers, for those who read: a report finds that out by itself.
ASK_SECONDS = 1.0
# How long it may take to answer that.
HANG_SECONDS = 2.0
# How long reports gather in a block for the broker.
GATHER_SECONDS = 0.02
# Client ids of which a process remembers what it answered: 10 MB. Asked for only while the database is away.
REMEMBERED = 50_000


class _Away(Exception):
    """The database refused, or did not answer in time: nobody knows whether it has done what it was asked to."""


_Connection = psycopg.AsyncConnection[tuple[Any, ...]]
_Waiting = tuple[Entry, "asyncio.Future[Standing | None]", int]


class Coalescer:
    """Gathers the reports of concurrent requests into blocks, on one connection of its own.

    It belongs to the event loop in which it was made. While one block is on its way to the disk, the next one gathers.
    While the database is away, blocks go to the broker (``standby``), and one task asks for the database every second.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.thread = get_ident()
        self.away = False
        """Whether the database was away when it was last asked."""
        self.gate = flood.Gate()
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._connection: _Connection | None = None
        self._standby = standby.Standby()
        self._asking: asyncio.Task[None] | None = None
        # For the question whether the database answers, which must not wait for a block to be written.
        self._line: _Connection | None = None
        self._checking: asyncio.Task[bool] | None = None
        self._heard_at = -ASK_SECONDS
        # Whether blocks of before may still be on their way home, and with them client ids that the database lacks.
        self._returning = False
        # Since when both have been away, and until when nobody need wait to find that out.
        self._both_away_since: float | None = None
        self._answered: dict[bytes, bytes] = {}
        self._refused_until = 0.0

    def is_ours(self) -> bool:
        """Whether it belongs here: after a fork, or in another loop, its connection is somebody else's."""
        return self.pid == os.getpid() and self.loop is asyncio.get_running_loop()

    async def put(self, entry: Entry, *, flags: int = 0) -> Standing:
        """Returns, once it is on disk, what stands for ``entry``. Raises :class:`Unavailable`.

        With ``flags`` (see :mod:`flood`) it may be refused before: raises ``flood.Refusal``.

        Whoever is cancelled while waiting (a client that went away) changes nothing: the report is written.
        """
        if len(self._waiting) >= WAITING_LIMIT:
            raise Unavailable
        future: asyncio.Future[Standing | None] = self.loop.create_future()
        self._waiting.append((entry, future, flags))
        if self._writer is None or self._writer.done():
            self._writer = self.loop.create_task(self._write_all())
        standing = await future
        if standing is None:
            raise Unavailable
        return standing

    async def put_all(self, entries: Sequence[Entry]) -> list[Standing]:
        """The same for reports that belong together. Raises :class:`Unavailable` when one of them was not written."""
        if len(self._waiting) + len(entries) > WAITING_LIMIT:
            raise Unavailable
        futures: list[asyncio.Future[Standing | None]] = [self.loop.create_future() for _ in entries]
        self._waiting.extend((entry, future, 0) for entry, future in zip(entries, futures, strict=True))
        if self._writer is None or self._writer.done():
            self._writer = self.loop.create_task(self._write_all())
        found = [await future for future in futures]
        standing = [one for one in found if one is not None]
        if len(standing) < len(entries):
            raise Unavailable
        return standing

    async def close(self) -> None:
        """Writes what waits, then lets go of the connections."""
        if self._writer is not None:
            await self._writer
        # First what may find the database away, and then have it asked for.
        if self._checking is not None:
            await asyncio.wait({self._checking})
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        if self._line is not None:
            with suppress(psycopg.Error, OSError):
                await self._line.close()
        await self._disconnect()
        await self.gate.close()
        await self._standby.close()

    async def _write_all(self) -> None:
        while self._waiting:
            if self.away:
                # Larger blocks: the broker holds so many of them, and they have to come home one by one.
                await asyncio.sleep(GATHER_SECONDS)
            taken = await self._admitted([self._waiting.popleft() for _ in range(min(BLOCK_LIMIT, len(self._waiting)))])
            try:
                standing: Sequence[Standing | None] = await self._write([one[0] for one in taken])
            except Unavailable:
                # Those behind them would wait as long for the same: better told now.
                taken.extend(self._waiting)
                self._waiting.clear()
                standing = [None] * len(taken)
            for (_entry, future, _flags), found in zip(taken, standing, strict=True):
                if not future.done():
                    future.set_result(found)

    async def _admitted(self, taken: list[_Waiting]) -> list[_Waiting]:
        """Those that the limits let through; the others are told."""
        visits = [(entry.who, flags) for entry, _future, flags in taken if flags]
        if not visits:
            return taken
        verdicts = await self.gate.judge(visits, waiting=len(self._waiting))
        if not any(verdicts):
            return taken
        judged = iter(verdicts)
        admitted = []
        for one in taken:
            refusal = next(judged) if one[2] else None
            if refusal is None:
                admitted.append(one)
            elif not one[1].done():
                one[1].set_exception(refusal)
        return admitted

    async def _write(self, entries: Sequence[Entry]) -> list[Standing]:
        if not entries:
            return []
        earlier = await self._held_earlier(entries) if self._returning else {}
        rest = [entry for entry in entries if entry.client_id not in earlier]
        written = iter(await self._write_somewhere(Batch(rest)) if rest else [])
        standing = [earlier[e.client_id] if e.client_id in earlier else next(written) for e in entries]
        self._remember(entries, standing)
        return standing

    def _remember(self, entries: Sequence[Entry], standing: Sequence[Standing]) -> None:
        for entry, one in zip(entries, standing, strict=True):
            if entry.client_id is not None:
                self._answered[entry.client_id.bytes] = _said(one)
        while len(self._answered) > REMEMBERED:
            # The oldest: a dictionary keeps its order.
            del self._answered[next(iter(self._answered))]

    async def _write_somewhere(self, batch: Batch) -> list[Standing]:
        """Into the database, or else into the broker, whichever takes it first; gives up after a few seconds."""
        began = time.monotonic()
        attempted = False
        while True:
            if not self.away:
                try:
                    return await self._store(batch, again=attempted)
                except _Away:
                    attempted = True
                    # Perhaps only this connection was lost.
                    if time.monotonic() - began < SWITCH_SECONDS:
                        await asyncio.sleep(0.1)
                        continue
                    self._is_away()
            try:
                return await self._hold(batch, attempted=attempted)
            except standby.Refused as refusal:
                now = time.monotonic()
                since = self._both_away_since = self._both_away_since or now
                if now - min(began, since) >= RETRY_SECONDS or now < self._refused_until:
                    if now >= self._refused_until:
                        logger.warning("the database is away, and %s: reports are told to come again", refusal)
                        self._refused_until = now + ASK_SECONDS
                    raise Unavailable from refusal
                await asyncio.sleep(0.1)

    # --- Into the database ---

    async def _store(self, batch: Batch, *, again: bool) -> list[Standing]:
        """Raises :class:`_Away`, after which the attempt may still come about."""
        try:
            if self._connection is None:
                self._connection = await _connect_within(
                    ATTEMPT_SECONDS if settings.STANDBY == "off" else SWITCH_SECONDS
                )
            try:
                steps = inbox.plan(batch, again=again)
                return await self._in_time(
                    batch, self._attempt(steps, in_transaction=again or not batch.in_one_statement)
                )
            except Landed:
                return await self._in_time(batch, self._attempt(inbox.landed(batch), in_transaction=False))
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError) as error:
            await self._disconnect()
            raise _Away from error
        except psycopg.errors.ReadOnlySqlTransaction as error:
            # What we know as the database has become another one's follower.
            await self._disconnect()
            raise _Away from error
        except psycopg.Error as error:
            # Not the database's absence but a fault of ours: neither trying again nor the broker would help.
            logger.exception("a block of %d reports could not be written", len(batch.entries))
            await self._disconnect()
            raise Unavailable from error

    async def _in_time(self, batch: Batch, attempt: Coroutine[Any, Any, list[Standing]]) -> list[Standing]:
        """What ``attempt`` returns, or what the broker says where that comes first. Raises ``TimeoutError``."""
        task = self.loop.create_task(attempt)
        await asyncio.wait({task}, timeout=SWITCH_SECONDS)
        if not task.done():
            with suppress(standby.Refused):
                held = await self._hold(batch, attempted=True)
                self._abandon(task)
                self._is_away()
                return held
            await asyncio.wait({task}, timeout=ATTEMPT_SECONDS - SWITCH_SECONDS)
        if not task.done():
            self._abandon(task)
            raise TimeoutError
        return task.result()

    def _abandon(self, task: asyncio.Task[list[Standing]]) -> None:
        """Ends an attempt without waiting for the server, which may have stopped: cancelling would ask it first."""
        held, self._connection = self._connection, None
        _cut(held)
        _leave(task)

    async def _attempt(self, steps: Plan, *, in_transaction: bool) -> list[Standing]:
        if self._connection is None:
            self._connection = await _connect()
        # One statement is its own transaction, and saves two round trips.
        connection = self._connection
        context = connection.transaction() if in_transaction else nullcontext()
        async with context, connection.cursor() as cursor:
            try:
                statement = next(steps)
                while True:
                    await cursor.execute(*statement)
                    statement = steps.send(await cursor.fetchall())
            except StopIteration as end:
                return cast("list[Standing]", end.value)

    async def _disconnect(self) -> None:
        held, self._connection = self._connection, None
        if held is not None:
            with suppress(psycopg.Error, OSError):
                await held.close()

    # --- Into the broker ---

    async def _hold(self, batch: Batch, *, attempted: bool) -> list[Standing]:
        """Holds the block in the broker. Raises ``standby.Refused``."""
        claimants: dict[UUID, Entry] = {}
        for entry in batch.entries:
            if entry.client_id is not None:
                claimants.setdefault(entry.client_id, entry)
        # What the database accepted before it went away only those know who answered it.
        standing = {
            id: _standing(self._answered[id.bytes]) if id.bytes in self._answered else inbox.stands(entry)
            for id, entry in claimants.items()
        }
        while True:
            written = [e for e in batch.entries if e.client_id is None or standing[e.client_id].id == e.id]
            client_ids = {place: e.client_id for place, e in enumerate(written) if e.client_id is not None}
            claims = {id: _said(standing[id]) for id in client_ids.values()}
            payload = standby.pack(standby.Held(inbox.pack(written), client_ids, attempted)) if written else b""
            taken = await self._standby.hold(standby.Block(batch.key, payload, claims)) if written else {}
            if not taken:
                break
            standing |= {id: _standing(said) for id, said in taken.items()}
        self._both_away_since = None
        return inbox.answers(batch, standing)

    async def _held_earlier(self, entries: Sequence[Entry]) -> dict[UUID | None, Standing]:
        """What stands for client ids whose reports are still on their way home from the broker."""
        ids = sorted({entry.client_id for entry in entries if entry.client_id is not None})
        if not ids:
            return {}
        try:
            claimed, self._returning = await self._standby.claimed(ids)
        except standby.Refused:
            # Then the database decides; a report under the same id that is still held will give way to it.
            return {}
        return {id: _standing(said) for id, said in claimed.items()}

    # --- Whether it answers ---

    async def database_answers(self) -> bool:
        """Whether the database answers, as far as was known a second ago; else it is asked, once for all who wait.

        One that hangs, and neither answers nor refuses, would else hold a thread for each page for as long as it does.
        """
        if self.away:
            return False
        if time.monotonic() - self._heard_at < ASK_SECONDS:
            return True
        if self._checking is None or self._checking.done():
            self._checking = self.loop.create_task(self._check())
        return await asyncio.shield(self._checking)

    async def _check(self) -> bool:
        seconds = ATTEMPT_SECONDS if settings.STANDBY == "off" else HANG_SECONDS
        # A line that was cut since, as by a database that was started again, is no answer: it is asked on a new one.
        for line in (self._line, None) if self._line is not None else (None,):
            self._line = None
            task = self.loop.create_task(_heard(line, seconds))
            await asyncio.wait({task}, timeout=seconds)
            if task.done() and task.exception() is None:
                self._line, self._heard_at = task.result(), time.monotonic()
                return True
            _cut(line)
            if not task.done():
                _leave(task)
                break
        self._is_away()
        return False

    def _is_away(self) -> None:
        if not self.away:
            logger.warning("the database is away: reports are held in the broker")
            self.away = True
            self._asking = self.loop.create_task(self._ask())
            if (now := clock.at_hand()) is not None:
                _leave(self.loop.create_task(asyncio.to_thread(guard.lend, now)))

    async def _ask(self) -> None:
        """Asks for the database every second until it takes writes again."""
        while self.away:
            await asyncio.sleep(ASK_SECONDS)
            try:
                found = await _connect_within(ASK_SECONDS)
                async with asyncio.timeout(ASK_SECONDS):
                    row = await (await found.execute("SELECT pg_is_in_recovery()")).fetchone()
            except (psycopg.Error, OSError, TimeoutError):
                continue
            except Exception:
                # Whatever it is, the site must not take the database for away for ever.
                logger.exception("could not ask for the database")
                continue
            if row != (False,):
                await found.close()
                continue
            await self._disconnect()
            self._connection = found
            self._returning = settings.STANDBY != "off"
            self._both_away_since = None
            self.away = False
            guard.look_again()
            logger.warning("the database is back")


# What nobody waits for: a task that nothing refers to may vanish.
_abandoned: set[asyncio.Task[Any]] = set()


def _leave(task: asyncio.Task[Any]) -> None:
    """Lets a task end by itself, whatever comes of it."""
    _abandoned.add(task)

    def ended(task: asyncio.Task[Any]) -> None:
        _abandoned.discard(task)
        if not task.cancelled():
            task.exception()

    task.add_done_callback(ended)


def _cut(connection: _Connection | None) -> None:
    """Ends a connection without waiting for the server, which may have stopped: closing would ask it first."""
    if connection is not None and not connection.closed:
        with suppress(OSError), socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(SHUT_RDWR)


async def _connect_within(seconds: float) -> _Connection:
    """A new connection. Raises ``TimeoutError``, in time: a server that stopped half-way would delay the cancelling."""
    task = asyncio.get_running_loop().create_task(_connect())
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        _leave(task)
        raise TimeoutError
    return task.result()


async def _heard(line: _Connection | None, seconds: float) -> _Connection:
    """The line, or a new one, once the database has answered on it."""
    if line is None:
        line = await _connect_within(seconds)
    await line.execute("SELECT 1")
    return line


_ANSWER = struct.Struct("<16siiBi")


def _said(standing: Standing) -> bytes:
    return _ANSWER.pack(
        standing.id.bytes, standing.service_id, standing.region_id, standing.kind, standing.problem_id or 0
    )


def _standing(said: bytes) -> Standing:
    id, service, region, kind, problem = _ANSWER.unpack(said)
    return Standing(UUID(bytes=id), service, region, kind, problem or None)


async def _connect() -> _Connection:
    parameters = connections["default"].get_connection_params()
    # Django's cursor is a blocking one, and its adapters are for its own queries.
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    made = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
    await made.execute(inbox.DURABLY, [False])
    return cast(_Connection, made)


_coalescer: Coalescer | None = None


def of_another_thread() -> Coalescer | None:
    """The coalescer of this process, where its loop runs in another thread than the caller's."""
    held = _coalescer
    if held is None or held.pid != os.getpid() or held.thread == get_ident() or not held.loop.is_running():
        return None
    return held


def database_is_away() -> bool:
    """Whether this process has found the database away, and not yet back: known without asking."""
    held = _coalescer
    return held is not None and held.pid == os.getpid() and held.away and held.loop.is_running()


async def database_answers() -> bool:
    """Whether the database answers: see :meth:`Coalescer.database_answers`. Outside the server's loop nobody asks."""
    held = _coalescer
    if held is not None and held.is_ours():
        return await held.database_answers()
    return not database_is_away()


def of_this_loop() -> Coalescer:
    """The coalescer of this process and event loop, made on first use."""
    global _coalescer
    held = _coalescer
    if held is None or not held.is_ours():
        held = _coalescer = Coalescer()
    return held
