"""The inbox: blocks that can be read back, written durably, each id once, whoever dies on the way."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from reports.intake import coalescer as coalescing
from reports.intake import inbox
from reports.intake.coalescer import Coalescer, of_this_loop
from reports.intake.drain import drain
from reports.intake.guard import Pseudonyms
from reports.intake.inbox import Entry, Standing, Unavailable, Unreadable
from reports.models import AcceptedId, InboxBlock, Report
from tests.intake.making import Catalogue

NOON = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)
T = TypeVar("T")
bigints = st.integers(-(2**63), 2**63 - 1)
instants = st.timedeltas(timedelta(), timedelta(days=200_000)).map(
    lambda since: datetime(1970, 1, 1, tzinfo=UTC) + since
)
numbers = st.integers(1, 2**31 - 1)
entries = st.builds(
    Entry,
    id=instants.map(inbox.report_id),
    service_id=numbers,
    region_id=numbers,
    kind=st.integers(0, 1),
    problem_id=st.none() | numbers,
    who=st.builds(Pseudonyms, bigints, bigints, bigints, bigints),
)


def entry(person: int = 1, *, at: datetime = NOON, client_id: UUID | None = None) -> Entry:
    return Entry(inbox.report_id(at), 1, 2, 0, None, Pseudonyms(person, person), client_id)


def stands(sent: Entry) -> Standing:
    return Standing(sent.id, sent.service_id, sent.region_id, sent.kind, sent.problem_id)


def parameters() -> dict[str, Any]:
    return {k: v for k, v in connection.get_connection_params().items() if k not in ("cursor_factory", "context")}


def in_loop(work: Callable[[Coalescer], Awaitable[T]]) -> T:
    async def run() -> T:
        coalescer = Coalescer()
        try:
            return await work(coalescer)
        finally:
            await coalescer.close()

    return asyncio.run(run())


# --- Ids and blocks --------------------------------------------------------------------------------------------------


@given(instants)
def test_an_id_is_a_version_7_uuid_of_its_instant(at: datetime):
    id = inbox.report_id(at)
    assert (id.version, id.variant) == (7, "specified in RFC 4122")
    assert inbox.received_at(id) == at - timedelta(microseconds=at.microsecond % 1000)


def test_ids_of_one_instant_differ_and_later_ones_are_greater():
    assert len({inbox.report_id(NOON) for _ in range(1000)}) == 1000
    ids = [inbox.report_id(NOON + timedelta(milliseconds=i)) for i in range(100)]
    assert all(first < second for first, second in pairwise(ids))


@given(st.lists(entries, min_size=1, max_size=20))
def test_a_block_is_read_back_as_it_was_written(written: list[Entry]):
    found = inbox.unpack(inbox.pack(written))
    assert [
        Entry(
            UUID(bytes=row["id"].tobytes()),
            int(row["service"]),
            int(row["region"]),
            int(row["kind"]),
            int(row["problem"]) or None,
            Pseudonyms(*(int(row[name]) for name in ("person", "network", "person_before", "network_before"))),
        )
        for row in found
    ] == written


@given(st.lists(entries, min_size=1, max_size=3), st.data())
def test_a_block_with_any_byte_changed_or_lost_is_noticed(written: list[Entry], data: st.DataObject):
    block = bytearray(inbox.pack(written))
    place = data.draw(st.integers(0, len(block) - 1))
    with pytest.raises(Unreadable):
        inbox.unpack(bytes(block[:place]))
    block[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unreadable):
        inbox.unpack(bytes(block))


@given(st.binary(max_size=200))
def test_rubbish_is_no_block(rubbish: bytes):
    with pytest.raises(Unreadable):
        inbox.unpack(rubbish)


# --- Writing together ------------------------------------------------------------------------------------------------


def test_reports_of_one_moment_share_a_block(committed: Catalogue):
    sent = [entry(i) for i in range(1, 51)]
    answers = in_loop(lambda coalescer: asyncio.gather(*map(coalescer.put, sent)))
    assert answers == [stands(one) for one in sent]
    assert InboxBlock.objects.count() == 1
    assert drain(now=NOON).reports == 50
    assert set(Report.objects.values_list("id", flat=True)) == {one.id for one in sent}


def test_a_block_has_a_limit(committed: Catalogue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coalescing, "BLOCK_LIMIT", 20)
    in_loop(lambda coalescer: asyncio.gather(*(coalescer.put(entry(i)) for i in range(1, 51))))
    assert sorted(InboxBlock.objects.values_list("reports", flat=True)) == [10, 20, 20]


def test_a_block_has_the_instant_of_its_earliest_report(known: Catalogue):
    first, second = entry(at=NOON + timedelta(seconds=5)), entry(at=NOON)
    inbox.write([first, second])
    block = InboxBlock.objects.get()
    assert (block.id, block.written_at) == (second.id, NOON)


def test_a_full_queue_says_later_at_once(committed: Catalogue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coalescing, "WAITING_LIMIT", 3)

    async def flood(coalescer: Coalescer) -> list[Any]:
        return await asyncio.gather(*(coalescer.put(entry(i)) for i in range(1, 6)), return_exceptions=True)

    answers = in_loop(flood)
    assert [isinstance(answer, Unavailable) for answer in answers] == [False, False, False, True, True]
    assert InboxBlock.objects.get().reports == 3


def test_a_client_that_leaves_loses_nothing(committed: Catalogue):
    async def leave(coalescer: Coalescer) -> None:
        leaving = asyncio.create_task(coalescer.put(entry(1)))
        staying = asyncio.create_task(coalescer.put(entry(2)))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying

    in_loop(leave)
    assert InboxBlock.objects.get().reports == 2


def test_each_loop_has_a_coalescer_of_its_own():
    async def mine() -> Coalescer:
        assert of_this_loop() is of_this_loop()
        return of_this_loop()

    assert asyncio.run(mine()) is not asyncio.run(mine())


def test_durability_is_switched_on_where_the_server_has_it_off(committed: Catalogue):
    async def setting(coalescer: Coalescer) -> Any:
        await coalescer.put(entry())
        assert coalescer._connection is not None
        return await (await coalescer._connection.execute("SHOW synchronous_commit")).fetchone()

    assert in_loop(setting) == ("on",)


# --- The same id again -----------------------------------------------------------------------------------------------


def test_the_same_id_twice_in_one_block_is_one_report(committed: Catalogue):
    id, other = uuid4(), entry(3)
    first, second = entry(1, client_id=id), entry(2, client_id=id)
    answers = in_loop(lambda coalescer: asyncio.gather(*map(coalescer.put, (first, second, other))))
    assert answers == [stands(first), stands(first), stands(other)]
    assert InboxBlock.objects.get().reports == 2
    assert in_loop(lambda coalescer: coalescer.put(entry(4, client_id=id))) == stands(first)
    assert InboxBlock.objects.count() == 1


def test_two_processes_that_get_the_same_ids_at_once_accept_each_once(committed: Catalogue):
    ids = [uuid4() for _ in range(40)]

    async def both() -> list[list[Standing]]:
        writers = [Coalescer() for _ in range(4)]
        sent = [[entry(client_id=id) for id in ids[:: 1 if i % 2 else -1]] for i in range(len(writers))]
        waits = [asyncio.gather(*map(writer.put, some)) for writer, some in zip(writers, sent, strict=True)]
        answers = await asyncio.gather(*waits)
        for writer in writers:
            await writer.close()
        return [list(some) for some in answers]

    answers = asyncio.run(both())
    reports = {one.id for some in answers for one in some}
    assert len(reports) == 40
    assert answers[0] == answers[2] == answers[1][::-1] == answers[3][::-1]
    assert drain(now=NOON).reports == 40
    assert set(Report.objects.values_list("id", flat=True)) == reports
    assert set(AcceptedId.objects.values_list("report_id", flat=True)) == reports


def test_a_later_writer_waits_for_the_first_ones_commit_or_takes_its_place(committed: Catalogue):
    for first_commits in (True, False):
        id, mine, other = uuid4(), entry(1), entry(2)

        async def race(
            id: UUID = id, mine: Entry = mine, other: Entry = other, first_commits: bool = first_commits
        ) -> Standing:
            rival = await psycopg.AsyncConnection.connect(**parameters())
            await rival.execute(
                "INSERT INTO reports_acceptedid"
                " (client_id, report_id, service_id, region_id, kind, received_at) VALUES (%s, %s, 1, 2, 0, now())",
                [id, other.id],
            )
            coalescer = Coalescer()
            waiting = asyncio.create_task(coalescer.put(dataclasses.replace(mine, client_id=id)))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await (rival.commit() if first_commits else rival.rollback())
            await rival.close()
            standing = await waiting
            await coalescer.close()
            return standing

        assert asyncio.run(race()) == stands(other if first_commits else mine)


# --- When connections die --------------------------------------------------------------------------------------------


def test_a_lost_connection_is_made_anew(committed: Catalogue):
    async def twice(coalescer: Coalescer) -> list[Standing]:
        first = await coalescer.put(entry(1))
        assert coalescer._connection is not None
        async with await psycopg.AsyncConnection.connect(**parameters()) as other:
            await other.execute("SELECT pg_terminate_backend(%s)", [coalescer._connection.info.backend_pid])
        return [first, await coalescer.put(entry(2))]

    assert len(in_loop(twice)) == 2
    assert sum(InboxBlock.objects.values_list("reports", flat=True)) == 2


@pytest.mark.parametrize("drained", [False, True])
@pytest.mark.parametrize("with_ids", [False, True])
def test_a_commit_nobody_heard_of_is_not_repeated(committed: Catalogue, drained: bool, with_ids: bool):
    """The answer to the commit is lost on the way; meanwhile the drain may even have taken the block."""
    sent = [entry(i, client_id=uuid4() if with_ids and i % 2 else None) for i in range(1, 6)]

    class Deaf(Coalescer):
        attempts = 0

        async def _attempt(self, plan: Any, *, in_transaction: bool) -> list[Standing]:
            answers = await super()._attempt(plan, in_transaction=in_transaction)
            self.attempts += 1
            if self.attempts == 1:
                if drained:
                    await asyncio.to_thread(_closing(lambda: drain(now=NOON)))
                raise psycopg.OperationalError("the connection was lost")
            return answers

    async def put_all() -> list[Standing]:
        coalescer = Deaf()
        answers = await asyncio.gather(*map(coalescer.put, sent))
        await coalescer.close()
        return list(answers)

    assert asyncio.run(put_all()) == [stands(one) for one in sent]
    drain(now=NOON)
    assert set(Report.objects.values_list("id", flat=True)) == {one.id for one in sent}
    assert not InboxBlock.objects.exists()
    assert AcceptedId.objects.count() == sum(one.client_id is not None for one in sent)


def test_an_attempt_that_failed_before_its_commit_is_made_again(committed: Catalogue):
    sent = [entry(i, client_id=uuid4() if i % 2 else None) for i in range(1, 6)]

    class Dropped(Coalescer):
        attempts = 0

        async def _attempt(self, plan: Any, *, in_transaction: bool) -> list[Standing]:
            self.attempts += 1
            if self.attempts == 1:
                raise psycopg.OperationalError("the connection was lost")
            return await super()._attempt(plan, in_transaction=in_transaction)

    async def put_all() -> list[Standing]:
        coalescer = Dropped()
        answers = await asyncio.gather(*map(coalescer.put, sent))
        await coalescer.close()
        return list(answers)

    assert asyncio.run(put_all()) == [stands(one) for one in sent]
    assert drain(now=NOON).reports == 5


def test_without_a_database_all_who_wait_are_told_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coalescing, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(coalescing, "BLOCK_LIMIT", 2)

    async def refuse() -> Any:
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(coalescing, "_connect", refuse)

    async def put_all(coalescer: Coalescer) -> list[Any]:
        return await asyncio.gather(*(coalescer.put(entry(i)) for i in range(1, 6)), return_exceptions=True)

    assert all(isinstance(answer, Unavailable) for answer in in_loop(put_all))


def _closing(call: Callable[[], T]) -> Callable[[], T]:
    def run() -> T:
        try:
            return call()
        finally:
            connection.close()

    return run
