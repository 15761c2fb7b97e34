"""The share of the largest network, counted from real reports that went through the inbox and the drain."""

from __future__ import annotations

import pytest

from reports.incidents import networks, watch
from reports.intake.drain import drain
from reports.intake.submission import submit
from reports.models import Evidence
from tests.incidents.world import World


def reported(world: World) -> None:
    """In one minute England is reported down from twelve networks, seven people being in one of them."""
    people = [(f"198.{18 + i}.7.1", "") for i in range(11)] + [("203.0.113.9", f"client {i}") for i in range(7)]
    for i, (address, client) in enumerate(people):
        submit(
            {"service": "whatsapp", "region": "GB-ENG"},
            address=address,
            client=client,
            received_at=world.at(10 + i / 20),
        )
    drain(now=world.at(11))
    # The ordinary reports of this world are counts without reports: here there are to be none.
    for minute in range(1, 12):
        watch.watch(now=world.at(minute + 0.2))


@pytest.fixture
def quiet(world: World) -> World:
    """A week of ordinary reports that ends an hour before the first cycle."""
    world.ordinary(first=-8 * 1440, end=-60)
    watch.refit(now=world.at(0))
    watch.watch(now=world.at(0))
    return world


def test_an_opening_tells_how_many_reports_its_largest_network_sent(quiet: World):
    reported(quiet)
    opened = Evidence.objects.get(decision="opened", region__code="GB-ENG")
    assert (opened.observed, opened.networks, opened.largest_network) == (18, 12, 7)


def test_a_window_of_too_many_reports_leaves_it_unknown(quiet: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(networks, "MOST_REPORTS", 17)
    reported(quiet)
    assert Evidence.objects.get(decision="opened", region__code="GB-ENG").largest_network is None


def test_counts_without_reports_leave_it_unknown(quiet: World):
    quiet.count("whatsapp", "GB-ENG", {9: 1, 10: 1})
    reported(quiet)
    opened = Evidence.objects.get(decision="opened", region__code="GB-ENG")
    assert opened.observed > 18 or opened.window_minutes == 1
    assert opened.largest_network is None
