"""What is read out of a batch, whatever its bytes are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as slow
from hypothesis import strategies as st

from reports.intake import bulk, catalogue, inbox
from reports.intake.guard import Secrets
from reports.intake.keys import Key
from reports.intake.submission import Invalid
from tests.intake.making import Catalogue

NOW = datetime(2026, 4, 3, 18, 5, tzinfo=UTC)


def read(pieces: list[bytes]) -> list[Any]:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def all_of_them() -> list[Any]:
        return [line async for line in bulk._lines(chunks())]

    return asyncio.run(all_of_them())


@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=6))
def test_lines_are_the_same_however_the_body_is_cut(body: bytes, cuts: list[int]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "LINE_LIMIT", 9)
        # Few distinct bytes, so that there are lines of every length.
        body = bytes(b"\nabcdef\n"[byte % 8] for byte in body)
        pieces = [body[a:b] for a, b in pairwise([0, *sorted(cuts), len(body)])] if body else []
        expected: list[Any] = body.split(b"\n")
        if not expected[-1]:
            expected.pop()
        assert read(pieces) == [bulk._TOO_LONG if len(line) > 9 else line for line in expected]


def test_of_a_line_that_never_ends_little_is_kept():
    kept = 0
    generator: Any = None

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal kept
        for _ in range(500):
            yield b"x" * 65536
            kept = max(kept, len(generator.ag_frame.f_locals["begun"]))

    async def run() -> list[Any]:
        nonlocal generator
        generator = bulk._lines(chunks())
        return [line async for line in generator]

    assert asyncio.run(run()) == [bulk._TOO_LONG]
    assert kept <= bulk.LINE_LIMIT


def reader() -> bulk._Reader:
    made = bulk._Reader(Key(7, "abcdefgh", "", frozenset(), 1000, None))
    made.begin(NOW, catalogue.read(), Secrets(b"today", b"yesterday"))
    return made


def outcome(data: Any) -> tuple[inbox.Entry | None, dict[str, list[str]]]:
    try:
        return reader().entry(data), {}
    except Invalid as invalid:
        return None, invalid.errors


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = {
    "service": st.just("whatsapp") | anything,
    "region": st.just("GB-ENG") | anything,
    "kind": st.sampled_from(["down", "working", None]) | anything,
    "problem": st.just("messages") | anything,
    "id": st.uuids().map(str) | anything,
    "occurred_at": st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14))])).map(str) | anything,
    "reporter": st.text(max_size=120) | anything,
    "network": st.text(max_size=120) | anything,
}


@slow(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.fixed_dictionaries({}, optional=fields) | anything)
def test_whatever_an_item_is_it_is_a_report_or_an_error_that_json_can_carry(known: Catalogue, data: Any):
    entry, errors = outcome(data)
    if entry is None:
        assert errors
        assert json.loads(json.dumps(errors)) == errors
        return
    (record,) = inbox.unpack(inbox.pack([entry]))
    assert bytes(record["id"]) == entry.id.bytes
    assert NOW - timedelta(hours=24) <= inbox.received_at(entry.id) <= NOW


@slow(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=40)
    | st.from_regex(
        r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,9})?)?(Z|[+-][0-2]\d:?[0-6]\d)?", fullmatch=True
    )
    | st.datetimes(
        min_value=NOW.replace(tzinfo=None) - timedelta(days=2), max_value=NOW.replace(tzinfo=None) + timedelta(days=1)
    ).map(lambda at: at.isoformat() + "Z")
)
def test_an_instant_is_taken_for_what_it_says_or_refused(known: Catalogue, text: str):
    item = {"service": "whatsapp", "region": "GB-ENG", "id": str(uuid4()), "occurred_at": text}
    entry, errors = outcome(item)
    if entry is None:
        assert list(errors) == ["occurred_at"]
        return
    if not text.strip():
        assert inbox.received_at(entry.id) == NOW
        return
    said = datetime.fromisoformat(text.strip())
    assert abs(inbox.received_at(entry.id) - min(said, NOW)) < timedelta(milliseconds=1)
    assert NOW - timedelta(hours=24) <= said <= NOW + timedelta(minutes=2)
    # It came in now, whenever it happened.
    assert entry.arrival is not None
    assert inbox.received_at(entry.arrival) == NOW
