"""What confidence was fitted to be: written by ``python -m tests.benchmarks.confidence --write``."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "opening": {
        "one": -4.5042,
        "surplus": 0.0000,
        "ratio": 0.5710,
        "pool": 3.0791,
        "regions": 2.1024,
        "crowding": -3.3670,
        "sudden": 0.0000,
        "lasted": 0.9011,
        "still": 0.0000,
        "usual": 0.2267,
    },
    "later": {
        "one": -4.3459,
        "surplus": 0.1222,
        "ratio": 0.1604,
        "pool": 0.9523,
        "regions": 1.3795,
        "crowding": -3.8051,
        "sudden": 0.0000,
        "lasted": 1.2632,
        "still": 0.9566,
        "usual": -0.2978,
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
