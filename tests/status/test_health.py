"""Our own health, and what a replaying site says of itself."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from reports import clock, status
from reports.models import DrainBatch, InboxBlock
from tests.status.making import NOW, World, watch


def test_a_site_that_drains_and_watches_is_ready(db: None):
    watch()
    DrainBatch.objects.create(
        drained_at=NOW - timedelta(seconds=5), blocks=1, reports=1, counted=1, oldest_minute=NOW, newest_minute=NOW
    )
    found = status.readiness(now=NOW)
    assert (found.ready, found.database, found.broker, found.problems) == (True, True, True, ())
    assert (found.last_drain_age, found.last_watch_age) == (timedelta(seconds=5), timedelta(seconds=30))


def test_a_quiet_site_without_a_drained_batch_is_ready_too(db: None):
    watch()
    assert status.readiness(now=NOW).ready


def test_a_site_that_never_watched_or_stopped_watching_is_not_ready(db: None):
    assert status.readiness(now=NOW).problems == ("Detection has not looked at anything yet.",)
    watch(NOW - timedelta(minutes=10))
    found = status.readiness(now=NOW)
    assert (found.ready, found.problems) == (False, ("Detection has not looked for 10 minutes.",))


def test_reports_that_wait_too_long_to_be_counted_are_a_problem(db: None):
    watch()
    InboxBlock.objects.create(id=uuid4(), reports=3, block=b"", written_at=NOW - timedelta(seconds=90))
    found = status.readiness(now=NOW)
    assert (found.ready, found.inbox_blocks) == (False, 1)
    assert found.problems == ("Accepted reports have waited 90 seconds to be counted.",)


def test_a_block_that_cannot_be_read_is_shown_but_stops_nothing(db: None):
    watch()
    old = NOW - timedelta(hours=1)
    InboxBlock.objects.create(id=uuid4(), reports=3, block=b"", written_at=old, broken_at=old, fault="torn")
    found = status.readiness(now=NOW)
    assert (found.ready, found.inbox_blocks, found.broken_blocks) == (True, 0, 1)


def test_a_broker_that_is_away_is_a_problem(db: None, settings):
    from reports.status import health

    watch()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    health._broker.cache_clear()
    try:
        found = status.readiness(now=NOW)
    finally:
        health._broker.cache_clear()
    assert (found.ready, found.broker, found.problems) == (False, False, ("The broker does not answer.",))


@pytest.fixture
def replaying(db: None, settings):
    settings.REPLAY = "meta-2024-04-03"
    start = datetime(2024, 4, 3, 18, 0, tzinfo=UTC)
    clock.set_scenario(
        "meta-2024-04-03",
        scenario_at=start,
        sent_until=start + timedelta(hours=4),
        speed=60.0,
        volume_scale=10.0,
    )
    yield start
    clock._scenario = None


def test_a_replaying_site_measures_age_in_real_time(replaying: datetime):
    watch(replaying - timedelta(minutes=30))
    found = status.readiness(now=replaying)
    assert found.last_watch_age == timedelta(seconds=30)
    assert found.ready


def test_a_replaying_site_says_what_it_replays(replaying: datetime):
    banner = status.scenario_banner()
    assert banner is not None
    assert (banner.slug, banner.speed, banner.volume_scale) == ("meta-2024-04-03", 60.0, 10.0)
    assert banner.day == date(2024, 4, 3)
    assert banner.published
    assert banner.chosen
    assert all(figure.source for figure in banner.published)


def test_an_ordinary_site_has_no_banner(world: World):
    assert status.scenario_banner() is None
