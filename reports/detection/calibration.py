"""Does a confidence keep its word? Of the incidents told with 90 %, nine in ten should have been outages.

The maths of the reliability diagram and the Brier score, and the incidents of the simulated suites to measure it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from scipy import optimize

from reports.detection import backtest
from reports.detection.confidence import MOST, Signs, signs_of
from reports.detection.decisions import FloatArray
from reports.detection.simulation import SUITES, simulate, was_down

BAND_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 1.0)
"""Confidence is judged in bands between these; the last one includes 1."""
_NORMAL_95 = 1.959964
TOO_FEW = 20
"""Fewer incidents than this say nothing about a calibration."""


@dataclass(frozen=True)
class Told:
    """A confidence as it was told of one incident, by the signs of then, and whether the service was down."""

    suite: str
    seed: int
    incident: str
    confidence: float
    real: bool
    signs: Signs


@dataclass(frozen=True)
class Band:
    """The incidents told with a confidence in ``[low, high)``: how many, the mean told, how many were real.

    ``least`` and ``most`` are the 95 % interval of the share that was real (Wilson).
    """

    low: float
    high: float
    incidents: int
    told: float
    real: int
    least: float
    most: float

    @property
    def share(self) -> float:
        """The share that was real."""
        return self.real / self.incidents


@dataclass(frozen=True)
class Reliability:
    """How well confidences were kept.

    ``brier`` is the mean square of told - real (Brier 1950), split by bands into ``reliability`` (less is better),
    ``resolution`` (more is better) and ``uncertainty``, that of the base rate (Murphy 1973); ``within`` is what the
    bands themselves hide: brier = reliability - resolution + uncertainty + within. ``skill`` is 1 - brier /
    uncertainty: 0 for somebody who always tells the base rate; ``None`` where all were real or none was.
    """

    incidents: int
    real: int
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float
    skill: float | None
    bands: tuple[Band, ...]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927). Raises ``ValueError`` without any trial."""
    if trials < 1:
        raise ValueError("no trial, no interval")
    share, z2 = successes / trials, _NORMAL_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _NORMAL_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    # The share lies within its interval, also where rounding would put it outside.
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)


def measured(told: Sequence[float], real: Sequence[bool]) -> Reliability | None:
    """Reliability of confidences against what was so; ``None`` for none. ``ValueError`` for unequal lengths."""
    if len(told) != len(real):
        raise ValueError("each confidence needs a truth")
    if not len(told):
        return None
    said, truth = np.array(told, dtype=float), np.array(real, dtype=float)
    base = truth.mean()
    place = np.minimum(np.searchsorted(np.array(BAND_EDGES), said, side="right") - 1, len(BAND_EDGES) - 2)
    bands, reliability, resolution = [], 0.0, 0.0
    for at in np.unique(place):
        inside = place == at
        count, hits = int(inside.sum()), int(truth[inside].sum())
        mean, share = float(said[inside].mean()), hits / count
        reliability += count / len(said) * (mean - share) ** 2
        resolution += count / len(said) * (share - base) ** 2
        bands.append(Band(BAND_EDGES[at], BAND_EDGES[at + 1], count, mean, hits, *wilson(hits, count)))
    brier, uncertainty = float(np.mean((said - truth) ** 2)), float(base * (1 - base))
    return Reliability(
        incidents=len(said),
        real=int(truth.sum()),
        brier=brier,
        reliability=reliability,
        resolution=float(resolution),
        uncertainty=uncertainty,
        within=brier - reliability + float(resolution) - uncertainty,
        skill=1.0 - brier / uncertainty if uncertainty > 0 else None,
        bands=tuple(bands),
    )


def simulated_incidents(
    suite: str, seed: int, days: int, *, progress: Callable[[float], None] | None = None
) -> list[Told]:
    """Every confidence that the production engine tells of the incidents of a simulated suite."""
    simulation = simulate(replace(SUITES[suite], days=days), seed)
    ledger = backtest.run(simulation.recording, simulation.topology, progress=progress)
    opened: dict[str, tuple[int, bool]] = {}
    found = []
    for decision in ledger.weighed:
        if decision.incident not in opened:
            real = was_down(simulation, decision.service, decision.decided)
            opened[decision.incident] = decision.decided, real
        begun, real = opened[decision.incident]
        signs = signs_of(decision.evidence.figures) if decision.evidence else None
        if begun >= simulation.judged_from and signs is not None:
            found.append(Told(suite, seed, decision.incident, decision.confidence or 0.0, real, signs))
    return found


def at_opening(told: Iterable[Told]) -> list[Told]:
    """The first confidence told of each incident."""
    return _of_each(told, newest=False)


def at_last(told: Iterable[Told], *, within: int | None = None) -> list[Told]:
    """The newest confidence told of each incident; with ``within``, the newest of its first so many minutes."""
    return _of_each((t for t in told if within is None or t.signs.age <= within), newest=True)


def _of_each(told: Iterable[Told], *, newest: bool) -> list[Told]:
    found: dict[tuple[str, int, str], Told] = {}
    for one in told:
        key = one.suite, one.seed, one.incident
        if newest or key not in found:
            found[key] = one
    return list(found.values())


def intercept_shift(raw: Sequence[float], real: Sequence[bool]) -> float:
    """By how much a site's own base rate moves the log odds: added to every logit; 0 for fewer than ``TOO_FEW``.

    The simulation's mix of true and false is its own; a site's reviewed incidents say how often the same confidence
    was right there. The most probable shift under a normal prior of deviation 1 (Platt's correction with the slope
    held); the posterior has one mode.
    """
    if len(raw) != len(real):
        raise ValueError("each confidence needs a truth")
    if len(raw) < TOO_FEW:
        return 0.0
    logit = _logit(np.array(raw, dtype=float))
    truth = np.array(real, dtype=float)

    def slope(shift: float) -> float:
        return float((truth - 1.0 / (1.0 + np.exp(-(logit + shift)))).sum()) - shift

    # Beyond the largest logit and its sum with every truth the prior outweighs all: the slope has changed its sign.
    return float(optimize.brentq(slope, -len(raw) - 1.0, len(raw) + 1.0))


def shifted(confidence: float, shift: float, *, most: float = MOST) -> float:
    """``confidence`` with ``shift`` added to its log odds, at most ``most``; one by somebody's word (1) stays."""
    if shift == 0.0 or confidence >= 1.0:
        return confidence
    return min(float(1.0 / (1.0 + np.exp(-(_logit(np.array([confidence]))[0] + shift)))), most)


def _logit(probability: FloatArray) -> FloatArray:
    held = np.clip(probability, 1e-4, 1 - 1e-4)
    result: FloatArray = np.log(held / (1 - held))
    return result
