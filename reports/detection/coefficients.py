"""What confidence was fitted to be: written by ``python -m tests.benchmarks.confidence --write``."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "opening": {
        "one": -11.2362,
        "surplus": 0.0000,
        "ratio": 3.0236,
        "pool": 2.5309,
        "regions": 1.5817,
        "crowding": -1.7597,
        "sudden": 0.0000,
        "lasted": 1.3488,
        "still": 0.0000,
        "usual": 0.6236,
    },
    "later": {
        "one": -11.1378,
        "surplus": 0.0000,
        "ratio": 2.8050,
        "pool": 1.1056,
        "regions": 0.6972,
        "crowding": -3.2083,
        "sudden": 0.0000,
        "lasted": 1.6585,
        "still": 1.0386,
        "usual": 0.1159,
    },
}
"""Of the logistic, by the names of ``reports.detection.confidence.SIGNS``."""

FITTED_ON: dict[str, str] = {
    "suite": "doubtful",
    "seeds": "21, 22",
    "days": "21",
    "incidents": "446",
    "real": "230",
    "looks": "2415",
}
"""Which simulated crowd was fitted, and how many of its incidents were real."""
