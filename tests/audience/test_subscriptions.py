"""Asking to be told, and what the holder of the link may do: several services at once, change, pause, end, limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from reports.audience import alerts, webhooks
from reports.audience.deliveries import Sent
from reports.models import Delivery, Refusal, Subscription
from tests.audience.service import PushService
from tests.audience.test_alerts import MINUTE, REAL, ask, confirmed, down, find, read, resolve, tell
from tests.status import making
from tests.status.making import World

SEVERAL = ["whatsapp", "instagram", "facebook"]


def opened(asked: alerts.Asked) -> alerts.Held:
    held = alerts.held(alerts.token_of(asked.id))
    assert held is not None
    return held


def mail(settings: Settings, target: str = "ada@example.org", **more: Any) -> alerts.Asked | None:
    settings.EMAIL_HOST = "127.0.0.1"
    wanted: dict[str, Any] = {"services": ["whatsapp"], "region": "001", "severity": "minor", "language": "en"}
    return alerts.subscribe(channel="mail", target=target, **(wanted | {"now": REAL} | more))


def test_several_services_are_one_question_one_key_and_one_link(world: World, push_service: PushService) -> None:
    asked = ask(push_service, services=SEVERAL)
    assert Subscription.objects.count() == 3
    assert Delivery.objects.count() == 1
    push_service.bodies["/hook"] = webhooks.challenge_of(asked.id).encode()
    assert tell() == Sent(delivered=1)
    said = read(push_service.received[0], asked)
    assert [each["service"] for each in said["data"]["subscriptions"]] == ["facebook", "instagram", "whatsapp"]
    assert not Subscription.objects.filter(confirmed_at=None).exists()
    for service in (world.whatsapp, world.instagram):
        making.take_down(making.open_incident(service, ref=f"OUT-2026-1-{service.pk}"), world.regions["GB-ENG"])
    assert tell(MINUTE) == Sent(delivered=2)
    told = push_service.received[1:]
    # One key verifies all of them, and each message has an id of its own.
    assert {read(each, asked)["data"]["subscription"]["service"] for each in told} == {"whatsapp", "instagram"}
    assert len({each.headers["webhook-id"] for each in told}) == 2
    assert [line.service for line in opened(asked).lines] == ["facebook", "instagram", "whatsapp"]


def test_of_those_asked_for_only_the_new_ones_are_asked_about(world: World, push_service: PushService) -> None:
    confirmed(push_service, channel="slack")
    again = ask(push_service, channel="slack", services=SEVERAL)
    assert Subscription.objects.filter(group=again.id).count() == 2
    assert tell() == Sent(delivered=1)
    assert "Facebook and Instagram?" in push_service.received[0].body.decode()


def test_a_link_in_a_mailbox_opens_all_that_is_told_there_but_a_webhooks_only_its_own(
    world: World, push_service: PushService
) -> None:
    first = confirmed(push_service, channel="slack")
    second = confirmed(push_service, channel="slack", services=["instagram"])
    waiting = ask(push_service, channel="slack", services=["facebook"])
    for asked in (first, second):
        assert [line.service for line in opened(asked).lines] == ["instagram", "whatsapp"]
    # What waits for a yes shows nothing of the rest, and a no to it ends nothing else.
    assert [line.service for line in opened(waiting).lines] == ["facebook"]
    alerts.decline(opened(waiting), now=REAL)
    assert Subscription.objects.count() == 2
    # A webhook's link is given to whoever asks: it shows what they asked for.
    hook = confirmed(push_service, "/shared")
    stranger = ask(push_service, "/shared", services=["instagram"])
    assert [line.service for line in opened(stranger).lines] == ["instagram"]
    assert [line.service for line in opened(hook).lines] == ["whatsapp"]


def test_one_of_several_is_changed_and_ended_by_the_page_and_the_others_stay(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    asked = confirmed(push_service, services=SEVERAL)
    page = f"/alerts/{alerts.token_of(asked.id)}/"
    shown = client.get(page).content.decode()
    assert "Of outages of Facebook, Instagram and WhatsApp anywhere" in shown
    lines = {line.service: str(line.id) for line in opened(asked).lines}
    assert "Changed." in client.post(page, {"change": lines["facebook"], "severity": "critical"}).content.decode()
    assert Subscription.objects.get(service=world.facebook).severity == "critical"
    assert "Ended. The rest goes on:" in client.post(page, {"end": lines["instagram"]}).content.decode()
    assert [line.service for line in opened(asked).lines] == ["facebook", "whatsapp"]
    # Sent twice by an impatient finger: nothing else ends.
    client.post(page, {"end": lines["instagram"]})
    assert len(opened(asked).lines) == 2
    client.post(page, {"do": "speak", "language": "de"})
    assert set(Subscription.objects.values_list("language", flat=True)) == {"de"}
    assert "No more messages." in client.post(page, {"do": "stop"}).content.decode()
    assert client.post(page, {"do": "stop"}).status_code == 404


def test_somebody_elses_line_is_not_ended_by_ones_own_link(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    mine, theirs = confirmed(push_service), confirmed(push_service, "/theirs")
    page = f"/alerts/{alerts.token_of(mine.id)}/"
    for sent in ({"end": str(theirs.id)}, {"change": str(theirs.id), "severity": "critical"}):
        client.post(page, sent)
    assert Subscription.objects.get(group=theirs.id).severity == "minor"
    assert Subscription.objects.count() == 2


def test_a_pause_tells_nothing_and_what_still_goes_on_after_it_is_told(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    asked = confirmed(push_service)
    page = f"/alerts/{alerts.token_of(asked.id)}/"
    assert "Messages are paused." in client.post(page, {"do": "pause"}).content.decode()
    down(world)
    assert tell() == Sent()
    assert 'value="resume"' in client.get(page).content.decode()
    client.post(page, {"do": "resume"})
    assert tell(MINUTE) == Sent(delivered=1)


def test_what_was_found_before_a_pause_is_told_as_it_stands_after_it_or_not_at_all(
    world: World, push_service: PushService
) -> None:
    asked, other = confirmed(push_service), confirmed(push_service, "/other", services=["instagram"])
    incident = down(world)
    going_on = making.open_incident(world.instagram, ref="OUT-2026-0002")
    making.take_down(going_on, world.regions["GB-ENG"])
    assert find() == 2
    for each in (asked, other):
        alerts.pause(opened(each), now=REAL)
    resolve(incident)
    making.take_down(going_on, world.regions["BR-SP"])
    assert tell(60 * MINUTE) == Sent()
    for each in (asked, other):
        alerts.resume(opened(each))
    assert tell(timedelta(days=3)) == Sent(delivered=1)
    said = read(push_service.received[0], other)
    assert (said["type"], said["data"]["regions_in_all"]) == ("incident.opened", 2)


def test_what_waits_to_be_tried_again_waits_for_the_end_of_a_pause(world: World, push_service: PushService) -> None:
    asked = confirmed(push_service)
    down(world)
    push_service.answers["/hook"] = (500, {})
    assert tell() == Sent(failed=1)
    alerts.pause(opened(asked), now=REAL)
    push_service.answers.clear()
    assert tell(5 * MINUTE) == Sent()
    alerts.resume(opened(asked))
    assert tell(6 * MINUTE) == Sent(delivered=1)


def test_the_holder_of_a_confirmed_link_adds_services_without_a_question(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    asked = confirmed(push_service)
    token = alerts.token_of(asked.id)
    form = client.get("/alerts/", {"for": token}).content.decode()
    assert 'name="target"' not in form
    sent = {"for": token, "service": ["instagram", "facebook"], "country": "GB", "region": "", "severity": "major"}
    assert "Changed." in client.post("/alerts/", sent).content.decode()
    assert [(line.service, line.region) for line in opened(asked).lines] == [
        ("facebook", "GB"),
        ("instagram", "GB"),
        ("whatsapp", "001"),
    ]
    assert not Delivery.objects.filter(delivered_at=None).exists()
    # The key is the same.
    making.take_down(making.open_incident(world.facebook), world.regions["GB-ENG"])
    assert tell() == Sent(delivered=1)
    assert read(push_service.received[0], asked)["data"]["subscription"]["service"] == "facebook"


def test_an_unconfirmed_or_forged_link_adds_nothing(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    asked = ask(push_service)
    token = alerts.token_of(asked.id)
    for wrong in (token, token[:-2], "x", asked.id.hex, "x" * 5000):
        sent = {"for": wrong, "service": "instagram", "country": "GB", "region": "", "severity": "major"}
        assert client.post("/alerts/", sent).status_code == 404
    assert Subscription.objects.count() == 1


def test_confirming_twice_is_the_same_yes(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    asked = ask(push_service, channel="slack")
    page = f"/alerts/{alerts.token_of(asked.id)}/"
    for _ in range(2):
        assert "You will be told." in client.post(page, {"do": "confirm"}).content.decode()
    assert Subscription.objects.get().confirmed_at is not None


def test_a_link_that_was_not_followed_within_a_day_has_ended(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    asked = ask(push_service, channel="slack")
    tell(timedelta(days=1))
    answer = client.post(f"/alerts/{alerts.token_of(asked.id)}/", {"do": "confirm"})
    assert answer.status_code == 404
    assert "This link has ended." in answer.content.decode()


def test_who_wants_no_question_gets_none_and_nobody_is_told_so(
    world: World, settings: Settings, client: Client, uncollected: None
) -> None:
    asked = mail(settings)
    assert asked is not None
    page = f"/alerts/{alerts.token_of(asked.id)}/"
    assert "You will not be asked again." in client.post(page, {"do": "never"}).content.decode()
    assert not Subscription.objects.exists()
    assert "ada" not in Refusal.objects.get().digest
    # To a stranger it looks as if it had been asked, however the address is written.
    for target in ("ada@example.org", "Ada@Example.org"):
        assert mail(settings, target) is not None
    assert not Delivery.objects.exists()
    assert not Subscription.objects.exists()
    later = datetime.now(UTC) + alerts.REFUSED + MINUTE
    alerts.tidy(now=later, site=later)
    assert mail(settings, now=later) is not None
    assert Delivery.objects.count() == 1


def test_whoever_filled_in_the_form_shuts_nobody_out_of_a_webhook(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    stranger = ask(push_service)
    said = client.post(f"/alerts/{alerts.token_of(stranger.id)}/", {"do": "never"}).content.decode()
    assert "Nothing is sent." in said
    assert not Refusal.objects.exists()
    assert confirmed(push_service).secret != stranger.secret
    assert Subscription.objects.get().confirmed_at is not None


def test_a_question_that_a_stranger_asked_does_not_keep_the_owner_of_a_webhook_from_asking(
    world: World, push_service: PushService
) -> None:
    stranger = ask(push_service, services=["whatsapp", "instagram"])
    owner = ask(push_service)
    assert alerts.held(alerts.token_of(stranger.id)) is None
    assert Delivery.objects.count() == 1
    push_service.bodies["/hook"] = webhooks.challenge_of(owner.id).encode()
    assert tell() == Sent(delivered=1)
    assert read(push_service.received[0], owner)["type"] == "subscription.confirm"
    # Once it is confirmed, nobody takes it away.
    again: dict[str, Any] = {"services": ["whatsapp"], "region": "001", "severity": "minor", "language": "en"}
    assert alerts.subscribe(channel="webhook", target=push_service.origin + "/hook", now=REAL, **again) is None
    assert [line.service for line in opened(owner).lines] == ["whatsapp"]


def test_at_a_webhook_three_questions_wait_and_a_further_one_takes_the_place_of_the_oldest(
    world: World, push_service: PushService
) -> None:
    asked = [
        ask(push_service, region=code, now=REAL + number * MINUTE)
        for number, code in enumerate(("GB", "BR", "IN", "US", "001"))
    ]
    assert [alerts.held(alerts.token_of(each.id)) is not None for each in asked] == [False, False, True, True, True]
    assert Delivery.objects.count() == alerts.MOST_UNCONFIRMED
    # A request that cannot be taken costs nobody's question its place, and the same one again only its own.
    with pytest.raises(alerts.Refused):
        ask(push_service, services=["whatsapp", "nobody"])
    ask(push_service, region="US", now=REAL + 9 * MINUTE)
    assert [alerts.held(alerts.token_of(each.id)) is not None for each in asked] == [False, False, True, False, True]


def test_what_strangers_ask_does_not_use_up_what_one_webhook_is_told(
    world: World, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "MOST_OF_ONE", 3)
    owner = confirmed(push_service)
    ask(push_service, region="BR")
    ask(push_service, services=["instagram", "facebook"], region="GB")
    wanted: dict[str, Any] = {"severity": "minor", "now": REAL}
    assert alerts.add(opened(owner), services=["instagram", "facebook"], region="GB", **wanted) == 2
    with pytest.raises(alerts.Refused, match="full"):
        alerts.add(opened(owner), services=["whatsapp"], region="IN", **wanted)


def test_asking_a_mailbox_again_sends_no_second_question(world: World, settings: Settings) -> None:
    first = mail(settings)
    assert first is not None
    assert mail(settings, "Ada@example.org") is None
    assert Delivery.objects.count() == 1
    # The one that lies there is as good, whoever asked.
    assert opened(first).waiting


def test_ten_thousand_wishes_for_one_mailbox_are_three_questions(world: World, settings: Settings) -> None:
    refused = 0
    for number in range(200):
        code = making.CODES[number % len(making.CODES)]
        # Capitals are no other mailbox.
        target = "Ada@example.org" if number % 2 else "ada@EXAMPLE.org"
        try:
            mail(settings, target, region=code, services=[SEVERAL[number % 3]])
        except alerts.Refused:
            refused += 1
    assert Delivery.objects.count() == alerts.MOST_UNCONFIRMED
    assert refused >= 150


def test_one_address_is_told_of_so_many_things_and_no_more(
    world: World, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "MOST_OF_ONE", 4)
    asked = confirmed(push_service, services=SEVERAL)
    wanted: dict[str, Any] = {"region": "GB", "severity": "minor", "now": REAL}
    with pytest.raises(alerts.Refused, match="full"):
        alerts.add(opened(asked), services=["whatsapp", "instagram"], **wanted)
    with pytest.raises(alerts.Refused, match="full"):
        ask(push_service, services=["whatsapp", "instagram"], region="GB")
    assert alerts.add(opened(asked), services=["whatsapp"], **wanted) == 1
    # Asked for twice it is the same, and full is full for the rest only.
    assert alerts.add(opened(asked), services=["whatsapp"], **wanted) == 0
    assert Subscription.objects.count() == 4


def test_the_site_asks_so_many_mailboxes_an_hour_and_no_more(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "MOST_QUESTIONS_AN_HOUR", 5)
    for number in range(5):
        mail(settings, f"reader-{number}@example.org")
    with pytest.raises(alerts.Refused, match="full"):
        mail(settings, "one-more@example.org")
    assert mail(settings, "later@example.org", now=REAL + timedelta(hours=1)) is not None


def test_rubbish_in_the_form_and_on_the_page_of_a_link_is_no_fault_of_ours(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    client.raise_request_exception = False
    asked = confirmed(push_service)
    page = f"/alerts/{alerts.token_of(asked.id)}/"
    good: dict[str, Any] = {
        "service": ["whatsapp"],
        "country": "GB",
        "region": "GB-ENG",
        "severity": "minor",
        "channel": "webhook",
        "target": push_service.origin + "/x",
        "time_zone": "Europe/Berlin",
    }
    rubbish = ("", "\x00", "a" * 100_000, "<script>alert(1)</script>", "\u0661", "../../etc/passwd", "\r\nBcc: a@b.org")
    for name in (*good, "for"):
        for text in rubbish:
            answer = client.post("/alerts/", good | {name: text})
            assert answer.status_code < 500, (name, text[:20])
            assert b"<script>alert(1)" not in answer.content
    for text in rubbish:
        for name in ("do", "end", "change", "severity", "language"):
            assert client.post(page, {name: text, "do" if name != "do" else "x": "speak"}).status_code < 500
        assert client.post(f"/alerts/{re.sub('[^a-zA-Z]', '', text) or 'x'}/").status_code == 404
    assert client.post("/alerts/", good | {"service": ["whatsapp"] * 5000}).status_code < 500
    many = good | {"service": [f"service-{number}" for number in range(5000)]}
    assert client.post("/alerts/", many).status_code in (400, 413)
    assert alerts.held(alerts.token_of(asked.id)) is not None


def test_an_unknown_time_zone_is_none(world: World, push_service: PushService) -> None:
    for number, zone in enumerate(("Europe/Berlin", "Mars/Base", "../../etc/passwd", "x" * 1000)):
        ask(push_service, f"/{number}", time_zone=zone)
    assert sorted(Subscription.objects.values_list("time_zone", flat=True)) == ["", "", "", "Europe/Berlin"]
