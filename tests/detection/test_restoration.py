from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.detection.decisions import FloatArray
from reports.detection.parameters import Parameters
from reports.detection.restoration import Assessment, CrowdHabits, assess, fading_probability

P = Parameters()
KIN = np.zeros(1 + len(P.fatigue))


def assessed(reports: FloatArray, votes: FloatArray | None = None, *, blind: FloatArray | None = None) -> Assessment:
    """Onset at minute 10, an ordinary 0.05 a minute, and a site that has seen votes."""
    n = len(reports)
    habits = CrowdHabits.unknown(P)
    habits.reports, habits.votes = 1000.0, 100.0 if votes is not None else 0.0
    none = np.zeros(n)
    found = assess(
        reports.astype(np.float64),
        none if votes is None else votes,
        np.full(n, 0.05),
        none if blind is None else blind,
        10,
        habits,
        P,
        kin=KIN,
    )
    assert found is not None
    return found


def steady(rate: float, last: int, silent: int, seed: int = 1) -> FloatArray:
    rng = np.random.default_rng(seed)
    late = rng.poisson(rate * np.exp(-np.arange(silent) / 6))
    return np.concatenate([np.zeros(10), rng.poisson(rate, last), late]).astype(np.float64)


def test_a_cliff_after_a_plateau_is_a_restoration_at_its_edge() -> None:
    found = assessed(steady(3.0, 60, 25))
    assert found.probability > 0.99
    assert abs(found.restored - 70) <= 8
    assert found.low <= 70 <= found.high


def test_reports_that_go_on_are_no_restoration() -> None:
    assert assessed(steady(3.0, 85, 0)).probability < 0.3


def test_minutes_without_collection_say_nothing() -> None:
    reports = steady(3.0, 60, 25)
    blind = np.r_[np.zeros(70), np.ones(25)]
    assert assessed(reports, blind=blind).probability < 0.3 < assessed(reports).probability


def test_missing_votes_speak_against_a_restoration_where_people_vote() -> None:
    reports = steady(1.0, 60, 15)
    assert assessed(reports, np.zeros(85)).probability < assessed(reports).probability


def test_votes_tell_when_a_silent_region_came_back() -> None:
    age = np.arange(120)
    reports = np.r_[np.zeros(10), np.random.default_rng(3).poisson(4 * np.exp(-age / 15)), np.zeros(30)]
    votes = np.zeros(160)
    votes[[132, 134, 137, 141, 146]] = 1
    found = assessed(reports, votes)
    assert found.probability > 0.99
    assert 122 <= found.restored <= 133
    assert found.votes > found.rate


def test_a_fading_course_is_recognised_and_a_steady_one_trusted() -> None:
    age = np.arange(90)
    fading = np.r_[np.zeros(10), np.random.default_rng(4).poisson(8 * np.exp(-age / 25)), np.zeros(20)]
    habits = CrowdHabits.unknown(P)
    assert fading_probability(assessed(fading).shape, KIN, habits) > 0.9
    assert fading_probability(assessed(steady(8.0, 90, 20)).shape, KIN, habits) < 0.2


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=40, max_size=120))
def test_the_interval_holds_the_estimate_and_lies_after_the_onset(counts: list[int]) -> None:
    reports = np.array(counts, dtype=np.float64)
    found = assess(
        reports,
        np.zeros(len(reports)),
        np.full(len(reports), 0.05),
        np.zeros(len(reports)),
        10,
        CrowdHabits.unknown(P),
        P,
        kin=KIN,
    )
    if found is not None:
        assert 10 < found.low <= found.restored <= found.high < len(reports)
        assert 0 <= found.probability <= 1


def test_a_site_that_never_saw_a_vote_has_no_way_to_vote() -> None:
    habits = CrowdHabits.unknown(P)
    assert habits.no_votes() == pytest.approx(0.3)
    habits.reports = 2000
    assert habits.no_votes() > 0.99
    habits.votes = 1
    assert habits.no_votes() == 0
