"""Attacks through intake, guard and detector, small ones of those that the benchmark measures."""

from __future__ import annotations

import pytest

from reports.detection.engine import Parameters
from tests.benchmarks.attack import QUIET, Attack, _closed, _opened, _played, _set_aside


@pytest.mark.parametrize("clocked", [False, True], ids=["at random", "by the clock"])
def test_bots_from_five_networks_open_nothing(db: None, clocked: bool):
    assert _opened(_played(Attack(5, 200, clocked=clocked), Parameters())) is None


@pytest.mark.parametrize("clocked", [False, True], ids=["at random", "by the clock"])
def test_votes_from_five_networks_bring_nothing_back(db: None, clocked: bool):
    votes = Attack(5, 200, "working", at=QUIET + 30, over=30, real=2.0, clocked=clocked)
    decisions = _played(votes, Parameters())
    assert _opened(decisions) is not None
    assert not _closed(decisions)


@pytest.mark.parametrize(("networks", "real"), [(5, 4.0), (40, 3.0)])
def test_bots_by_the_clock_hide_no_outage(db: None, networks: int, real: float):
    """Ten for each honest report, from elsewhere in the country, from ten minutes before the outage on.

    One person in five is behind one of seven carriers' addresses, of each of which three an hour count.
    """
    attack = Attack(
        networks,
        round(80 * 10 * real) // networks,
        region="GB-SCT",
        at=QUIET - 10,
        over=80,
        real=real,
        real_in="GB-ENG",
        clocked=True,
    )
    opened = _opened(_played(attack, Parameters()), "GB-ENG")
    assert opened is not None
    assert opened - QUIET <= 10
    honest, bots = _set_aside(attack)
    assert honest <= 0.1
    assert bots >= 0.9
