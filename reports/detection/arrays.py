"""Sums by index, with the types that NumPy's stubs do not promise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.detection.decisions import FloatArray, IntArray


def sums_by(index: IntArray, values: NDArray[Any], length: int) -> FloatArray:
    """Element i is the sum of ``values`` where ``index`` is i; ``length`` elements."""
    return np.bincount(index, values, length).astype(np.float64)


def number_by(index: IntArray, length: int) -> FloatArray:
    """Element i is how often ``index`` is i; ``length`` elements."""
    return np.bincount(index, minlength=length).astype(np.float64)
