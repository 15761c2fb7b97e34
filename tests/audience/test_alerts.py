"""Being told of outages: asked for, confirmed, told once, signed, tried again, given up; over real TLS."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from reports.api.serializers import incident_json
from reports.audience import alerts, deliveries, notices, outgoing, webhooks
from reports.audience.deliveries import Sent
from reports.incidents import joining
from reports.models import Delivery, Incident, Notice, RegionalOutage, Subscription
from reports.status import snapshots
from tests.audience.service import PushService, Received
from tests.status import making
from tests.status.making import NOW, World, at

REAL = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ask(service: PushService, path: str = "/hook", *, channel: str = "webhook", **more: Any) -> alerts.Asked:
    wanted: dict[str, Any] = {
        "services": ["whatsapp"],
        "region": "001",
        "severity": "minor",
        "language": "en",
        "now": REAL,
    } | more
    asked = alerts.subscribe(channel=channel, target=service.origin + path, **wanted)
    assert asked is not None
    return asked


def confirmed(service: PushService, path: str = "/hook", **more: Any) -> alerts.Asked:
    """A subscription whose receiver answered."""
    asked = ask(service, path, **more)
    service.bodies[path] = webhooks.challenge_of(asked.id).encode()
    assert send() == Sent(delivered=1)
    if asked.channel != "webhook":
        assert alerts.confirm(asked.id, now=REAL)
    service.received.clear()
    return asked


def send(after: timedelta = timedelta(0)) -> Sent:
    return deliveries.send_due(compose=alerts.message, now=lambda: REAL + after)


def find(after: timedelta = timedelta(0)) -> int:
    snapshots.forget()
    deliveries.tidy(now=REAL + after)
    return alerts.find(now=REAL + after, site=NOW, incident_json=incident_json)


def tell(after: timedelta = timedelta(0)) -> Sent:
    find(after)
    return send(after)


def down(world: World, *codes: str) -> Incident:
    incident = making.open_incident(world.whatsapp)
    making.speak(incident, None, decided_at=at("18:06"))
    for code in codes or ("GB-ENG",):
        making.take_down(incident, world.regions[code])
    return incident


def back(outage: RegionalOutage) -> None:
    when = at("19:40")
    RegionalOutage.objects.filter(pk=outage.pk).update(
        restored_at=when, restored_low=when, restored_high=when, declared_at=at("19:50"), basis="votes"
    )


def resolve(incident: Incident) -> None:
    for outage in incident.regions.all():
        back(outage)
    Incident.objects.filter(pk=incident.pk).update(resolved_at=at("19:40"))


def read(received: Received, asked: alerts.Asked, *, on: datetime | None = None) -> Any:
    assert asked.secret is not None
    return Webhook(asked.secret).verify(received.body, received.headers)


def test_nothing_is_sent_before_the_challenge_is_answered(world: World, push_service: PushService) -> None:
    asked = ask(push_service)
    down(world)
    push_service.bodies["/hook"] = b"ok"
    assert tell() == Sent(failed=1)
    (challenge,) = push_service.received
    said = read(challenge, asked)
    assert said["type"] == "subscription.confirm"
    assert Delivery.objects.get().fault == "the answer does not repeat the challenge"
    push_service.bodies["/hook"] = json.dumps({"challenge": said["data"]["challenge"]}).encode()
    assert tell(MINUTE) == Sent(delivered=1)
    assert Subscription.objects.get().confirmed_at == REAL + MINUTE
    assert Subscription.objects.get().expires_at is None
    assert tell(2 * MINUTE) == Sent(delivered=1)
    assert [read(each, asked)["type"] for each in push_service.received][1:] == [
        "subscription.confirm",
        "incident.opened",
    ]


def test_whoever_never_answers_is_forgotten_after_a_day(world: World, push_service: PushService) -> None:
    ask(push_service)
    assert tell(timedelta(hours=24)) == Sent()
    assert not Subscription.objects.exists()


def test_a_message_is_signed_and_says_what_is_down_since_when_why_and_what_still_works(
    world: World, push_service: PushService
) -> None:
    asked = confirmed(push_service)
    incident = down(world, "GB-ENG", "BR-SP")
    assert tell() == Sent(delivered=1)
    (received,) = push_service.received
    said = read(received, asked)
    assert said["type"] == "incident.opened"
    data = said["data"]
    assert data["incident"] == incident_json_of(incident)
    assert data["incident"]["evidence"]["observed"] == 412
    assert {each["region"]: each["state"] for each in data["regions"]} == {"GB-ENG": "down", "BR-SP": "down"}
    assert {each["service"] for each in data["still_working"]} == {"instagram", "facebook"}
    assert data["links"]["say_it_works"].endswith("/services/whatsapp/ask/?region=001&kind=working")
    assert data["links"]["incident"] == f"http://localhost:8000/incidents/{incident.ref}/"
    assert data["subscription"]["region"] == "001"
    assert received.headers["webhook-id"].startswith("msg_")


def incident_json_of(incident: Incident) -> Any:
    from reports import status

    found = status.incident(incident.ref)
    assert found is not None
    return incident_json(found)


def test_another_key_or_a_changed_message_does_not_verify(world: World, push_service: PushService) -> None:
    asked, another = confirmed(push_service), confirmed(push_service, "/another")
    down(world)
    assert tell() == Sent(delivered=2)
    received = next(each for each in push_service.received if each.path == "/hook")
    assert read(received, asked)
    with pytest.raises(WebhookVerificationError):
        read(received, another)
    with pytest.raises(WebhookVerificationError):
        read(Received(received.path, received.headers, received.body.replace(b"opened", b"closed")), asked)


def test_the_key_is_not_kept_and_the_same_in_every_process(push_service: PushService, world: World) -> None:
    asked = ask(push_service)
    assert asked.secret == webhooks.secret_of(asked.id)
    kept = Subscription.objects.get()
    assert kept.secret == {}
    assert asked.secret not in json.dumps([kept.target, kept.secret, kept.target_digest])


def test_a_storm_of_regions_is_one_message_and_then_one_for_all_that_followed(
    world: World, push_service: PushService
) -> None:
    asked = confirmed(push_service)
    incident = down(world, "GB-ENG", "GB-SCT", "BR-SP")
    assert tell() == Sent(delivered=1)
    assert tell(timedelta(seconds=10)) == Sent()
    for code in ("BR-RJ", "US-CA", "US-NY", "IN"):
        making.take_down(incident, world.regions[code])
        assert tell(timedelta(seconds=20)) == Sent()
    assert tell(2 * MINUTE) == Sent(delivered=1)
    assert tell(20 * MINUTE) == Sent()
    first, second = (read(each, asked) for each in push_service.received)
    assert (first["type"], first["data"]["regions_in_all"]) == ("incident.opened", 3)
    assert (second["type"], second["data"]["regions_in_all"]) == ("incident.updated", 7)


def test_the_end_is_told_once_and_taken_back_where_it_was_none(world: World, push_service: PushService) -> None:
    asked = confirmed(push_service)
    incident = down(world)
    tell()
    resolve(incident)
    assert tell(5 * MINUTE) == Sent(delivered=1)
    assert tell(60 * MINUTE) == Sent()
    Incident.objects.filter(pk=incident.pk).update(resolved_at=None)
    assert tell(70 * MINUTE) == Sent(delivered=1)
    types = [read(each, asked)["type"] for each in push_service.received]
    assert types == ["incident.opened", "incident.resolved", "incident.updated"]


def test_nobody_is_told_of_a_new_outage_because_two_were_merged(world: World, push_service: PushService) -> None:
    asked = confirmed(push_service)
    earlier = making.open_incident(world.whatsapp, ref="OUT-2026-0001", resolved_at=at("18:30"))
    making.take_down(earlier, world.regions["US-CA"], restored_at=at("18:30"))
    later = making.open_incident(world.whatsapp, ref="OUT-2026-0002", onset_at=at("18:50"))
    making.take_down(later, world.regions["GB-ENG"])
    assert tell() == Sent(delivered=1)
    joining.merge(later.pk, into=earlier.ref, by=User.objects.create_user("duty"), at=NOW)
    # Of the region that was back before, they had not been told: that is news of the same outage.
    assert tell(20 * MINUTE) == Sent(delivered=1)
    assert tell(40 * MINUTE) == Sent()
    resolve(Incident.objects.get(pk=earlier.pk))
    assert tell(60 * MINUTE) == Sent(delivered=1)
    said = [read(each, asked) for each in push_service.received]
    assert [each["type"] for each in said] == ["incident.opened", "incident.updated", "incident.resolved"]
    assert [each["data"]["incident"]["ref"] for each in said] == ["OUT-2026-0002", "OUT-2026-0001", "OUT-2026-0001"]


def test_who_asked_for_a_region_that_a_merger_does_not_change_hears_nothing_of_it(
    world: World, push_service: PushService
) -> None:
    confirmed(push_service, region="GB-ENG")
    earlier = making.open_incident(world.whatsapp, ref="OUT-2026-0001", resolved_at=at("18:30"))
    making.take_down(earlier, world.regions["US-CA"], restored_at=at("18:30"))
    later = making.open_incident(world.whatsapp, ref="OUT-2026-0002", onset_at=at("18:50"))
    making.take_down(later, world.regions["GB-ENG"])
    assert tell() == Sent(delivered=1)
    joining.merge(later.pk, into=earlier.ref, by=User.objects.create_user("duty"), at=NOW)
    assert tell(20 * MINUTE) == Sent()


def test_a_split_is_no_news_and_what_happens_to_each_part_is(world: World, push_service: PushService) -> None:
    asked = {code: confirmed(push_service, f"/{code}", region=code) for code in ("001", "GB-ENG", "BR-SP")}
    incident = down(world, "GB-ENG", "BR-SP")
    assert tell() == Sent(delivered=3)
    part = joining.split(incident.pk, regions=["GB-ENG"], by=User.objects.create_user("duty"), at=NOW)
    assert tell(20 * MINUTE) == Sent()
    push_service.received.clear()
    resolve(part)
    assert tell(40 * MINUTE) == Sent(delivered=2)
    said = {each.path[1:]: read(each, asked[each.path[1:]]) for each in push_service.received}
    assert {code: each["type"] for code, each in said.items()} == {
        "001": "incident.updated",
        # Whoever asked about England is done with it.
        "GB-ENG": "incident.resolved",
    }
    push_service.received.clear()
    resolve(incident)
    assert tell(60 * MINUTE) == Sent(delivered=2)
    assert {read(each, asked[each.path[1:]])["type"] for each in push_service.received} == {"incident.resolved"}


def test_an_outage_that_was_over_before_anybody_was_told_is_not_told(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    resolve(down(world))
    assert tell() == Sent()


def test_who_asked_for_a_region_is_told_of_it_of_its_parts_and_of_what_it_is_part_of(
    world: World, push_service: PushService
) -> None:
    asked = {code: confirmed(push_service, f"/{code}", region=code) for code in ("GB", "GB-ENG", "BR", "BR-SP")}
    incident = down(world, "GB-ENG", "BR")
    assert tell() == Sent(delivered=4)
    for received in push_service.received:
        code = received.path[1:]
        said = read(received, asked[code])
        assert [each["region"] for each in said["data"]["regions"]] == [{"GB": "GB-ENG", "BR-SP": "BR"}.get(code, code)]
    push_service.received.clear()
    making.take_down(incident, world.regions["US-CA"])
    assert tell(10 * MINUTE) == Sent(), "California is nobody's"


def test_small_outages_are_not_told_to_who_asked_for_large_ones(world: World, push_service: PushService) -> None:
    confirmed(push_service, severity="major")
    incident = down(world, "GB-NIR")
    assert tell() == Sent()
    making.take_down(incident, world.regions["GB-ENG"])
    assert tell() == Sent(delivered=1)


def test_a_failure_is_tried_again_over_a_day_under_one_id_and_then_lies_at_the_desk(
    world: World, push_service: PushService, admin_client: Client
) -> None:
    asked = confirmed(push_service)
    incident = down(world)
    push_service.answers["/hook"] = (503, {})
    after = timedelta(0)
    for pause in deliveries.PAUSES:
        assert tell(after) == Sent(failed=1)
        after += pause
    assert timedelta(hours=20) < after < timedelta(hours=28)
    assert tell(after) == Sent(given_up=1)
    assert len({each.headers["webhook-id"] for each in push_service.received}) == 1
    assert len({each.body for each in push_service.received}) == 1
    # The desk shows it, and sends it again.
    dead = Delivery.objects.get(notice__isnull=False)
    page = admin_client.get("/admin/reports/delivery/?state=dead").content.decode()
    assert f"{incident.ref}/1" in page
    assert "answered 503" in page
    push_service.answers.clear()
    chosen = {"action": "send_again", "_selected_action": [dead.pk]}
    assert admin_client.post("/admin/reports/delivery/", chosen, follow=True).status_code == 200
    assert LogEntry.objects.count() == 1
    assert deliveries.send_due(compose=alerts.message, now=lambda: datetime.now(UTC)) == Sent(delivered=1)
    assert read(push_service.received[-1], asked)["type"] == "incident.opened"


def test_what_changes_while_a_message_is_on_its_way_is_told_after_it(world: World, push_service: PushService) -> None:
    asked = confirmed(push_service)
    incident = down(world)
    push_service.answers["/hook"] = (500, {})
    assert tell() == Sent(failed=1)
    making.take_down(incident, world.regions["BR-SP"])
    push_service.answers.clear()
    # It says what was so then, and still is: it goes on as it was begun.
    assert tell(10 * MINUTE) == Sent(delivered=1)
    assert tell(11 * MINUTE) == Sent(delivered=1)
    first, again, second = push_service.received
    assert first.body == again.body
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != second.headers["webhook-id"]
    assert [read(each, asked)["data"]["regions_in_all"] for each in (again, second)] == [1, 2]


def test_what_is_over_before_it_could_be_told_is_not_told(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    incident = down(world)
    assert find() == 1
    resolve(incident)
    snapshots.forget()
    assert send(10 * MINUTE) == Sent(withdrawn=1)
    assert not Delivery.objects.filter(notice__isnull=False).exists()
    assert tell(11 * MINUTE) == Sent()
    assert push_service.received == []


def test_what_is_over_when_it_is_to_be_tried_again_is_told_as_over_under_another_id(
    world: World, push_service: PushService
) -> None:
    asked = confirmed(push_service)
    incident = down(world)
    push_service.answers["/hook"] = (500, {})
    assert tell() == Sent(failed=1)
    resolve(incident)
    push_service.answers.clear()
    assert tell(10 * MINUTE) == Sent(withdrawn=1)
    # Whoever answers 500 may have read it all the same: they are told that it is over.
    assert tell(11 * MINUTE) == Sent(delivered=1)
    assert tell(60 * MINUTE) == Sent()
    assert [read(each, asked)["type"] for each in push_service.received] == ["incident.opened", "incident.resolved"]
    assert len({each.headers["webhook-id"] for each in push_service.received}) == 2


def test_whoever_was_told_of_the_beginning_is_told_of_the_end_whatever_came_in_between(
    world: World, push_service: PushService
) -> None:
    asked = confirmed(push_service)
    incident = down(world)
    assert tell() == Sent(delivered=1)
    making.take_down(incident, world.regions["BR-SP"])
    assert find(5 * MINUTE) == 1
    resolve(incident)
    snapshots.forget()
    # More regions, of an outage that is over: nobody tried to tell it, so its number is free.
    assert send(6 * MINUTE) == Sent(withdrawn=1)
    push_service.answers["/hook"] = (503, {})
    assert tell(7 * MINUTE) == Sent(failed=1)
    # It goes on after all, and is over again as before.
    Incident.objects.filter(pk=incident.pk).update(resolved_at=None)
    incident.regions.update(
        restored_at=None, restored_low=None, restored_high=None, declared_at=None, basis="", recovering_at=None
    )
    push_service.answers.clear()
    assert tell(9 * MINUTE) == Sent(withdrawn=1)
    resolve(incident)
    assert tell(20 * MINUTE) == Sent(delivered=1)
    said = [(read(each, asked)["type"], each.headers["webhook-id"]) for each in push_service.received]
    assert [kind for kind, _id in said] == ["incident.opened", "incident.resolved", "incident.resolved"]
    assert len({id for _kind, id in said}) == 3


def test_a_rejected_outage_is_not_told_as_one(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    incident = down(world)
    assert find() == 1
    Incident.objects.filter(pk=incident.pk).update(rejected_at=at("19:50"))
    snapshots.forget()
    assert send(MINUTE) == Sent(withdrawn=1)


def test_what_is_sent_again_from_the_desk_is_sent_only_where_it_is_still_so_and_nothing_newer_was_told(
    world: World, push_service: PushService
) -> None:
    confirmed(push_service)
    incident = down(world)
    find()
    opened = Delivery.objects.filter(notice__isnull=False)
    opened.update(dead_at=REAL, attempts=8, fault="answered 503")
    making.take_down(incident, world.regions["BR-SP"])
    assert tell(5 * MINUTE) == Sent(delivered=1)
    first = Delivery.objects.get(event=f"{incident.ref}/1")
    assert alerts.send_again([first.pk], now=REAL) == 1
    assert send(6 * MINUTE) == Sent(withdrawn=1)
    first.refresh_from_db()
    assert (first.fault, first.dead_at) == (alerts.WITHDRAWN, REAL + 6 * MINUTE)
    resolve(incident)
    assert tell(20 * MINUTE) == Sent(delivered=1)
    assert alerts.send_again([first.pk], now=REAL) == 1
    assert send(21 * MINUTE) == Sent(withdrawn=1)
    assert [json.loads(each.body)["type"] for each in push_service.received] == [
        "incident.updated",
        "incident.resolved",
    ]


def test_two_workers_that_look_at_once_make_one_message(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    incident = down(world)
    found: dict[str, Any] = {"now": REAL, "site": NOW, "incident_json": incident_json}
    assert alerts.find(**found) == 1
    # The other one looked before the first wrote: its message bears the same name.
    first = Delivery.objects.get(event=f"{incident.ref}/1")
    twin = Delivery(subscription=first.subscription, event=first.event, created_at=REAL, next_attempt_at=REAL)
    Delivery.objects.bulk_create([twin], ignore_conflicts=True)
    assert Delivery.objects.filter(event=first.event).count() == 1
    assert alerts.find(**found) == 0
    assert len(deliveries.claim(now=REAL)) == 1
    assert deliveries.claim(now=REAL + MINUTE) == []
    # Who claimed it died: it comes up again, under the same id.
    assert tell(deliveries.LEASE) == Sent(delivered=1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(world: World, push_service: PushService, status: int) -> None:
    confirmed(push_service)
    down(world)
    push_service.answers["/hook"] = (status, {"Location": push_service.origin + "/elsewhere"})
    assert tell() == Sent(failed=1)
    assert [each.path for each in push_service.received] == ["/hook"]


def test_a_name_that_means_another_machine_later_is_not_sent_to(
    world: World, push_service: PushService, settings: Settings
) -> None:
    confirmed(push_service)
    down(world)
    # The name was a public one when it was taken and confirmed, and means this machine now.
    settings.ALLOW_PRIVATE_TARGETS = False
    assert tell() == Sent(given_up=1)
    assert not push_service.received
    assert "private network" in Delivery.objects.get(notice__isnull=False).fault


def test_a_receiver_that_is_gone_for_good_is_forgotten_but_not_one_that_is_lost_for_now(
    world: World, push_service: PushService
) -> None:
    confirmed(push_service)
    down(world)
    push_service.answers["/hook"] = (404, {})
    assert tell() == Sent(failed=1)
    push_service.answers["/hook"] = (410, {})
    assert tell(2 * MINUTE) == Sent(given_up=1)
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("channel", ["slack", "teams"])
def test_a_channel_is_asked_by_a_link_and_told_in_words(
    world: World, push_service: PushService, channel: str, client: Client, uncollected: None
) -> None:
    asked = ask(push_service, channel=channel)
    assert asked.secret is None
    down(world, "GB-ENG")
    assert tell() == Sent(delivered=1)
    link = links(push_service.received[0])[0]
    path = link.removeprefix("http://localhost:8000")
    # Looking at the link is not saying yes: programs look at links.
    assert client.get(path).status_code == 200
    assert tell(MINUTE) == Sent()
    assert "You will be told." in client.post(path, {"do": "confirm"}).content.decode()
    assert tell(2 * MINUTE) == Sent(delivered=1)
    received = push_service.received[1]
    assert "webhook-signature" not in received.headers
    body = json.loads(received.body)
    text = json.dumps(body)
    for part in ("WhatsApp is down", "412 reports in 12 minutes", "England", "Facebook and Instagram", "kind=working"):
        assert part in text
    if channel == "slack":
        assert body["text"] == "WhatsApp is down"
        assert {block["type"] for block in body["blocks"]} == {"section", "context"}
    else:
        (attachment,) = body["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert attachment["content"]["type"] == "AdaptiveCard"
        assert all(action["url"].startswith("http://localhost:8000/") for action in attachment["content"]["actions"])
    assert "No more messages." in client.post(path, {"do": "stop"}).content.decode()
    assert not Subscription.objects.exists()


def links(received: Received) -> list[str]:
    return re.findall(r"http://localhost:8000/[^\"|>\\]+", received.body.decode())


def test_people_are_told_of_one_outage_every_ten_minutes_at_most(world: World, push_service: PushService) -> None:
    confirmed(push_service, channel="slack")
    incident = down(world)
    assert tell() == Sent(delivered=1)
    making.take_down(incident, world.regions["BR-SP"])
    assert tell(9 * MINUTE) == Sent()
    assert tell(10 * MINUTE) == Sent(delivered=1)


def test_a_message_in_german_leads_to_german_pages(world: World, push_service: PushService) -> None:
    confirmed(push_service, channel="slack", language="de")
    down(world)
    tell()
    assert all(link.startswith("http://localhost:8000/de/") for link in links(push_service.received[0]))
    assert (
        "Großbritannien" in push_service.received[0].body.decode()
        or "England" in push_service.received[0].body.decode()
    )


def test_names_are_no_markup(world: World) -> None:
    words = notices.Words("<!channel> & co", ("[x](https://evil.example)",), (), notices.Link("a", "https://a.example"))
    assert "&lt;!channel&gt; &amp; co" in json.dumps(webhooks.slack(words))
    assert "\\[x\\](https" in webhooks.teams(words)["attachments"][0]["content"]["body"][1]["text"]


def test_a_link_of_somebody_elses_making_opens_nothing(world: World, push_service: PushService) -> None:
    asked = ask(push_service)
    token = alerts.token_of(asked.id)
    assert alerts.held(token) is not None
    for wrong in (asked.id.hex, token[:-1], token.replace(":", "::"), "", "é"):
        assert alerts.held(wrong) is None


def test_a_webhook_is_not_confirmed_by_its_link(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    asked = ask(push_service)
    page = client.post(f"/alerts/{alerts.token_of(asked.id)}/", {"do": "confirm"})
    assert "as soon as your receiver has answered" in page.content.decode()
    assert Subscription.objects.get().confirmed_at is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"channel": "pigeon"}, "kind"),
        ({"channel": "push"}, "kind"),
        ({"severity": "some"}, "kind"),
        ({"services": ["nobody"]}, "place"),
        ({"services": ["whatsapp", "nobody"]}, "place"),
        ({"services": []}, "place"),
        ({"region": "XX"}, "place"),
        ({"target": "http://example.org/hook"}, "target"),
        ({"target": "https://user:password@example.org/hook"}, "target"),
        ({"target": "https://127.0.0.1/hook"}, "target"),
        ({"target": "https://[::1]/hook"}, "target"),
        ({"target": "https://169.254.169.254/latest/meta-data"}, "target"),
        ({"target": "https://localhost/hook"}, "target"),
        ({"target": "ftp://example.org/"}, "target"),
        ({"target": ""}, "target"),
    ],
)
def test_what_cannot_be_told_is_refused(world: World, change: dict[str, Any], why: str) -> None:
    good: dict[str, Any] = {
        "channel": "webhook",
        "target": "https://example.org/hook",
        "services": ["whatsapp"],
        "region": "GB",
        "severity": "minor",
        "language": "en",
    }
    with pytest.raises(alerts.Refused) as refused:
        alerts.subscribe(**(good | change), now=REAL)
    assert refused.value.why == why
    assert not Subscription.objects.exists()


def test_nobodys_address_is_filled_with_questions(world: World, push_service: PushService) -> None:
    for region in ("GB", "BR", "IN"):
        ask(push_service, channel="slack", region=region)
    with pytest.raises(alerts.Refused, match="full"):
        ask(push_service, channel="slack", region="US")


def test_the_same_wish_again_asks_nothing_again_and_tells_no_key(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    ask(push_service, channel="slack")
    again: dict[str, Any] = {"services": ["whatsapp"], "region": "001", "severity": "minor", "language": "en"}
    for channel in ("webhook", "slack"):
        assert alerts.subscribe(channel=channel, target=push_service.origin + "/hook", now=REAL, **again) is None
    assert Delivery.objects.count() == 2


def test_the_form_shows_the_key_once(
    world: World, push_service: PushService, client: Client, uncollected: None
) -> None:
    form = {"service": "whatsapp", "country": "GB", "region": "GB-ENG", "severity": "minor", "channel": "webhook"}
    form["target"] = push_service.origin + "/hook"
    shown = client.get("/alerts/", {"service": "whatsapp", "country": "GB"}).content.decode()
    assert 'value="GB-ENG"' in shown
    assert "Every outage" in shown
    made = client.post("/alerts/", form)
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    kept = Subscription.objects.get()
    assert (kept.service.slug, kept.region.code) == ("whatsapp", "GB-ENG")
    assert webhooks.secret_of(kept.pk) in made.content.decode()
    assert alerts.confirm(kept.group, now=REAL)
    again = client.post("/alerts/", form)
    assert again.status_code == 409
    assert "whsec_" not in again.content.decode()
    wrong = client.post("/alerts/", form | {"target": "http://example.org/"})
    assert wrong.status_code == 400
    assert "begins with https://" in wrong.content.decode()


def test_a_vote_link_asks_and_counts_nothing_by_itself(world: World, client: Client, uncollected: None) -> None:
    page = client.get("/services/whatsapp/ask/", {"region": "GB-ENG", "kind": "working"}).content.decode()
    assert "Is WhatsApp down for you in England?" in page
    assert 'action="/services/whatsapp/report/"' in page
    assert 'name="country" value="GB"' in page
    assert 'name="region" value="GB-ENG"' in page
    assert client.get("/services/whatsapp/ask/", {"region": "XX"}).status_code == 404
    assert client.get("/services/nobody/ask/").status_code == 404


def test_the_desk_lists_subscriptions_without_their_addresses_and_ends_them(
    world: World, push_service: PushService, admin_client: Client
) -> None:
    asked = ask(push_service, "/very-secret-path")
    page = admin_client.get("/admin/reports/subscription/").content.decode()
    assert "WhatsApp" in page
    detail = admin_client.get(f"/admin/reports/subscription/{asked.id}/change/").content.decode()
    assert "very-secret-path" not in page + detail
    chosen = {"action": "remove", "_selected_action": [str(asked.id)]}
    admin_client.post("/admin/reports/subscription/", chosen, follow=True)
    assert not Subscription.objects.exists()
    assert LogEntry.objects.count() == 1


def test_what_was_told_is_forgotten_a_month_after_the_end(world: World, push_service: PushService) -> None:
    confirmed(push_service)
    incident = down(world)
    tell()
    resolve(incident)
    month = timedelta(days=31)
    assert alerts.tidy(now=REAL + month, site=NOW) == 0
    alerts.tidy(now=REAL + month, site=NOW + month)
    assert not Notice.objects.exists()


def test_an_answer_is_read_only_at_its_beginning(push_service: PushService) -> None:
    push_service.bodies["/long"] = b"x" * 1_000_000
    answer = outgoing.post(push_service.origin + "/long", body=b"", headers={"Connection": "close"})
    assert len(answer.body) == outgoing.BODY_BYTES
