from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.detection.baseline import Baseline, History, fit
from reports.detection.decisions import BoolArray, Topology
from reports.detection.parameters import Parameters
from reports.detection.tree import TopologyError, plant
from tests.detection.conftest import START, small_topology, steady_history


def test_the_expectation_of_a_region_holds_those_below_it(baseline: Baseline) -> None:
    minute = np.array([START + 600])
    world, country, leaf = (baseline.expected(np.array([0]), np.array([r]), minute)[0] for r in (0, 1, 2))
    assert leaf == pytest.approx(0.1, rel=0.1)
    assert country == pytest.approx(0.3, rel=0.1)
    assert world == pytest.approx(0.4, rel=0.1)


def test_a_fit_survives_its_bytes_and_a_catalogue_that_grew(baseline: Baseline) -> None:
    grown = small_topology(
        ("new", *baseline.topology.services), ("001", "FR", "FR-IDF", *baseline.topology.regions[1:])
    )
    moved = Baseline.from_bytes(grown, baseline.to_bytes())
    minute = np.array([START + 5])
    before = baseline.expected(np.array([1]), np.array([3]), minute)
    after = moved.expected(np.array([2]), np.array([grown.regions.index("GB-SCT")]), minute)
    assert after == pytest.approx(before)
    assert 0 < moved.expected(np.array([0]), np.array([2]), minute)[0] < 0.2
    assert Baseline.from_bytes(baseline.topology, baseline.to_bytes()).version == baseline.version


def test_an_outage_in_the_history_teaches_nothing(topology: Topology, baseline: Baseline) -> None:
    history = steady_history(topology)
    hit = (history.service == 0) & (history.region == 2) & (history.bin >= history.end_bin - 24)
    loud = replace(history, reports=np.where(hit, history.reports + 300, history.reports))
    excluded = replace(
        loud,
        excluded_service=np.array([0]),
        excluded_region=np.array([2]),
        excluded_from=np.array([(history.end_bin - 25) * 30]),
        excluded_until=np.array([history.end_bin * 30]),
    )
    cell = np.array([0]), np.array([2]), np.array([START])
    assert fit(excluded, topology).expected(*cell)[0] == pytest.approx(baseline.expected(*cell)[0], rel=0.1)
    # Even an outage that nobody noticed counts for little: its half hours are capped.
    assert fit(loud, topology).expected(*cell)[0] < 3 * baseline.expected(*cell)[0]


def test_local_time_carries_the_rhythm(topology: Topology) -> None:
    history = steady_history(topology)
    local = (history.bin + np.where(history.region >= 5, 11, 0)) % 48
    day = (local >= 16) & (local < 44)
    found = fit(replace(history, reports=np.where(day, history.reports * 3, history.reports)), topology)
    noon_in_india = np.array([START + 12 * 60 - 330])
    four_in_india = np.array([START + 4 * 60 - 330])
    region = np.array([6])
    assert found.expected(np.array([0]), region, noon_in_india) > 2 * found.expected(
        np.array([0]), region, four_in_india
    )


def test_a_site_without_history_expects_a_little_everywhere(topology: Topology) -> None:
    empty = Baseline.empty(topology)
    expected = empty.expected(np.arange(4), np.array([0, 1, 2, 6]), np.array([START]))
    assert (expected > 0).all()
    assert (empty.upper(np.arange(4), np.array([0, 1, 2, 6]), np.array([START])) > expected).all()


def test_two_worlds_are_refused() -> None:
    with pytest.raises(TopologyError, match="the world"):
        plant(Topology(("a",), ("a",), ("x", "y"), np.array([-1, -1]), np.zeros(2, dtype=np.int64)))


def test_a_region_within_itself_is_refused() -> None:
    with pytest.raises(TopologyError, match="itself"):
        plant(Topology(("a",), ("a",), ("w", "x", "y"), np.array([-1, 2, 1]), np.zeros(3, dtype=np.int64)))


def without(history: History, gone: BoolArray) -> History:
    kept = ~gone
    return replace(
        history,
        service=history.service[kept],
        region=history.region[kept],
        bin=history.bin[kept],
        reports=history.reports[kept],
    )


@pytest.mark.parametrize("services", [(0, 1, 2, 3), (0,)])
def test_a_gap_of_the_collection_lowers_no_level(
    topology: Topology, baseline: Baseline, services: tuple[int, ...]
) -> None:
    history = steady_history(topology)
    gap = (history.bin >= history.end_bin - 6 * 48) & (history.bin < history.end_bin - 48)
    found = fit(without(history, gap & np.isin(history.service, services)), topology)
    cell = np.array([0, 3]), np.array([2, 2]), np.array([START, START])
    assert found.expected(*cell) == pytest.approx(baseline.expected(*cell), rel=0.1)
    assert found.exposure[0] < 0.9 * baseline.exposure[0]


def test_a_level_that_fell_to_nothing_is_learnt(topology: Topology, baseline: Baseline) -> None:
    history = steady_history(topology)
    found = fit(without(history, (history.bin >= history.end_bin - 10 * 48) & (history.service == 0)), topology)
    cell = np.array([0]), np.array([2]), np.array([START])
    assert found.expected(*cell)[0] < 0.65 * baseline.expected(*cell)[0]


def test_a_service_first_heard_of_two_hours_ago_is_young(topology: Topology, baseline: Baseline) -> None:
    history = steady_history(topology, per_minute=1.0)
    found = fit(without(history, (history.bin < history.end_bin - 4) & (history.service == 0)), topology)
    assert found.exposure[0] <= 300 < Parameters().young_minutes < found.exposure[1]
    # Its level is that of the time it was heard in, not a four-hundredth of it.
    cell = np.array([0]), np.array([2]), np.array([START - 60])
    assert found.expected(*cell)[0] > 0.3


def test_a_service_with_two_reports_a_day_keeps_its_quiet_days(topology: Topology) -> None:
    history = steady_history(topology)
    rare = without(history, (history.service == 0) & (np.arange(len(history.bin)) % 370 != 0))
    told = rare.reports[rare.service == 0].sum() / 28
    assert 1 < told < 6
    found = fit(rare, topology)
    day = np.arange(START, START + 1440)
    assert found.expected(np.array([0]), np.array([0]), day).sum() == pytest.approx(told, rel=0.5)
    assert found.exposure[0] > 0.9 * found.exposure[1]
