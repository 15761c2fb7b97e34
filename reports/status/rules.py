"""The rules that decisions follow, for the page that states them."""

from __future__ import annotations

from reports.detection.parameters import Parameters


def rules() -> Parameters:
    """The numbers in force."""
    return Parameters()
