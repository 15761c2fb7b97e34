"""How likely an incident is real, given what is known of it at the moment: a logistic in a few signs.

Every sign can only speak one way (``SIGNS``), so that the answer can be explained. The coefficients were fitted to
simulated incidents, many of them false (``reports/detection/coefficients.py`` says to which); ``manage.py calibrate``
says how often incidents told with a confidence were real, on seeds that were not fitted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log

import numpy as np

from reports.detection.coefficients import COEFFICIENTS
from reports.detection.decisions import FloatArray
from reports.detection.parameters import Parameters

MOST = 0.97
"""Nobody has checked enough incidents to promise more than this of one."""

MOST_RATIO = 10.0
"""No surge reaches so many times the usual; a group in a quiet region goes far beyond it, and is no likelier real."""

LOOKS = (5, 15, 30, 60, 120)
"""Minutes after an incident opened at which its confidence is told anew."""

SIGNS: Mapping[str, int] = {
    "surplus": 1,
    "ratio": 1,
    "pool": 0,
    "regions": 1,
    "crowding": -1,
    "sudden": 1,
    "lasted": 1,
    "still": 1,
    "usual": 0,
}
"""What may raise confidence (1), what may lower it (-1), and what the fit decides (0)."""


@dataclass(frozen=True)
class Signs:
    """What speaks for and against an incident ``age`` minutes after it opened: natural logarithms.

    ``surplus``: 1 + orders of magnitude by which the best window so far passed the full bar, were every network one
    report; ``ratio``: most networks (reports, where nobody recorded them) per expected report from its beginning on,
    each with half a report added, where it was seen best; ``pool``: not a logarithm, 1 where a country or the world
    spoke first, else 0; ``regions``: 1 + regions without regions in them that are part of it; ``crowding``: reports per
    distinct network since it began, at most that of three, 0 where nobody recorded networks; ``sudden``: rate of the
    first ten minutes per rate of the forty before; ``lasted``: 1 + minutes from its beginning to its last clear excess;
    ``still``: rate of the last ten minutes per rate since it began, at most 0; ``usual``: 1 + reports per hour that are
    ordinary where it was seen best.
    """

    age: int
    surplus: float
    ratio: float
    pool: float
    regions: float
    crowding: float
    sudden: float
    lasted: float
    still: float
    usual: float

    def figures(self) -> dict[str, float]:
        """As an evidence keeps them, so that a confidence can be recomputed: ``sign_surplus`` and so on."""
        return {f"sign_{name}": round(value, 4) for name, value in asdict(self).items()}

    @property
    def stage(self) -> str:
        """Which coefficients speak: those of the ``opening``, or those of ``later``, when more is known."""
        return "later" if self.age >= LOOKS[0] else "opening"


def signs_of(figures: Mapping[str, float]) -> Signs | None:
    """What :meth:`Signs.figures` kept; ``None`` where nothing was."""
    if "sign_surplus" not in figures:
        return None
    return Signs(age=int(figures["sign_age"]), **{name: float(figures[f"sign_{name}"]) for name in SIGNS})


def features(signs: Signs) -> FloatArray:
    """One and the signs in the order of ``SIGNS``; a ratio beyond ``MOST_RATIO`` counts as that."""
    values = asdict(signs)
    values["ratio"] = min(signs.ratio, log(MOST_RATIO))
    return np.array([1.0, *(values[name] for name in SIGNS)])


def coefficients(stage: str) -> FloatArray:
    """Those in force for ``opening`` or ``later``, in the order of :func:`features`."""
    return np.array([COEFFICIENTS[stage][name] for name in ("one", *SIGNS)])


def probability(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Logistic probability of each row of features."""
    result: FloatArray = 1.0 / (1.0 + np.exp(-(values @ weights)))
    return result


def incident_confidence(signs: Signs) -> float:
    """Probability, at most ``MOST``, that an incident with these signs is an outage."""
    return min(float(probability(features(signs), coefficients(signs.stage))), MOST)


def fingerprint(version: str, parameters: Parameters | None = None) -> str:
    """A short name for everything that a calibration depends on: detector version, parameters and coefficients."""
    content = repr((version, asdict(parameters or Parameters()), COEFFICIENTS, MOST, MOST_RATIO, LOOKS))
    return hashlib.sha256(content.encode()).hexdigest()[:16]
