"""How much may be made for one reader: over all processes, by address and by key, whatever happens to the broker."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import RequestFactory
from rest_framework.exceptions import Throttled

from reports.api import throttles
from reports.api.throttles import EXPORT_COST, LEASE, Meter
from reports.intake import guard, keys, rates
from tests.browser_fixtures import free_port
from tests.conftest import start_process, stop_process, wait_until
from tests.status.making import NOW, World, staggered

LIMIT = 60
ELSEWHERE = "203.0.113.7"


@pytest.fixture
def limited(world: World, broker: str, settings: Any) -> World:
    """A site that believes the proxy on this machine, and makes little for anybody."""
    redis.from_url(broker).flushdb()
    settings.TRUSTED_PROXIES = _network("127.0.0.1")
    settings.API_READS_PER_MINUTE = LIMIT
    settings.API_KEY_READS_PER_MINUTE = 10 * LIMIT
    return world


def _network(address: str) -> tuple[Any, ...]:
    from ipaddress import ip_network

    return (ip_network(address),)


def meter(address: str = ELSEWHERE, **headers: str) -> Meter:
    return Meter(RequestFactory().get("/api/v1/services/", headers={"X-Forwarded-For": address, **headers}))


def spent_by(address: str = ELSEWHERE, **headers: str) -> int:
    """How much is made for a reader until it is refused."""
    for number in range(2000):
        try:
            meter(address, **headers).spend()
        except Throttled:
            return number
    return 2000


# --- who ---


def test_a_reader_has_so_much_made_and_no_more(limited: World):
    assert LIMIT <= spent_by() <= LIMIT + 5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        # What stands to the left of what our proxy appended came from the client.
        ("198.51.100.1, 203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7, 198.51.100.1", "203.0.113.7", False),
    ],
)
def test_a_reader_is_an_address_or_the_64_it_is_in(limited: World, one: str, other: str, same: bool):
    spent_by(one)
    assert (spent_by(other) < 10) == same


def test_where_the_proxy_is_not_believed_its_header_changes_nothing(limited: World, settings: Any):
    settings.TRUSTED_PROXIES = ()
    request = RequestFactory().get("/", REMOTE_ADDR="198.51.100.9", headers={"X-Forwarded-For": "203.0.113.1"})
    first = Meter(request)._who()
    request = RequestFactory().get("/", REMOTE_ADDR="198.51.100.9", headers={"X-Forwarded-For": "203.0.113.2"})
    assert Meter(request)._who() == first


def test_the_machine_itself_has_no_limit(limited: World):
    assert spent_by("127.0.0.1") == 2000
    assert spent_by("::1") == 2000


def test_a_key_has_ten_times_as_much_made_wherever_it_is_used(limited: World):
    _, token = keys.issue("reader", owner="tests", now=NOW)
    assert spent_by(ELSEWHERE) < 2 * LIMIT
    assert 10 * LIMIT <= spent_by(ELSEWHERE, Authorization=f"Api-Key {token}") <= 10 * LIMIT + 50
    assert spent_by("203.0.113.99", Authorization=f"Api-Key {token}") < 50


@pytest.mark.parametrize("authorization", ["Api-Key abcdefgh.nonsense", "Api-Key", "Bearer x", "Api-Key " + "x" * 4000])
def test_a_key_that_there_is_not_counts_for_nothing(limited: World, authorization: str):
    spent_by(ELSEWHERE)
    assert spent_by(ELSEWHERE, Authorization=authorization) < 10


def test_a_revoked_key_reads_as_anybody(limited: World):
    made, token = keys.issue("reader", owner="tests", now=NOW)
    spent_by(ELSEWHERE)
    keys.revoke(made.pk, now=NOW)
    keys.forget()
    assert spent_by(ELSEWHERE, Authorization=f"Api-Key {token}") < 10


def test_no_limit_can_be_set(limited: World, settings: Any):
    settings.API_READS_PER_MINUTE = 0
    assert spent_by() == 2000


def test_what_the_broker_holds_names_no_address_and_ends_by_itself(limited: World, broker: str):
    spent_by()
    client = redis.from_url(broker)
    names = [name for name in client.keys("*") if b":rate:" in name]
    assert names
    assert not any(b"203" in name and b"113" in name for name in names)
    assert all(0 < client.pttl(name) <= 120_000 for name in names)


# --- how much ---


def test_an_ordinary_reader_costs_the_broker_one_call_for_many_answers(
    limited: World, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    settings.API_READS_PER_MINUTE = 600
    asked: list[int] = []

    def take(name: str, number: int, *, rate_per_minute: int) -> rates.Grant:
        asked.append(number)
        return rates.Grant(number, 1)

    monkeypatch.setattr(rates, "take_now", take)
    for _ in range(LEASE):
        meter().spend()
    assert asked == [LEASE]


def test_what_was_no_work_after_all_is_given_back(limited: World):
    for _ in range(3 * LIMIT):
        one = meter()
        one.spend()
        one.give_back()
    assert spent_by() >= LIMIT - 2


@pytest.mark.parametrize("away", ["refused", "silent"])
def test_without_the_broker_each_process_limits_by_itself(limited: World, settings: Any, away: str):
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        port = deaf.getsockname()[1] if away == "silent" else 1
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
        began = time.monotonic()
        assert LIMIT <= spent_by() <= LIMIT + 5
        assert time.monotonic() - began < 5


# --- answers ---


def test_kept_answers_and_304s_count_nothing(limited: World, get: Any):
    tag = get("services/", headers={"X-Forwarded-For": ELSEWHERE}).headers["ETag"]
    for _ in range(3 * LIMIT):
        known = {"X-Forwarded-For": ELSEWHERE, "If-None-Match": tag}
        assert get("services/", headers=known).status_code == 304
    assert spent_by() >= LIMIT - 2


def test_who_is_over_the_limit_is_told_when_to_come_again_in_the_shape_of_the_others(limited: World, get: Any):
    spent_by()
    response = get("services/", search="whats", headers={"X-Forwarded-For": ELSEWHERE})
    assert response.status_code == 429
    assert response.json()["detail"].startswith("Request was throttled.")
    assert 1 <= int(response.headers["Retry-After"]) <= 5
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


def test_errors_count_as_well(limited: World, get: Any):
    statuses = [get("services/", state="odd", headers={"X-Forwarded-For": ELSEWHERE}).status_code for _ in range(80)]
    assert set(statuses) == {400, 429}
    assert LIMIT <= statuses.count(400) <= LIMIT + 15


def test_a_file_counts_as_ten_answers(limited: World, get: Any):
    staggered(limited)
    path = "incidents/OUT-2026-0001/export.csv"
    statuses = [get(path, headers={"X-Forwarded-For": ELSEWHERE}).status_code for _ in range(10)]
    assert statuses.count(200) in (LIMIT // EXPORT_COST, LIMIT // EXPORT_COST + 1)
    assert statuses[-1] == 429


def test_whoever_waits_for_an_answer_that_somebody_else_is_refused_gets_it(limited: World, get: Any):
    spent_by()
    refused = get("incidents/", headers={"X-Forwarded-For": ELSEWHERE})
    assert refused.status_code == 429
    assert get("incidents/", headers={"X-Forwarded-For": "203.0.113.200"}).status_code == 200


def test_sending_a_report_is_not_limited_by_what_was_read(limited: World, client: Any):
    spent_by()
    body = {"service": "whatsapp", "region": "GB"}
    response = client.post(
        "/api/v1/reports/", body, content_type="application/json", headers={"X-Forwarded-For": ELSEWHERE}
    )
    assert response.status_code == 202


def test_so_many_readers_at_once_take_no_more_memory(limited: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttles, "MOST_READERS", 50)
    for number in range(200):
        meter(f"198.51.{number // 100}.{number % 100}").spend()
    assert len(throttles._accounts) <= 50


# --- two processes ---


@pytest.fixture
def two_sites(
    transactional_db: None, broker: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, int]]:
    """The ports of two web servers of one site."""
    from tests.status import making

    redis.from_url(broker).flushdb()
    making.staggered(making.make_world())
    making.watch()
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.setenv("API_READS_PER_MINUTE", str(LIMIT))
    ports = (free_port(), free_port())
    with ExitStack() as stack:
        for port in ports:
            command = ["granian", "--interface", "asgi", "--port", str(port), "outagemap.asgi:application"]
            process = start_process(command, data_dir / f"web-{port}.log")
            stack.callback(stop_process, process)
        for port in ports:
            wait_until(lambda port=port: _healthy(port), "the site answers", seconds=60)  # type: ignore[misc]
        yield ports


def _healthy(port: int) -> bool:
    try:
        return ask(port, "/healthz").status == 200
    except OSError:
        return False


def ask(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"X-Forwarded-For": ELSEWHERE, **headers})
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def test_over_two_processes_at_once_never_more_is_made_than_the_limit(two_sites: tuple[int, int]):
    # The shared answer, before anybody asks too much.
    tags = {
        ask(port, "/api/v1/incidents/", **{"X-Forwarded-For": "198.51.100.1"}).headers["ETag"] for port in two_sites
    }
    numbers, began = count(1), time.monotonic()

    def reader(place: int) -> list[int]:
        found = []
        for _ in range(60):
            # Another question each time: each has to be made.
            path = f"/api/v1/incidents/?limit={next(numbers)}"
            found.append(ask(two_sites[place % 2], path).status)
        return found

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for found in pool.map(reader, range(8)) for status in found]
    took = time.monotonic() - began
    assert set(statuses) == {200, 429}
    # What the bucket held, and what flowed into it meanwhile; nothing of a process's own.
    assert statuses.count(200) <= LIMIT + took * LIMIT / 60 + 1
    assert statuses.count(200) >= LIMIT * 0.9

    # The two give the same strong validator, and others have a limit of their own.
    assert len(tags) == 1
    assert not tags.copy().pop().startswith("W/")
    for port in two_sites:
        assert ask(port, "/api/v1/incidents/?limit=999", **{"X-Forwarded-For": "203.0.113.8"}).status == 200
        ask(port, "/api/v1/incidents/", **{"X-Forwarded-For": "198.51.100.1"})
        kept = ask(port, "/api/v1/incidents/", **{"If-None-Match": tags.copy().pop()})
        # At hand, so that it goes out to those as well for whom nothing more is made.
        assert kept.status == 304
    refused = ask(two_sites[0], "/api/v1/incidents/?limit=998")
    if refused.status == 429:
        assert int(refused.headers["Retry-After"]) >= 1
        assert list(json.loads(refused.body)) == ["detail"]  # type: ignore[attr-defined]


def test_while_the_database_is_away_the_last_answer_goes_out_to_everybody(
    limited: World, get: Any, monkeypatch: pytest.MonkeyPatch
):
    from django.db import OperationalError
    from django.db.backends.base.base import BaseDatabaseWrapper

    from reports.status import snapshots

    before = get("services/", headers={"X-Forwarded-For": ELSEWHERE})
    spent_by("198.51.100.1")
    # A new day, of which this process knows no secret yet.
    monkeypatch.setattr(guard, "_kept", {})
    snapshots._looked_at = 0.0

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", away)
        after = get("services/", headers={"X-Forwarded-For": ELSEWHERE})
    assert (after.status_code, after.content) == (200, before.content)
    assert "Age" in after.headers
