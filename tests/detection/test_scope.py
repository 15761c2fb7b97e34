from __future__ import annotations

import numpy as np
import pytest

from reports.detection.decisions import Topology
from reports.detection.outage import Incident, Outage
from reports.detection.parameters import Parameters
from reports.detection.scope import Level, common_cause, is_echo, provider_scope, sibling_checks, upstream_confirmed

P = Parameters()


@pytest.mark.parametrize(
    ("own", "other", "siblings"),
    [
        (Level(3_200, 50), Level(65_000, 50), False),  # Verizon beside AT&T, 22 February 2024
        (Level(1_500, 50), Level(65_000, 50), False),  # T-Mobile beside AT&T
        (Level(200, 20), Level(75_000, 60), False),  # AWS beside X, 16 January 2026
        (Level(1_522, 60), Level(60_000, 60), True),  # Facebook beside WhatsApp, 3 April 2024
    ],
)
def test_the_echoes_on_record_are_echoes(own: Level, other: Level, siblings: bool) -> None:
    assert is_echo(own, other, siblings=siblings, parameters=P)


def test_a_sibling_that_fell_as_well_is_no_echo() -> None:
    assert not is_echo(Level(4_800, 60), Level(24_000, 60), siblings=True, parameters=P)


def test_a_small_service_that_falls_with_a_big_one_is_no_echo() -> None:
    assert not is_echo(Level(60, 2), Level(3_000, 100), siblings=False, parameters=P)


def test_the_scope_names_how_much_of_a_provider_is_down() -> None:
    assert provider_scope((0, 1, 2), [0]) == "product"
    assert provider_scope((0, 1, 2), [0, 1]) == "several products"
    assert provider_scope((0, 1, 2), [0, 1, 2]) == "provider-wide"


def test_siblings_are_listed_with_their_figures() -> None:
    levels = {1: Level(41, 37.2), 2: Level(900, 12.0)}
    normal, down = sibling_checks(0, levels, [0, 2], [], 60)
    assert (normal.observed, normal.expected, normal.state) == (41, 37.2, "normal")
    assert down.state == "down"


def _incident(service: int, onset: int, regions: tuple[int, ...]) -> Incident:
    incident = Incident(key=f"s{service}@{onset}", service=service, opened=onset + 3, onset=onset)
    for region in regions:
        incident.regions[region] = Outage(service, region, incident.key, onset, onset + 3, onset, own=True)
    return incident


def test_three_services_that_fall_together_in_the_same_places_have_a_common_cause() -> None:
    first, second, third = (_incident(s, 100 + s, (1, 2, 3)) for s in range(3))
    late, elsewhere = _incident(3, 140, (1, 2, 3)), _incident(4, 101, (7, 8))
    everyone = [first, second, third, late, elsewhere]
    assert {i.service for i in common_cause(first, everyone, P)} == {0, 1, 2}
    assert common_cause(first, [first, second], P) == []


def test_an_upstream_is_never_named_on_crowd_volume_alone() -> None:
    regions = ("001",)
    topology = Topology(("a", "b", "cloud"), ("a", "b", "c"), regions, np.array([-1]), np.array([0]), ((0, 2), (1, 2)))
    incidents = {s: _incident(s, 100, (0,)) for s in range(3)}
    assert not upstream_confirmed(topology, [0, 1], incidents)
    incidents[2].by_hand = True
    assert upstream_confirmed(topology, [0, 1], incidents)
