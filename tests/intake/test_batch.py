"""``POST /api/v1/reports/batch/``: what is answered to whom, and that what was accepted is on disk, once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from reports import partitions
from reports.intake import batch, bulk, coalescer, inbox, keys, rates
from reports.intake.drain import drain
from reports.models import AcceptedId, ApiKey, InboxBlock, Report, ReportCount
from tests.conftest import start_process, stop_process, wait_until
from tests.intake.making import Catalogue
from tests.intake.test_endpoint import Answer

JSON, LINES = "application/json", "application/x-ndjson"
GOOD = {"service": "whatsapp", "region": "GB-ENG"}
NOW = datetime.now(UTC)


def item(**more: Any) -> dict[str, Any]:
    return {**GOOD, "id": str(uuid4()), **more}


def lines(items: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in items)


@pytest.fixture
def token(committed: Catalogue, broker: str) -> str:
    _, token = keys.issue("tests", owner="tests", now=NOW)
    return token


async def ask(
    pieces: bytes | list[bytes],
    *,
    token: str | None,
    content_type: str = LINES,
    method: str = "POST",
    stays: bool = True,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> Answer | None:
    """Calls the application as a server would; whoever does not stay leaves after the last piece, in the middle."""
    pieces = [pieces] if isinstance(pieces, bytes) else pieces
    incoming: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": not stays or i < len(pieces) - 1}
        for i, piece in enumerate(pieces)
    ]
    if not stays:
        incoming.append({"type": "http.disconnect"})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else await asyncio.sleep(3600, {})

    async def send(message: Any) -> None:
        sent.append(message)

    told = [(b"content-type", content_type.encode()), *headers]
    if token is not None:
        told.append((b"authorization", f"Api-Key {token}".encode()))
    await batch.batch_app({"type": "http", "method": method, "headers": told, "client": None}, receive, send)
    return Answer(sent) if sent else None


def asked(*calls: Any) -> list[Any]:
    """The answers to calls that come at once."""

    async def all_of_them() -> list[Any]:
        try:
            return list(await asyncio.gather(*calls))
        finally:
            await bulk.close()

    return asyncio.run(all_of_them())


def answer(body: Any, *, token: str | None, **how: Any) -> Any:
    if not isinstance(body, bytes | list) or (isinstance(body, list) and body and not isinstance(body[0], bytes)):
        body = json.dumps(body).encode() if how.get("content_type") == JSON else lines(body)
    return asked(ask(body, token=token, **how))[0]


def waiting() -> int:
    return sum(InboxBlock.objects.values_list("reports", flat=True))


# --- What is accepted ---


@pytest.mark.parametrize("content_type", [JSON, LINES, "application/ndjson; charset=utf-8"])
def test_each_item_is_on_disk_when_the_answer_comes(token: str, content_type: str):
    items = [item(problem="messages"), item(kind="working"), item(service="Whats App")]
    body = json.dumps(items).encode() if content_type == JSON else lines(items)
    found = answer(body, token=token, content_type=content_type)
    assert (found.status, found.json) == (202, {"accepted": 3, "duplicates": 0, "rejected": []})
    assert waiting() == 3
    drain(now=datetime.now(UTC))
    assert Report.objects.count() == 3
    assert {str(id) for id in AcceptedId.objects.values_list("client_id", flat=True)} == {one["id"] for one in items}


def test_lines_may_be_cut_anywhere_and_blank_ones_are_no_items(token: str):
    body = b"\n" + lines([item(), item()]) + b"  \r\n" + lines([item()]).rstrip()
    found = answer([body[i : i + 7] for i in range(0, len(body), 7)], token=token)
    assert found.json == {"accepted": 3, "duplicates": 0, "rejected": []}


def test_the_same_ids_again_are_duplicates_and_count_once(token: str):
    items = [item() for _ in range(4)]
    assert answer([*items, items[0]], token=token).json == {"accepted": 4, "duplicates": 1, "rejected": []}
    assert answer([*items, item()], token=token).json == {"accepted": 1, "duplicates": 4, "rejected": []}
    # In one call or in several at once.
    more = [item() for _ in range(3)]
    told = [one.json for one in asked(*(ask(lines(more), token=token) for _ in range(3)))]
    assert sum(one["accepted"] for one in told) == 3
    assert sum(one["duplicates"] for one in told) == 6
    drain(now=datetime.now(UTC))
    assert Report.objects.filter(counted=True).count() == Report.objects.count() == 8


def test_what_is_wrong_is_said_by_index_and_the_rest_goes_on(token: str):
    body = b"\n".join(
        [
            json.dumps(item()).encode(),
            b"{broken",
            json.dumps(GOOD).encode(),
            json.dumps(item(region="GB-ENGG", occurred_at="yesterday")).encode(),
            b"[]",
            b'"' + b"x" * bulk.LINE_LIMIT + b'"',
            b"\xff\xfe",
            b"[" * 4000,
            json.dumps(item()).encode(),
        ]
    )
    for pieces in (body, [body[i : i + 1000] for i in range(0, len(body), 1000)]):
        found = answer(pieces, token=token)
        assert found.status == 202
        rejected = {one["index"]: one["errors"] for one in found.json["rejected"]}
        assert list(rejected) == [1, 2, 3, 4, 5, 6, 7]
        assert rejected[1]["non_field_errors"][0].startswith("JSON parse error - ")
        assert rejected[2] == {"id": ["This field is required."]}
        assert rejected[3]["region"] == ['Unknown region "GB-ENGG". Did you mean GB-ENG (England)?']
        assert rejected[3]["occurred_at"][0].startswith("Expected an instant in ISO 8601")
        assert rejected[4] == {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}
        assert rejected[5] == {"non_field_errors": ["The line is longer than 4096 bytes."]}
        assert rejected[7] == {"non_field_errors": ["JSON parse error - too deeply nested"]}
    assert waiting() == 2


def test_a_name_nobody_knows_is_compared_with_others_so_often_only(token: str):
    found = answer([item(service=f"whatsap{i}") for i in range(bulk.HINTS + 2)], token=token).json["rejected"]
    said = [one["errors"]["service"][0] for one in found]
    assert said[bulk.HINTS - 1].endswith("Did you mean whatsapp (WhatsApp)?")
    assert said[bulk.HINTS].endswith("All services: /api/v1/services/")


# --- When it happened ---


def test_a_report_counts_in_the_minute_in_which_it_happened(token: str):
    now = datetime.now(UTC)
    at = now - timedelta(hours=5)
    found = answer([item(occurred_at=at.isoformat()), item()], token=token)
    assert found.json["accepted"] == 2
    # The block tells when it came in: nobody shall take it for one that has waited for five hours.
    assert InboxBlock.objects.get().written_at >= now - timedelta(seconds=1)
    drain(now=now)
    assert ReportCount.objects.get(minute=at.replace(second=0, microsecond=0)).reports == 1
    old, new = Report.objects.order_by("id")
    assert abs(old.received_at - at) < timedelta(seconds=1)
    assert new.received_at - at > timedelta(hours=4)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (lambda now: (now - timedelta(hours=24, minutes=1)).isoformat(), "This instant is more than 24 hours ago."),
        (lambda now: (now + timedelta(minutes=3)).isoformat(), "This instant lies in the future."),
        (lambda now: now.replace(tzinfo=None).isoformat(), "Expected an instant in ISO 8601 with its offset"),
        (lambda now: f"{now:%Y-%m-%d}", "Expected an instant in ISO 8601 with its offset"),
        (lambda now: "0001-01-01T00:00:00+14:00", "Expected an instant in ISO 8601 with its offset"),
        (lambda now: "9999-12-31T23:59:59-14:00", "Expected an instant in ISO 8601 with its offset"),
        (lambda now: 1_775_239_452, "Not a valid string."),
    ],
)
def test_an_instant_is_within_a_day_and_exact(token: str, at: Any, message: str):
    (rejected,) = answer([item(occurred_at=at(datetime.now(UTC)))], token=token).json["rejected"]
    assert rejected["errors"]["occurred_at"][0].startswith(message)


def test_a_clock_that_is_a_little_fast_reports_the_present(token: str):
    before = datetime.now(UTC)
    assert answer([item(occurred_at=(before + timedelta(minutes=1)).isoformat())], token=token).json["accepted"] == 1
    drain(now=before)
    assert abs(Report.objects.get().received_at - before) < timedelta(seconds=30)


def test_a_missing_day_is_made_for_a_late_report(token: str):
    now = datetime.now(UTC)
    partitions.drop_before(now.date() + timedelta(days=1))
    yesterday = now - timedelta(hours=23)
    assert answer([item(occurred_at=yesterday.isoformat())], token=token).json["accepted"] == 1
    drain(now=now)
    assert Report.objects.count() == 1
    assert partitions.name_of(yesterday.date()) in partitions._existing()


# --- Who reported ---


def test_without_more_an_item_is_a_person_and_the_key_their_network(token: str):
    answer([item() for _ in range(4)], token=token)
    drain(now=datetime.now(UTC))
    assert Report.objects.values("person").distinct().count() == 4
    assert Report.objects.filter(counted=True).count() == 4
    assert Report.objects.values("network").distinct().count() == 1
    assert sum(ReportCount.objects.values_list("networks", flat=True)) == 1


def test_a_reporter_counts_once_in_a_window_and_networks_are_told_apart(token: str):
    answer([item(reporter="ann"), item(reporter="bob", network="a"), item(reporter="bob", network="b")], token=token)
    answer([item(reporter="ann", network="c")], token=token)
    drain(now=datetime.now(UTC))
    assert Report.objects.count() == 4
    assert Report.objects.filter(counted=True).count() == 2
    assert Report.objects.values("network").distinct().count() == 4


def test_what_happened_long_ago_counts_once_for_a_reporter_and_hour_however_it_is_sent(token: str):
    now = datetime.now(UTC)
    hour = (now - timedelta(hours=6)).replace(minute=0)
    old = [item(reporter="ann", occurred_at=(hour + timedelta(minutes=i)).isoformat()) for i in (1, 7, 59, 61)]
    assert answer(old[:1], token=token).json == {"accepted": 1, "duplicates": 0, "rejected": []}
    drain(now=now)
    assert answer(old, token=token).json == {"accepted": 1, "duplicates": 3, "rejected": []}
    # And says nothing about the same person now.
    assert answer([item(reporter="ann"), item(reporter="ann")], token=token).json["accepted"] == 2
    drain(now=now)
    assert Report.objects.filter(counted=True).count() == 3


def test_partners_who_name_people_alike_mean_different_ones(token: str):
    _, other = keys.issue("other", owner="tests", now=NOW)
    for one in (token, other):
        answer([item(reporter="ann", network="a")], token=one)
    drain(now=datetime.now(UTC))
    assert Report.objects.filter(counted=True).count() == 2
    assert Report.objects.values("network").distinct().count() == 2


def test_neither_reporter_nor_network_are_stored(token: str):
    late = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    answer(
        [item(reporter="ann.example", network="as-secret"), item(reporter="ann.example", occurred_at=late)], token=token
    )
    for model in (InboxBlock, AcceptedId, Report):
        for row in model.objects.values():
            stored = b" ".join(v if isinstance(v, bytes) else str(v).encode() for v in row.values())
            assert b"ann.example" not in stored
            assert b"as-secret" not in stored
        drain(now=datetime.now(UTC))


# --- Limits of a call ---


def test_ten_thousand_items_are_taken_and_those_after_them_are_not(token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "ITEMS_LIMIT", 25)
    monkeypatch.setattr(bulk, "BLOCK_ITEMS", 10)
    items = [item() for _ in range(27)]
    found = answer(items, token=token)
    assert found.status == 413
    assert found.json["detail"].startswith("A call takes 25 items.")
    assert found.json["accepted"] == 25
    assert waiting() == 25
    # Of an array nothing is taken: it is known before.
    found = answer([item() for _ in range(27)], token=token, content_type=JSON)
    assert (found.status, found.json["accepted"]) == (413, 0)
    assert found.json["detail"] == "A call takes 25 items; these are 27."
    assert waiting() == 25
    assert answer(items[:25], token=token).json == {"accepted": 0, "duplicates": 25, "rejected": []}


@pytest.mark.parametrize("declared", [True, False])
def test_an_array_is_held_to_a_size(token: str, declared: bool):
    length = [(b"content-length", b"9999999999")] if declared else []
    pieces = [b"[]"] if declared else [b" " * (1 << 20)] * 5
    found = answer(pieces, token=token, content_type=JSON, headers=length)
    assert found.status == 413
    assert found.json["detail"].startswith("The array is larger than")


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"", {"detail": "JSON parse error - Expecting value: line 1 column 1 (char 0)"}),
        (b'[{"id": 1}, ', {"detail": "JSON parse error - Expecting value: line 1 column 13 (char 12)"}),
        (b"[" * 100_000, {"detail": "JSON parse error - too deeply nested"}),
        (b"{}", {"non_field_errors": ['Expected a list of items but got type "dict".']}),
    ],
)
def test_what_is_no_array_is_a_400(token: str, body: bytes, errors: Any):
    found = answer(body, token=token, content_type=JSON)
    assert (found.status, found.json) == (400, errors)


def test_other_media_types_are_a_415(token: str):
    assert answer(b"", token=token, content_type="text/csv").status == 415
    packed = answer(b"", token=token, headers=[(b"content-encoding", b"gzip")])
    assert packed.json == {"detail": 'Unsupported content encoding "gzip" in request.'}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_a_405(method: str):
    found = answer(b"", token=None, method=method)
    assert (found.status, found.headers["allow"]) == (405, "POST, OPTIONS")


def test_a_body_may_not_be_read_by_scripts_of_other_sites(token: str):
    assert answer(b"", token=None, method="OPTIONS").status == 204
    assert "access-control-allow-origin" not in answer([item()], token=token).headers


def test_whoever_leaves_in_the_middle_keeps_what_came_whole(token: str):
    items = [item() for _ in range(5)]
    body = lines(items)
    assert answer([body[:400], body[400:-20]], token=token, stays=False) is None
    assert waiting() == 4
    assert answer(items, token=token).json == {"accepted": 1, "duplicates": 4, "rejected": []}


def test_a_slow_sender_is_told_what_was_accepted(token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batch, "CHUNK_SECONDS", 0.05)

    async def dribble() -> Answer:
        sent: list[dict[str, Any]] = []
        pieces = [{"type": "http.request", "body": lines([item()]) + b'{"id":', "more_body": True}]

        async def receive() -> dict[str, Any]:
            return pieces.pop() if pieces else await asyncio.sleep(3600, {})

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", LINES.encode()), (b"authorization", f"Api-Key {token}".encode())]
        await batch.batch_app({"type": "http", "method": "POST", "headers": headers}, receive, send)
        return Answer(sent)

    (found,) = asked(dribble())
    assert (found.status, found.json["accepted"]) == (408, 1)
    assert waiting() == 1


def test_calls_of_one_key_are_few_at_once(token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batch, "CALLS_OF_A_KEY", 2)
    found = asked(*(ask(lines([item()]), token=token) for _ in range(5)))
    assert sorted(one.status for one in found) == [202, 202, 429, 429, 429]
    assert {one.headers["retry-after"] for one in found if one.status == 429} == {"1"}
    assert batch._calls.total() == 0


def test_without_a_database_the_answer_is_come_again(token: str, monkeypatch: pytest.MonkeyPatch):
    assert answer([item()], token=token).status == 202

    async def refuse() -> Any:
        raise psycopg.OperationalError("connection refused")

    def away(*_: Any, **__: Any) -> None:
        raise inbox.Unavailable

    monkeypatch.setattr(coalescer, "_connect", refuse)
    monkeypatch.setattr(coalescer, "RETRY_SECONDS", 0.1)
    # The key, though not looked up anew, is still good.
    monkeypatch.setattr(keys, "REFRESH_SECONDS", 0)
    monkeypatch.setattr(keys, "_read", away)
    found = answer([item()], token=token)
    assert (found.status, found.headers["retry-after"], found.json["accepted"]) == (503, "5", 0)


def test_a_fault_of_ours_is_a_500_that_shows_nothing(
    token: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object, **__: object) -> None:
        raise LookupError("a secret")

    monkeypatch.setattr("reports.intake.guard.partner_pseudonyms", fail)
    found = answer([item(reporter="ann.example")], token=token)
    assert (found.status, found.json) == (500, {"detail": "A server error occurred."})
    assert token not in caplog.text
    assert "ann.example" not in caplog.text


# --- The real server ---


@pytest.fixture
def server(token: str, tmp_path: Path) -> Iterator[int]:
    """The port of the site's own server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws"]
    process = start_process([*command, "outagemap.asgi:application"], tmp_path / "granian.log")

    def answers() -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, "the server answers", seconds=30)
        yield port
    finally:
        stop_process(process)


def test_the_real_server_streams_and_keeps_what_came_before_a_break(token: str, server: int):
    head = f"POST /api/v1/reports/batch/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Api-Key {token}\r\n"
    head += f"Content-Type: {LINES}\r\nTransfer-Encoding: chunked\r\n\r\n"
    items = [item() for _ in range(2500)]

    def chunk(data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data)

    def connected() -> socket.socket:
        return socket.create_connection(("127.0.0.1", server), timeout=20)

    with connected() as broken:
        broken.sendall(head.encode() + chunk(lines(items[:1700])[:-10]))
        # A block is on disk before the body is complete.
        wait_until(lambda: waiting() >= 1000, "the first block is written", seconds=20)
    wait_until(lambda: waiting() == 1699, "the rest that came whole is written", seconds=20)
    with connected() as whole:
        whole.sendall(head.encode() + chunk(lines(items[:7])) + chunk(lines(items[7:])) + b"0\r\n\r\n")
        found = b""
        while b"}" not in found:
            found += whole.recv(65536)
    assert found.startswith(b"HTTP/1.1 202")
    body = json.loads(found.partition(b"\r\n\r\n")[2])
    assert body == {"accepted": 801, "duplicates": 1699, "rejected": []}
    ids = [bytes(one) for row in InboxBlock.objects.all() for one in inbox.unpack(bytes(row.block))["id"]]
    assert len(ids) == len(set(ids)) == 2500


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_example_for_partners_works_as_it_stands(token: str, server: int):
    text = (Path(__file__).parents[2] / "docs" / "partners.md").read_text(encoding="utf-8")
    script = re.findall(r"```sh\n(.+?)```\n\n    (.+?)\n", text, re.DOTALL)
    ((command, promised),) = script
    environment = os.environ | {"SITE": f"http://127.0.0.1:{server}", "KEY": token}
    ran = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == promised
    assert waiting() == 2


# --- Keys and rates ---


@pytest.mark.parametrize("authorization", ["", "Api-Key", "Bearer {token}", "Api-Key x", "Api-Key {token}x"])
def test_without_a_key_nothing_is_read(token: str, authorization: str):
    header = (b"authorization", authorization.format(token=token).encode())
    found = answer([item()], token=None, headers=[header])
    assert found.status == 401
    assert found.headers["www-authenticate"].startswith("Api-Key")
    assert list(found.json) == ["detail"]
    assert waiting() == 0


def test_a_key_is_known_by_its_whole_token(token: str):
    prefix, _, secret = token.partition(".")
    assert answer([item()], token=f"{prefix}.{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}").status == 401
    assert answer([item()], token=token).status == 202
    assert secret not in "".join(map(str, ApiKey.objects.values_list().get()))


def test_a_key_ends_when_it_is_revoked_or_expires(token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keys, "REFRESH_SECONDS", 0)
    assert answer([item()], token=token).status == 202
    key = ApiKey.objects.get()
    assert keys.revoke(key.pk, now=NOW)
    assert not keys.revoke(key.pk, now=NOW + timedelta(days=1))
    assert answer([item()], token=token).status == 401
    _, short = keys.issue("short", owner="tests", now=NOW, expires_at=datetime.now(UTC) + timedelta(seconds=0.4))
    monkeypatch.setattr(keys, "REFRESH_SECONDS", 60)
    keys.forget()
    assert answer([item()], token=short).status == 202
    wait_until(lambda: answer([item()], token=short).status == 401, "the key has expired")


def test_a_key_without_the_scope_is_a_403(committed: Catalogue, broker: str):
    _, token = keys.issue("reader", owner="tests", now=NOW, scopes=[])
    found = answer([item()], token=token)
    assert (found.status, found.json) == (403, {"detail": "This key may not send reports."})
    assert found.headers["www-authenticate"].startswith("Api-Key")


def test_a_key_is_not_looked_up_for_each_call(token: str, django_assert_num_queries: Any):
    assert answer([item()], token=token).status == 202
    ApiKey.objects.update(revoked_at=NOW)
    # For as long as its reading is fresh; a wrong one asks no table either.
    assert answer([item()], token=token).status == 202
    with django_assert_num_queries(0):
        assert answer([item()], token="abcdefgh." + "a" * 43).status == 401
    keys.forget()
    assert answer([item()], token=token).status == 401


def test_the_use_of_a_key_is_noted_seldom(token: str):
    answer([item()], token=token)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    answer([item()], token=token)
    assert ApiKey.objects.get().last_used_at == first


@pytest.mark.parametrize("broker_away", [False, True])
def test_a_key_sends_what_its_rate_allows_and_nothing_is_lost(
    committed: Catalogue, broker: str, broker_away: bool, settings: Any
):
    if broker_away:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
    _, token = keys.issue("slow", owner="tests", now=NOW, rate_per_minute=40)
    items = [item() for _ in range(60)]
    found = answer(items, token=token)
    assert found.status == 429
    assert 40 <= found.json["accepted"] <= 42
    assert 1 <= int(found.headers["retry-after"]) <= 60
    assert waiting() == found.json["accepted"]
    # What is sent again costs nothing, once there is something to begin with.
    rates.forget()
    again = answer(items[:30], token=token)
    assert again.status in (202, 429)
    assert again.json["accepted"] == 0


def test_web_servers_share_the_rate_of_a_key(broker: str):
    async def taken(times: int) -> int:
        total = 0
        for _ in range(times):
            # What a process of its own would find.
            rates.forget()
            total += (await rates.take("shared", 30, rate_per_minute=100)).given
        await rates.close()
        return total

    assert 100 <= asyncio.run(taken(6)) <= 102


def test_tokens_given_back_can_be_taken_again(broker: str):
    async def there_and_back() -> list[int]:
        given = [(await rates.take("back", asked, rate_per_minute=100)).given for asked in (100, -40, 60)]
        await rates.close()
        return given

    taken, back, again = asyncio.run(there_and_back())
    assert (taken, back) == (100, -40)
    assert 40 <= again <= 42
