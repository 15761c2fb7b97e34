"""Fits how likely an incident is real, and writes it down: ``python -m tests.benchmarks.confidence [--write]``.

What is fitted are the seeds below, judged are others by ``manage.py calibrate``. Every confidence told of an incident
counts, together as much as those of any other incident. Prints the coefficients and how well they do on what was
fitted, leaving out one seed at a time; with ``--write`` the module ``reports/detection/coefficients.py`` is made anew.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from scipy import optimize

from reports.detection import coefficients
from reports.detection.calibration import Told, at_last, at_opening, measured, simulated_incidents
from reports.detection.confidence import MOST, SIGNS, features, probability

SUITE, SEEDS, DAYS = "doubtful", (21, 22, 23), 21
NAMES = ("one", *SIGNS)
RIDGE = 1.0
"""Against coefficients that a few incidents would drive far; in units of one incident."""


def fitted(told: list[Told]) -> dict[str, np.ndarray]:
    """By stage the coefficients in the order of ``features``, each of the sign that ``SIGNS`` allows."""
    return {stage: _fitted([one for one in told if one.signs.stage == stage]) for stage in ("opening", "later")}


def _fitted(told: list[Told]) -> np.ndarray:
    x = np.array([features(one.signs) for one in told])
    real = np.array([one.real for one in told], dtype=float)
    times = Counter((one.seed, one.incident) for one in told)
    weight = np.array([1.0 / times[one.seed, one.incident] for one in told])
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    middle[0], spread[0] = 0.0, 1.0
    z = (x - middle) / spread

    def loss(c: np.ndarray) -> tuple[float, np.ndarray]:
        odds = z @ c
        held = np.concatenate([[0.0], c[1:]])
        value = (weight * (np.logaddexp(0.0, odds) - real * odds)).sum() + 0.5 * RIDGE * (held**2).sum()
        return float(value), z.T @ (weight * (probability(z, c) - real)) + RIDGE * held

    allowed = {1: (0.0, None), -1: (None, 0.0), 0: (None, None)}
    bounds = [(None, None), *(allowed[way] for way in SIGNS.values())]
    best = optimize.minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x / spread
    best[0] -= (best[1:] * middle[1:]).sum()
    return np.asarray(best)


def said(told: list[Told], best: dict[str, np.ndarray]) -> list[float]:
    """The confidences that other coefficients would have told."""
    return [min(float(probability(features(one.signs), best[one.signs.stage])), MOST) for one in told]


def module(best: dict[str, np.ndarray], told: list[Told], days: int) -> str:
    """The text of ``reports/detection/coefficients.py``."""
    opened = at_opening(told)
    seeds = ", ".join(map(str, sorted({one.seed for one in told})))
    real = sum(one.real for one in opened)
    values = "\n".join(
        f'    "{stage}": {{\n'
        + "".join(f'        "{name}": {value:.4f},\n' for name, value in zip(NAMES, best[stage], strict=True))
        + "    },"
        for stage in best
    )
    return f'''"""What confidence was fitted to be: written by ``python -m tests.benchmarks.confidence --write``."""

COEFFICIENTS: dict[str, dict[str, float]] = {{
{values}
}}
"""Of the logistic, by the names of ``reports.detection.confidence.SIGNS``."""

FITTED_ON: dict[str, str] = {{
    "suite": "{SUITE}",
    "seeds": "{seeds}",
    "days": "{days}",
    "incidents": "{len(opened)}",
    "real": "{real}",
    "looks": "{len(told)}",
}}
"""Which simulated crowd was fitted, and how many of its incidents were real."""
'''


def main() -> None:
    """Fit, judge each seed by a fit to the others, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    told: list[Told] = []
    for seed in map(int, options.seeds.split(",")):
        told += simulated_incidents(SUITE, seed, options.days)
        _say(f"seed {seed}: {len(at_opening(told))} incidents so far")
    best = fitted(told)
    for stage, values in best.items():
        _say(f"{stage}: {dict(zip(NAMES, values.round(3).tolist(), strict=True))}")
    seeds = sorted({one.seed for one in told})
    if len(seeds) > 1:
        for name, choose in (("opening", at_opening), ("last", at_last)):
            confidences: list[float] = []
            real: list[bool] = []
            for left_out in seeds:
                others = fitted([one for one in told if one.seed != left_out])
                judged = choose([one for one in told if one.seed == left_out])
                confidences += said(judged, others)
                real += [one.real for one in judged]
            found = measured(confidences, real)
            assert found is not None
            _say(f"{name}, each seed by the others: Brier {found.brier:.4f} of {found.uncertainty:.4f}")
            for band in found.bands:
                _say(f"  {band.low:.2f}-{band.high:.2f} {band.incidents:4d} told {band.told:.3f} real {band.share:.3f}")
    if options.write:
        Path(str(coefficients.__file__)).write_text(module(best, told, options.days), encoding="utf-8")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
