"""Answers kept while nothing changes, and not a moment longer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from reports.models import DrainBatch
from reports.status import snapshots
from reports.status.snapshots import LOOK_AGAIN_SECONDS
from tests.status.making import NOW, World, note, open_incident, watch


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch):
    """Time for snapshots, in seconds, that passes only when a test says so."""
    moment = [1000.0]
    monkeypatch.setattr(snapshots.time, "monotonic", lambda: moment[0])
    # Other tests need not be asked in between.
    monkeypatch.setattr(snapshots, "LOOK_AGAIN_SECONDS", LOOK_AGAIN_SECONDS)
    return moment


def test_the_database_is_asked_for_the_version_once_a_second(world: World, looking, django_assert_num_queries):
    with django_assert_num_queries(1):
        snapshots.version()
        looking[0] += 0.9
        snapshots.version()
    looking[0] += 0.2
    with django_assert_num_queries(1):
        snapshots.version()


def test_those_who_queue_while_the_database_is_away_wait_once_and_not_in_turn(
    world: World, looking, monkeypatch: pytest.MonkeyPatch
):
    waits: list[float] = []

    def away(*_: object) -> None:
        looking[0] += 5.0
        waits.append(looking[0])
        raise OperationalError("connection refused")

    snapshots.forget()
    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", away)
        for _ in range(3):
            with pytest.raises(OperationalError):
                snapshots.version()
        assert len(waits) == 1
        looking[0] += 1.1
        with pytest.raises(OperationalError):
            snapshots.version()
        assert len(waits) == 2
    looking[0] += 1.1
    assert snapshots.version().acts == (0, 0, 0)


def test_a_cycle_and_an_act_make_another_version_a_drain_only_after_a_while(world: World, looking):
    seen = [snapshots.version()]

    def look(seconds: float) -> bool:
        looking[0] += seconds
        seen.append(snapshots.version())
        return seen[-1] != seen[-2]

    assert not look(1.1)
    watch()
    assert look(1.1)
    incident = open_incident(world.whatsapp)
    assert look(1.1)
    note(incident, "confirmed", when=NOW)
    assert look(1.1)
    DrainBatch.objects.create(drained_at=NOW, blocks=1, reports=1, counted=1, oldest_minute=NOW, newest_minute=NOW)
    assert not look(1.1)
    assert look(snapshots.COUNTS_SECONDS)


def test_an_answer_is_made_once_for_a_version_and_a_minute(world: World, looking):
    made: list[int] = []

    def build() -> int:
        made.append(len(made))
        return made[-1]

    assert [snapshots.kept("a", build, minute=1), snapshots.kept("a", build, minute=1)] == [0, 0]
    assert snapshots.kept("a", build, minute=2) == 1
    looking[0] += 1.1
    watch()
    assert snapshots.kept("a", build, minute=2) == 2


def test_an_answer_that_was_overtaken_while_it_was_made_is_not_kept(world: World, looking):
    def slow() -> str:
        looking[0] += 1.1
        watch(NOW + timedelta(minutes=1))
        snapshots.kept("another", lambda: "new")
        return "old"

    assert snapshots.kept("a", slow) == "old"
    assert snapshots.kept("a", lambda: "new") == "new"


def test_a_finished_page_outlives_its_version_until_another_one_is_made(world: World, looking):
    assert snapshots.rendered("page", lambda: "old", minute=1) == "old"
    assert snapshots.rendered_at_hand("page", minute=1) == "old"
    assert snapshots.rendered_at_hand("page", minute=2) is None
    looking[0] += 1.1
    # Nobody has looked for a second: whether it still holds is not known without asking.
    assert snapshots.rendered_at_hand("page", minute=1) is None
    watch()
    snapshots.version()
    assert snapshots.rendered_at_hand("page", minute=1) is None
    assert snapshots.last_rendered("page") == "old"
    assert snapshots.rendered("page", lambda: "new", minute=1) == "new"
    assert snapshots.last_rendered("page") == "new"


def test_while_one_looks_the_others_go_on_with_what_is_known(world: World, monkeypatch: pytest.MonkeyPatch):
    known = snapshots.version()
    monkeypatch.setattr(snapshots, "LOOK_AGAIN_SECONDS", 0.0)
    looking, go_on = Event(), Event()
    cursor = BaseDatabaseWrapper.cursor

    def hanging(wrapper: BaseDatabaseWrapper) -> object:
        looking.set()
        assert go_on.wait(5)
        return cursor(wrapper)

    def look() -> snapshots.Version:
        try:
            return snapshots.version()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread, monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", hanging)
        one = thread.submit(look)
        assert looking.wait(5)
        assert snapshots.version() is known
        assert snapshots.version_at_hand() is known
        go_on.set()
        assert one.result(5) is not known
