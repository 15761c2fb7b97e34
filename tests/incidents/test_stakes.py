"""What a wrong call costs: a worked example, and what must hold for any incident."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.incidents.stakes import AHEAD, LOOKING, lookers, stakes

HOUR = timedelta(hours=1)
of_people = st.integers(0, 8_000_000_000)
durations = st.timedeltas(timedelta(), timedelta(days=30))
chances = st.floats(0, 1)


def test_the_worked_example() -> None:
    """Ten million people, told for two hours with 90 %, a hundred subscribers."""
    found = stakes(confidence=0.9, residents=10_000_000, subscribers=100, told=2 * HOUR, is_open=True)
    # A hundredth of them an hour, three hours long, and the subscribers; a tenth of that, for it is probably true.
    assert found.if_left == pytest.approx(0.1 * (300_000 + 100))
    # Who looks within the hour to come, and the subscribers; nine tenths of that.
    assert found.if_rejected == pytest.approx(0.9 * (100_000 + 100))


def test_one_that_is_over_misleads_nobody_who_comes_later_about_the_present() -> None:
    found = stakes(confidence=0.9, residents=10_000_000, subscribers=100, told=2 * HOUR, is_open=False)
    assert found.ahead == timedelta()
    assert found.if_left == pytest.approx(0.1 * (200_000 + 100))
    assert found.if_rejected == pytest.approx(0.9 * 100)


def test_a_doubtful_small_one_can_cost_more_to_leave_than_a_sure_big_one() -> None:
    doubtful = stakes(confidence=0.4, residents=5_000_000, subscribers=0, told=HOUR, is_open=True)
    sure = stakes(confidence=0.99, residents=100_000_000, subscribers=0, told=HOUR, is_open=True)
    assert doubtful.if_left > sure.if_left
    assert doubtful.if_rejected < sure.if_rejected


def test_a_subscriber_weighs_as_much_as_a_hundred_residents_in_an_hour() -> None:
    assert lookers(100, HOUR) == pytest.approx(1)
    assert LOOKING * 100 == 1


@given(chance=chances, residents=of_people, subscribers=of_people, told=durations, is_open=st.booleans())
def test_never_more_people_are_misled_than_there_are(
    chance: float, residents: int, subscribers: int, told: timedelta, is_open: bool
) -> None:
    found = stakes(confidence=chance, residents=residents, subscribers=subscribers, told=told, is_open=is_open)
    for cost in (found.if_left, found.if_rejected):
        assert 0 <= cost <= (residents + subscribers) * (1 + 1e-9)


@given(chance=chances, more=chances, residents=of_people, told=durations)
def test_the_surer_the_cheaper_to_leave_and_the_dearer_to_reject(
    chance: float, more: float, residents: int, told: timedelta
) -> None:
    low, high = sorted((chance, more))
    less, surer = (
        stakes(confidence=c, residents=residents, subscribers=0, told=told, is_open=True) for c in (low, high)
    )
    assert surer.if_left <= less.if_left * (1 + 1e-9)
    assert surer.if_rejected >= less.if_rejected * (1 - 1e-9)


@given(residents=of_people, told=durations, longer=durations)
def test_the_longer_it_was_told_the_more_it_costs_to_leave(residents: int, told: timedelta, longer: timedelta) -> None:
    short, long = sorted((told, longer))
    less, more = (
        stakes(confidence=0.5, residents=residents, subscribers=0, told=t, is_open=True) for t in (short, long)
    )
    assert more.if_left >= less.if_left
    assert more.if_rejected == less.if_rejected


def test_what_cannot_be_is_refused() -> None:
    good = {"confidence": 0.5, "residents": 1, "subscribers": 0, "told": AHEAD, "is_open": True}
    for wrong in ({"confidence": 1.2}, {"confidence": -0.1}, {"residents": -1}, {"told": -AHEAD}, {"subscribers": -1}):
        with pytest.raises(ValueError, match="expected"):
            stakes(**(good | wrong))  # type: ignore[arg-type]
