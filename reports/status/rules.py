"""The rules that decisions follow, and what they were measured to do, for the page that states them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from reports.detection.parameters import Parameters
from reports.status.answers import DetectionResult, DetectionResults

RESULTS = Path(__file__).resolve().parent.parent / "data" / "detection-results.json"
"""Written by ``python -m tests.benchmarks.detection --write``."""


def rules() -> Parameters:
    """The numbers in force."""
    return Parameters()


@cache
def detection_results() -> DetectionResults | None:
    """What the detector and its peers reached on simulated suites; ``None`` where nothing was measured."""
    if not RESULTS.exists():
        return None
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    return DetectionResults(
        made_on=content["made_on"],
        detector_version=content["detector_version"],
        days=content["days"],
        results=tuple(DetectionResult(**result) for result in content["results"]),
    )
