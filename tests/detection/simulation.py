"""The simulated suites live in ``reports.detection.simulation``, where commands reach them too."""

from reports.detection.simulation import (
    DAY,
    EPOCH,
    OFFSETS,
    SUITES,
    Simulation,
    Suite,
    Truth,
    simulate,
    topology_of,
)

__all__ = ["DAY", "EPOCH", "OFFSETS", "SUITES", "Simulation", "Suite", "Truth", "simulate", "topology_of"]
