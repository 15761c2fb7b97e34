"""What confidence was fitted to be: written by ``python -m tests.benchmarks.confidence``, not by hand."""

COEFFICIENTS: dict[str, float] = {
    "one": -1.0,
    "surplus": 1.0,
    "ratio": 0.5,
    "pool": 0.0,
    "regions": 0.5,
    "crowding": -0.5,
    "sudden": 0.3,
    "lasted": 0.3,
    "usual": 0.0,
}
"""Of the logistic, by the names of ``reports.detection.confidence.SIGNS``."""

FITTED_ON: dict[str, str] = {}
"""Suites, seeds, days, incidents and looks that were fitted."""
