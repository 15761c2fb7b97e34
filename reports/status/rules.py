"""The rules that decisions follow, and what they were measured to do, for the page that states them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from django.conf import settings

from reports.detection.parameters import Parameters
from reports.intake import shapes, weighing
from reports.intake.guard import COUNTING_WINDOW
from reports.status.answers import DetectionResult, DetectionResults

RESULTS = Path(__file__).resolve().parent.parent / "data" / "detection-results.json"
"""Written by ``python -m tests.benchmarks.detection --write``."""


@dataclass(frozen=True)
class CountingRules:
    """Which reports count: one a person within ``window_minutes``; of one network the first ``full`` in full, then ever
    fewer; where a flow of at least ``least`` comes from fewer than ``fewest`` networks, the first ``free`` of each.
    Where this site has the lists of ``hosting`` networks and of networks' countries (``misplaced``), none of those that
    come from such networks when these are at least ``foreign`` percent.
    """

    window_minutes: int
    full: int
    least: int
    fewest: int
    free: int
    foreign: int
    hosting: bool
    misplaced: bool


def counting_rules() -> CountingRules:
    """The numbers in force."""
    window = COUNTING_WINDOW // timedelta(minutes=1)
    return CountingRules(
        window_minutes=window,
        full=weighing.FULL,
        least=shapes.LEAST,
        fewest=round(shapes.FEWEST),
        free=shapes.FREE,
        foreign=round(100 * shapes.FOREIGN),
        hosting=settings.HOSTING_NETWORKS is not None,
        misplaced=settings.NETWORK_COUNTRIES is not None,
    )


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
