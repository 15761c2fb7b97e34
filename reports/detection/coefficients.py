"""What confidence was fitted to be: written by ``python -m tests.benchmarks.confidence --write``."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "opening": {
        "one": -0.35,
        "surplus": 0.0,
        "ratio": 0.0,
        "pool": 0.6,
        "regions": 0.6,
        "crowding": -2.0,
        "sudden": 0.0,
        "lasted": 0.55,
        "still": 0.0,
        "usual": 0.25,
    },
    "later": {
        "one": -1.8,
        "surplus": 0.0,
        "ratio": 0.0,
        "pool": 0.6,
        "regions": 0.6,
        "crowding": -2.0,
        "sudden": 0.0,
        "lasted": 0.55,
        "still": 0.0,
        "usual": 0.25,
    },
}
"""Of the logistic, by the names of ``reports.detection.confidence.SIGNS``."""

FITTED_ON: dict[str, str] = {}
"""Which simulated crowd was fitted, and how many of its incidents were real."""
