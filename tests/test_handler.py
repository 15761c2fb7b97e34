"""The way of a request into Django: what needs no thread gets none, and what opens a connection closes it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import connections

from outagemap import handler
from outagemap.handler import BODY_LIMIT, Handler


@pytest.fixture
def ends() -> Iterator[list[tuple[int, bool]]]:
    """For each request that ended: in which thread, and whether a connection was open there after all had been told."""
    found: list[tuple[int, bool]] = []

    def note(**_more: Any) -> None:
        open_ones = [one for one in connections.all(initialized_only=True) if one.connection is not None]
        found.append((threading.get_ident(), bool(open_ones)))

    request_finished.connect(note)
    yield found
    request_finished.disconnect(note)


def ask(path: str, *, query: bytes = b"", leaves: bool = False) -> list[int]:
    """The statuses that were sent for a GET of ``path``; with ``leaves`` the client goes away at once."""
    sent: list[int] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        if not leaves:
            await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            sent.append(message["status"])

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"localhost")], "query_string": query}
    asyncio.run(Handler()(scope, receive, send))
    return sent


def test_a_view_that_asks_no_table_never_leaves_the_event_loop(ends: list[tuple[int, bool]]):
    assert ask("/healthz") == [200]
    assert [thread for thread, _ in ends] == [threading.get_ident()]


def test_the_thread_of_a_request_closes_its_connection(transactional_db: None, ends: list[tuple[int, bool]]):
    assert ask("/api/v1/services/") == [200]
    ((thread, is_open),) = ends
    assert thread != threading.get_ident()
    assert not is_open


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/services/"])
def test_a_client_that_leaves_is_the_end_of_a_request_too(
    transactional_db: None, ends: list[tuple[int, bool]], path: str
):
    ask(path, leaves=True)
    assert len(ends) == 1
    connections.close_all()


def test_a_request_that_cannot_be_read_is_answered(ends: list[tuple[int, bool]]):
    assert ask("/healthz", query=b"\xff") == [400]
    assert len(ends) == 1


def refused(path: str, pieces: list[bytes], *, length: int | None = None) -> tuple[int, bytes]:
    """The status and body of the answer to a POST of which these pieces come, and then nothing more."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": True}
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost")] + ([] if length is None else [(b"content-length", str(length).encode())])
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    asyncio.run(Handler()(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("pieces", [[], [b"service="]], ids=["only a head", "a part"])
def test_a_body_that_does_not_come_is_a_408(monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]):
    monkeypatch.setattr(handler, "BODY_SECONDS", 0.05)
    assert refused("/services/whatsapp/report/", pieces, length=100) == (408, b"The body took too long to arrive.")


def test_a_body_that_is_too_large_is_a_413_before_it_has_come():
    too_large = f"The body is larger than {BODY_LIMIT} bytes."
    assert refused("/healthz", [], length=BODY_LIMIT + 1) == (413, too_large.encode())
    assert refused("/healthz", [b"x" * 10_000] * 7) == (413, too_large.encode())
    status, said = refused("/api/v1/services/", [], length=10**9)
    assert (status, json.loads(said)) == (413, {"detail": too_large})
    # The forms of the desk may be larger, and are not without an end either.
    assert refused("/admin/login/", [b"x" * 100_000] * 30)[0] == 413


def test_a_form_of_the_desk_may_be_larger(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handler, "BODY_SECONDS", 0.05)
    # It is waited for.
    assert refused("/admin/login/", [b"x" * 100_000] * 10)[0] == 408
