"""How likely an incident is real, given the evidence it opened on."""

from __future__ import annotations

import numpy as np

from reports.detection.decisions import Evidence

_LOG10_P = np.array([3.0, 4.0, 5.0, 6.0, 7.5, 9.0, 12.0])
_REAL = np.array([0.85, 0.9, 0.93, 0.95, 0.97, 0.985, 0.999])


def incident_confidence(evidence: Evidence) -> float:
    """Probability in (0, 1) that what opened on this evidence is an outage."""
    if evidence.rule == "admin":
        return 1.0
    return float(np.interp(-evidence.log10_p, _LOG10_P, _REAL))
