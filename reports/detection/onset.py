"""Has a cell begun to exceed its baseline? Counts against expectation, over several windows at once.

The null is inflated ("practical null"): a rise counts only when it would be improbable under a baseline a quarter
higher than the fitted one, with clumps, overdispersion and the uncertainty of the level in the variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.detection.decisions import FloatArray, IntArray
from reports.detection.parameters import WINDOWS, Parameters
from reports.detection.tails import log10_chernoff, log10_tail

_WINDOWS = np.array(WINDOWS)


@dataclass(frozen=True)
class Rises:
    """The cells of one look that rose enough to be considered: parallel arrays, one element per cell.

    ``index`` into the arrays that were scanned; ``log10_p`` the least tail probability over the windows, ``window`` its
    place in ``WINDOWS``, ``observed`` and ``expected`` its counts.
    """

    index: IntArray
    log10_p: FloatArray
    window: IntArray
    observed: FloatArray
    expected: FloatArray


def null_shape(mean: FloatArray, dispersion: FloatArray, strength: FloatArray, clumping: float) -> FloatArray:
    """Shape k of the null: clumps, overdispersion of the service, and a level known from ``strength`` reports only."""
    shape: FloatArray = 1.0 / (clumping / mean + dispersion + 1.0 / strength)
    return shape


def rises(
    observed: FloatArray,
    expected: FloatArray,
    dispersion: FloatArray,
    strength: FloatArray,
    least: IntArray,
    ratio: FloatArray,
    bars: FloatArray,
    longest: IntArray,
    inflation: FloatArray,
    parameters: Parameters,
) -> Rises:
    """Cells whose count in some window passes the threshold there (``bars``, log10 of the tail probability).

    ``observed``, ``expected`` and ``bars`` are (cells x windows); ``least`` reports, the least ``ratio`` to what is
    expected, the ``longest`` window (minutes) and the ``inflation`` of the null are per cell. A Chernoff bound
    leaves out what cannot pass before the exact tail is computed.
    """
    seen = (observed >= least[:, None]) & (observed >= ratio[:, None] * expected)
    seen &= longest[:, None] >= _WINDOWS
    cell, window = np.nonzero(seen)
    if not len(cell):
        return _NONE
    n, e = observed[cell, window].astype(np.float64), expected[cell, window]
    mean = inflation[cell] * e + 1e-4
    shape = null_shape(mean, dispersion[cell], strength[cell], parameters.clumping)
    # The exact tail lies below the bound by a factor of the order of sqrt(2 pi n): allow for it.
    possible = log10_chernoff(n, mean, shape) - 0.5 * np.log10(n) - 1.0 <= bars[cell, window]
    if not possible.any():
        return _NONE
    cell, window, n, e = cell[possible], window[possible], n[possible], e[possible]
    tail = log10_tail(n, mean[possible], shape[possible])
    passed = tail <= bars[cell, window]
    if not passed.any():
        return _NONE
    cell, window, n, e, tail = cell[passed], window[passed], n[passed], e[passed], tail[passed]
    order = np.lexsort((tail, cell))
    first = order[np.r_[True, cell[order][1:] != cell[order][:-1]]]
    return Rises(cell[first], tail[first], window[first], n[first], e[first])


_NONE = Rises(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))


def estimated_onset(counts: FloatArray, expected: FloatArray) -> int:
    """How many minutes before the end the excess began: the start that makes a lasting rise most likely.

    ``counts`` and ``expected`` are per minute, oldest first. Maximises N log(N/E) - (N - E) over the starts that hold a
    report (window-limited generalised likelihood ratio; Hoehle and Paul 2008). Returns 1 for the last minute.
    """
    n = np.cumsum(counts[::-1])
    e = np.cumsum(expected[::-1]) + 1e-6
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where((n > e) & (counts[::-1] > 0), n * np.log(n / e) - (n - e), -1.0)
    return int(np.argmax(gain)) + 1
