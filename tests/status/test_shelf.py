"""One makes, others wait or take the former; nobody waits for another question; the room is bounded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier, Event

import numpy as np
import pytest

from reports.status import shelf
from reports.status.shelf import Shelf, weigh


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield pool


def test_of_many_who_ask_at_once_one_makes_the_answer(threads: ThreadPoolExecutor):
    kept: Shelf[int] = Shelf(most_bytes=1000)
    made: list[int] = []
    together = Barrier(8)

    def ask() -> int:
        together.wait()
        return kept.get("a", 1, make)

    def make() -> int:
        Event().wait(0.05)
        made.append(1)
        return 7

    assert [one.result(5) for one in [threads.submit(ask) for _ in range(8)]] == [7] * 8
    assert made == [1]


def test_a_slow_answer_holds_up_nobody_who_asks_something_else(threads: ThreadPoolExecutor):
    kept: Shelf[str] = Shelf(most_bytes=1000)
    begun, go_on = Event(), Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(5)
        return "slow"

    waiting = threads.submit(kept.get, "slow", 1, slow)
    assert begun.wait(5)
    assert kept.get("quick", 1, lambda: "quick") == "quick"
    assert kept.at_hand("slow", 1) is None
    go_on.set()
    assert waiting.result(5) == "slow"


def test_the_former_answer_is_given_while_a_new_one_is_made_but_only_for_a_moment(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
):
    moment = [100.0]
    monkeypatch.setattr(shelf.time, "monotonic", lambda: moment[0])
    kept: Shelf[str] = Shelf(most_bytes=1000)
    kept.get("a", 1, lambda: "old")
    begun, go_on = Event(), Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(5)
        return "new"

    moment[0] += 3
    first = threads.submit(kept.get, "a", 2, slow, grace=5.0)
    assert begun.wait(5)
    assert kept.get("a", 2, lambda: "never made", grace=5.0) == "old"
    moment[0] += 3
    late = threads.submit(kept.get, "a", 2, lambda: "never made", grace=5.0)
    assert not late.done()
    go_on.set()
    assert (first.result(5), late.result(5)) == ("new", "new")
    assert kept.at_hand("a", 2) == "new"


def test_who_asks_for_a_newer_answer_than_the_one_being_made_gets_the_newer(threads: ThreadPoolExecutor):
    kept: Shelf[str] = Shelf(most_bytes=1000)
    begun, go_on = Event(), Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(5)
        return "first"

    first = threads.submit(kept.get, "a", 1, slow)
    assert begun.wait(5)
    second = threads.submit(kept.get, "a", 2, lambda: "second")
    go_on.set()
    assert (first.result(5), second.result(5)) == ("first", "second")
    assert kept.last("a") == "second"


def test_a_failure_reaches_everyone_who_waited_and_nobody_after(threads: ThreadPoolExecutor):
    kept: Shelf[str] = Shelf(most_bytes=1000)
    begun, go_on = Event(), Event()

    def fail() -> str:
        begun.set()
        assert go_on.wait(5)
        raise LookupError("gone")

    first = threads.submit(kept.get, "a", 1, fail)
    assert begun.wait(5)
    second = threads.submit(kept.get, "a", 1, fail)
    go_on.set()
    for one in (first, second):
        with pytest.raises(LookupError):
            one.result(5)
    assert kept.get("a", 1, lambda: "back") == "back"


def test_what_was_cleared_while_it_was_made_is_not_kept():
    kept: Shelf[str] = Shelf(most_bytes=1000)

    def overtaken() -> str:
        kept.clear()
        return "old"

    assert kept.get("a", 1, overtaken) == "old"
    assert kept.at_hand("a", 1) is None


def test_a_question_that_asks_itself_is_answered():
    kept: Shelf[int] = Shelf(most_bytes=1000)
    assert kept.get("a", 1, lambda: kept.get("a", 1, lambda: 1) + 1) == 2


def test_the_room_is_bounded_by_size_and_what_nobody_asked_for_goes_first():
    kept: Shelf[bytes] = Shelf(most_bytes=3500)
    for name in "abc":
        kept.get(name, 1, lambda: bytes(1000))
    assert kept.at_hand("a", 1)
    kept.get("d", 1, lambda: bytes(1000))
    assert kept.at_hand("b", 1) is None
    assert kept.at_hand("a", 1)
    assert kept.bytes <= 3500
    # Another value in the place of the first weighs what it weighs, and no more.
    for number in range(100):
        kept.get("a", number + 2, lambda: bytes(1000))
    assert len(kept) == 3
    # What is larger than the shelf is given, and makes room for the next.
    kept.get("e", 1, lambda: bytes(9000))
    assert len(kept) == 1


def test_a_weight_is_about_right_without_looking_at_everything():
    @dataclass(frozen=True)
    class One:
        name: str
        number: float

    many = tuple(One("n" * 1000, float(i)) for i in range(10_000))
    assert 1e7 < weigh(many) < 2e7
    assert weigh({str(i): one for i, one in enumerate(many)}) > 1e7
    assert weigh(np.zeros(1000)) >= 8000
    assert weigh("x" * 1000) > 1000
