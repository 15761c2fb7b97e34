"""Is it back for you, without a script; and the wish to be told, as the server takes it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from reports import clock
from reports.intake.submission import submit
from reports.models import InboxBlock, Subscription
from tests.audience.service import Browser

ASK = "/services/whatsapp/back/"
WISH = "/push/subscriptions/"


def receipt(*, kind: str = "down", ago: timedelta = timedelta(0), region: str = "GB-ENG") -> str:
    said = {"service": "whatsapp", "region": region, "kind": kind}
    return submit(said, address="192.0.2.7", received_at=clock.now() - ago).receipt


def accepted() -> int:
    return sum(InboxBlock.objects.values_list("reports", flat=True))


def test_the_receipt_of_a_down_report_links_to_the_question(outage: str, client: Client) -> None:
    page = client.get("/services/whatsapp/reported/", {"receipt": receipt()}).content.decode()
    assert f"{ASK}?receipt=" in page
    works = client.get("/services/whatsapp/reported/", {"receipt": receipt(kind="working")}).content.decode()
    assert ASK not in works


def test_the_answer_counts_once_for_each_kind_however_often_it_is_sent(outage: str, client: Client) -> None:
    token = receipt()
    page = client.get(ASK, {"receipt": token})
    assert "Is WhatsApp back for you?" in page.content.decode()
    assert "down in England" in page.content.decode()
    before = accepted()
    first = client.post(ASK, {"receipt": token, "kind": "working"})
    again = client.post(ASK, {"receipt": token, "kind": "working"}, REMOTE_ADDR="198.51.100.1")
    assert (first.status_code, again.status_code) == (303, 303)
    assert first["Location"] == again["Location"]
    assert "works for you" in client.get(first["Location"]).content.decode()
    assert accepted() == before + 1
    assert client.post(ASK, {"receipt": token, "kind": "down"}).status_code == 303
    assert accepted() == before + 2


@pytest.mark.parametrize("change", ["", "x", "truncated", "another service", "works"])
def test_what_is_no_receipt_asks_nothing(outage: str, client: Client, change: str) -> None:
    token, address = receipt(), ASK
    if change == "another service":
        address = "/services/facebook/back/"
    elif change == "works":
        token = receipt(kind="working")
    elif change == "truncated":
        token = token[:-1]
    else:
        token = change
    before = accepted()
    assert client.get(address, {"receipt": token}).status_code == 404
    assert client.post(address, {"receipt": token, "kind": "working"}).status_code == 404
    assert accepted() == before


def test_a_receipt_ends_after_a_day(outage: str, client: Client) -> None:
    token = receipt(ago=timedelta(hours=24, minutes=1))
    before = accepted()
    for answer in (client.get(ASK, {"receipt": token}), client.post(ASK, {"receipt": token, "kind": "working"})):
        assert answer.status_code == 410
        assert "This link has ended." in answer.content.decode()
    assert accepted() == before


def test_an_answer_that_is_none_is_asked_for_again(outage: str, client: Client) -> None:
    answer = client.post(ASK, {"receipt": receipt(), "kind": "maybe"})
    assert answer.status_code == 400
    assert "Choose one of the two" in answer.content.decode()


def test_the_page_asks_how_it_stands(outage: str, client: Client) -> None:
    found = client.get("/services/whatsapp/back.json", {"region": "US-CA"}).json()
    assert found["state"] in ("restored", "recovering", "down")
    assert client.get("/services/facebook/back.json", {"region": "001"}).json()["state"] == "normal"
    assert client.get("/services/whatsapp/back.json", {"region": "XX"}).status_code == 404
    assert client.get("/services/nothing/back.json", {"region": "GB"}).status_code == 404


def wish(client: Client, body: Any = None, **headers: str) -> Any:
    sent = {"subscription": Browser().subscription("https://push.example.org/x"), "service": "whatsapp"}
    content = json.dumps({**sent, "region": "GB-ENG"} if body is None else body)
    return client.post(
        WISH, content, content_type="application/json", headers={"Origin": "http://testserver", **headers}
    )


def test_a_wish_is_kept_for_two_days(outage: str, client: Client) -> None:
    answer = wish(client)
    assert answer.status_code == 201
    kept = Subscription.objects.get()
    assert (kept.target, kept.region.code) == ("https://push.example.org/x", "GB-ENG")
    assert kept.expires_at == kept.confirmed_at + timedelta(hours=48)


def test_only_our_own_pages_may_ask(outage: str, client: Client) -> None:
    assert wish(client, Origin="https://elsewhere.example").status_code == 403
    assert wish(client, Origin="null").status_code == 403
    assert (
        client.post(WISH, "{}", content_type="text/plain", headers={"Origin": "http://testserver"}).status_code == 415
    )
    assert client.get(WISH).status_code == 405
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"service": "nothing"},
        {"service": 5},
        {"region": "XX"},
        {"region": None},
        {"subscription": "x"},
        {"subscription": {"endpoint": "https://192.168.0.1/x", "keys": {}}},
        {"subscription": {"endpoint": "http://push.example.org/x", "keys": {}}},
    ],
)
def test_a_malformed_wish_is_refused_with_a_reason(outage: str, client: Client, change: dict[str, Any]) -> None:
    good = {
        "subscription": Browser().subscription("https://push.example.org/x"),
        "service": "whatsapp",
        "region": "GB-ENG",
    }
    answer = wish(client, good | change)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("body", ["[", "[]", "5", "x" * 5000])
def test_what_is_no_json_object_is_refused(outage: str, client: Client, body: str) -> None:
    headers = {"Origin": "http://testserver"}
    answer = client.post(WISH, body, content_type="application/json", headers=headers)
    assert answer.status_code == (413 if len(body) > 4096 else 400)


def test_the_service_worker_and_the_key_are_there(outage: str, client: Client) -> None:
    worker = client.get("/sw.js")
    assert worker["Content-Type"].startswith("text/javascript")
    assert b"caches" not in worker.content
    assert b'"fetch"' not in worker.content
    assert len(client.get("/push/key.json").json()["key"]) == 87
