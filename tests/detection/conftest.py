"""Small worlds for the tests of the maths."""

from __future__ import annotations

import numpy as np
import pytest

from reports.detection.baseline import Baseline, History, fit
from reports.detection.decisions import Topology

START = 29_453_760
"""2026-01-01T00:00Z, a Thursday."""
SERVICES = ("alpha", "beta", "gamma", "delta")
REGIONS = ("001", "GB", "GB-ENG", "GB-SCT", "GB-WLS", "IN", "IN-MH")


def small_topology(services: tuple[str, ...] = SERVICES, regions: tuple[str, ...] = REGIONS) -> Topology:
    """Alpha, beta and gamma are siblings; two countries."""
    parent = {"001": -1, "GB": 0, "IN": 0}
    place = {code: i for i, code in enumerate(regions)}
    parents = [
        parent[c] if c in parent and parent[c] < 0 else place.get(c.split("-")[0] if "-" in c else "001", 0)
        for c in regions
    ]
    offsets = [330 if c.startswith("IN") else 0 for c in regions]
    providers = tuple("greek" if s in ("alpha", "beta", "gamma") else s for s in services)
    return Topology(services, providers, regions, np.array(parents), np.array(offsets))


def steady_history(topology: Topology, *, per_minute: float = 0.1, days: int = 28) -> History:
    """Every leaf of every service at the same rate, without rhythm."""
    rng = np.random.default_rng(5)
    leaves = [i for i, c in enumerate(topology.regions) if "-" in c]
    bins = days * 48
    first = START // 30 - bins
    service, region, at = np.meshgrid(np.arange(len(topology.services)), leaves, np.arange(bins), indexing="ij")
    reports = rng.poisson(per_minute * 30, service.shape)
    told = reports > 0
    return History(service[told], region[told], at[told] + first, reports[told], first, first + bins)


@pytest.fixture(scope="session")
def topology() -> Topology:
    return small_topology()


@pytest.fixture(scope="session")
def baseline(topology: Topology) -> Baseline:
    return fit(steady_history(topology), topology)
