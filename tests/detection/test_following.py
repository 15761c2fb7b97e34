"""How a country follows its regions."""

from __future__ import annotations

import numpy as np

from reports.detection.baseline import Baseline
from reports.detection.decisions import DecisionKind, Topology
from reports.detection.engine import Engine
from tests.detection.conftest import START
from tests.detection.test_engine import ALPHA, ENGLAND, GB, SCOTLAND, WALES, Crowd, of, watched


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
