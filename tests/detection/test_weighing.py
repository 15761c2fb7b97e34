"""How sure an incident is, while it goes on."""

from __future__ import annotations

import numpy as np
import pytest

from reports.detection.baseline import Baseline
from reports.detection.confidence import LOOKS, incident_confidence, signs_of
from reports.detection.decisions import Decision, DecisionKind, Signal, SignalKind, Topology
from reports.detection.engine import Engine
from tests.detection.conftest import START
from tests.detection.test_engine import ALPHA, ENGLAND, LEAVES, Crowd, watched


@pytest.fixture
def engine(topology: Topology, baseline: Baseline) -> Engine:
    return Engine(topology, baseline)


def weighed(decisions: list[Decision]) -> list[Decision]:
    return [d for d in decisions if d.evidence and signs_of(d.evidence.figures)]


def storm(networks: float = 1.0) -> Crowd:
    crowd = Crowd(360)
    for region in LEAVES:
        crowd.down(ALPHA, region, 150, 340, 3.0)
    crowd.networks = np.floor(crowd.reports * networks).astype(np.int64)
    return crowd


def test_confidence_is_told_at_the_opening_and_at_each_look(engine: Engine) -> None:
    told = weighed(watched(engine, storm(), 0, 330))
    opened = told[0].decided
    ages = [d.decided - opened for d in told if d.kind is DecisionKind.UPDATED]
    assert ages == list(LOOKS)
    assert told[0].kind is DecisionKind.OPENED


def test_a_lasting_outage_of_many_regions_makes_it_surer(engine: Engine) -> None:
    told = weighed(watched(engine, storm(), 0, 330))
    assert told[-1].confidence >= 0.9
    assert told[-1].confidence > told[0].confidence


def test_what_is_told_follows_from_the_signs_in_the_evidence(engine: Engine) -> None:
    for decision in weighed(watched(engine, storm(), 0, 330)):
        signs = signs_of(decision.evidence.figures)
        assert signs
        assert decision.confidence == pytest.approx(incident_confidence(signs), abs=2e-3)


def test_many_reports_from_few_networks_are_told_with_less(topology: Topology, baseline: Baseline) -> None:
    crowds = storm(), storm(networks=0.4)
    sure, brigade = (weighed(watched(Engine(topology, baseline), crowd, 0, 330))[-1].confidence for crowd in crowds)
    assert brigade < sure - 0.05


def test_an_administrators_word_is_sure_and_stays_so(engine: Engine) -> None:
    word = Signal(SignalKind.ADMIN_DOWN, ALPHA, ENGLAND, START + 140, START + 140)
    found = watched(engine, storm(), 0, 330, [word])
    assert {d.confidence for d in found if d.confidence is not None and d.service == ALPHA} == {1.0}


def test_a_saved_engine_goes_on_weighing(engine: Engine, topology: Topology, baseline: Baseline) -> None:
    crowd = storm()
    watched(engine, crowd, 0, 170)
    again = Engine.load(topology, baseline, engine.save())
    assert watched(again, crowd, 170, 330) == watched(engine, crowd, 170, 330)
