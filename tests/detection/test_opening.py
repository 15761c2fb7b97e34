"""What opens: whole crowds through the engine, where one cell's figures are not the whole story."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.detection.baseline import Baseline, History, fit
from reports.detection.decisions import DecisionKind, MinuteCounts, Topology
from reports.detection.engine import Engine
from tests.detection.conftest import small_topology, steady_history
from tests.detection.test_engine import ALPHA, ENGLAND, GB, LEAVES, SCOTLAND, START, WALES, Crowd, of, watched

BUSY = 10.0
OPENED = DecisionKind.OPENED


def busy_crowd(minutes: int) -> Crowd:
    crowd = Crowd(minutes)
    crowd.reports[:, LEAVES, :] = crowd.rng.poisson(BUSY, (4, 4, minutes))
    return crowd


@pytest.fixture(scope="module")
def busy_baseline(topology: Topology) -> Baseline:
    return fit(steady_history(topology, per_minute=BUSY), topology)


def test_a_surge_of_a_whole_country_opens_none_of_its_regions(topology: Topology, busy_baseline: Baseline) -> None:
    everywhere, only_england = busy_crowd(175), busy_crowd(175)
    for region in (ENGLAND, SCOTLAND, WALES):
        everywhere.down(ALPHA, region, 150, 175, 2.3 * BUSY)
    only_england.down(ALPHA, ENGLAND, 150, 175, 2.3 * BUSY)
    assert not watched(Engine(topology, busy_baseline), everywhere, 0, 175)
    opened = of(watched(Engine(topology, busy_baseline), only_england, 0, 175), OPENED)
    assert [d.region for d in opened] == [ENGLAND]


def test_an_outage_of_a_whole_country_opens_however_busy_it_is(topology: Topology, busy_baseline: Baseline) -> None:
    crowd = busy_crowd(165)
    for region in (ENGLAND, SCOTLAND, WALES):
        crowd.down(ALPHA, region, 150, 165, 10 * BUSY)
    opened = {d.region: d.decided - START for d in of(watched(Engine(topology, busy_baseline), crowd, 0, 165), OPENED)}
    assert {GB, ENGLAND, SCOTLAND, WALES} <= set(opened)
    assert max(opened.values()) <= 154


def test_a_region_joins_in_the_minute_in_which_its_country_falls(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(170)
    crowd.reports[ALPHA, WALES, 120:] = 0
    crowd.reports[ALPHA, WALES, 150] = 6
    for region in (ENGLAND, SCOTLAND):
        crowd.down(ALPHA, region, 150, 170, 1.5)
    found = watched(Engine(topology, baseline), crowd, 0, 170)
    opened = {d.region: d for d in of(found, OPENED)}
    # Not at its own six reports, and not at its next one either, which never came.
    assert opened[WALES].decided - START > 150
    assert opened[WALES].decided == max(d.decided for r, d in opened.items() if r in (GB, ENGLAND, SCOTLAND))
    evidence = opened[WALES].evidence
    assert evidence is not None
    assert evidence.rule == "joined"


def test_four_reports_open_a_region_while_its_country_falls_but_not_hours_later(
    topology: Topology, baseline: Baseline
) -> None:
    def opened(at: int) -> bool:
        crowd = Crowd(at + 5)
        crowd.reports[ALPHA, WALES, :] = 0
        crowd.reports[ALPHA, WALES, 20::40] = 1
        crowd.reports[ALPHA, WALES, at] = 4
        for region in (ENGLAND, SCOTLAND):
            crowd.down(ALPHA, region, 150, at + 5, 1.5)
        found = watched(Engine(topology, baseline), crowd, 0, at + 5)
        assert {ENGLAND, SCOTLAND} <= {d.region for d in of(found, OPENED)}
        return bool(of(found, OPENED, WALES))

    assert opened(165)
    assert not opened(335)


def test_the_evidence_of_a_region_says_how_busy_the_rest_of_its_country_was(
    topology: Topology, busy_baseline: Baseline
) -> None:
    crowd = busy_crowd(170)
    for region in (SCOTLAND, WALES):
        crowd.down(ALPHA, region, 140, 170, 0.6 * BUSY)
    crowd.down(ALPHA, ENGLAND, 150, 170, 8 * BUSY)
    evidence = of(watched(Engine(topology, busy_baseline), crowd, 0, 170), OPENED, ENGLAND)[0].evidence
    assert evidence is not None
    assert evidence.rule == "cell"
    end = evidence.window_end - START
    rest = crowd.reports[ALPHA, (SCOTLAND, WALES), end - evidence.window_minutes : end].sum()
    usual = 2 * BUSY * evidence.window_minutes
    assert evidence.figures["rest_of_country"] == pytest.approx((rest + 3) / (usual + 3), rel=0.1)
    assert rest > 1.2 * usual


@pytest.mark.parametrize("services", [(0, 1, 2, 3), (0,)])
def test_after_a_gap_of_the_collection_nothing_opens_and_the_slow_factor_is_as_before(
    topology: Topology, busy_baseline: Baseline, services: tuple[int, ...]
) -> None:
    crowd = busy_crowd(420)
    crowd.reports[services, :, 160:250] = 0
    engine = Engine(topology, busy_baseline)
    assert not of(watched(engine, crowd, 0, 420), OPENED)
    again = Engine(topology, busy_baseline)
    watched(again, crowd, 0, 270)
    row = again.recent.row_of[ALPHA * 7 + ENGLAND]
    assert again.recent.slow_factors(int(row), START + 269, 10)[0] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_level_that_shifts_opens_nothing_and_hides_no_outage(
    topology: Topology, busy_baseline: Baseline, factor: float
) -> None:
    crowd = busy_crowd(700)
    shifted = crowd.rng.poisson(factor * BUSY, (4, 4, 550))
    crowd.reports[:, LEAVES, 150:] = shifted
    crowd.down(ALPHA, ENGLAND, 680, 700, 8 * BUSY * factor)
    opened = of(watched(Engine(topology, busy_baseline), crowd, 0, 700), OPENED)
    assert [d.region for d in opened] == [ENGLAND]
    assert 680 <= opened[0].decided - START <= 684


def test_a_service_with_two_reports_a_day_opens_on_a_crowd_and_not_on_a_few(topology: Topology) -> None:
    history = steady_history(topology)
    rare = (history.service == ALPHA) & (np.arange(len(history.bin)) % 370 != 0)
    kept = {name: getattr(history, name)[~rare] for name in ("service", "region", "bin", "reports")}
    found = fit(replace(history, **kept), topology)

    def opened(reports: int) -> list[int]:
        crowd = Crowd(220)
        crowd.reports[ALPHA] = 0
        crowd.reports[ALPHA, ENGLAND, 150 : 150 + 3 * reports : 3] = 1
        return [d.region for d in of(watched(Engine(topology, found), crowd, 0, 220), OPENED)]

    assert opened(3) == []
    assert ENGLAND in opened(12)


def test_a_young_service_opens_on_what_exceeds_its_own_last_hours(topology: Topology) -> None:
    def opened(before: float, after: float, hours: int) -> bool:
        crowd = Crowd(60 * hours + 30)
        crowd.reports[ALPHA] = 0
        crowd.down(ALPHA, ENGLAND, 0, 60 * hours, before)
        crowd.down(ALPHA, ENGLAND, 60 * hours, 60 * hours + 30, after)
        found = watched(Engine(topology, Baseline.empty(topology)), crowd, 0, 60 * hours + 30)
        return bool(of(found, OPENED))

    assert not opened(0.05, 0.05, 1)
    assert not opened(2.0, 4.0, 2)
    assert opened(2.0, 20.0, 2)
    assert opened(0.05, 3.0, 2)


ABROAD = tuple(f"A{letter}" for letter in "ABCDEFGHIJKL")
NATIONAL = small_topology(
    services=("alpha", "beta"),
    regions=("001", "GB", *ABROAD, "GB-ENG", "GB-SCT", *(f"{country}-{part}" for country in ABROAD for part in "12")),
)


@pytest.fixture(scope="module")
def national_baseline() -> Baseline:
    """Of a service that nearly all its reports come for from one country."""
    leaves = np.flatnonzero(np.char.find(NATIONAL.regions, "-") > 0)
    bins = 28 * 48
    usual = np.where(np.char.startswith(np.array(NATIONAL.regions)[leaves], "GB"), 0.2, 0.003)
    reports = np.random.default_rng(5).poisson(usual[None, :, None] * 30, (2, len(leaves), bins))
    service, leaf, at = np.nonzero(reports)
    first = START // 30 - bins
    history = History(service, leaves[leaf], at + first, reports[service, leaf, at], first, first + bins)
    return fit(history, NATIONAL)


@pytest.mark.parametrize(("beyond", "everywhere"), [(1.0, False), (40.0, True)])
def test_an_outage_of_one_country_opens_the_world_only_where_the_others_rise_too(
    national_baseline: Baseline, beyond: float, everywhere: bool
) -> None:
    """What the slow factor of a busy country expects of it is more than is left of the world's."""

    def opened(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        leaves = np.flatnonzero(np.char.find(NATIONAL.regions, "-") > 0)
        at_home = np.char.startswith(np.array(NATIONAL.regions)[leaves], "GB")
        rate = np.tile(np.where(at_home, 0.2, 0.003)[:, None], (1, 220))
        rate[at_home, 20:] = 0.4
        rate[at_home, 160:] += 1.2
        rate[~at_home, 160:] *= beyond
        reports = rng.poisson(rate)
        engine = Engine(NATIONAL, national_baseline)
        found = []
        for minute in range(220):
            here = np.flatnonzero(reports[:, minute])
            alpha, none = np.zeros_like(here), np.zeros_like(here)
            found += engine.step(MinuteCounts(START + minute, alpha, leaves[here], reports[here, minute], none))
        return bool(of(found, OPENED, NATIONAL.regions.index("001")))

    assert [opened(seed) for seed in range(12)].count(everywhere) == 12
