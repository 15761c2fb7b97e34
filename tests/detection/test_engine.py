from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from reports.detection.baseline import Baseline
from reports.detection.decisions import Basis, Decision, DecisionKind, MinuteCounts, Signal, SignalKind, Topology
from reports.detection.engine import Engine
from reports.detection.state import StateError
from tests.detection.conftest import START, small_topology

ALPHA, BETA, GAMMA, DELTA = 0, 1, 2, 3
GB, ENGLAND, SCOTLAND, WALES, MAHARASHTRA = 1, 2, 3, 4, 6
LEAVES = (ENGLAND, SCOTLAND, WALES, MAHARASHTRA)


class Crowd:
    """Reports per minute by cell: an ordinary 0.1 everywhere, and what a test adds."""

    def __init__(self, minutes: int, seed: int = 1, services: int = 4) -> None:
        self.rng = np.random.default_rng(seed)
        self.reports = np.zeros((services, 7, minutes), dtype=np.int64)
        self.reports[:, LEAVES, :] = self.rng.poisson(0.1, (services, 4, minutes))
        self.working = np.zeros_like(self.reports)
        self.networks: np.ndarray | None = None

    def down(self, service: int, region: int, first: int, last: int, rate: float) -> None:
        self.reports[service, region, first:last] += self.rng.poisson(rate, last - first)

    def minute(self, at: int) -> MinuteCounts:
        service, region = np.nonzero(self.reports[:, :, at] + self.working[:, :, at])
        networks = None if self.networks is None else self.networks[service, region, at]
        reports, working = (a[service, region, at] for a in (self.reports, self.working))
        return MinuteCounts(START + at, service, region, reports, working, networks)


def watched(engine: Engine, crowd: Crowd, first: int, last: int, signals: Iterable[Signal] = ()) -> list[Decision]:
    """The decisions over some minutes; signals are handed over in the minute in which they were given."""
    found: list[Decision] = []
    for at in range(first, last):
        found += engine.step(crowd.minute(at), [s for s in signals if s.given == START + at])
        assert engine.faults == []
    return found


def of(decisions: list[Decision], kind: DecisionKind, region: int | None = None) -> list[Decision]:
    return [d for d in decisions if d.kind is kind and (region is None or d.region == region)]


@pytest.fixture
def engine(topology: Topology, baseline: Baseline) -> Engine:
    return Engine(topology, baseline)


def test_a_region_is_down_until_its_own_restoration(engine: Engine) -> None:
    crowd = Crowd(400)
    crowd.down(ALPHA, ENGLAND, 150, 220, 2.0)
    crowd.down(ALPHA, SCOTLAND, 150, 280, 2.0)
    found = watched(engine, crowd, 0, 400)
    opened = {d.region: d for d in of(found, DecisionKind.OPENED)}
    assert {ENGLAND, SCOTLAND} <= set(opened)
    assert all(150 <= opened[r].decided - START <= 160 for r in (ENGLAND, SCOTLAND))
    assert all(abs((opened[r].onset or 0) - START - 150) <= 5 for r in (ENGLAND, SCOTLAND))
    back = {d.region: d for d in of(found, DecisionKind.RESTORED)}
    for region, end in ((ENGLAND, 220), (SCOTLAND, 280)):
        assert back[region].basis is Basis.RATE
        assert abs((back[region].restored or 0) - START - end) <= 10
        assert (back[region].restored_low or 0) - START <= end + 2
        assert (back[region].restored_high or 0) - START >= end - 2
    assert len({d.incident for d in opened.values()}) == 1
    assert len(of(found, DecisionKind.RESOLVED)) == 1


def test_an_ordinary_day_opens_nothing(engine: Engine) -> None:
    assert watched(engine, Crowd(1440, seed=3), 0, 1440) == []


def test_every_decision_shows_its_evidence(engine: Engine, baseline: Baseline) -> None:
    crowd = Crowd(400)
    crowd.down(ALPHA, ENGLAND, 150, 220, 2.0)
    opened = of(watched(engine, crowd, 0, 400), DecisionKind.OPENED, ENGLAND)[0]
    evidence = opened.evidence
    assert evidence is not None
    window = crowd.reports[
        ALPHA, ENGLAND, evidence.window_end - START - evidence.window_minutes : evidence.window_end - START
    ]
    assert evidence.observed == window.sum()
    assert evidence.expected == pytest.approx(0.1 * evidence.window_minutes, rel=0.5)
    assert evidence.log10_p <= evidence.threshold < 0
    assert evidence.baseline_version == baseline.version
    assert 0 < (opened.confidence or 0) <= 1
    assert {c.service for c in opened.siblings} == {BETA, GAMMA}
    assert all(c.state == "normal" for c in opened.siblings)


def test_a_saved_engine_decides_as_one_that_was_never_stopped(
    engine: Engine, topology: Topology, baseline: Baseline
) -> None:
    crowd = Crowd(500, seed=9)
    for region in LEAVES:
        crowd.down(ALPHA, region, 150, 260 + 10 * region, 1.0)
    crowd.working[ALPHA, ENGLAND, 280:300] = 1
    straight = watched(engine, crowd, 0, 500)
    other = Engine(topology, baseline)
    broken: list[Decision] = []
    for at in range(0, 500, 7):
        broken += watched(other, crowd, at, min(at + 7, 500))
        other = Engine.load(topology, baseline, other.save())
        assert other.minute == START + min(at + 7, 500) - 1
    assert broken == straight
    assert straight


def test_a_state_is_read_over_a_catalogue_that_grew(engine: Engine, baseline: Baseline) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 2.0)
    watched(engine, crowd, 0, 200)
    grown = small_topology(("omega", *engine.topology.services), ("001", "FR", *engine.topology.regions[1:]))
    loaded = Engine.load(grown, Baseline.from_bytes(grown, baseline.to_bytes()), engine.save())
    assert [i.key for i in loaded.incidents.values()] == [i.key for i in engine.incidents.values()]
    assert grown.regions[next(iter(loaded.incidents[1].regions))].startswith("GB")


def test_nonsense_is_no_state(topology: Topology, baseline: Baseline) -> None:
    with pytest.raises(StateError):
        Engine.load(topology, baseline, b"not a state")


def test_minutes_must_follow_each_other(engine: Engine) -> None:
    crowd = Crowd(10)
    engine.step(crowd.minute(0))
    with pytest.raises(ValueError, match="skip_to"):
        engine.step(crowd.minute(2))


def test_a_gap_in_the_collection_is_no_restoration(engine: Engine) -> None:
    crowd = Crowd(400)
    crowd.down(ALPHA, ENGLAND, 150, 400, 2.0)
    found = watched(engine, crowd, 0, 200)
    engine.skip_to(START + 300)
    found += watched(engine, crowd, 300, 400)
    assert of(found, DecisionKind.OPENED, ENGLAND)
    assert not of(found, DecisionKind.RESTORED)


def test_silence_of_a_tiring_crowd_is_unknown_and_never_restored(engine: Engine) -> None:
    crowd = Crowd(700)
    age = np.arange(500)
    for region in LEAVES:
        crowd.reports[ALPHA, region, 150:650] += crowd.rng.poisson(4.0 * np.exp(-age / 25))
    found = watched(engine, crowd, 0, 700)
    assert of(found, DecisionKind.UNKNOWN)
    assert not of(found, DecisionKind.RESTORED)


def test_votes_restore_where_the_crowd_tires(engine: Engine) -> None:
    crowd = Crowd(420)
    age = np.arange(150)
    for region in LEAVES:
        crowd.reports[ALPHA, region, 150:300] += crowd.rng.poisson(5.0 * (0.1 + 0.9 * np.exp(-age / 25)))
        votes = 300 + crowd.rng.exponential(10, 20).astype(int)
        np.add.at(crowd.working[ALPHA, region], votes[votes < 420], 1)
    found = watched(engine, crowd, 0, 420)
    back = {d.region: d for d in of(found, DecisionKind.RESTORED) if d.region in LEAVES}
    assert set(back) == set(LEAVES)
    for decision in back.values():
        assert decision.basis is Basis.VOTES
        assert abs((decision.restored or 0) - START - 300) <= 10
        assert decision.decided - START <= 325


def test_a_small_rise_beside_a_flood_is_its_echo(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 60.0)
    crowd.down(BETA, ENGLAND, 155, 300, 1.2)
    found = watched(engine, crowd, 0, 300)
    assert {d.service for d in of(found, DecisionKind.OPENED)} == {ALPHA}
    echo = of(found, DecisionKind.ECHO)[0]
    assert (echo.service, echo.echo_of) == (BETA, of(found, DecisionKind.OPENED)[0].incident)


def test_siblings_that_fall_together_form_a_group(engine: Engine) -> None:
    crowd = Crowd(260)
    crowd.down(ALPHA, ENGLAND, 150, 260, 4.0)
    crowd.down(BETA, ENGLAND, 155, 260, 3.0)
    found = watched(engine, crowd, 0, 260)
    groups = of(found, DecisionKind.GROUPED)
    assert {d.service for d in groups} == {ALPHA, BETA}
    assert len({d.group for d in groups}) == 1
    assert groups[-1].scope == "several products"
    assert any(c.service == GAMMA and c.state == "normal" for c in groups[-1].siblings)


def dependent(topology: Topology) -> Topology:
    """Alpha depends on delta, which is another provider's; gamma is a network."""
    return replace(topology, providers=("a", "b", "c", "d"), upstreams=((0, 3),), networks=frozenset({GAMMA}))


def test_an_upstream_is_named_once_somebody_vouches_for_its_outage(topology: Topology, baseline: Baseline) -> None:
    engine = Engine(dependent(topology), baseline)
    crowd = Crowd(260)
    for service in (ALPHA, DELTA):
        crowd.down(service, ENGLAND, 150, 260, 4.0)
    found = watched(engine, crowd, 0, 200)
    assert {d.service for d in of(found, DecisionKind.OPENED)} == {ALPHA, DELTA}
    assert all(d.scope in ("", "product") for d in found)
    word = Signal(SignalKind.STATEMENT_DOWN, DELTA, -1, START + 160, START + 205)
    told = of(watched(engine, crowd, 200, 210, [word]), DecisionKind.GROUPED)
    assert [(d.service, d.scope, d.decided - START) for d in told] == [(ALPHA, "upstream suspected", 205)]
    assert told[0].upstream == engine.incidents[DELTA].key


def test_a_confirmation_about_a_service_that_is_not_down_opens_nothing(topology: Topology, baseline: Baseline) -> None:
    engine = Engine(dependent(topology), baseline)
    word = Signal(SignalKind.ADMIN_CONFIRMED, DELTA, -1, START + 50, START + 50)
    assert watched(engine, Crowd(100), 0, 100, [word]) == []


def test_a_network_is_a_scope_of_its_own(topology: Topology, baseline: Baseline) -> None:
    engine = Engine(dependent(topology), baseline)
    crowd = Crowd(200)
    crowd.down(GAMMA, WALES, 150, 200, 4.0)
    assert of(watched(engine, crowd, 0, 200), DecisionKind.OPENED)[0].scope == "network"


def test_services_of_several_providers_that_fall_at_once_form_one_group(topology: Topology, baseline: Baseline) -> None:
    crowd = Crowd(220)
    for service in (ALPHA, BETA, DELTA):
        for region in (ENGLAND, WALES):
            crowd.down(service, region, 150, 220, 4.0)
    engine = Engine(replace(topology, providers=("a", "a", "c", "d")), baseline)
    watched(engine, crowd, 0, 220)
    groups = {engine.incidents[s].group for s in (ALPHA, BETA, DELTA)}
    assert len(groups) == 1
    assert groups.pop().startswith("common@")
    assert engine.incidents[ALPHA].scope == "provider-wide"
    assert engine.incidents[DELTA].scope == "product"


def test_one_household_is_no_outage(engine: Engine) -> None:
    crowd = Crowd(260)
    crowd.networks = np.minimum(crowd.reports, 1)
    crowd.reports[ALPHA, WALES, 150:160] += 3
    crowd.networks[ALPHA, WALES, 150:260] = 0
    crowd.networks[ALPHA, WALES, 150] = 1
    assert not of(watched(engine, crowd, 0, 260), DecisionKind.OPENED)


class Networked(Crowd):
    """A crowd whose networks are known: one for each report until minute 150, from then on those of a brigade."""

    def minute(self, at: int) -> MinuteCounts:
        counts = super().minute(at)
        return replace(
            counts,
            networks=self.networks_of(counts.reports, self.fresh, at),
            service_networks=self.networks_of(counts.reports, self.once, at),
            working_networks=np.minimum(counts.working, 1),
        )

    fresh: int | None = None
    once: int | None = None
    """Networks that a cell, and the service anywhere, have yet to show from minute 150 on; ``None``: ever new ones."""

    @staticmethod
    def networks_of(reports: np.ndarray, most: int | None, at: int) -> np.ndarray:
        return reports if at < 150 or most is None else np.minimum(reports, most if at == 150 else 0)


@pytest.mark.parametrize("rate", [3.0, 40.0])
def test_five_networks_open_nothing_however_much_they_send(engine: Engine, rate: float) -> None:
    crowd = Networked(260)
    crowd.fresh = 5
    crowd.down(ALPHA, WALES, 150, 260, rate)
    assert not of(watched(engine, crowd, 0, 260), DecisionKind.OPENED)


def test_five_networks_in_every_region_are_five_in_the_country(engine: Engine) -> None:
    crowd = Networked(260)
    crowd.fresh, crowd.once = 5, 1
    for region in (ENGLAND, SCOTLAND, WALES):
        crowd.down(ALPHA, region, 150, 260, 8.0)
    assert not of(watched(engine, crowd, 0, 260), DecisionKind.OPENED)


def test_a_crowd_from_many_networks_is_found_as_ever(engine: Engine) -> None:
    crowd = Crowd(260)
    crowd.networks = crowd.reports
    crowd.down(ALPHA, WALES, 150, 260, 3.0)
    opened = of(watched(engine, crowd, 0, 260), DecisionKind.OPENED, WALES)
    assert opened[0].decided - START <= 155


@pytest.mark.parametrize(("voters", "restored"), [(1, False), (12, True)])
def test_votes_of_a_few_networks_bring_no_region_back(engine: Engine, voters: int, restored: bool) -> None:
    crowd = Networked(420)
    age = np.arange(250)
    for region in LEAVES:
        crowd.reports[ALPHA, region, 150:400] += crowd.rng.poisson(5.0 * (0.05 + 0.95 * np.exp(-age / 25)))
        # Thirty votes; of a crowd one each minute and network, of a brigade all within so many minutes.
        votes = 300 + np.arange(30) % voters
        np.add.at(crowd.working[ALPHA, region], votes, 1)
    back = of(watched(engine, crowd, 0, 340), DecisionKind.RESTORED)
    assert bool([d for d in back if d.basis is Basis.VOTES]) is restored


def test_an_engine_remembers_what_it_knew_of_networks(topology: Topology, baseline: Baseline) -> None:
    crowd = Networked(300, seed=4)
    for region in LEAVES:
        crowd.down(ALPHA, region, 150, 300, 2.0)
    straight = watched(Engine(topology, baseline), crowd, 0, 300)
    other = Engine(topology, baseline)
    broken: list[Decision] = []
    for at in range(0, 300, 5):
        broken += watched(other, crowd, at, at + 5)
        other = Engine.load(topology, baseline, other.save())
    assert broken == straight
    assert straight


def test_what_goes_wrong_at_one_service_silences_no_other(engine: Engine) -> None:
    crowd = Crowd(400)
    crowd.down(ALPHA, ENGLAND, 150, 400, 3.0)
    crowd.down(BETA, MAHARASHTRA, 150, 260, 3.0)
    watched(engine, crowd, 0, 200)
    assert set(engine.incidents) == {ALPHA, BETA}
    # What a mistake of ours may leave in the state, and would meet there again every minute.
    first = engine.incidents[ALPHA]
    next(iter(first.open_regions())).onset = None  # type: ignore[assignment]
    decisions = engine.step(crowd.minute(200))
    assert [(fault.service, type(fault.error)) for fault in engine.faults] == [(ALPHA, TypeError)]
    assert [d.service for d in decisions if d.kind is DecisionKind.RESOLVED] == [ALPHA]
    assert set(engine.incidents) == {BETA}
    later = watched(engine, crowd, 201, 400)
    # The outage that goes on is found anew, and the other one followed to its end.
    assert engine.incidents[ALPHA].key != first.key
    assert [d.region for d in of(later, DecisionKind.RESTORED) if d.service == BETA][-1:] == [MAHARASHTRA]


def test_an_administrators_word_ends_a_region_at_once(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 2.0)
    word = Signal(SignalKind.ADMIN_RESTORED, ALPHA, ENGLAND, START + 205, START + 210)
    back = of(watched(engine, crowd, 0, 215, [word]), DecisionKind.RESTORED, ENGLAND)[0]
    assert (back.basis, back.restored, back.restored_low) == (Basis.ADMIN, START + 205, START + 205)


def test_a_rejected_incident_is_withdrawn_and_stays_away(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 2.0)
    word = Signal(SignalKind.ADMIN_REJECTED, ALPHA, -1, START + 180, START + 180)
    found = watched(engine, crowd, 0, 300, [word])
    assert of(found, DecisionKind.WITHDRAWN, ENGLAND)
    assert not [d for d in of(found, DecisionKind.OPENED) if d.decided > START + 180]


def test_a_rejected_region_hides_no_other(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 2.0)
    crowd.down(ALPHA, SCOTLAND, 200, 300, 2.0)
    word = Signal(SignalKind.ADMIN_REJECTED, ALPHA, ENGLAND, START + 180, START + 180)
    found = watched(engine, crowd, 0, 300, [word])
    assert [d.decided - START for d in of(found, DecisionKind.WITHDRAWN)] == [180]
    assert any(d.decided >= START + 200 for d in of(found, DecisionKind.OPENED, SCOTLAND))


def test_a_rejected_country_keeps_the_regions_in_it(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 2.0)
    words = [
        Signal(SignalKind.ADMIN_DOWN, ALPHA, GB, START + 170, START + 170),
        Signal(SignalKind.ADMIN_REJECTED, ALPHA, GB, START + 180, START + 180),
    ]
    found = watched(engine, crowd, 0, 200, words)
    assert [d.region for d in of(found, DecisionKind.WITHDRAWN)] == [GB]
    assert engine.incidents[ALPHA].regions[ENGLAND].state == "down"


def test_regions_declared_down_of_which_nobody_reports_are_given_up(engine: Engine) -> None:
    # A detector that stops at them would stop for every service.
    crowd = Crowd(600)
    crowd.reports[ALPHA] = 0
    words = [Signal(SignalKind.ADMIN_DOWN, ALPHA, region, START + 170, START + 170) for region in (GB, ENGLAND)]
    found = watched(engine, crowd, 0, 600, words)
    assert {d.region for d in of(found, DecisionKind.UNKNOWN)} == {GB, ENGLAND}
    assert not of(found, DecisionKind.RESTORED)
    assert of(found, DecisionKind.RESOLVED)


def test_a_service_is_no_longer_quiet_when_its_rejection_was_taken_back(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 180, 300, 3.0)
    words = [
        Signal(SignalKind.ADMIN_REJECTED, ALPHA, -1, START + 150, START + 150),
        Signal(SignalKind.ADMIN_REINSTATED, ALPHA, -1, START + 160, START + 160),
    ]
    assert of(watched(engine, crowd, 0, 300, words), DecisionKind.OPENED)


@pytest.mark.parametrize(
    ("kind", "state"), [(SignalKind.ADMIN_REINSTATED, "down"), (SignalKind.ADMIN_UNHEARD, "unknown")]
)
def test_a_region_is_followed_again_as_it_was_and_nobody_vouches_for_it(
    engine: Engine, kind: SignalKind, state: str
) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 100, 158 if state == "unknown" else 300, 3.0)
    words = [
        Signal(SignalKind.ADMIN_REJECTED, ALPHA, -1, START + 150, START + 150),
        Signal(kind, ALPHA, ENGLAND, START + 100, START + 180),
    ]
    found = watched(engine, crowd, 0, 181, words)
    incident = engine.incidents[ALPHA]
    outage = incident.regions[ENGLAND]
    assert (outage.state, outage.onset, incident.onset, incident.vouched) == (state, *[START + 100] * 2, False)
    assert 0.5 < incident.confidence < 1.0
    assert of(found, DecisionKind.OPENED)[-1].confidence is None
    assert ENGLAND in {
        o.region
        for o in Engine.load(engine.topology, engine.recent.baseline, engine.save()).incidents[ALPHA].open_regions()
    }


def test_what_a_statement_said_and_a_confirmation_are_taken_back(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 3.0)
    words = [
        Signal(SignalKind.STATEMENT_RESTORED, ALPHA, -1, START + 190, START + 190),
        Signal(SignalKind.ADMIN_CONFIRMED, ALPHA, -1, START + 190, START + 190),
    ]
    watched(engine, crowd, 0, 195, words)
    incident = engine.incidents[ALPHA]
    assert (incident.regions[ENGLAND].said, incident.vouched) == (START + 190, True)
    back = [
        Signal(SignalKind.STATEMENT_WITHDRAWN, ALPHA, -1, START + 195, START + 195),
        Signal(SignalKind.ADMIN_UNCONFIRMED, ALPHA, -1, START + 195, START + 195),
    ]
    watched(engine, crowd, 195, 196, back)
    assert (incident.regions[ENGLAND].said, incident.vouched) == (0, False)


def test_a_statement_does_not_restore_a_region_that_still_reports(engine: Engine) -> None:
    crowd = Crowd(300)
    crowd.down(ALPHA, ENGLAND, 150, 300, 3.0)
    word = Signal(SignalKind.STATEMENT_RESTORED, ALPHA, -1, START + 200, START + 200)
    assert not of(watched(engine, crowd, 0, 300, [word]), DecisionKind.RESTORED)


def test_a_site_an_hour_old_finds_a_real_outage_and_nothing_else(topology: Topology) -> None:
    engine = Engine(topology, Baseline.empty(topology))
    crowd = Crowd(240)
    assert watched(engine, crowd, 0, 120) == []
    crowd.down(ALPHA, ENGLAND, 120, 240, 20.0)
    opened = of(watched(engine, crowd, 120, 240), DecisionKind.OPENED)
    assert opened
    assert opened[0].decided - START <= 130
    assert {d.service for d in opened} == {ALPHA}


def test_a_relapse_reopens_the_region_in_the_same_incident(engine: Engine) -> None:
    crowd = Crowd(500)
    crowd.down(ALPHA, ENGLAND, 150, 220, 3.0)
    crowd.down(ALPHA, SCOTLAND, 150, 420, 3.0)
    crowd.down(ALPHA, ENGLAND, 300, 420, 3.0)
    found = watched(engine, crowd, 0, 420)
    first = of(found, DecisionKind.OPENED, ENGLAND)[0]
    again = of(found, DecisionKind.REOPENED, ENGLAND)
    assert len(again) == 1
    assert again[0].incident == first.incident
    assert 300 <= again[0].decided - START <= 312
