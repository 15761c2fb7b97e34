"""Without a database: reports wait in the broker, on its disk, and each is counted once when the database is back."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from reports import clock, status, tasks
from reports.incidents.watch import watch
from reports.intake import catalogue, guard, inbox, recovery, standby
from reports.intake import coalescer as coalescing
from reports.intake.coalescer import Coalescer
from reports.intake.drain import drain
from reports.intake.inbox import Standing, Unavailable
from reports.models import AcceptedId, InboxBlock, Report, ReportCount, Salt, Service, ServiceAlias
from tests.conftest import wait_until
from tests.intake.making import Catalogue
from tests.intake.test_endpoint import GOOD, answer, ask, asked
from tests.intake.test_inbox import NOON, entry, in_loop, parameters, stands

pytestmark = pytest.mark.usefixtures("standing_by")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """The database refuses every new connection until the function is called."""
    with refusing() as back:
        yield back


@contextmanager
def refusing() -> Iterator[Callable[[], None]]:
    with pytest.MonkeyPatch.context() as patch:

        async def refuse() -> Any:
            raise psycopg.OperationalError("connection refused")

        patch.setattr(coalescing, "_connect", refuse)
        yield patch.undo


def home() -> None:
    """Everything home and drained."""
    while recovery.recover() + drain(now=datetime.now(UTC)).blocks:
        pass


def stored() -> set[UUID]:
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == Report.objects.count()
    return set(Report.objects.values_list("id", flat=True))


async def in_thread(call: Callable[[], Any]) -> Any:
    def run() -> Any:
        try:
            return call()
        finally:
            connection.close()

    return await asyncio.to_thread(run)


def several(*works: Callable[[Coalescer], Awaitable[Any]]) -> list[Any]:
    """Each work with a coalescer of its own, one after the other in one loop, as of several web servers."""

    async def run() -> list[Any]:
        found = []
        for work in works:
            coalescer = Coalescer()
            found.append(await work(coalescer))
            await coalescer.close()
        return found

    return asyncio.run(run())


# --- Held, and brought home ------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.dictionaries(st.integers(0, 2**32 - 1), st.uuids()), st.booleans(), st.data())
def test_what_is_held_is_read_back_and_any_change_is_noticed(
    block: bytes, ids: dict[int, UUID], attempted: bool, data: st.DataObject
):
    held = standby.Held(block, ids, attempted)
    payload = bytearray(standby.pack(held))
    assert standby.unpack(bytes(payload)) == held
    # The flag may be another; everything else is told by its mark, its checksum or its length.
    place = data.draw(st.integers(0, len(payload) - 1).filter(lambda place: place != 8))
    payload[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(standby.Unreadable):
        standby.unpack(bytes(payload))


def test_without_a_database_reports_are_accepted_soon_and_counted_once_it_is_back(
    committed: Catalogue, away: Callable[[], None]
):
    sent = [entry(i, client_id=uuid4() if i % 3 else None) for i in range(1, 201)]

    async def flood(coalescer: Coalescer) -> list[Standing]:
        began = time.monotonic()
        first = await coalescer.put(sent[0])
        assert time.monotonic() - began < 10
        began = time.monotonic()
        rest = await asyncio.gather(*map(coalescer.put, sent[1:]))
        assert time.monotonic() - began < coalescing.SWITCH_SECONDS
        assert coalescer.away
        return [first, *rest]

    assert in_loop(flood) == [stands(one) for one in sent]
    assert standby.waiting().blocks == 2
    assert standby.waiting().since == NOON
    assert not InboxBlock.objects.exists()
    home()
    assert stored() == {one.id for one in sent}
    assert AcceptedId.objects.count() == sum(one.client_id is not None for one in sent)
    assert standby.waiting() == standby.Waiting(blocks=0, broken=0, bytes=0, since=None)
    assert not standby.client().hlen(standby._CLAIMS)


def test_the_database_is_used_again_within_a_second_or_two_of_its_return(
    committed: Catalogue, away: Callable[[], None]
):
    async def outage(coalescer: Coalescer) -> None:
        await coalescer.put(entry(1))
        away()
        began = time.monotonic()
        while coalescer.away:
            await asyncio.sleep(0.05)
            assert time.monotonic() - began < 10
        await coalescer.put(entry(2))

    in_loop(outage)
    assert (standby.waiting().blocks, InboxBlock.objects.count()) == (1, 1)
    home()
    assert len(stored()) == 2


@pytest.mark.parametrize("with_ids", [False, True])
@pytest.mark.parametrize("home_first", [False, True])
def test_an_attempt_that_comes_about_after_all_is_not_counted_twice(
    committed: Catalogue, with_ids: bool, home_first: bool
):
    """The database hangs: its answer is not waited for, but it has the statement and will carry it out."""
    sent = [entry(i, client_id=uuid4() if with_ids and i % 2 else None) for i in range(1, 6)]

    async def hang(coalescer: Coalescer) -> list[Standing]:
        rival = await psycopg.AsyncConnection.connect(**parameters())
        await rival.execute("LOCK TABLE reports_inboxblock IN EXCLUSIVE MODE")
        answers = await asyncio.gather(*map(coalescer.put, sent))
        assert coalescer.away
        if home_first:
            # As if the statement had lain there, not yet begun, until everything was home and drained.
            await asyncio.to_thread(_end_others)
            await rival.rollback()
            await in_thread(home)
            await (await rival.execute(inbox._INSERT_BLOCK, _statement(sent))).fetchall()
            await rival.commit()
        else:
            await rival.rollback()
        await rival.close()
        return list(answers)

    assert in_loop(hang) == [stands(one) for one in sent]
    home()
    assert stored() == {one.id for one in sent}
    home()
    assert len(stored()) == 5


def _statement(sent: list[inbox.Entry]) -> list[Any]:
    id = min(one.id for one in sent)
    return [id, len(sent), inbox.pack(sent), NOON, False]


def _end_others() -> None:
    with psycopg.connect(**parameters(), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE '%INSERT INTO reports_inboxblock%' AND wait_event_type = 'Lock'"
        )


@pytest.mark.parametrize("drained", [False, True])
def test_whoever_dies_between_the_commit_and_the_release_loses_and_repeats_nothing(
    committed: Catalogue, away: Callable[[], None], drained: bool, monkeypatch: pytest.MonkeyPatch
):
    sent = [entry(i, client_id=uuid4() if i % 2 else None) for i in range(1, 6)]
    for one in sent:
        in_loop(partial(Coalescer.put, entry=one))
    assert standby.waiting().blocks == 5
    for death in range(2):
        with monkeypatch.context() as dying:
            dying.setattr(standby, "release", lambda _: (_ for _ in ()).throw(redis.ConnectionError("killed")))
            assert recovery.recover() == 0
        assert standby.waiting().blocks == 5
        if drained:
            assert drain(now=NOON).reports == (0 if death else 5)
    home()
    assert stored() == {one.id for one in sent}
    assert standby.waiting().blocks == 0


def test_a_block_held_twice_is_one_block(committed: Catalogue, away: Callable[[], None]):
    sent = [entry(i, client_id=uuid4()) for i in range(1, 4)]

    async def twice(coalescer: Coalescer) -> None:
        for _ in range(2):
            batch = inbox.Batch(sent)
            assert await coalescer._hold(batch, attempted=True) == [stands(one) for one in sent]

    in_loop(twice)
    assert standby.waiting().blocks == 1
    home()
    assert stored() == {one.id for one in sent}
    # Told a third time after it went home.
    in_loop(lambda coalescer: coalescer._hold(inbox.Batch(sent), attempted=True))
    home()
    assert stored() == {one.id for one in sent}


def test_a_block_that_cannot_be_read_is_set_aside_and_stops_nobody(committed: Catalogue, away: Callable[[], None]):
    async def three(coalescer: Coalescer) -> None:
        await coalescer.put(entry(1))
        torn = standby.Block(uuid4(), b"torn", {})
        await coalescer._standby.hold(torn)
        # Readable, but for the instant of its id, which is beyond what the tables take.
        beyond = UUID(int=2**128 - 1)
        block = standby.Held(inbox.pack([entry(2)]), {}, attempted=False)
        await coalescer._standby.hold(standby.Block(beyond, standby.pack(block), {}))

    in_loop(three)
    home()
    assert len(stored()) == 1
    assert (standby.waiting().blocks, standby.waiting().broken) == (0, 2)
    assert status.readiness(now=NOON).broken_blocks == 2


# --- The same id again -----------------------------------------------------------------------------------------------


def test_the_same_id_gets_the_same_answer_from_every_server_while_the_database_is_away_and_just_after(
    committed: Catalogue, away: Callable[[], None]
):
    id = uuid4()
    first, *later = [entry(i, client_id=id) for i in range(1, 6)]

    async def until_back(coalescer: Coalescer) -> list[Standing]:
        found = [await coalescer.put(later[1])]
        away()
        while coalescer.away:
            await asyncio.sleep(0.05)
        # The database answers, and does not know the id yet: the broker does.
        found += await asyncio.gather(coalescer.put(later[2]), coalescer.put(entry(9)))
        await in_thread(home)
        found.append(await coalescer.put(later[3]))
        return found

    async def both(coalescer: Coalescer) -> list[Standing]:
        return list(await asyncio.gather(coalescer.put(first), coalescer.put(later[0])))

    (one, two), (three, four, other, five) = several(both, until_back)
    assert one == two == three == four == five == stands(first)
    home()
    assert stored() == {first.id, other.id}


def test_an_id_that_the_database_had_accepted_is_counted_once(committed: Catalogue):
    id, other = uuid4(), entry(3)
    first, again = entry(1, client_id=id), entry(2, client_id=id)
    in_loop(lambda coalescer: coalescer.put(first))
    with refusing():
        in_loop(lambda coalescer: asyncio.gather(coalescer.put(again), coalescer.put(other)))
    home()
    assert stored() == {first.id, other.id}
    assert AcceptedId.objects.get().report_id == first.id


# --- Bounds, and what is not durable ---------------------------------------------------------------------------------


def refused(coalescer_answers: list[Any]) -> bool:
    return all(isinstance(one, Unavailable) for one in coalescer_answers)


async def try_all(coalescer: Coalescer) -> list[Any]:
    return await asyncio.gather(*(coalescer.put(entry(i)) for i in range(1, 4)), return_exceptions=True)


@pytest.mark.parametrize("bound", ["bytes", "blocks"])
def test_the_stand_by_has_a_bound_before_which_it_says_later(
    committed: Catalogue, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch, bound: str, settings: Any
):
    monkeypatch.setattr(coalescing, "RETRY_SECONDS", 0.2)
    if bound == "bytes":
        settings.STANDBY_MB = 1
        standby.client().set(standby._BYTES, (1 << 20) - 100)
    else:
        monkeypatch.setattr(standby, "BLOCKS_LIMIT", 0)
    assert refused(in_loop(try_all))
    assert standby.waiting().blocks == 0


@pytest.mark.parametrize(
    ("parameter", "value", "back"),
    [("appendonly", "no", "yes"), ("maxmemory-policy", "allkeys-lru", "noeviction")],
)
def test_a_broker_that_may_lose_what_it_is_told_is_refused_unless_it_is_trusted(
    committed: Catalogue,
    away: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    parameter: str,
    value: str,
    back: str,
):
    monkeypatch.setattr(coalescing, "RETRY_SECONDS", 0.2)
    standby.client().config_set(parameter, value)
    try:
        assert refused(in_loop(try_all))
        settings.STANDBY = "trust"
        assert not refused(in_loop(try_all))
    finally:
        standby.client().config_set(parameter, back)


@pytest.mark.parametrize(
    ("info", "flushes", "fault"),
    [
        ({"aof_enabled": 1, "maxmemory_policy": "noeviction"}, True, ""),
        ({"aof_enabled": 1, "maxmemory_policy": "volatile-lru"}, True, ""),
        ({"aof_enabled": 1, "maxmemory_policy": "noeviction"}, False, "does not tell when its file is flushed"),
        ({"aof_enabled": 0, "maxmemory_policy": "noeviction"}, True, "keeps no append-only file"),
    ],
)
def test_what_makes_a_broker_fit(info: dict[str, Any], flushes: bool, fault: str):
    assert fault in standby._fault(info, flushes=flushes)
    assert bool(fault) == bool(standby._fault(info, flushes=flushes))


def test_without_a_broker_reports_go_straight_to_the_database(committed: Catalogue, settings: Any):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    began = time.monotonic()
    assert not refused(in_loop(try_all))
    assert time.monotonic() - began < 10
    assert sum(InboxBlock.objects.values_list("reports", flat=True)) == 3


def test_without_either_the_answer_is_an_honest_and_quick_503(
    committed: Catalogue, away: Callable[[], None], settings: Any
):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    async def twice(coalescer: Coalescer) -> list[float]:
        waits = []
        for _ in range(2):
            began = time.monotonic()
            assert refused(await try_all(coalescer))
            waits.append(time.monotonic() - began)
        return waits

    first, second = in_loop(twice)
    assert first < coalescing.RETRY_SECONDS + 2
    assert second < 0.5


# --- The whole endpoint ----------------------------------------------------------------------------------------------


def test_the_endpoint_answers_202_without_a_database_also_after_midnight(
    committed: Catalogue, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    def gone(*_: object) -> Any:
        raise psycopg.OperationalError("connection refused")

    catalogue.read()
    evening = datetime(2026, 3, 4, 23, 50, tzinfo=UTC)
    yesterdays = guard.read_secrets(evening).today
    monkeypatch.setattr(catalogue, "_fingerprint", lambda: _database_error())
    monkeypatch.setattr(guard, "_salts", lambda _days: _database_error())
    monkeypatch.setattr(clock, "now", lambda: evening + timedelta(minutes=20))
    for _ in range(2):
        found = asked(ask(b'{"service": "whatsapp", "region": "GB-ENG"}'))[0]
        assert found.status == 202
    kept = guard.known_secrets(evening + timedelta(minutes=20))
    assert kept is not None
    assert kept.yesterday == yesterdays
    # Another process that began without the database's new secret agrees on the same.
    monkeypatch.setattr(guard, "_kept", {})
    assert guard.held_secrets(evening + timedelta(hours=2)).today == kept.today
    monkeypatch.undo()
    home()
    assert Salt.objects.get(day=date(2026, 3, 5)).secret == kept.today
    assert standby.secret_days() == []
    # The same person within the window: one counted, both kept.
    assert list(Report.objects.order_by("id").values_list("counted", flat=True)) == [True, False]


def test_a_process_that_starts_in_an_outage_gets_the_secret_of_one_that_was_there_when_it_began(
    committed: Catalogue, monkeypatch: pytest.MonkeyPatch
):
    now = clock.now()
    keys, today = guard.read_secrets(now), now.date()
    with refusing():
        in_loop(lambda coalescer: coalescer.put(entry(1)))
        wait_until(lambda: today in standby.secret_days(), "the secret is lent")
        monkeypatch.setattr(guard, "_kept", {})
        monkeypatch.setattr(guard, "_provisional", False)
        assert guard.held_secrets(now) == keys
    home()
    assert standby.secret_days() == []
    assert Salt.objects.get(day=today).secret == keys.today
    # Nor does a process that lives through the outage hold on to it.
    assert guard._provisional
    guard.look_again()
    assert guard.known_secrets(now) is None


def test_a_secret_past_its_time_is_lent_to_nobody(committed: Catalogue, standing_by: redis.Redis):
    evening = datetime(2026, 3, 4, 23, 50, tzinfo=UTC)
    guard.read_secrets(evening)
    guard.lend(evening + timedelta(hours=1, minutes=11))
    assert standby.secret_days() == []
    guard.lend(evening + timedelta(minutes=20))
    assert standby.secret_days() == [evening.date()]


def _database_error() -> Any:
    from django.db import OperationalError

    raise OperationalError("the database is away")


@pytest.mark.parametrize("kept", [None, b"nonsense", zlib.compress(b"{}")])
def test_a_server_that_starts_without_database_and_catalogue_says_later(
    committed: Catalogue,
    standing_by: redis.Redis,
    away: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    kept: bytes | None,
):
    monkeypatch.setattr(catalogue, "_fingerprint", lambda: _database_error())
    if kept is not None:
        standby.keep_catalogue(kept)
    found = answer(GOOD)
    assert (found.status, found.headers["retry-after"]) == (503, "5")


def test_a_server_that_starts_without_a_database_goes_by_the_catalogue_that_the_broker_keeps(
    committed: Catalogue, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    ServiceAlias.objects.create(service=committed.instagram, alias="Insta")
    Service.objects.filter(pk=committed.lloyds.pk).update(retired_at=NOON)
    read = catalogue.read()
    for name, before in (("_known", None), ("_checked_at", 0.0)):
        monkeypatch.setattr(catalogue, name, before)
    with monkeypatch.context() as gone:
        gone.setattr(catalogue, "_fingerprint", lambda: _database_error())
        gone.setattr(guard, "_salts", lambda _days: _database_error())
        found = answer(b'{"service": "insta", "region": "GB~LON", "problem": "login"}')
        assert (found.status, found.json["service"]) == (202, "instagram")
        assert answer(b'{"service": "lloyds-bank", "region": "GB"}').status == 400
        held = catalogue.stale()
        assert held is not None
        assert replace(held, fingerprint=read.fingerprint) == read
    # The tables have the last word as soon as they can be asked.
    assert catalogue.read() == read
    home()
    assert len(stored()) == 1


def test_an_id_from_before_the_outage_gets_the_same_answer_during_it(committed: Catalogue):
    early = [entry(i, client_id=uuid4()) for i in range(1, 6)]
    again = [replace(one, id=inbox.report_id(NOON), service_id=committed.instagram.id) for one in early]

    async def work(coalescer: Coalescer) -> tuple[list[Standing], list[Standing]]:
        before = [await coalescer.put(one) for one in early]
        with refusing():
            await coalescer._disconnect()
            during = await coalescer.put_all([*again, entry(9)])
        return before, during

    before, during = in_loop(work)
    assert during[:5] == before
    home()
    assert stored() == {*(one.id for one in before), during[5].id}


def test_another_server_gives_it_another_number_and_it_still_counts_once(committed: Catalogue):
    early = entry(1, client_id=uuid4())
    again = replace(early, id=inbox.report_id(NOON))
    in_loop(lambda coalescer: coalescer.put(early))
    with refusing():
        found = in_loop(lambda coalescer: coalescer.put(again))
    assert found.id == again.id
    home()
    assert stored() == {early.id}


def test_only_so_many_answers_are_remembered(committed: Catalogue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coalescing, "REMEMBERED", 3)

    async def work(coalescer: Coalescer) -> list[bytes]:
        for i in range(1, 6):
            await coalescer.put(entry(i, client_id=UUID(int=i)))
        return list(coalescer._answered)

    assert in_loop(work) == [UUID(int=i).bytes for i in (3, 4, 5)]


@contextmanager
def serving() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in another thread, with the process's coalescer in it, as a web server has one."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> Coalescer:
        return coalescing.of_this_loop()

    coalescer = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(coalescer.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_the_form_is_taken_and_pages_say_later_at_once(committed: Catalogue, away: Callable[[], None], client: Client):
    def post(person: int) -> Any:
        form = {"country": "GB", "region": "GB-ENG", "kind": "down"}
        return client.post("/services/whatsapp/report/", form, headers={"User-Agent": f"browser {person}"})

    catalogue.read()
    guard.read_secrets(clock.now())
    with serving():
        for person in range(3):
            found = post(person)
            assert (found.status_code, b"your report is stored" in found.content) == (200, True)
        with CaptureQueriesContext(connection) as asked_for:
            for path in ("/", "/services/whatsapp/", "/api/v1/services/"):
                found = client.get(path)
                assert (found.status_code, found.headers["Retry-After"]) == (503, "5")
            health = client.get("/readyz")
        assert not asked_for.captured_queries
        assert health.status_code == 503
        assert (health.json()["database"], health.json()["held_blocks"]) == (False, 3)
        assert client.get("/healthz").status_code == 200
        away()
        end = time.monotonic() + 10
        while coalescing.database_is_away() and time.monotonic() < end:
            time.sleep(0.05)
        assert client.get("/api/v1/services/").status_code == 200
        assert post(4).status_code == 303
    home()
    assert len(stored()) == 4


# --- Detection and our own health ------------------------------------------------------------------------------------


def test_detection_waits_until_what_was_held_is_counted(committed: Catalogue):
    now = datetime.now(UTC)
    watch(now=now - timedelta(minutes=30))
    with refusing():
        in_loop(lambda coalescer: coalescer.put(entry(1, at=now - timedelta(minutes=25))))
    found = recovery.look()
    assert found.to_be_waited_for
    # Patience has an end: then the minutes that wait are left unjudged, and none of them is taken for silence.
    watched = watch(now=now - timedelta(minutes=20), held_since=found.since)
    assert watched.minute == minute_of_held(found.since) - timedelta(minutes=1)
    assert watched.waiting in (4, 5)
    standby.client().set(standby._RECOVERING, str(time.time() - recovery.PATIENCE.total_seconds() - 1))
    assert not recovery.look().to_be_waited_for
    assert watch(now=now, held_since=found.since).skipped > 0
    tasks.drain()
    assert not recovery.look().to_be_waited_for
    assert recovery.look().since is None
    assert len(stored()) == 1


def minute_of_held(since: datetime | None) -> datetime:
    assert since is not None
    return clock.instant_of(clock.minute_of(since))


def test_nobody_is_forgotten_while_reports_are_held(committed: Catalogue, monkeypatch: pytest.MonkeyPatch):
    forgotten: list[datetime] = []
    monkeypatch.setattr(guard, "forget", forgotten.append)
    with refusing():
        in_loop(lambda coalescer: coalescer.put(entry(1)))
    with monkeypatch.context() as stuck:
        stuck.setattr(recovery, "recover", lambda: 0)
        tasks.drain()
        assert not forgotten
    tasks.drain()
    assert forgotten


def test_readiness_tells_what_is_held_and_since_when(committed: Catalogue):
    with refusing():
        in_loop(lambda coalescer: coalescer.put(entry(1)))
    found = status.readiness(now=NOON + timedelta(minutes=7))
    assert (found.ready, found.held_blocks, found.held_since) == (False, 1, NOON)
    assert "Accepted reports are held in the broker, for 7 minutes now." in found.problems


# --- Partners --------------------------------------------------------------------------------------------------------


def test_a_batch_is_held_too_and_comes_home_once(committed: Catalogue):
    from reports.intake import keys
    from tests.intake.test_batch import answer as send
    from tests.intake.test_batch import item

    now = datetime.now(UTC)
    _, token = keys.issue("tests", owner="tests", now=now)
    early = item()
    assert send([early], token=token).json["accepted"] == 1
    sent = [item(network=str(i), occurred_at=(now - timedelta(hours=5)).isoformat()) for i in range(30)]
    with refusing():
        found = send([*sent, sent[0]], token=token)
        assert (found.status, found.json) == (202, {"accepted": 30, "duplicates": 1, "rejected": []})
        assert send(sent[:3], token=token).json == {"accepted": 0, "duplicates": 3, "rejected": []}
        # What waits has waited since it came in, not since it happened.
        assert standby.waiting().since >= now - timedelta(seconds=1)
    # Sent again to a server that does not know of what is held: what is held gives way to it.
    assert send(sent[:5], token=token).status == 202
    home()
    assert Report.objects.count() == AcceptedId.objects.count() == 31
    assert send([*sent, early], token=token).json == {"accepted": 0, "duplicates": 31, "rejected": []}
