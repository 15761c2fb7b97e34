"""How likely an incident is real, given the evidence it opened on: a logistic fit to simulated incidents.

The numbers come from ``python -m tests.benchmarks.confidence``, which also prints reliability and Brier score on
incidents that were not fitted; docs/detection.md shows them.
"""

from __future__ import annotations

import numpy as np

from reports.detection.decisions import Evidence, FloatArray

COEFFICIENTS = np.array([-1.029, 1.445, 0.148, 2.702])
"""For: one, -log10 p beyond the threshold, ln(observed / expected), whether a pool opened it."""

MOST = 0.99
"""Nobody has checked enough incidents to promise more than this of one."""


def features(evidence: Evidence) -> tuple[float, float, float, float]:
    """What the confidence rests on, in the order of ``COEFFICIENTS``; large values are capped."""
    surplus = min(max(evidence.threshold - evidence.log10_p, 0.0), 20.0)
    ratio = float(np.log(min(max(evidence.observed / max(evidence.expected, 0.05), 1.0), 100.0)))
    return 1.0, surplus, ratio, float(evidence.rule == "pool")


def probability(values: FloatArray, coefficients: FloatArray = COEFFICIENTS) -> FloatArray:
    """Logistic probability of each row of features."""
    result: FloatArray = 1.0 / (1.0 + np.exp(-(values @ coefficients)))
    return result


def incident_confidence(evidence: Evidence) -> float:
    """Probability, at most ``MOST``, that what opened on this evidence is an outage; 1 by an administrator's word."""
    if evidence.rule == "admin":
        return 1.0
    return min(float(probability(np.array(features(evidence)))), MOST)
