from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.detection.tails import log10_chernoff, log10_tail, upper_quantile

counts = st.integers(1, 400)
means = st.floats(0.01, 200)
shapes = st.floats(0.05, 1000)


@given(counts, means, shapes)
def test_the_tail_is_that_of_the_negative_binomial(count: int, mean: float, shape: float) -> None:
    exact = stats.nbinom.logsf(count - 1, shape, shape / (shape + mean)) / np.log(10)
    found = log10_tail(np.array([float(count)]), np.array([mean]), np.array([shape]))[0]
    assert abs(found - exact) < 1e-4 + 1e-3 * abs(exact) or exact < -250


@given(counts, means, shapes)
def test_the_bound_never_lies_below_the_tail(count: int, mean: float, shape: float) -> None:
    arguments = np.array([float(count)]), np.array([mean]), np.array([shape])
    assert log10_chernoff(*arguments)[0] >= log10_tail(*arguments)[0] - 1e-6


def test_the_tail_goes_on_where_doubles_end() -> None:
    found = log10_tail(np.array([1000.0, 5000.0]), np.array([1.0, 1.0]), np.array([1e6, 1e6]))
    assert np.isfinite(found).all()
    assert found[1] < found[0] < -300


@given(means, shapes)
def test_a_larger_count_is_never_likelier(mean: float, shape: float) -> None:
    n = np.arange(0, 60, dtype=float)
    tail = log10_tail(n, np.full(60, mean), np.full(60, shape))
    assert (np.diff(tail) <= 1e-9).all()
    assert tail[0] == 0


def test_the_band_of_the_chart_is_near_the_exact_quantile() -> None:
    mean, shape = np.array([0.5, 3.0, 40.0, 900.0]), np.full(4, 12.0)
    exact = stats.nbinom.ppf(0.99, shape, shape / (shape + mean))
    assert (np.abs(upper_quantile(mean, shape, 0.99) - exact) <= 1.5 + 0.02 * exact).all()
