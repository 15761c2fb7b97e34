from __future__ import annotations

import numpy as np

from reports.detection.baseline import Baseline
from reports.detection.decisions import DecisionKind, Topology
from reports.detection.engine import Engine
from tests.detection.conftest import START
from tests.detection.test_engine import ALPHA, BETA, ENGLAND, LEAVES, MAHARASHTRA, SCOTLAND, WALES, Crowd, of, watched

BRITAIN, INDIA = 1, 5
BRITISH = (ENGLAND, SCOTLAND, WALES)


def silence(crowd: Crowd, regions: tuple[int, ...], first: int, last: int) -> None:
    crowd.reports[:, regions, first:last] = 0


def test_a_country_from_which_nothing_comes_is_not_taken_for_restored(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(500)
    for region in BRITISH:
        crowd.down(ALPHA, region, 150, 400, 2.0)
    silence(crowd, BRITISH, 200, 290)
    engine = Engine(topology, baseline)
    found = watched(engine, crowd, 0, 290)
    assert engine.gaps.is_blind(ENGLAND)
    assert not engine.gaps.is_blind(MAHARASHTRA)
    assert of(found, DecisionKind.OPENED, ENGLAND)
    assert not of(found, DecisionKind.RESTORED)
    found = watched(engine, crowd, 290, 500)
    assert not engine.gaps.is_blind(ENGLAND)
    back = of(found, DecisionKind.RESTORED, ENGLAND)
    assert len(back) == 1
    assert (back[0].restored or 0) - START >= 385


def test_silence_after_a_flood_is_a_gap_at_once(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 40.0)
    silence(crowd, BRITISH, 200, 300)
    engine = Engine(topology, baseline)
    watched(engine, crowd, 0, 200)
    assert not engine.gaps.is_blind(ENGLAND)
    watched(engine, crowd, 200, 202)
    assert engine.gaps.is_blind(ENGLAND)


def test_an_end_with_its_last_reports_is_no_gap(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 200, 10.0)
    late = 10.0 * np.exp(-np.arange(20) / 3.0)
    crowd.reports[ALPHA, ENGLAND, 200:220] += crowd.rng.poisson(late)
    engine = Engine(topology, baseline)
    for at in range(300):
        engine.step(crowd.minute(at))
        assert not engine.gaps.blind.any()


def test_what_lay_in_the_gap_before_it_was_known_is_taken_back(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(300)
    crowd.down(BETA, ENGLAND, 150, 300, 1.0)
    silence(crowd, LEAVES, 200, 300)
    engine = Engine(topology, baseline)
    watched(engine, crowd, 0, 260)
    outage = engine.incidents[BETA].regions[ENGLAND]
    assert engine.gaps.blind.any()
    assert outage.blind[outage.span(START + 259, 60)].all()
    assert not outage.blind[outage.span(START + 199, 30)].any()


def test_a_gap_outlives_the_process(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(400)
    crowd.down(ALPHA, ENGLAND, 150, 400, 2.0)
    silence(crowd, LEAVES, 200, 300)
    engine = Engine(topology, baseline)
    watched(engine, crowd, 0, 280)
    loaded = Engine.load(topology, baseline, engine.save())
    assert loaded.gaps.is_blind(ENGLAND)
    assert watched(loaded, crowd, 280, 400) == watched(engine, crowd, 280, 400)
