"""The simulated crowds: comparable from one release to the next, and full of what is no outage."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from reports.detection.simulation import DAY, EPOCH, SUITES, simulate, was_down


def digest(name: str, *, days: int = 10) -> str:
    simulation = simulate(replace(SUITES[name], days=days), 1)
    recording = simulation.recording
    found = hashlib.sha256()
    for column in (recording.minute, recording.service, recording.region, recording.reports, recording.working):
        found.update(np.ascontiguousarray(column).tobytes())
    truth = [(t.service, t.region, t.start, t.end, t.third, t.event, t.kind) for t in simulation.truth]
    found.update(repr(truth).encode())
    return found.hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("standard", "b3f1527f3f711915"),
        ("hard", "35617af14fb3a0b7"),
        ("votes", "95f97fe8fcb27870"),
        ("fatigue", "e208976c163cc594"),
    ],
)
def test_a_suite_is_what_it_was_when_its_figures_were_published(name, content):
    assert digest(name) == content


def test_a_suite_is_a_function_of_its_seed():
    assert digest("doubtful", days=9) == digest("doubtful", days=9)
    one, other = (simulate(replace(SUITES["doubtful"], days=9), seed) for seed in (1, 2))
    assert len(one.recording.minute) != len(other.recording.minute)


def test_the_doubtful_crowd_records_networks_never_more_than_reports():
    recording = simulate(replace(SUITES["doubtful"], days=9), 21).recording
    assert (recording.networks <= recording.reports).all()
    assert recording.networks.sum() > 0.6 * recording.reports.sum()
    few = (recording.reports >= 8) & (recording.networks <= 0.3 * recording.reports)
    assert few.any(), "a school, an office, a brigade"


def test_the_doubtful_crowd_has_faint_outages_and_flaps_among_the_true():
    simulation = simulate(replace(SUITES["doubtful"], days=20), 21)
    kinds = {t.kind for t in simulation.truth}
    assert {"global", "national", "regional", "slow", "common", "flap"} <= kinds
    flap = next(t for t in simulation.truth if t.kind == "flap")
    assert flap.end - flap.start <= 11


def test_an_incident_is_real_where_its_service_was_down_about_then():
    simulation = simulate(replace(SUITES["standard"], days=10), 1)
    truth = simulation.truth[0]
    assert was_down(simulation, truth.service, truth.start - 20)
    assert not was_down(simulation, truth.service, EPOCH - DAY)
