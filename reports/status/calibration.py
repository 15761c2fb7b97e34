"""Whether the confidence of incidents keeps its word: by simulation, from a committed file; by review, from here."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from reports.detection.calibration import BAND_EDGES, TOO_FEW, Reliability, measured
from reports.detection.confidence import fingerprint
from reports.detection.engine import DETECTOR_VERSION
from reports.incidents.reviewed import reviewed_incidents, site_shift
from reports.status import snapshots
from reports.status.answers import Calibration, CalibrationBand, CalibrationFigures, CalibrationSuite, ConfidenceBasis

FILE = Path(__file__).resolve().parent.parent / "data" / "calibration.json"
"""Written by ``manage.py calibrate --simulated --write``."""


def calibration() -> Calibration:
    """Reliability by simulation and by this site's reviewed incidents."""
    return snapshots.kept(("calibration",), _calibration)


def confidence_basis(confidence: float) -> ConfidenceBasis:
    """What became of the incidents that were told with about this confidence."""
    both = calibration()
    low, high = next((low, high) for low, high in pairwise(BAND_EDGES) if confidence < high or high == 1)
    return ConfidenceBasis(
        low=low,
        high=high,
        simulated=_band(both.main.later, low),
        reviewed=_band(both.reviewed, low) if both.enough_reviewed else None,
        reviewed_incidents=both.reviewed.incidents if both.reviewed else 0,
        needed_reviewed=both.needed_reviewed,
    )


@cache
def simulated() -> dict[str, Any]:
    """The committed file."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def _calibration() -> Calibration:
    file = simulated()
    judged = reviewed_incidents()
    found = measured([one.told for one in judged], [one.real for one in judged])
    return Calibration(
        made_on=file["made_on"],
        detector_version=file["detector_version"],
        current=file["fingerprint"] == fingerprint(DETECTOR_VERSION),
        suites=tuple(
            CalibrationSuite(
                suite=suite["suite"],
                seeds=tuple(suite["seeds"]),
                days=suite["days"],
                opening=_read(suite["opening"]),
                later=_read(suite["later"]),
            )
            for suite in file["suites"]
        ),
        reviewed=figures(found) if found else None,
        enough_reviewed=len(judged) >= TOO_FEW,
        needed_reviewed=TOO_FEW,
        shift=site_shift(),
    )


def figures(found: Reliability) -> CalibrationFigures:
    """The maths' answer as the public reads it."""
    return CalibrationFigures(
        incidents=found.incidents,
        real=found.real,
        brier=found.brier,
        skill=found.skill,
        reliability=found.reliability,
        resolution=found.resolution,
        uncertainty=found.uncertainty,
        bands=tuple(
            CalibrationBand(b.low, b.high, b.incidents, b.told, b.real, b.share, b.least, b.most) for b in found.bands
        ),
    )


def _read(told: dict[str, Any] | None) -> CalibrationFigures | None:
    if told is None:
        return None
    return CalibrationFigures(**{**told, "bands": tuple(CalibrationBand(**band) for band in told["bands"])})


def _band(found: CalibrationFigures | None, low: float) -> CalibrationBand | None:
    return next((band for band in found.bands if band.low == low), None) if found else None
