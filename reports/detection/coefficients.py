"""What confidence was fitted to be: written by ``python -m tests.benchmarks.confidence --write``."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "opening": {
        "one": -9.3339,
        "surplus": 0.0000,
        "ratio": 3.1056,
        "pool": 1.7305,
        "regions": 0.5082,
        "crowding": -2.8153,
        "sudden": 0.0000,
        "lasted": 0.8275,
        "still": 0.0000,
        "usual": 0.7365,
    },
    "later": {
        "one": -12.5505,
        "surplus": 0.1105,
        "ratio": 4.0171,
        "pool": 1.6173,
        "regions": 0.4136,
        "crowding": -3.0360,
        "sudden": 0.0000,
        "lasted": 1.2599,
        "still": 1.3483,
        "usual": 0.1710,
    },
}
"""Of the logistic, by the names of ``reports.detection.confidence.SIGNS``."""

FITTED_ON: dict[str, str] = {
    "suite": "doubtful",
    "seeds": "21, 22, 23",
    "days": "21",
    "incidents": "552",
    "real": "328",
    "looks": "3383",
}
"""Which simulated crowd was fitted, and how many of its incidents were real."""
