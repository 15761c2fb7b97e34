"""Whether confidence keeps its word: the maths, and that what is published belongs to what is at work."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.detection.calibration import BAND_EDGES, TOO_FEW, intercept_shift, measured, shifted, wilson
from reports.detection.coefficients import COEFFICIENTS, FITTED_ON
from reports.detection.confidence import (
    LOOKS,
    MOST,
    SIGNS,
    Signs,
    fingerprint,
    incident_confidence,
    signs_of,
)
from reports.detection.engine import DETECTOR_VERSION
from reports.detection.parameters import Parameters

SOME = Signs(
    age=0, surplus=1.0, ratio=2.0, pool=0.0, regions=log(2), crowding=0.2, sudden=2.0, lasted=2.0, still=0.0, usual=1.0
)

judged = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200)


def test_the_brier_score_is_the_mean_square_of_what_was_wrong():
    found = measured([0.9, 0.8, 0.3], [True, False, False])
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.09) / 3)
    assert (found.incidents, found.real) == (3, 1)


@given(judged)
def test_the_brier_score_is_the_sum_of_its_parts(pairs: list[tuple[float, bool]]) -> None:
    found = measured([p for p, _ in pairs], [r for _, r in pairs])
    assert found is not None
    parts = found.reliability - found.resolution + found.uncertainty + found.within
    assert found.brier == pytest.approx(parts)
    assert sum(band.incidents for band in found.bands) == len(pairs)
    assert sum(band.real for band in found.bands) == found.real


def test_whoever_tells_the_base_rate_has_no_skill_and_whoever_knows_has_all():
    real = [True, True, False, False]
    assert measured([0.5] * 4, real).skill == pytest.approx(0)
    assert measured([1, 1, 0, 0], real).skill == pytest.approx(1)
    assert measured([0.9, 0.9], [True, True]).skill is None


def test_a_confidence_on_an_edge_belongs_to_the_band_above_and_certainty_to_the_last():
    found = measured([0.8, 0.79, 1.0], [True, True, True])
    assert [(band.low, band.high, band.incidents) for band in found.bands] == [
        (0.6, 0.8, 1),
        (0.8, 0.9, 1),
        (0.97, 1.0, 1),
    ]
    assert BAND_EDGES[-1] == 1.0


def test_nothing_told_measures_nothing_and_a_truth_must_not_be_missing():
    assert measured([], []) is None
    with pytest.raises(ValueError, match="truth"):
        measured([0.5], [])


def test_wilsons_interval_is_the_published_one():
    # Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    with pytest.raises(ValueError, match="trial"):
        wilson(0, 0)


@given(st.integers(0, 300), st.integers(1, 300))
def test_an_interval_holds_its_share(successes, trials):
    successes = min(successes, trials)
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


def test_a_few_reviews_move_nothing_and_many_move_towards_what_was_so():
    assert intercept_shift([0.9] * (TOO_FEW - 1), [False] * (TOO_FEW - 1)) == 0.0
    often_wrong = intercept_shift([0.8] * 100, [True] * 50 + [False] * 50)
    assert shifted(0.8, often_wrong) == pytest.approx(0.5, abs=0.03)
    kept = intercept_shift([0.8] * 100, [True] * 80 + [False] * 20)
    assert kept == pytest.approx(0, abs=1e-6)


@given(judged)
def test_the_shift_is_where_the_posterior_is_highest(pairs):
    told, real = [p for p, _ in pairs] * TOO_FEW, [r for _, r in pairs] * TOO_FEW
    best = intercept_shift(told, real)

    def badness(shift: float) -> float:
        logit = np.log(np.clip(told, 1e-4, 1 - 1e-4) / (1 - np.clip(told, 1e-4, 1 - 1e-4))) + shift
        fit = np.logaddexp(0, np.where(real, -logit, logit)).sum()
        return float(fit + shift**2 / 2)

    assert badness(best) <= min(badness(best - 0.05), badness(best + 0.05))


def test_certainty_by_somebodys_word_is_not_shifted_and_no_shift_promises_more_than_was_checked():
    assert shifted(1.0, -3.0) == 1.0
    assert shifted(0.7, 0.0) == 0.7
    assert shifted(0.98, 5.0) == MOST


def test_every_sign_moves_confidence_the_way_it_may_and_no_other():
    for stage, age in (("opening", 0), ("later", LOOKS[0])):
        signs = replace(SOME, age=age)
        assert signs.stage == stage
        for name, way in SIGNS.items():
            more = replace(signs, **{name: getattr(signs, name) + 0.5})
            change = incident_confidence(more) - incident_confidence(signs)
            assert change * way >= 0, (stage, name)


def test_no_confidence_is_beyond_what_was_checked():
    sure = Signs(
        age=60,
        surplus=6.0,
        ratio=5.0,
        pool=1.0,
        regions=5.0,
        crowding=0.0,
        sudden=5.0,
        lasted=6.0,
        still=0.0,
        usual=9.0,
    )
    assert incident_confidence(sure) == MOST


def test_a_confidence_can_be_recomputed_from_its_evidence():
    again = signs_of({**SOME.figures(), "clumping": 0.15})
    assert again is not None
    assert incident_confidence(again) == pytest.approx(incident_confidence(SOME), abs=1e-3)
    assert signs_of({"clumping": 0.15}) is None


def test_the_fingerprint_is_another_one_for_other_parameters():
    here = fingerprint(DETECTOR_VERSION)
    assert here == fingerprint(DETECTOR_VERSION, Parameters())
    assert here != fingerprint(DETECTOR_VERSION, replace(Parameters(), leaf_log10=-7.0))
    assert here != fingerprint("0.9")


def test_the_published_calibration_belongs_to_the_detector_at_work():
    """Else run ``python -m tests.benchmarks.confidence --write`` and ``manage.py calibrate --simulated --write``."""
    from reports.status.calibration import FILE

    file = json.loads(FILE.read_text(encoding="utf-8"))
    assert file["fingerprint"] == fingerprint(DETECTOR_VERSION)
    assert file["detector_version"] == DETECTOR_VERSION
    assert file["fitted_on"] == FITTED_ON


def test_what_was_fitted_is_not_what_is_judged():
    from reports.status.calibration import FILE

    judged_by = json.loads(FILE.read_text(encoding="utf-8"))["suites"][0]
    assert set(judged_by["seeds"]).isdisjoint(int(seed) for seed in FITTED_ON["seeds"].split(", "))
    assert all(set(COEFFICIENTS[stage]) == {"one", *SIGNS} for stage in ("opening", "later"))


def test_the_published_calibration_rests_on_hundreds_of_incidents_many_of_them_false():
    from reports.status.calibration import FILE

    later = json.loads(FILE.read_text(encoding="utf-8"))["suites"][0]["later"]
    assert later["incidents"] >= 200
    assert 0.2 <= later["real"] / later["incidents"] <= 0.8
    assert later["skill"] > 0.3
    assert later["reliability"] < 0.03
