"""Many reports of a partner at once: read as they arrive, written block by block, each item answered for by its index.

An item is a report with an ``id`` of its own, and optionally ``occurred_at``, ``reporter`` and ``network``. What stands
behind a partner's items is known to the partner only. ``reporter`` and ``network`` are opaque texts that tell people
and networks apart; they become pseudonyms here and go no further. Without ``reporter`` an item is a person of its own,
without ``network`` the key is the network: a partner alone is one network.

The counting rule is that of every report, one a person, service and kind in a window. Where people were seen longer ago
than ``LATE_AFTER`` is forgotten, so what happened before that is counted by the clock hour: of one reporter, service
and kind the first is accepted, and those that follow it are its duplicates.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.conf import settings

from reports.intake import guard, inbox, keys, rates, submission
from reports.intake.catalogue import Known
from reports.intake.coalescer import Coalescer
from reports.intake.submission import Submission

ITEMS_LIMIT = 10_000
# A line is an item of eight short texts, some of which may be escaped.
LINE_LIMIT = 4096
# A JSON array cannot be read in part: it is held whole, and this bounds what a call may hold.
ARRAY_LIMIT = 4 << 20
# What a call writes at once, and the most that one which is cut off may have to send again without need.
BLOCK_ITEMS = 1000
# Between two looks at whoever else waits for this process.
SLICE_ITEMS = 100

OLDEST = timedelta(hours=24)
AHEAD = timedelta(minutes=2)
# As long as the guard remembers more than the counting window.
LATE_AFTER = timedelta(minutes=10)

# Names that nobody knows are compared with those that exist, which costs milliseconds each. A call gets so many.
HINTS = 20


@dataclass
class Tally:
    """What became of the items so far; ``rejected`` by index, in order."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As the answer says it."""
        return {"accepted": self.accepted, "duplicates": self.duplicates, "rejected": self.rejected}


class Stopped(Exception):
    """The call ends before its items do. What ``Tally`` says by then stands."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooMany(Stopped):
    """There are more than ``ITEMS_LIMIT`` items."""


class Exhausted(Stopped):
    """The key has sent what it may send for now; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("The key has sent as many reports as it may for now.")
        self.retry_after = retry_after


class NotAList(ValueError):
    """The body is no JSON array; ``errors`` in the shape of DRF."""

    def __init__(self, errors: dict[str, Any]) -> None:
        super().__init__(errors)
        self.errors = errors


# --- Bodies to items -------------------------------------------------------------------------------------------------


class _Broken(ValueError):
    """The item cannot be read."""


# A line that is no item, by what is wrong with it.
_TOO_LONG = _Broken(f"The line is longer than {LINE_LIMIT} bytes.")


async def take_lines(chunks: AsyncIterator[bytes], intake: Intake) -> None:
    """Takes in the lines of a body of JSON Lines (NDJSON) as they arrive. Blank lines are no items.

    Raises :class:`Stopped` and ``inbox.Unavailable``. When ``chunks`` raises, what had arrived whole has been taken in.
    """
    block: list[Any] = []
    try:
        async for line in _lines(chunks):
            if not isinstance(line, _Broken) and not line.strip():
                continue
            block.append(line)
            if len(block) == BLOCK_ITEMS:
                full, block = block, []
                await intake.take(full, _of_line)
    finally:
        if block:
            await intake.take(block, _of_line)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes | _Broken]:
    begun, skipping = b"", False
    async for chunk in chunks:
        *lines, begun = (begun + chunk).split(b"\n")
        for line in lines:
            yield _TOO_LONG if skipping or len(line) > LINE_LIMIT else line
            skipping = False
        if len(begun) > LINE_LIMIT:
            # The rest of it is not worth keeping.
            begun, skipping = b"", True
        elif skipping:
            begun = b""
    if begun or skipping:
        yield _TOO_LONG if skipping else begun


def _of_line(line: bytes | _Broken) -> object:
    if isinstance(line, _Broken):
        raise line
    return _parsed(line)


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text.decode("utf-8"))
    except RecursionError:
        raise _Broken("JSON parse error - too deeply nested") from None
    except ValueError as error:
        raise _Broken(f"JSON parse error - {error}") from None


async def take_array(body: bytes, intake: Intake) -> None:
    """Takes in the items of a JSON array. Raises as :func:`take_lines` does, and :class:`NotAList`.

    Nothing of an array that is broken or has too many items is taken in.
    """
    try:
        items = _parsed(body)
    except _Broken as fault:
        raise NotAList({"detail": str(fault)}) from None
    if not isinstance(items, list):
        kind = type(items).__name__
        raise NotAList({"non_field_errors": [f'Expected a list of items but got type "{kind}".']})
    if len(items) > ITEMS_LIMIT:
        raise TooMany(f"A call takes {ITEMS_LIMIT} items; these are {len(items)}.")
    for start in range(0, len(items), BLOCK_ITEMS):
        await intake.take(items[start : start + BLOCK_ITEMS], lambda item: item)


# --- Items to reports ------------------------------------------------------------------------------------------------


class Intake:
    """One call of one key: what it has sent, and what became of it (``tally``)."""

    def __init__(self, key: keys.Key) -> None:
        self.tally = Tally()
        self._key = key
        self._index = 0
        self._reader = _Reader(key)

    async def take(self, block: list[Any], read: Callable[[Any], object]) -> None:
        """Validates and writes the items of ``block``, after the commit of which it returns."""
        too_many = len(block) - (ITEMS_LIMIT - self._index)
        if too_many > 0:
            block = block[:-too_many]
        while block:
            grant = await self._tokens(len(block))
            if not grant.given:
                raise Exhausted(grant.retry_after)
            await self._write(block[: grant.given], read)
            block = block[grant.given :]
        if too_many > 0:
            raise TooMany(f"A call takes {ITEMS_LIMIT} items. Those after them were not read: send them in another.")

    async def _tokens(self, asked: int) -> rates.Grant:
        return await rates.take(f"key:{self._key.id}", asked, rate_per_minute=self._key.rate_per_minute)

    async def _write(self, block: list[Any], read: Callable[[Any], object]) -> None:
        now = await submission.arrival()
        known, secrets = await submission.grounds(now)
        self._reader.begin(now, known, secrets)
        entries: list[inbox.Entry] = []
        for place, item in enumerate(block):
            if place % SLICE_ITEMS == 0:
                await asyncio.sleep(0)
            try:
                entries.append(self._reader.entry(read(item)))
            except _Broken as fault:
                self._reject({"non_field_errors": [str(fault)]})
            except submission.Invalid as invalid:
                self._reject(invalid.errors)
            self._index += 1
        if entries:
            standing = await coalescer().put_all(entries)
            new = sum(stands.id == entry.id for stands, entry in zip(standing, entries, strict=True))
            self.tally.accepted += new
            self.tally.duplicates += len(entries) - new
            if new < len(entries):
                # Sending again what one is not sure of must not cost the right to send what is new.
                await self._tokens(new - len(entries))

    def _reject(self, errors: dict[str, list[str]]) -> None:
        self.tally.rejected.append({"index": self._index, "errors": errors})


_Said = tuple[object, object, object, object]


class _Reader:
    """Turns items into entries. What many items say alike is looked up once."""

    def __init__(self, key: keys.Key) -> None:
        self._key = key
        self._hints = HINTS
        self._known: Known | None = None
        self._meant: dict[_Said, Submission] = {}

    def begin(self, now: datetime, known: Known, secrets: guard.Secrets) -> None:
        """The items that follow came in at ``now``."""
        if known is not self._known:
            self._meant.clear()
        self._now, self._known, self._secrets = now, known, secrets

    def entry(self, data: object) -> inbox.Entry:
        """The entry of one item. Raises :class:`submission.Invalid`."""
        if not isinstance(data, dict):
            kind = type(data).__name__
            raise submission.Invalid({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
        errors: dict[str, list[str]] = {}
        meant = self._report(data, errors)
        client_id = _of(data, "id", submission.client_id_of, errors, required=True)
        occurred_at = _of(data, "occurred_at", self._instant, errors)
        reporter = _of(data, "reporter", str.encode, errors)
        network = _of(data, "network", str.encode, errors)
        if errors or meant is None or client_id is None:
            raise submission.Invalid(errors)
        person = b"reporter" + reporter if reporter else b"item" + client_id.bytes
        network = b"said" + network if network else b""
        arrival = None
        if occurred_at is not None:
            arrival = inbox.report_id(self._now)
            if self._now - occurred_at > LATE_AFTER:
                hour = occurred_at.strftime("%Y%m%d%H").encode()
                person, network = hour + person, hour + network
                if reporter:
                    client_id = self._claim(person, meant)
        return inbox.Entry(
            id=inbox.report_id(occurred_at or self._now),
            service_id=meant.service_id,
            region_id=meant.region_id,
            kind=meant.kind.value,
            problem_id=meant.problem_id,
            who=guard.partner_pseudonyms(self._key.id, person=person, network=network, keys=self._secrets),
            client_id=client_id,
            arrival=arrival,
        )

    def _report(self, data: Mapping[str, Any], errors: dict[str, list[str]]) -> Submission | None:
        """Service, region, kind and problem; without the id, so that the answer serves for every item alike."""
        said = (data.get("service"), data.get("region"), data.get("kind"), data.get("problem"))
        try:
            meant = self._meant.get(said)
        except TypeError:
            # Lists and objects: it says below what is wrong with them.
            meant = None
        if meant is None:
            named = {name: data[name] for name in _NAMES if name in data}
            try:
                meant = self._meant[said] = submission.validate(named, self._known, hints=self._hints > 0)
            except submission.Invalid as invalid:
                errors.update(invalid.errors)
                self._hints -= 1
        return meant

    def _instant(self, text: str) -> datetime:
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                raise ValueError
            at = at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("Expected an instant in ISO 8601 with its offset, such as 2026-04-03T18:04:12Z.") from None
        if at > self._now + AHEAD:
            raise ValueError("This instant lies in the future.")
        if at < self._now - OLDEST:
            raise ValueError("This instant is more than 24 hours ago.")
        # A clock that is a little fast: what has been reported has happened.
        return min(at, self._now)

    def _claim(self, person: bytes, meant: Submission) -> UUID:
        """In place of the id of a late item: equal for all that the counting rule counts once."""
        what = b"%d %d %d " % (self._key.id, meant.service_id, meant.kind) + person
        return UUID(bytes=blake2b(what, key=settings.SECRET_KEY.encode()[:64], person=_CLAIM, digest_size=16).digest())


_NAMES = ("service", "region", "kind", "problem")
_CLAIM = b"late counted"


def _of(
    data: Mapping[str, Any],
    name: str,
    read: Callable[[str], Any],
    errors: dict[str, list[str]],
    *,
    required: bool = False,
) -> Any:
    """What ``read`` makes of the text of a field, or ``None``; what is wrong goes into ``errors``."""
    if not required and name not in data:
        return None
    try:
        text = submission.text(data, name, required=required)
        return None if text is None else read(text)
    except ValueError as error:
        errors[name] = [str(error)]
        return None


# --- Writing ---------------------------------------------------------------------------------------------------------

_coalescer: Coalescer | None = None


def coalescer() -> Coalescer:
    """The one of this process and event loop for what comes in bulk: the report of a person waits for none of it."""
    global _coalescer
    if _coalescer is None or not _coalescer.is_ours():
        _coalescer = Coalescer()
    return _coalescer


async def close() -> None:
    """Lets go of the connections of this event loop, when all that was begun is done."""
    await keys.settle()
    await coalescer().close()
    await rates.close()
