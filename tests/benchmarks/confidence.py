"""Fits how likely an incident is real: ``python -m tests.benchmarks.confidence`` prints the numbers for confidence.py.

One half of the simulated incidents is fitted, the other judged: reliability by bands and the Brier score.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from scipy import optimize

from reports.detection.backtest import run
from reports.detection.confidence import features, probability
from tests.detection.simulation import SUITES, simulate

SEEDS = (21, 22)
SUITES_USED = ("standard", "hard", "quiet-hard")


def examples(days: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Features of each incident's first evidence (incidents x features) and whether its service was down."""
    found, real = [], []
    for name in SUITES_USED:
        for seed in SEEDS:
            simulation = simulate(replace(SUITES[name], days=days), seed)
            told = set()
            for row in run(simulation.recording, simulation.topology).rows:
                if row.detected < simulation.judged_from or row.incident in told:
                    continue
                told.add(row.incident)
                found.append(features(row.evidence))
                real.append(
                    any(
                        t.service == row.service and t.start - 30 <= row.detected <= t.end + 30
                        for t in simulation.truth
                    )
                )
    return np.array(found), np.array(real, dtype=float)


def main() -> None:
    """Print the coefficients, and how well they do on incidents that they were not fitted on."""
    x, real = examples()
    fitted = np.arange(len(x)) % 2 == 0

    def loss(coefficients: np.ndarray) -> float:
        said = np.clip(probability(x[fitted], coefficients), 1e-6, 1 - 1e-6)
        fit = real[fitted] * np.log(said) + (1 - real[fitted]) * np.log(1 - said)
        return float(-fit.sum() + 0.1 * np.square(coefficients).sum())

    best = optimize.minimize(loss, np.zeros(x.shape[1]), method="BFGS").x
    said, truth = probability(x[~fitted], best), real[~fitted]
    write = sys.stdout.write
    write(f"coefficients {np.round(best, 3).tolist()}\n")
    write(f"incidents {len(truth)}, real {truth.mean():.3f}, Brier {np.mean((said - truth) ** 2):.4f}\n")
    for low, high in ((0, 0.3), (0.3, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, 0.97), (0.97, 1.01)):
        band = (said >= low) & (said < high)
        if band.any():
            write(f"{low:.2f}-{min(high, 1):.2f}: {band.sum()} incidents, ")
            write(f"said {said[band].mean():.3f}, real {truth[band].mean():.3f}\n")


if __name__ == "__main__":
    main()
