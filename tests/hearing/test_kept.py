"""Which outage an update is about, and what becomes of one that is about none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ValidationError

from reports.hearing import kept
from reports.hearing.kept import Taken
from reports.hearing.updates import Reading, Update, name_of
from reports.incidents import lifecycle, undo
from reports.incidents.lifecycle import ConflictError
from reports.models import Act, Heard, Incident, Provider, Service, Statement, StatusFeed, Word
from tests.test_admin import make_incident

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from tests.incidents.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def feed(world: World) -> StatusFeed:
    return StatusFeed.objects.create(
        provider=Provider.objects.get(slug="meta"), url="https://status.example.org/x", format="statuspage"
    )


def said(
    at: datetime,
    meaning: str = "acknowledged",
    *,
    title: str = "WhatsApp: messages are delayed",
    thread: str = "t",
    began: datetime | None = None,
    **more: Any,
) -> Update:
    return Update(
        thread=thread,
        key=name_of(thread, at.isoformat(), meaning),
        title=title,
        text=f"{title}, {meaning}",
        url="https://stspg.io/x",
        said_at=at,
        began_at=began or at,
        meaning=meaning,
        planned=more.pop("planned", False),
        **more,
    )


def take(feed: StatusFeed, now: datetime, *updates: Update) -> Taken:
    return kept.take_in(Reading(updates), feed, now=now)


def statements() -> list[tuple[str, str, str | None]]:
    rows = Statement.objects.order_by("id").values_list("incident__ref", "meaning", "region__code")
    return list(rows)


def test_what_matches_no_outage_waits_and_is_attached_when_one_opens(world: World, feed: StatusFeed) -> None:
    assert take(feed, world.at(1), said(world.at(0))) == Taken(new=1)
    assert kept.attach_waiting(now=world.at(5)) == 0
    make_incident(world, "OUT-2026-0007", "whatsapp")
    assert kept.attach_waiting(now=world.at(13)) == 1
    assert statements() == [("OUT-2026-0007", "acknowledged", None)]
    # The provider was first: its word is older than our detection, and than the onset.
    assert kept.attach_waiting(now=world.at(14)) == 0
    assert take(feed, world.at(15), said(world.at(0))) == Taken()


@pytest.mark.parametrize(
    ("minute", "began", "meaning", "attached"),
    [
        (20, 20, "acknowledged", True),
        (-100, -100, "acknowledged", True),
        (-200, -200, "acknowledged", False),
        (20, -600, "update", False),
        (90 + 11 * 60, 20, "update", True),
        (90 + 13 * 60, 20, "update", False),
        (5, 5, "restored", False),
    ],
)
def test_an_outage_has_a_window_around_it(
    world: World, feed: StatusFeed, minute: float, began: float, meaning: str, attached: bool
) -> None:
    incident = make_incident(world, "OUT-2026-0007", "whatsapp")
    Incident.objects.filter(pk=incident.pk).update(resolved_at=world.at(90))
    found = take(feed, world.at(minute + 1), said(world.at(minute), meaning, began=world.at(began)))
    assert found.attached == attached
    # Of what is over the engine hears nothing.
    assert not Word.objects.exists()


def test_a_thread_that_was_over_before_the_outage_began_is_another_one(world: World, feed: StatusFeed) -> None:
    make_incident(world, "OUT-2026-0007", "whatsapp")
    updates = (said(world.at(-60)), said(world.at(-30), "restored", began=world.at(-60)))
    assert take(feed, world.at(15), *updates) == Taken(new=2)
    assert kept.attach_waiting(now=world.at(16)) == 0


def test_of_two_outages_the_one_that_goes_on_when_it_is_said(world: World, feed: StatusFeed) -> None:
    first = make_incident(world, "OUT-2026-0007", "whatsapp")
    Incident.objects.filter(pk=first.pk).update(resolved_at=world.at(60))
    second = make_incident(world, "OUT-2026-0008", "whatsapp")
    Incident.objects.filter(pk=second.pk).update(onset_at=world.at(120), detected_at=world.at(121))
    take(feed, world.at(130), said(world.at(50)), said(world.at(125), thread="u"))
    assert [ref for ref, _meaning, _code in statements()] == ["OUT-2026-0007", "OUT-2026-0008"]


def test_rejected_and_merged_outages_take_no_word(world: World, feed: StatusFeed, duty: User) -> None:
    incident = make_incident(world, "OUT-2026-0007", "whatsapp")
    lifecycle.reject(incident.pk, reason="a load test", by=duty, at=world.at(15))
    assert take(feed, world.at(21), said(world.at(20))) == Taken(new=1)


def test_one_that_names_two_services_is_a_statement_of_the_outage_of_each(world: World, feed: StatusFeed) -> None:
    both = said(world.at(20), title="WhatsApp and Facebook are down")
    make_incident(world, "OUT-2026-0007", "whatsapp")
    assert take(feed, world.at(21), both) == Taken(new=1, attached=1)
    make_incident(world, "OUT-2026-0008", "facebook")
    assert kept.attach_waiting(now=world.at(30)) == 1
    assert kept.attach_waiting(now=world.at(31)) == 0
    assert [ref for ref, _meaning, _code in statements()] == ["OUT-2026-0007", "OUT-2026-0008"]


def test_a_statement_of_two_outages_and_a_cycle_that_writes_of_both_do_not_wait_for_each_other(
    transactional_db: None, world: World, feed: StatusFeed
) -> None:
    from threading import Thread
    from time import monotonic, sleep

    from django.db import connection, transaction

    from reports.incidents import kinship, watch

    watch.watch(now=world.at(0))
    first = make_incident(world, "OUT-2026-0007", "whatsapp")
    second = make_incident(world, "OUT-2026-0008", "facebook")
    came_to: list[object] = []

    def hear() -> None:
        try:
            came_to.append(take(feed, world.at(21), said(world.at(20), title="Facebook and WhatsApp are down")))
        finally:
            connection.close()

    hearing = Thread(target=hear)
    # As a cycle does: one minute says something of the one, the next minute of the other.
    with transaction.atomic():
        kinship.hold_detector()
        Incident.objects.select_for_update().get(pk=first.pk)
        hearing.start()
        end, waits = monotonic() + 20, False
        while not waits and monotonic() < end:
            sleep(0.05)
            with connection.cursor() as cursor:
                cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                waits = cursor.fetchone()[0]
        assert waits
        Incident.objects.select_for_update().get(pk=second.pk)
    hearing.join(timeout=30)
    assert came_to == [Taken(new=1, attached=1)]
    assert len(statements()) == 2


def test_the_providers_name_alone_waits_unless_the_feed_says_what_it_is_about(world: World, feed: StatusFeed) -> None:
    make_incident(world, "OUT-2026-0007", "whatsapp")
    vague = said(world.at(20), title="Meta is down")
    assert take(feed, world.at(21), vague) == Taken(new=1)
    assert kept.attach_waiting(now=world.at(22)) == 0
    feed.default_service = Service.objects.get(slug="whatsapp")
    feed.save()
    assert take(feed, world.at(23), vague) == Taken(attached=1)


def test_a_region_that_is_named_is_the_statements(world: World, feed: StatusFeed) -> None:
    make_incident(world, "OUT-2026-0007", "whatsapp")
    take(feed, world.at(61), said(world.at(60), "restored", title="WhatsApp in Brazil and the UK", began=world.at(20)))
    assert statements() == [("OUT-2026-0007", "restored", "BR"), ("OUT-2026-0007", "restored", "GB")]
    assert sorted(word.region.code for word in Word.objects.all()) == ["BR", "GB"]


def test_a_region_that_has_no_part_in_the_outage_waits(world: World, feed: StatusFeed) -> None:
    incident = make_incident(world, "OUT-2026-0007", "whatsapp", codes=("GB-ENG",))
    assert take(feed, world.at(21), said(world.at(20), title="WhatsApp in Brazil")) == Taken(new=1)
    incident.regions.update(region_code="BR-SP")
    assert kept.attach_waiting(now=world.at(30)) == 1


@pytest.mark.parametrize("area", ["EU", "North America", "us-east-1", "Germany", "Georgia"])
def test_what_is_restored_in_a_part_that_cannot_be_told_is_not_called_restored(
    world: World, feed: StatusFeed, area: str
) -> None:
    """Germany is a region, but none that this small world has."""
    make_incident(world, "OUT-2026-0007", "whatsapp")
    take(feed, world.at(61), said(world.at(60), "restored", title=f"WhatsApp ({area})", began=world.at(20)))
    assert statements() == [("OUT-2026-0007", "update", None)]
    assert not Word.objects.exists()


def test_announced_work_is_never_attached_by_itself(world: World, feed: StatusFeed, duty: User) -> None:
    incident = make_incident(world, "OUT-2026-0007", "whatsapp")
    assert take(feed, world.at(21), said(world.at(20), "update", planned=True)) == Taken(new=1)
    assert kept.attach_waiting(now=world.at(22)) == 0
    kept.attach(Heard.objects.get().pk, incident.ref, meaning="update", by=duty, now=world.at(23))
    assert Statement.objects.get().entered_by == duty


def test_the_past_of_a_page_is_kept_only_where_it_belongs_to_an_outage(world: World, feed: StatusFeed) -> None:
    incident = make_incident(world, "OUT-2026-0007", "whatsapp")
    Incident.objects.filter(pk=incident.pk).update(resolved_at=world.at(90))
    now = world.at(60 * 24 * 30)
    updates = (said(world.at(20)), said(world.at(60 * 24 * 5), thread="u"), said(now - timedelta(hours=1), thread="v"))
    assert take(feed, now, *updates) == Taken(new=2, attached=1)
    assert Heard.objects.filter(attached_at=None).get().said_at == now - timedelta(hours=1)
    kept.attach_waiting(now=now + timedelta(days=8))
    assert Heard.objects.count() == 1


def test_what_would_become_of_it_is_told_and_nothing_stored(world: World, feed: StatusFeed) -> None:
    make_incident(world, "OUT-2026-0007", "whatsapp")
    updates = (
        said(world.at(-60 * 24 * 30), thread="a"),
        said(world.at(20), thread="b"),
        said(world.at(21), thread="c", title="Meta"),
        said(world.at(22), thread="d", planned=True),
        said(world.at(23), thread="e", title="Facebook"),
    )
    fates = [each.fate for each in kept.foresee(Reading(updates), feed, now=world.at(30))]
    assert fates == [
        "waits for an incident",
        "waits at the desk: announced work is attached by hand only",
        "waits at the desk: it names no service",
        "becomes a statement of OUT-2026-0007",
        "nothing: too long past to wait for an incident",
    ]
    assert not Heard.objects.exists()
    assert not Statement.objects.exists()
    take(feed, world.at(30), *updates)
    assert [each.fate for each in kept.foresee(Reading(updates[1:2]), feed, now=world.at(31))] == ["heard before"]


def test_an_administrator_attaches_or_dismisses_once(world: World, feed: StatusFeed, duty: User) -> None:
    incident = make_incident(world, "OUT-2026-0007", "facebook")
    take(feed, world.at(21), said(world.at(20)), said(world.at(20), "update", thread="u"))
    first, second = Heard.objects.order_by("id")
    with pytest.raises(ValidationError, match="no incident"):
        kept.attach(first.pk, "OUT-1999-1", meaning="update", by=duty, now=world.at(22))
    kept.attach(first.pk, incident.ref, meaning="update", by=duty, now=world.at(22))
    with pytest.raises(ConflictError, match="already"):
        kept.attach(first.pk, incident.ref, meaning="update", by=duty, now=world.at(23))
    with pytest.raises(ConflictError, match="statement"):
        kept.dismiss(first.pk, reason="", by=duty, now=world.at(23))
    assert kept.dismiss(second.pk, reason="about ads", by=duty, now=world.at(23))
    assert not kept.dismiss(second.pk, reason="about ads", by=duty, now=world.at(24))
    with pytest.raises(ConflictError, match="dismissed"):
        kept.attach(second.pk, incident.ref, meaning="update", by=duty, now=world.at(24))
    # What was dismissed stays so, when the page is read again and when an outage opens.
    make_incident(world, "OUT-2026-0008", "whatsapp")
    take(feed, world.at(25), said(world.at(20), "update", thread="u"))
    kept.attach_waiting(now=world.at(26))
    assert statements() == [("OUT-2026-0007", "update", None)]


def test_a_statement_that_was_withdrawn_is_attached_again_by_hand_only(
    world: World, feed: StatusFeed, duty: User
) -> None:
    incident = make_incident(world, "OUT-2026-0007", "whatsapp")
    update = said(world.at(20))
    assert take(feed, world.at(21), update).attached == 1
    undo.undo(Act.objects.get().pk, by=duty, at=world.at(22))
    assert take(feed, world.at(23), update) == Taken()
    assert kept.attach_waiting(now=world.at(24)) == 0
    assert statements() == [("OUT-2026-0007", "acknowledged", None)]
    heard = Heard.objects.get()
    kept.attach(heard.pk, incident.ref, meaning="update", by=duty, now=world.at(25))
    assert list(heard.statements.filter(withdrawn_at=None).values_list("meaning", flat=True)) == ["update"]
    with pytest.raises(ConflictError, match="already"):
        kept.attach(heard.pk, incident.ref, meaning="update", by=duty, now=world.at(26))


def test_an_update_is_dismissed_once_none_of_its_statements_stands(world: World, feed: StatusFeed, duty: User) -> None:
    make_incident(world, "OUT-2026-0007", "whatsapp")
    take(feed, world.at(21), said(world.at(20)))
    heard = Heard.objects.get()
    with pytest.raises(ConflictError, match="statement"):
        kept.dismiss(heard.pk, reason="about ads", by=duty, now=world.at(22))
    undo.undo(Act.objects.get().pk, by=duty, at=world.at(23))
    assert kept.dismiss(heard.pk, reason="about ads", by=duty, now=world.at(24))
    assert take(feed, world.at(25), said(world.at(20))) == Taken()
    assert kept.attach_waiting(now=world.at(26)) == 0
    assert not heard.statements.filter(withdrawn_at=None).exists()


def test_the_same_update_taken_in_by_two_workers_at_once_is_said_once(
    transactional_db: None, world: World, feed: StatusFeed
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    make_incident(world, "OUT-2026-0007", "whatsapp")

    def once(_number: int) -> None:
        try:
            take(feed, world.at(21), said(world.at(20)), said(world.at(20), "update", thread="u"))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(8)))
    assert sorted(meaning for _ref, meaning, _code in statements()) == ["acknowledged", "update"]
    assert Heard.objects.count() == 2
    assert Word.objects.count() == 1
