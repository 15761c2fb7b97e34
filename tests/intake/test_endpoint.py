"""``POST /api/v1/reports/``: what is answered to whom, and that an answer means a report on disk."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as slow
from hypothesis import strategies as st

from reports.intake import catalogue, coalescer, endpoint
from reports.intake.drain import drain
from reports.intake.endpoint import BODY_LIMIT, report_app
from reports.models import InboxBlock, Report, Service
from tests.conftest import start_process, stop_process, wait_until
from tests.intake.making import Catalogue

JSON = "application/json"
GOOD = {"service": "whatsapp", "region": "GB-ENG"}


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        start, body = messages
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.text: str = body["body"].decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def ask(
    body: bytes | Iterable[bytes] = b"",
    *,
    method: str = "POST",
    content_type: str | None = JSON,
    headers: Iterable[tuple[bytes, bytes]] = (),
    client: tuple[str, int] | None = ("192.0.2.1", 4711),
) -> Answer:
    """Calls the application as a server would, in the running loop."""
    pieces = [body] if isinstance(body, bytes) else list(body)
    incoming = [
        {"type": "http.request", "body": piece, "more_body": i < len(pieces) - 1} for i, piece in enumerate(pieces)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else await asyncio.sleep(3600, {})

    async def send(message: Any) -> None:
        sent.append(message)

    all_headers = [*headers]
    if content_type is not None:
        all_headers.append((b"content-type", content_type.encode()))
    scope = {"type": "http", "method": method, "path": "/api/v1/reports/", "headers": all_headers, "client": client}
    await report_app(scope, receive, send)
    return Answer(sent)


def asked(*requests: Any) -> list[Answer]:
    """The answers to requests that come at once."""

    async def all_of_them() -> list[Answer]:
        try:
            return list(await asyncio.gather(*requests))
        finally:
            await coalescer.of_this_loop().close()

    return asyncio.run(all_of_them())


def answer(body: Any = b"", **how: Any) -> Answer:
    content = body if isinstance(body, bytes | list) else json.dumps(body).encode()
    return asked(ask(content, **how))[0]


def test_a_report_is_answered_after_it_is_on_disk(committed: Catalogue):
    before = datetime.now(UTC)
    found = answer({**GOOD, "problem": "messages"})
    assert found.status == 202
    assert list(found.json) == ["id", "service", "region", "kind", "problem", "received_at", "receipt"]
    assert found.json["service"] == "whatsapp"
    received_at = datetime.fromisoformat(found.json["received_at"])
    assert 0 <= (received_at - before).total_seconds() + 0.001 < 30
    assert found.headers["content-type"] == "application/json"
    assert found.headers["access-control-allow-origin"] == "*"
    assert found.headers["cache-control"] == "no-store"
    assert InboxBlock.objects.get().reports == 1
    drain(now=received_at)
    assert str(Report.objects.get().id) == found.json["id"]


def test_requests_that_come_at_once_share_a_block(committed: Catalogue):
    body = json.dumps(GOOD).encode()
    answers = asked(*(ask(body, client=(f"192.0.2.{i}", 1)) for i in range(30)))
    assert {one.status for one in answers} == {202}
    assert len({one.json["id"] for one in answers}) == 30
    # One for those that had to wait for the catalogue and the salt, and perhaps one more.
    assert InboxBlock.objects.count() <= 2
    assert sum(InboxBlock.objects.values_list("reports", flat=True)) == 30


def test_what_was_added_to_the_catalogue_since_it_was_read_can_be_reported_at_once(
    committed: Catalogue, monkeypatch: pytest.MonkeyPatch
):
    catalogue.read()
    new = Service.objects.create(
        slug="signal", name="Signal", provider=committed.whatsapp.provider, category=committed.whatsapp.category
    )
    monkeypatch.setattr(catalogue, "_checked_at", catalogue._checked_at - 60)
    found = answer({"service": new.slug, "region": "GB-ENG"})
    assert found.status == 202, found.text
    assert answer({"service": "nothing", "region": "GB-ENG"}).status == 400


def test_the_same_id_again_gets_the_same_answer(committed: Catalogue):
    body = json.dumps({**GOOD, "id": str(uuid4())}).encode()
    first, second = asked(ask(body), ask(body))
    assert first.status == second.status == 202
    assert first.json == second.json
    assert asked(ask(body))[0].json == first.json
    assert sum(InboxBlock.objects.values_list("reports", flat=True)) == 1


def test_a_form_may_be_sent_too(committed: Catalogue):
    body = urlencode({**GOOD, "kind": "working", "problem": ""}).encode()
    found = answer(body, content_type="application/x-www-form-urlencoded; charset=utf-8")
    assert found.status == 202
    assert (found.json["kind"], found.json["problem"]) == ("working", None)


def test_an_invalid_report_is_answered_with_the_fields(committed: Catalogue):
    found = answer({"service": "whatsap", "kind": "down"})
    assert found.status == 400
    assert found.json == {
        "service": ['Unknown service "whatsap". Did you mean whatsapp (WhatsApp)?'],
        "region": ["This field is required."],
    }


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "JSON parse error"),
        (b"{", "JSON parse error"),
        (b"\xff\xfe", "JSON parse error"),
        (b'{"service": "\xc3\x28"}', "JSON parse error"),
        (b"[" * 8000, "JSON parse error - too deeply nested"),
        (b'{"service": ' + b"9" * 5000 + b"}", "JSON parse error"),
    ],
)
def test_rubbish_is_a_400(body: bytes, detail: str):
    found = answer(body)
    assert found.status == 400
    assert found.json["detail"].startswith(detail)


@pytest.mark.parametrize("body", [b"[]", b'"whatsapp"', b"null", b"7", b"NaN", b"true"])
def test_a_body_is_one_object(body: bytes):
    found = answer(body)
    assert found.status == 400
    assert found.json["non_field_errors"][0].startswith("Invalid data. Expected a dictionary, but got ")


@pytest.mark.parametrize("body", [b"&".join([b"a=1"] * 60), "service=wätsapp".encode(), b"service=%ff"])
def test_a_broken_form_is_a_400(body: bytes):
    found = answer(body, content_type="application/x-www-form-urlencoded")
    assert found.status == 400
    assert found.json["detail"].startswith("Form parse error")


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml"])
def test_other_media_types_are_a_415(content_type: str):
    found = answer(GOOD, content_type=content_type)
    assert found.status == 415
    assert found.json == {"detail": f'Unsupported media type "{content_type.partition(";")[0]}" in request.'}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_other_methods_are_a_405(method: str):
    found = answer(method=method)
    assert found.status == 405
    assert found.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        assert found.json == {"detail": f'Method "{method}" not allowed.'}


def test_a_browser_may_ask_first():
    found = answer(method="OPTIONS")
    assert (found.status, found.text) == (204, "")
    assert found.headers["access-control-allow-origin"] == "*"
    assert found.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert found.headers["access-control-allow-headers"] == "content-type"


@pytest.mark.parametrize(
    ("body", "declared"),
    [
        (b"", str(BODY_LIMIT + 1)),
        (b"", "9" * 40),
        (b" " * (BODY_LIMIT + 1), None),
        ([b" " * 4000, b" " * 4000, b" " * 4000, b" "], None),
    ],
)
def test_a_huge_body_is_a_413(body: Any, declared: str | None):
    found = answer(body, headers=[(b"content-length", declared.encode())] if declared else [])
    assert found.status == 413
    assert found.json == {"detail": f"The body is larger than {BODY_LIMIT} bytes."}


def test_a_body_may_come_in_pieces(committed: Catalogue):
    text = json.dumps(GOOD).encode()
    assert answer([text[:5], text[5:9], b"", text[9:]]).status == 202


@pytest.mark.parametrize("begun", [False, True])
def test_a_body_that_does_not_come_is_a_408(monkeypatch: pytest.MonkeyPatch, begun: bool):
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)

    async def dribble() -> Answer:
        sent: list[dict[str, Any]] = []
        pieces = [{"type": "http.request", "body": b"{", "more_body": True}] if begun else []

        async def receive() -> dict[str, Any]:
            return pieces.pop() if pieces else await asyncio.sleep(3600, {})

        async def send(message: Any) -> None:
            sent.append(message)

        await report_app({"type": "http", "method": "POST", "headers": [], "client": None}, receive, send)
        return Answer(sent)

    assert asyncio.run(dribble()).status == 408


@pytest.mark.parametrize("begun", [False, True])
def test_who_leaves_before_the_end_gets_no_answer(begun: bool):
    messages = [{"type": "http.request", "body": b"{", "more_body": True}] if begun else []
    messages.append({"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    asyncio.run(report_app({"type": "http", "method": "POST", "headers": [], "client": None}, receive, send))


def test_without_a_database_the_answer_is_come_again(committed: Catalogue, monkeypatch: pytest.MonkeyPatch):
    assert answer(GOOD).status == 202

    async def refuse() -> Any:
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(coalescer, "_connect", refuse)
    monkeypatch.setattr(coalescer, "RETRY_SECONDS", 0.1)
    # The catalogue, though stale, serves.
    monkeypatch.setattr(catalogue, "_checked_at", catalogue._checked_at - 60)
    monkeypatch.setattr(catalogue, "_fingerprint", lambda: asyncio.run(refuse()))
    found = answer(GOOD)
    assert found.status == 503
    assert found.headers["retry-after"] == "5"
    assert found.json == {"detail": "Reports cannot be stored at the moment. Please send it again."}
    assert sum(InboxBlock.objects.values_list("reports", flat=True)) == 1


def test_a_fault_of_ours_is_a_500_that_shows_nothing(
    committed: Catalogue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object, **__: object) -> None:
        raise LookupError("a secret")

    monkeypatch.setattr("reports.intake.submission._entry", fail)
    found = answer(GOOD, client=("198.51.100.77", 1))
    assert (found.status, found.json) == (500, {"detail": "A server error occurred."})
    assert "198.51.100.77" not in caplog.text


@slow(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: json.dumps({**GOOD, "region": text}).encode()),
    content_type=st.sampled_from([JSON, "application/x-www-form-urlencoded", "text/plain", "", None]),
    forwarded=st.binary(max_size=40),
)
def test_no_body_breaks_it(committed: Catalogue, body: bytes, content_type: str | None, forwarded: bytes):
    found = answer(body, content_type=content_type, headers=[(b"x-forwarded-for", forwarded)])
    assert found.status in (202, 400, 415)
    assert found.json


def test_the_real_server_answers_as_the_application_does(committed: Catalogue, tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws"]
    server = start_process([*command, "outagemap.asgi:application"], tmp_path / "granian.log")

    def ask_server(method: str, body: Any = None, content_type: str = JSON) -> tuple[int, str]:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        asked.request(method, "/api/v1/reports/", body, {"Content-Type": content_type})
        found = asked.getresponse()
        text = found.read().decode()
        asked.close()
        return found.status, text

    def answers() -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, "the server answers", seconds=30)
        text = json.dumps(GOOD).encode()
        assert ask_server("POST", text)[0] == 202
        # Without a length, in chunks.
        assert ask_server("POST", iter([text[:9], text[9:]]))[0] == 202
        assert ask_server("POST", urlencode(GOOD), "application/x-www-form-urlencoded")[0] == 202
        assert ask_server("POST", b"{")[0] == 400
        assert ask_server("POST", text, "text/plain")[0] == 415
        assert ask_server("POST", b" " * (BODY_LIMIT + 1))[0] == 413
        assert ask_server("POST", b" " * 20_000)[0] == 413
        assert ask_server("PUT", text)[0] == 405
        assert ask_server("OPTIONS") == (204, "")
    finally:
        stop_process(server)
    assert sum(InboxBlock.objects.values_list("reports", flat=True)) == 3
