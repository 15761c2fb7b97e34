"""The whole day of 3 April 2024 through the same code as real reports: what it must come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path

import pytest
from django.core.management import call_command

from reports import replay, scenarios
from reports.models import (
    AcceptedId,
    Evidence,
    InboxBlock,
    Incident,
    RegionalOutage,
    Report,
    ReportCount,
    Statement,
    TimelineEntry,
)
from tests.recomputing import recompute, saved

SLUG = "meta-2024-04-03"

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture(scope="module", autouse=True)
def played(django_db_setup: None, django_db_blocker, request: pytest.FixtureRequest) -> Iterator[scenarios.Scenario]:
    """The scenario, played to its end; the database is emptied afterwards."""
    from django.test import override_settings

    scenario = scenarios.read(SLUG)
    with django_db_blocker.unblock(), override_settings(REPLAY=SLUG):
        call_command("load_catalogue", verbosity=0)
        replay.play(scenario, speed=0, progress=lambda phase, at, sent: None)
        yield scenario
        call_command("flush", interactive=False, verbosity=0)


def incident(service: str) -> Incident:
    return Incident.objects.get(service__slug=service)


def truth(played: scenarios.Scenario, service: str) -> dict[str, datetime]:
    (outage,) = (outage for outage in played.outages if outage.service == service)
    return {code: at for place in outage.places for code, at in place.restored.items()}


def test_whatsapp_and_instagram_are_incidents_and_nothing_else_is() -> None:
    found = set(Incident.objects.values_list("service__slug", flat=True))
    assert found == {"whatsapp", "instagram"}


def test_facebook_is_named_as_checked_and_has_no_incident() -> None:
    checked = {row["service"]: row for row in incident("whatsapp").siblings}
    assert checked["facebook"]["state"] in {"normal", "echo"}
    assert checked["facebook"]["observed"] > 0


def test_both_incidents_began_within_minutes_of_the_truth() -> None:
    for service in ("whatsapp", "instagram"):
        at = incident(service).onset_at
        assert datetime.fromisoformat("2024-04-03T17:50:00Z") <= at <= datetime.fromisoformat("2024-04-03T18:10:00Z")


def test_the_incidents_of_the_two_siblings_form_a_group() -> None:
    assert incident("whatsapp").group_id is not None
    assert incident("whatsapp").group_id == incident("instagram").group_id


def test_the_four_countries_of_the_press_are_among_the_regions() -> None:
    codes = set(incident("whatsapp").regions.values_list("region_code", flat=True))
    for country in ("GB", "BR", "US", "IN"):
        assert any(code[:2] == country for code in codes)


def test_no_region_is_restored_much_before_its_time(played: scenarios.Scenario) -> None:
    true_at = truth(played, "whatsapp")
    restored = [row for row in incident("whatsapp").regions.exclude(restored_at=None) if row.region_code in true_at]
    assert len(restored) >= 20
    early = [row for row in restored if row.declared_at < true_at[row.region_code] - timedelta(minutes=10)]
    assert len(early) <= 0.02 * len(restored), [str(row) for row in early]


def test_regions_are_restored_in_the_order_of_the_scenario(played: scenarios.Scenario) -> None:
    """Of regions whose true times lie half an hour apart, at least nine pairs in ten come out in their order."""
    true_at = truth(played, "whatsapp")
    rows = {
        row.region_code: row.restored_at
        for row in incident("whatsapp").regions.filter(basis__in=["votes", "rate"])
        if row.region_code in true_at
    }
    pairs = [
        (a, b) if true_at[a] < true_at[b] else (b, a)
        for a, b in combinations(sorted(rows), 2)
        if abs(true_at[a] - true_at[b]) >= timedelta(minutes=30)
    ]
    assert len(pairs) >= 50
    assert sum(rows[a] < rows[b] for a, b in pairs) >= 0.9 * len(pairs)


def test_every_restoration_has_an_interval_around_it_and_a_basis() -> None:
    for row in RegionalOutage.objects.exclude(restored_at=None):
        assert row.basis in {"votes", "rate", "statement", "admin"}
        assert row.restored_low <= row.restored_at <= row.restored_high
        assert row.restored_at <= row.declared_at


def test_every_regional_outage_rests_on_recorded_evidence() -> None:
    for found in Incident.objects.all():
        regions = set(found.evidence.filter(decision="opened").values_list("region_id", flat=True))
        assert set(found.regions.values_list("region_id", flat=True)) <= regions


@pytest.mark.parametrize("service", ["whatsapp", "instagram"])
def test_everything_said_of_the_incident_can_be_recomputed_from_what_is_published(service: str, tmp_path: Path) -> None:
    found = incident(service)
    done = recompute(*saved(found.ref, tmp_path))
    differing = [line for line in done.stdout.splitlines() if line.endswith("| NO")]
    assert done.returncode == 0, (len(differing), differing[:20], done.stderr)
    decisions = found.timeline.exclude(evidence=None).exclude(kind="echo").values("evidence").distinct().count()
    assert done.stdout.count("| yes") > decisions + found.regions.filter(withdrawn_at=None).count() > 100


def test_nearly_every_opening_tells_the_share_of_its_largest_network() -> None:
    opened = Evidence.objects.filter(decision="opened", region__isnull=False)
    told = opened.filter(largest_network__isnull=False)
    assert told.count() >= 0.95 * opened.count()
    for evidence in told:
        assert 1 <= evidence.largest_network <= evidence.observed
        # Nearly everybody of the scenario has a network of their own.
    assert sum(e.largest_network <= 0.5 * e.observed for e in told) >= 0.9 * told.count()


def test_the_provider_is_quoted_at_the_published_time() -> None:
    first = Statement.objects.filter(incident__service__slug="whatsapp").order_by("said_at").first()
    assert first is not None
    assert first.said_at == datetime.fromisoformat("2024-04-03T19:00:00Z")
    assert TimelineEntry.objects.filter(statement=first).count() == 1


def test_every_report_that_was_sent_is_stored_and_counted_once(played: scenarios.Scenario) -> None:
    assert InboxBlock.objects.count() == 0
    sent = AcceptedId.objects.count()
    assert Report.objects.count() == sent
    counted = sum(ReportCount.objects.filter(minute__gte=played.start).values_list("reports", flat=True))
    assert counted == Report.objects.filter(counted=True).count()


def test_at_the_end_of_the_day_nothing_is_left_down_and_the_incidents_are_over() -> None:
    for service in ("whatsapp", "instagram"):
        found = incident(service)
        states = Counter(row.state for row in found.regions.all())
        assert not states["down"], states
        assert not states["recovering"], states
        assert found.resolved_at is not None, states


def test_playing_it_again_changes_nothing(played: scenarios.Scenario) -> None:
    before = (Report.objects.count(), TimelineEntry.objects.count(), Incident.objects.count())
    replay.play(played, speed=0, progress=lambda phase, at, sent: None)
    assert (Report.objects.count(), TimelineEntry.objects.count(), Incident.objects.count()) == before
