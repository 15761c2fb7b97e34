"""Being told when it is back: found, sent once over real TLS to a push service that reads it, and forgotten."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from reports.audience import deliveries, push, returns
from reports.audience.deliveries import Sent
from reports.models import Delivery, RegionalOutage, Subscription
from reports.status import snapshots
from tests.audience.service import Browser, PushService, claims
from tests.status import making
from tests.status.making import NOW, World, at

REAL = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def wish(service: PushService, browser: Browser, path: str = "/one", region: str = "GB-ENG", **more: Any) -> None:
    endpoint, keys = push.read(browser.subscription(service.origin + path))
    assert returns.subscribe(
        endpoint=endpoint, keys=keys, service="whatsapp", region=region, language="en", now=REAL, site=NOW, **more
    )


def down(world: World, region: str = "GB-ENG") -> RegionalOutage:
    outage = making.take_down(making.open_incident(world.whatsapp), world.regions[region])
    making.watch()
    snapshots.forget()
    return outage


def becomes(outage: RegionalOutage, **changes: object) -> None:
    RegionalOutage.objects.filter(pk=outage.pk).update(**changes)
    snapshots.forget()


def back(outage: RegionalOutage) -> None:
    when = at("19:40")
    becomes(outage, restored_at=when, restored_low=when, restored_high=when, declared_at=at("19:50"), basis="votes")


def tell(*, after: timedelta = timedelta(0)) -> Sent:
    deliveries.tidy(now=REAL + after)
    returns.find(now=REAL + after, site=NOW)
    return deliveries.send_due(compose=lambda delivery: returns.message(delivery, site=NOW), now=lambda: REAL + after)


def test_whoever_waits_is_told_once_and_then_forgotten(world: World, push_service: PushService) -> None:
    browser, outage = Browser(), down(world)
    wish(push_service, browser)
    assert tell() == Sent()
    becomes(outage, recovering_at=at("19:30"))
    assert tell() == Sent(delivered=1)
    (received,) = push_service.received
    message = browser.read(received.body)
    assert message["title"] == "WhatsApp seems to come back in England."
    assert message["url"] == "/services/whatsapp/GB-ENG/"
    assert set(message["ids"]) == {"working", "down"}
    said = claims(received.headers["authorization"], push.public_key())
    assert said["aud"] == push_service.origin
    assert time.time() < said["exp"] <= time.time() + 24 * 3600
    assert said["sub"].startswith(("https://", "mailto:"))
    assert received.headers["content-encoding"] == "aes128gcm"
    assert int(received.headers["ttl"]) > 0
    assert len(received.headers["topic"]) <= 32
    # Nothing is kept, and the restoration that follows is not told again.
    assert not Subscription.objects.exists()
    assert not Delivery.objects.exists()
    back(outage)
    assert tell() == Sent()
    assert len(push_service.received) == 1


def test_a_restoration_says_since_when_even_after_the_incident_is_over(world: World, push_service: PushService) -> None:
    browser, outage = Browser(), down(world)
    wish(push_service, browser)
    assert tell() == Sent()
    back(outage)
    outage.incident.resolved_at = at("19:40")
    outage.incident.save()
    snapshots.forget()
    assert tell() == Sent(delivered=1)
    message = browser.read(push_service.received[0].body)
    assert message["title"] == "WhatsApp seems to be back in England."
    assert datetime.fromisoformat(message["since"]) == at("19:40")


def test_who_waits_while_it_already_recovers_is_told_of_the_restoration_only(
    world: World, push_service: PushService
) -> None:
    outage = down(world)
    becomes(outage, recovering_at=at("19:30"))
    wish(push_service, Browser())
    assert tell() == Sent()
    back(outage)
    assert tell() == Sent(delivered=1)


def test_who_waits_where_we_see_nothing_is_told_nothing_until_it_was_down(
    world: World, push_service: PushService
) -> None:
    making.watch()
    wish(push_service, Browser())
    assert tell() == Sent()
    outage = down(world)
    assert tell() == Sent()
    back(outage)
    assert tell() == Sent(delivered=1)


def test_what_is_no_longer_true_is_not_sent_and_found_again_later(world: World, push_service: PushService) -> None:
    outage = down(world)
    wish(push_service, Browser())
    becomes(outage, recovering_at=at("19:30"))
    push_service.answers["/one"] = (503, {})
    assert tell() == Sent(failed=1)
    # Down again before the next attempt.
    becomes(outage, recovering_at=None)
    assert tell(after=2 * MINUTE) == Sent(withdrawn=1)
    assert Subscription.objects.count() == 1
    push_service.answers.clear()
    back(outage)
    assert tell(after=3 * MINUTE) == Sent(delivered=1)


def test_a_failure_is_tried_again_later_and_later_and_then_given_up(world: World, push_service: PushService) -> None:
    outage = down(world)
    wish(push_service, Browser())
    back(outage)
    push_service.answers["/one"] = (500, {})
    after = timedelta(0)
    for pause in deliveries.PAUSES:
        assert tell(after=after) == Sent(failed=1)
        assert tell(after=after + pause - MINUTE / 2) == Sent()
        after += pause
    assert tell(after=after) == Sent(given_up=1)
    assert len(push_service.received) == len(deliveries.PAUSES) + 1
    assert Delivery.objects.get().fault == "answered 500"
    assert tell(after=after + timedelta(hours=7)) == Sent()


def test_a_push_service_that_asks_for_patience_gets_it(world: World, push_service: PushService) -> None:
    outage = down(world)
    wish(push_service, Browser())
    back(outage)
    push_service.answers["/one"] = (429, {"Retry-After": "1800"})
    assert tell() == Sent(failed=1)
    assert Delivery.objects.get().next_attempt_at == REAL + timedelta(minutes=30)


@pytest.mark.parametrize("status", [404, 410])
def test_an_address_that_is_gone_is_deleted_with_all_its_wishes(
    world: World, push_service: PushService, status: int
) -> None:
    outage, browser = down(world), Browser()
    wish(push_service, browser)
    wish(push_service, browser, region="BR")
    wish(push_service, Browser(), path="/another", region="BR")
    back(outage)
    push_service.answers["/one"] = (status, {})
    assert tell() == Sent(given_up=1)
    assert [row.target for row in Subscription.objects.all()] == [push_service.origin + "/another"]


def test_a_redirect_is_not_followed(world: World, push_service: PushService) -> None:
    outage = down(world)
    wish(push_service, Browser())
    back(outage)
    push_service.answers["/one"] = (307, {"Location": push_service.origin + "/elsewhere"})
    assert tell() == Sent(failed=1)
    assert [received.path for received in push_service.received] == ["/one"]


def test_two_days_are_the_end_of_it(world: World, push_service: PushService) -> None:
    outage = down(world)
    wish(push_service, Browser())
    back(outage)
    assert tell(after=timedelta(hours=48)) == Sent()
    assert not Subscription.objects.exists()
    assert not push_service.received


def test_the_same_wish_again_is_the_same_wish(world: World, push_service: PushService) -> None:
    browser, outage = Browser(), down(world)
    wish(push_service, browser)
    wish(push_service, browser)
    back(outage)
    assert tell() == Sent(delivered=1)


def test_no_more_are_taken_than_can_be_kept(
    world: World, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returns, "MOST_KEPT", 1)
    down(world)
    wish(push_service, Browser())
    with pytest.raises(returns.Full):
        wish(push_service, Browser(), path="/two")


def test_what_one_worker_has_claimed_no_other_gets_before_its_time(world: World, push_service: PushService) -> None:
    outage = down(world)
    wish(push_service, Browser())
    back(outage)
    returns.find(now=REAL, site=NOW)
    assert len(deliveries.claim(now=REAL)) == 1
    assert deliveries.claim(now=REAL + MINUTE) == []
    # The worker died with it: it comes up again.
    assert tell(after=deliveries.LEASE) == Sent(delivered=1)


def test_an_unknown_certificate_is_no_push_service(
    world: World, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports.audience import outgoing

    outage = down(world)
    wish(push_service, Browser())
    back(outage)
    monkeypatch.delenv("SSL_CERT_FILE")
    outgoing._tls.cache_clear()
    assert tell() == Sent(failed=1)
    assert Delivery.objects.get().fault == "SSLCertVerificationError"
    assert not push_service.received


def test_a_private_address_is_refused_when_sent_to_whatever_its_name(
    world: World, push_service: PushService, settings: Settings
) -> None:
    outage = down(world)
    wish(push_service, Browser())
    back(outage)
    # The name was a public one when it was taken, and means this machine now.
    settings.ALLOW_PRIVATE_TARGETS = False
    assert tell() == Sent(given_up=1)
    assert "private network" in Delivery.objects.get().fault
    assert not push_service.received
