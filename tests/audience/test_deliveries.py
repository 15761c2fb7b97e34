"""Messages on their way: who hangs, and what cannot be made, holds up nobody else."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reports.audience import alerts, deliveries
from reports.audience.deliveries import Sent
from reports.models import Delivery, Service, Subscription
from tests.audience.service import PushService
from tests.audience.test_alerts import MINUTE, REAL, confirmed, down, find, send, tell
from tests.status.making import World

OTHERS = 50


def test_a_receiver_that_hangs_holds_up_none_of_fifty_others(world: World, push_service: PushService) -> None:
    paths = ["/hangs", *(f"/{number}" for number in range(OTHERS))]
    for path in paths:
        confirmed(push_service, path)
    down(world)
    find()
    # It hangs for longer than it is waited for.
    push_service.seconds["/hangs"] = 30
    arrivals: dict[str, float] = {}
    began = time.monotonic()
    push_service.heard = lambda path: arrivals.setdefault(path, time.monotonic() - began)
    assert send() == Sent(delivered=OTHERS, failed=1)
    took = max(seconds for path, seconds in arrivals.items() if path != "/hangs")
    assert set(arrivals) == set(paths)
    assert took < 8, f"the last of {OTHERS} others was told after {took:.1f} s"
    assert time.monotonic() - began > 8, "the one that hangs was waited for meanwhile"


def test_receivers_that_hung_before_take_up_a_few_places_only(
    world: World, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "TOGETHER", 4)
    monkeypatch.setattr(deliveries, "SLOW", 1)
    for number in range(6):
        confirmed(push_service, f"/bad/{number}")
    confirmed(push_service, "/good")
    Subscription.objects.filter(target__contains="/bad/").update(failures=3)
    down(world)
    find()
    claimed = deliveries.claim(now=REAL, most=4, most_slow=1)
    assert sorted("/bad/" in each.subscription.target for each in claimed) == [False, True]
    assert deliveries.claim(now=REAL, most=3, most_slow=0) == []


def test_a_message_that_cannot_be_made_keeps_back_no_other_and_ends_at_the_desk(
    world: World, push_service: PushService
) -> None:
    confirmed(push_service, "/one")
    confirmed(push_service, "/two")
    down(world)
    find()
    broken = Subscription.objects.get(target__endswith="/one")

    def compose(delivery: Delivery) -> Any:
        if delivery.subscription_id == broken.pk:
            raise KeyError("facts of an older release")
        return alerts.message(delivery)

    assert deliveries.send_due(compose=compose, now=lambda: REAL) == Sent(delivered=1, failed=1)
    assert [each.path for each in push_service.received] == ["/two"]
    assert Delivery.objects.get(delivered_at=None).fault == "the message could not be made"


def test_a_name_with_a_line_break_breaks_no_message(world: World, push_service: PushService) -> None:
    confirmed(push_service, channel="slack")
    Service.objects.filter(pk=world.whatsapp.pk).update(name="What\r\nBcc: eve@example.org")
    down(world)
    assert tell() == Sent(delivered=1)


def test_attempts_that_failed_together_are_not_tried_again_together(world: World, push_service: PushService) -> None:
    for number in range(20):
        confirmed(push_service, f"/{number}")
        push_service.answers[f"/{number}"] = (503, {})
    down(world)
    assert tell() == Sent(failed=20)
    due = sorted(Delivery.objects.filter(delivered_at=None).values_list("next_attempt_at", flat=True))
    assert len(set(due)) > 10
    assert REAL + 0.9 * deliveries.PAUSES[0] <= due[0] <= due[-1] <= REAL + deliveries.PAUSES[0]


def test_what_arrives_again_is_quick_again(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    down(world)
    push_service.answers["/hook"] = (500, {})
    assert tell() == Sent(failed=1)
    assert Subscription.objects.get().failures == 1
    push_service.answers.clear()
    assert tell(MINUTE) == Sent(delivered=1)
    assert Subscription.objects.get().failures == 0


def test_an_address_where_nothing_arrived_for_days_is_told_nothing_more_until_its_holder_says_so(
    world: World, push_service: PushService
) -> None:
    asked = confirmed(push_service)
    incident = down(world)
    first = Delivery.objects.get()
    Delivery.objects.filter(pk=first.pk).update(delivered_at=REAL - timedelta(days=9))
    for day in (0, 6):
        Delivery.objects.create(
            subscription=first.subscription,
            event=f"{incident.ref}/{day + 2}",
            created_at=REAL,
            next_attempt_at=REAL + timedelta(days=day),
            attempts=len(deliveries.PAUSES),
        )
        push_service.answers["/hook"] = (500, {})
        assert send(timedelta(days=day)) == Sent(given_up=1)
        assert bool(Subscription.objects.get().paused_at) == (day == 6)
    held = alerts.held(alerts.token_of(asked.id))
    assert held is not None
    assert held.paused
    alerts.resume(held)
    push_service.answers.clear()
    assert tell(timedelta(days=6, minutes=1)).delivered == 1


def test_after_its_time_is_over_a_run_claims_nothing_more(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    down(world)
    find()
    began = datetime.now(UTC)
    assert deliveries.send_due(compose=alerts.message, now=lambda: REAL, seconds=-1) == Sent()
    assert datetime.now(UTC) - began < timedelta(seconds=5)
    assert send() == Sent(delivered=1)
