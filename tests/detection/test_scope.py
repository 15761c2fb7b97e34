from __future__ import annotations

import numpy as np
import pytest

from reports.detection.decisions import Topology
from reports.detection.outage import Incident, Outage
from reports.detection.parameters import Parameters
from reports.detection.scope import (
    Level,
    common_cause,
    is_echo,
    provider_scope,
    sibling_checks,
    suspected_upstream,
)
from reports.detection.tree import plant

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


REGIONS = ("001", "US", "US-VA", "US-TX", "DE")
ABOVE = np.array([-1, 0, 1, 1, 0])
WORLD, US, VIRGINIA, TEXAS, GERMANY = range(5)
A, B, C, CLOUD, CARRIER = range(5)
TOPOLOGY = Topology(
    ("a", "b", "c", "cloud", "carrier"),
    ("a", "b", "c", "cloud", "carrier"),
    REGIONS,
    ABOVE,
    np.zeros(5, dtype=np.int64),
    ((A, CLOUD), (B, CLOUD)),
    frozenset({CARRIER}),
)


def _suspected(incident: Incident, other: Incident, *, shared: int = 1) -> bool:
    incidents = {incident.service: incident, other.service: other}
    return suspected_upstream(TOPOLOGY, plant(TOPOLOGY), incident, incidents, P, shared=shared) is other


def test_an_upstream_is_never_named_on_crowd_volume_alone() -> None:
    incident, cloud = _incident(A, 100, (VIRGINIA,)), _incident(CLOUD, 100, (VIRGINIA,))
    assert not _suspected(incident, cloud)
    cloud.vouched = True
    assert _suspected(incident, cloud)


def test_an_upstream_explains_only_what_depends_on_it_there_and_then() -> None:
    cloud = _incident(CLOUD, 100, (US,))
    cloud.vouched = True
    assert _suspected(_incident(B, 103, (VIRGINIA, TEXAS)), cloud)
    assert _suspected(_incident(B, 95, (VIRGINIA, GERMANY)), cloud)
    assert not _suspected(_incident(C, 103, (VIRGINIA,)), cloud)
    assert not _suspected(_incident(B, 103, (GERMANY,)), cloud)
    assert not _suspected(_incident(B, 60, (VIRGINIA,)), cloud)


def test_a_network_explains_several_services_that_fall_together() -> None:
    carrier = _incident(CARRIER, 100, (US,))
    carrier.vouched = True
    incident = _incident(C, 102, (TEXAS,))
    assert not _suspected(incident, carrier, shared=1)
    assert _suspected(incident, carrier, shared=3)
    assert not _suspected(_incident(CARRIER, 100, (US,)), _incident(CLOUD, 100, (US,)), shared=3)
