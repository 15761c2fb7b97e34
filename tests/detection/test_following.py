"""How a country follows its regions."""

from __future__ import annotations

import itertools

import numpy as np

from reports.detection.baseline import Baseline
from reports.detection.decisions import DecisionKind, Signal, SignalKind, Topology
from reports.detection.engine import Engine
from tests.detection.conftest import START
from tests.detection.test_engine import ALPHA, ENGLAND, GB, LEAVES, MAHARASHTRA, SCOTLAND, WALES, Crowd, of, watched


def test_a_country_is_down_while_a_region_of_it_is_and_back_with_the_last(
    topology: Topology, baseline: Baseline
) -> None:
    crowd = Crowd(500)
    for region, end in ((ENGLAND, 220), (SCOTLAND, 280), (WALES, 250)):
        crowd.down(ALPHA, region, 150, end, 2.0)
    found = watched(Engine(topology, baseline), crowd, 0, 500)
    assert of(found, DecisionKind.OPENED, GB)
    (recovering,) = of(found, DecisionKind.RECOVERING, GB)
    assert recovering.decided - START >= 275
    (back,) = of(found, DecisionKind.RESTORED, GB)
    last = max(of(found, DecisionKind.RESTORED, SCOTLAND), key=lambda d: d.decided)
    assert back.restored == last.restored
    assert back.decided >= last.decided


def tiring(wales: float) -> Crowd:
    """England and Scotland tire and say when it works again, at minute 300; in Wales nobody says so."""
    crowd = Crowd(900)
    age = np.arange(150)
    for region, rate in ((ENGLAND, 3.0), (SCOTLAND, 3.0), (WALES, wales)):
        crowd.reports[ALPHA, region, 150:300] += crowd.rng.poisson(rate * (0.1 + 0.9 * np.exp(-age / 40)))
    for region in (ENGLAND, SCOTLAND):
        votes = 300 + crowd.rng.exponential(10, 25).astype(int)
        np.add.at(crowd.working[ALPHA, region], votes, 1)
    return crowd


def test_a_country_is_back_although_a_region_with_few_reports_stays_unknown(
    topology: Topology, baseline: Baseline
) -> None:
    found = watched(Engine(topology, baseline), tiring(0.5), 0, 900)
    assert of(found, DecisionKind.UNKNOWN, WALES)
    assert not of(found, DecisionKind.RESTORED, WALES)
    assert of(found, DecisionKind.RESTORED, GB)
    assert of(found, DecisionKind.RESOLVED)


def test_a_country_is_unknown_with_a_region_that_sent_much_of_its_reports(
    topology: Topology, baseline: Baseline
) -> None:
    found = watched(Engine(topology, baseline), tiring(0.8), 0, 900)
    assert of(found, DecisionKind.UNKNOWN, WALES)
    assert of(found, DecisionKind.UNKNOWN, GB)
    assert not of(found, DecisionKind.RESTORED, GB)
    assert of(found, DecisionKind.RESOLVED)


def test_a_few_unknown_regions_do_not_keep_an_incident_open(topology: Topology, baseline: Baseline) -> None:
    found = watched(Engine(topology, baseline), tiring(0.5), 0, 900)
    (resolved,) = of(found, DecisionKind.RESOLVED)
    last = max(d.decided for d in of(found, DecisionKind.RESTORED))
    assert 60 <= resolved.decided - last <= 70
    assert resolved.restored is None


def test_a_country_does_not_go_down_for_what_regions_of_it_have_just_got_over(
    topology: Topology, baseline: Baseline
) -> None:
    crowd = Crowd(500)
    crowd.down(ALPHA, ENGLAND, 150, 210, 3.0)
    crowd.down(ALPHA, SCOTLAND, 170, 210, 3.0)
    found = watched(Engine(topology, baseline), crowd, 0, 500)
    ended = max(d.decided for d in of(found, DecisionKind.RESTORED, SCOTLAND))
    assert not [d for d in of(found, DecisionKind.OPENED) if d.decided >= ended - 5]


def test_a_lull_in_one_region_while_all_others_go_on_is_no_restoration(topology: Topology, baseline: Baseline) -> None:
    said = {}
    for others in (True, False):
        crowd = Crowd(330)
        crowd.down(ALPHA, WALES, 150, 230, 0.5)
        for region in (ENGLAND, SCOTLAND, MAHARASHTRA) if others else ():
            crowd.down(ALPHA, region, 150, 330, 2.0)
        engine = Engine(topology, baseline)
        engine.habits.fading[0] = 50.0
        found = watched(engine, crowd, 0, 330)
        said[others] = min(d.decided for d in of(found, DecisionKind.RESTORED, WALES)) - START
    assert said[True] >= said[False] + 3


def test_falling_reports_alone_restore_nothing_while_the_outage_lasts(topology: Topology, baseline: Baseline) -> None:
    regions = restored = 0
    for seed, (decay, floor) in enumerate(itertools.product((10, 20, 35, 60, 100), (0.03, 0.08, 0.2))):
        crowd = Crowd(450, seed=100 + seed)
        age = np.arange(300)
        for region in LEAVES:
            crowd.reports[ALPHA, region, 150:450] += crowd.rng.poisson(4 * (floor + (1 - floor) * np.exp(-age / decay)))
        found = watched(Engine(topology, baseline), crowd, 0, 450)
        regions += len({d.region for d in of(found, DecisionKind.OPENED) if d.region in LEAVES})
        restored += len({d.region for d in of(found, DecisionKind.RESTORED) if d.region in LEAVES})
    assert regions == 60
    assert restored <= 1


def test_a_dip_in_the_middle_of_an_outage_is_no_restoration(topology: Topology, baseline: Baseline) -> None:
    early = 0
    for seed in range(6):
        crowd = Crowd(300, seed=200 + seed)
        for region in LEAVES:
            crowd.down(ALPHA, region, 150, 200, 2.0)
            crowd.down(ALPHA, region, 200, 220, 0.8)
            crowd.down(ALPHA, region, 220, 300, 2.0)
        early += len(of(watched(Engine(topology, baseline), crowd, 0, 300), DecisionKind.RESTORED))
    assert early == 0


def test_a_provider_who_says_restored_is_not_believed_while_half_the_people_go_on(
    topology: Topology, baseline: Baseline
) -> None:
    crowd = Crowd(330)
    for region in LEAVES:
        crowd.down(ALPHA, region, 150, 220, 3.0)
        crowd.down(ALPHA, region, 220, 330, 1.6)
    word = Signal(SignalKind.STATEMENT_RESTORED, ALPHA, -1, START + 225, START + 225)
    assert not of(watched(Engine(topology, baseline), crowd, 0, 330, [word]), DecisionKind.RESTORED)


def test_two_votes_do_not_restore_a_region_whose_crowd_tires(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(420)
    age = np.arange(270)
    for region in LEAVES:
        crowd.reports[ALPHA, region, 150:420] += crowd.rng.poisson(5.0 * (0.1 + 0.9 * np.exp(-age / 25)))
        crowd.working[ALPHA, region, [250, 255]] = 1
    found = watched(Engine(topology, baseline), crowd, 0, 420)
    assert not [d for d in of(found, DecisionKind.RESTORED) if d.region in LEAVES]


def test_a_provider_who_says_restored_does_not_make_a_region_recover_that_reports_as_before(
    topology: Topology, baseline: Baseline
) -> None:
    for seed in range(4):
        crowd = Crowd(330, seed=300 + seed)
        for region in LEAVES:
            crowd.down(ALPHA, region, 150, 330, 12.0)
        word = Signal(SignalKind.STATEMENT_RESTORED, ALPHA, -1, START + 200, START + 200)
        found = watched(Engine(topology, baseline), crowd, 0, 330, [word])
        assert of(found, DecisionKind.OPENED)
        assert not of(found, DecisionKind.RECOVERING)
        assert not of(found, DecisionKind.RESTORED)
