"""Simple detectors, for comparison on the same data: what others describe, written in a few lines each.

All work on five-minute counts of the leaf regions and raise an alarm per bin; an alarm that pauses for less than
half an hour is one outage, and its last bin is taken as the restoration (none of the sources describes a better one).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from reports.detection.backtest import Row
from reports.detection.decisions import Evidence, FloatArray
from tests.detection.simulation import DAY, EPOCH, Simulation

BIN = 5
PER_DAY = DAY // BIN
PAUSE = 6
BoolArray = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def fixed_threshold(counts: FloatArray) -> BoolArray:
    """Twelve or more reports in five minutes."""
    return counts >= 12


def time_of_day_ratio(counts: FloatArray) -> BoolArray:
    """Five or more and over four times the mean of that time of day so far, for two bins running.

    This is what the best-known site describes; its own thresholds are secret.
    """
    days = counts.reshape(len(counts), -1, PER_DAY)
    so_far = np.cumsum(days, axis=1) - days
    mean = so_far / np.maximum(np.arange(days.shape[1]), 1)[None, :, None]
    smooth = sum(np.roll(mean, k, axis=2) for k in range(-3, 4)) / 7
    high: BoolArray = ((days >= 5) & (days > 4 * smooth)).reshape(counts.shape)
    both: BoolArray = high & np.roll(high, 1, axis=1)
    return both


def _ears(counts: FloatArray, gap: int) -> FloatArray:
    """Deviations from the mean of seven units, ``gap`` units back (one unit is half an hour here)."""
    unit = 6
    half_hours = counts.reshape(len(counts), -1, unit).sum(axis=2)
    score: FloatArray = np.zeros(half_hours.shape)
    for t in range(7 + gap, half_hours.shape[1]):
        past = half_hours[:, t - 7 - gap : t - gap]
        score[:, t] = (half_hours[:, t] - past.mean(axis=1)) / np.maximum(past.std(axis=1, ddof=1), 1.5)
    return score


def ears_c1(counts: FloatArray) -> BoolArray:
    """EARS C1 (Hutwagner 2003): more than three standard deviations over the last seven units."""
    return np.repeat(_ears(counts, 0) > 3, 6, axis=1)


def ears_c2(counts: FloatArray) -> BoolArray:
    """EARS C2: as C1, with a gap of two units."""
    return np.repeat(_ears(counts, 2) > 3, 6, axis=1)


def ears_c3(counts: FloatArray) -> BoolArray:
    """EARS C3: the sum of what C2 exceeds one by, over three units, beyond two."""
    over = np.maximum(_ears(counts, 2) - 1, 0)
    high: BoolArray = np.repeat(over + np.roll(over, 1, axis=1) + np.roll(over, 2, axis=1) > 2, 6, axis=1)
    return high


def _seasonal(counts: FloatArray) -> FloatArray:
    """Mean of the same time of day over the days before, smoothed over an hour."""
    days = counts.reshape(len(counts), -1, PER_DAY)
    so_far = np.cumsum(days, axis=1) - days
    mean = so_far / np.maximum(np.arange(days.shape[1]), 1)[None, :, None]
    smooth = np.sum([np.roll(mean, k, axis=2) for k in range(-6, 7)], axis=0) / 13
    result: FloatArray = smooth.reshape(counts.shape) + 0.005
    return result


def farrington_style(counts: FloatArray) -> BoolArray:
    """Beyond the quasi-Poisson 99.99 % quantile of the same time of day (Farrington 1996, without the yearly trend)."""
    mean = _seasonal(counts)
    residual = np.minimum((counts - mean) ** 2 / mean, 9.0)
    spread = np.maximum(residual[:, : 7 * PER_DAY].mean(axis=1), 1.05)[:, None]
    shape = mean / (spread - 1)
    alarm: BoolArray = (counts >= 3) & (stats.nbinom.sf(counts - 1, shape, 1 / spread) < 1e-4)
    return alarm


def cusum(counts: FloatArray) -> BoolArray:
    """Poisson CUSUM on the seasonal mean for a rise by five (Lucas 1985), reset when it falls back to zero."""
    mean = _seasonal(counts)
    reference = 4 / np.log(5) * mean
    total = np.zeros(len(counts))
    alarm = np.zeros(counts.shape, dtype=np.bool_)
    for t in range(counts.shape[1]):
        total = np.minimum(np.maximum(total + counts[:, t] - reference[:, t] - 0.1, 0), 30)
        alarm[:, t] = (total > 12) & (counts[:, max(t - 3, 0) : t + 1].sum(axis=1) > 0)
    return alarm


PEERS: dict[str, Callable[[FloatArray], BoolArray]] = {
    "fixed threshold": fixed_threshold,
    "time-of-day mean and ratio": time_of_day_ratio,
    "EARS C1": ears_c1,
    "EARS C2": ears_c2,
    "EARS C3": ears_c3,
    "Farrington-style": farrington_style,
    "CUSUM on a seasonal mean": cusum,
}


def rows_of(peer: Callable[[FloatArray], BoolArray], simulation: Simulation) -> list[Row]:
    """What a peer finds in a simulation, in the shape the judge reads; an incident is an hour of one service."""
    suite, recording = simulation.suite, simulation.recording
    first = len(simulation.topology.regions) - suite.regions
    cell = recording.service * suite.regions + recording.region - first
    bins = suite.days * PER_DAY
    flat = np.bincount(
        cell * bins + (recording.minute - EPOCH) // BIN, recording.reports, suite.services * suite.regions * bins
    )
    alarm = peer(flat.reshape(-1, bins).astype(np.float64))
    rows = []
    for cell_index, hits in enumerate(alarm):
        at = np.flatnonzero(hits)
        if not len(at):
            continue
        starts = np.r_[True, np.diff(at) > PAUSE]
        begin, end = at[starts], at[np.r_[starts[1:], True]]
        service, region = divmod(cell_index, suite.regions)
        for b, e in zip(begin, end, strict=True):
            detected = EPOCH + int(b + 1) * BIN
            row = Row(service, region + first, f"{service}@{detected // 60}", detected - BIN, detected, _NO_EVIDENCE)
            row.restored = EPOCH + int(e + 1) * BIN
            row.declared = row.restored + PAUSE * BIN
            rows.append(row)
    return rows


_NO_EVIDENCE = Evidence(0, 0.0, 0.0, 0.0, BIN, 0, "region", "peer", None, 0, "", "")
