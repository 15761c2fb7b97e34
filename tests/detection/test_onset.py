from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.detection.onset import estimated_onset, null_shape, rises
from reports.detection.parameters import WINDOWS, Parameters
from reports.detection.tails import log10_tail


def test_the_worked_example_of_the_documentation() -> None:
    mean = np.array([0.5 * Parameters().null_inflation + 0.0001])
    shape = null_shape(mean, np.array([0.06]), np.array([400.0]), Parameters().clumping)
    assert shape[0] == pytest.approx(3.810, abs=0.001)
    assert log10_tail(np.array([9.0]), mean, shape)[0] == pytest.approx(-5.01, abs=0.01)
    assert log10_tail(np.array([15.0]), mean, shape)[0] == pytest.approx(-9.19, abs=0.01)


@given(st.integers(2, 50), st.integers(1, 40), st.floats(0.0, 0.2))
def test_the_onset_is_where_a_clear_rise_began(age: int, before: int, usual: float) -> None:
    counts = np.concatenate([np.zeros(before), np.full(age, 4.0)])
    assert estimated_onset(counts, np.full(before + age, usual)) == age


@given(st.lists(st.integers(0, 30), min_size=12, max_size=12))
def test_what_is_found_passes_its_threshold_and_nothing_that_passes_is_missed(steps: list[int]) -> None:
    observed = np.cumsum(steps)[None, :].astype(np.float64)
    expected = 0.1 * np.array(WINDOWS)[None, :]
    p = Parameters()
    one = np.ones(1)
    bars = np.full((1, 12), -7.5)
    found = rises(
        observed, expected, 0.06 * one, 400 * one, np.array([5]), 2.5 * one, bars, np.array([120]), 1.25 * one, p
    )
    mean = 1.25 * expected[0] + 1e-4
    exact = log10_tail(observed[0], mean, null_shape(mean, 0.06 * np.ones(12), 400 * np.ones(12), p.clumping))
    allowed = (observed[0] >= 5) & (observed[0] >= 2.5 * expected[0])
    best = np.where(allowed, exact, 0.0).min()
    if best <= -7.5:
        assert found.log10_p[0] == pytest.approx(best)
    else:
        assert not len(found.index)
