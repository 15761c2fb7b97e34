from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.detection.decisions import FloatArray
from reports.detection.parameters import Parameters
from reports.detection.restoration import Assessment, CrowdHabits, ability, assess, fading_probability

P = Parameters()
KIN = np.zeros(1 + len(P.fatigue))


def assessed(
    reports: FloatArray,
    votes: FloatArray | None = None,
    *,
    blind: FloatArray | None = None,
    company: float = 0.0,
    said: int | None = None,
) -> Assessment:
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
        company=company,
        said=said,
    )
    assert found is not None
    return found


def steady(rate: float, last: int, silent: int, seed: int = 1) -> FloatArray:
    rng = np.random.default_rng(seed)
    late = rng.poisson(rate * np.exp(-np.arange(silent) / 6))
    return np.concatenate([np.zeros(10), rng.poisson(rate, last), late]).astype(np.float64)


def test_a_cliff_after_a_plateau_is_a_restoration_at_its_edge() -> None:
    found = assessed(steady(3.0, 60, 25))
    assert found.probability > 0.97
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


def test_the_word_of_the_other_regions_moves_the_odds_and_not_the_minute() -> None:
    reports = steady(1.0, 60, 14)
    alone, behind, ahead = (assessed(reports, company=c) for c in (0.0, -2.5, 0.6))
    assert behind.probability < alone.probability < ahead.probability
    assert behind.restored == alone.restored == ahead.restored


def test_a_region_with_few_reports_is_said_back_rather_late_than_early() -> None:
    told = [
        found for seed in range(150) if (found := assessed(steady(0.3, 90, 45, seed=seed))).probability >= P.certainty
    ]
    assert len(told) >= 60
    assert sum(found.restored < 100 - 10 for found in told) <= 0.03 * len(told)
    assert sum(not found.low - 1 <= 100 <= found.high + 2 for found in told) <= 0.15 * len(told)


def test_the_place_where_chance_put_reports_together_does_not_make_a_lull_deep() -> None:
    reports = np.zeros(110)
    reports[np.arange(12, 70, 6)] = 1
    reports[[70, 71, 73, 74, 75, 76, 78, 79]] = 1
    level = np.zeros(110)
    level[np.arange(12, 80, 2)] = 1
    assert assessed(reports).excess < 0.8 * assessed(level).excess


def test_a_statement_is_believed_when_the_reports_agree_and_not_against_them() -> None:
    fallen, lasting = steady(1.0, 60, 12), steady(1.0, 72, 0)
    assert assessed(fallen, said=70).probability > assessed(fallen).probability
    assert assessed(lasting, said=70).probability < P.certainty_statement - 0.2


def test_a_slow_beginning_does_not_make_a_tiring_crowd_look_steady() -> None:
    age = np.arange(150)
    hump = 6 * (1 - np.exp(-age / 45)) * (0.05 + 0.95 * np.exp(-age / 40))
    reports = np.r_[np.zeros(10), np.random.default_rng(6).poisson(hump), np.zeros(5)]
    assert fading_probability(assessed(reports).shape, KIN, CrowdHabits.unknown(P)) > 0.5


def test_a_region_with_many_reports_can_tell_more_of_itself_than_one_with_few() -> None:
    assert ability(0.0) == 0.0
    assert ability(0.05) < 0.3 < 0.9 < ability(0.5) < 1.0


@settings(max_examples=30)
@given(st.lists(st.integers(12, 89), min_size=1, max_size=2), st.integers(0, 2**32 - 1))
def test_a_vote_or_two_do_not_make_up_for_reports_that_go_on(at: list[int], seed: int) -> None:
    votes = np.zeros(90)
    np.add.at(votes, at, 1)
    reports = np.r_[np.zeros(10), np.random.default_rng(seed).poisson(2.0, 80)].astype(np.float64)
    assert assessed(reports, votes).probability < P.certainty


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
