"""The figures beside a decision: complete, and never a placeholder."""

from __future__ import annotations

import numpy as np
import pytest

from reports.detection.baseline import Baseline
from reports.detection.decisions import Decision, DecisionKind, Evidence, Topology
from reports.detection.engine import Engine
from reports.detection.onset import null_shape
from reports.detection.tails import log10_tail
from tests.detection.conftest import START
from tests.detection.test_engine import ALPHA, ENGLAND, Crowd, watched

BEGAN, ENDED = 150, 220


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    crowd = Crowd(400)
    crowd.down(ALPHA, ENGLAND, BEGAN, ENDED, 2.0)
    crowd.working[ALPHA, ENGLAND, ENDED : ENDED + 15] = 1
    return crowd


@pytest.fixture(scope="module")
def told(topology: Topology, baseline: Baseline, crowd: Crowd) -> list[Decision]:
    """What an engine says of an outage of England of seventy minutes, with votes after its end."""
    return watched(Engine(topology, baseline), crowd, 0, 400)


def one(told: list[Decision], kind: DecisionKind) -> Evidence:
    (found,) = (d.evidence for d in told if d.kind is kind and d.region == ENGLAND)
    assert found is not None
    return found


def test_every_decision_tells_the_null_and_the_tail_under_it(told: list[Decision]) -> None:
    found = [d.evidence for d in told if d.evidence]
    assert len({evidence.rule for evidence in found}) >= 3
    for evidence in found:
        f = evidence.figures
        mean = np.array([f["null_inflation"] * evidence.expected + 1e-4])
        shape = null_shape(mean, np.array([f["dispersion"]]), np.array([f["strength"]]), f["clumping"])
        tail = log10_tail(np.array([evidence.observed]), mean, shape)[0]
        assert evidence.log10_p == pytest.approx(tail, abs=2e-4)


def test_only_a_decision_taken_by_the_tail_has_a_threshold(told: list[Decision]) -> None:
    opened, restored = one(told, DecisionKind.OPENED), one(told, DecisionKind.RESTORED)
    assert opened.log10_p <= opened.threshold < 0
    assert restored.threshold == 0
    assert restored.log10_p < 0


def test_a_restoration_tells_of_reports_and_votes_since_the_onset(told: list[Decision], crowd: Crowd) -> None:
    restored = one(told, DecisionKind.RESTORED)
    end = restored.window_end - START
    since = slice(end - int(restored.figures["minutes_since_onset"]), end)
    assert BEGAN - 5 <= since.start <= BEGAN + 5
    assert restored.figures["reports_since_onset"] == crowd.reports[ALPHA, ENGLAND, since].sum() > 100
    assert restored.figures["votes_since_onset"] == crowd.working[ALPHA, ENGLAND, since].sum() >= 3


def test_the_slow_factors_told_are_those_of_the_expectation(told: list[Decision], baseline: Baseline) -> None:
    opened = one(told, DecisionKind.OPENED)
    minutes = np.arange(opened.window_end - opened.window_minutes, opened.window_end)
    ordinary = baseline.expected(np.array([ALPHA]), np.array([ENGLAND]), minutes)
    factor, factors = opened.figures["slow_factor"], []
    for segment in range(minutes[-1] // 10, minutes[0] // 10 - 1, -1):
        factor = opened.figures.get(f"slow_factor_{minutes[-1] // 10 - segment}", factor)
        factors.append(factor)
    used = np.array([factors[minutes[-1] // 10 - m // 10] for m in minutes])
    assert opened.expected == pytest.approx(float((ordinary * used).sum()), rel=0.01)
