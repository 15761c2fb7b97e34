"""Answers kept in each process for as long as nothing changed.

A process asks the database once a second what the newest cycle, act and catalogue are; while that is the same, an
answer costs a look into a dictionary. Answers depend on the instant only through its whole minute.

Two shelves: `kept` holds what answers are made of and is emptied when something changes; `rendered` holds finished
pages and bodies, goes on giving out the former one for a moment while a new one is made, and keeps it for the hour in
which the database is away.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar, cast
from uuid import UUID

from django.db import OperationalError, connection

from reports.intake import coalescer
from reports.status.shelf import Shelf

LOOK_AGAIN_SECONDS = 1.0
# While somebody looks, the others go on with the version they have: a database that hangs holds up one thread only.
PATIENCE_SECONDS = 10.0
# In a busy hour every second drains something: counts then show with this delay at most, instead of every answer
# being made anew each second.
COUNTS_SECONDS = 15.0
# Names and aliases are edited by hand, rarely, and leave no number behind that grows.
CATALOGUE_SECONDS = 60.0
# How old a finished page may be that is given out while the next one is made. A cycle runs every ten seconds.
FORMER_SECONDS = 5.0
# So many pages are made at once: more would only take connections from each other, and time from the event loop.
MAKERS = 4
TURN_SECONDS = 2.0
SLOW_TURN_SECONDS = 60.0
# In each process. A map of the world weighs a megabyte, a page in three encodings some 100 KB.
MOST_ANSWER_BYTES = 96 * 2**20
MOST_RENDERED_BYTES = 64 * 2**20

VERSION = """
SELECT d.minute, d.mark, d.baseline_id,
       (SELECT max(id) FROM reports_drainbatch),
       (SELECT max(id) FROM reports_incident),
       (SELECT max(id) FROM reports_timelineentry),
       (SELECT max(id) FROM reports_statement),
       (SELECT max(id) FROM reports_service),
       (SELECT max(id) FROM reports_region),
       (SELECT max(id) FROM reports_baseline)
FROM (SELECT 1) one LEFT JOIN reports_detectorstate d ON d.id = 1
"""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Version:
    """What every answer rests on. Two equal versions give equal answers for the same minute."""

    watched_minute: datetime | None
    """The last minute that detection has seen, by its beginning; ``None`` before the first cycle."""
    mark: UUID | None
    """Another one after each cycle."""
    baseline_id: int | None
    drained: int
    acts: tuple[int, int, int]
    """The newest incident, timeline entry and statement: an administrator's act changes one of them."""
    catalogue: tuple[int, int, int]
    """The newest service and region, and how often the catalogue was read again for edits."""


_lock = Lock()
_turns = BoundedSemaphore(MAKERS)
_slow_turns = BoundedSemaphore(1)
_answers: Shelf[Any] = Shelf(most_bytes=MOST_ANSWER_BYTES)
_rendered: Shelf[Any] = Shelf(most_bytes=MOST_RENDERED_BYTES)
# Few, and never crowded out: the catalogue, the counts of the hour.
_held: Shelf[Any] = Shelf(most_bytes=2**40)
_answers_of: Version | None = None
_minute_kept: int | None = None
_version: Version | None = None
_looking: Future[Version] | None = None
_looked_at = 0.0
_missed_at = -LOOK_AGAIN_SECONDS
_counted_at = 0.0
_catalogued_at = 0.0
_catalogue_reads = 0


def version() -> Version:
    """The version in force, looked up at most once a second, by one thread.

    Raises Django's ``OperationalError`` while the database is away: at once where the event loop has found out, else
    after one wait for it, and at once for a second.
    """
    global _looking, _missed_at
    with _lock:
        moment = time.monotonic()
        if _version is not None and moment - _looked_at < LOOK_AGAIN_SECONDS:
            return _version
        if moment - _missed_at < LOOK_AGAIN_SECONDS:
            # Those who come now would else wait for the database one after the other.
            raise OperationalError("the database did not answer a moment ago")
        if coalescer.database_is_away():
            raise OperationalError("the database is away, as this process has found")
        looking = _looking
        if looking is None:
            mine = _looking = Future()
        elif _version is not None and moment - _looked_at < PATIENCE_SECONDS:
            return _version
    if looking is not None:
        return looking.result()
    try:
        with connection.cursor() as cursor:
            cursor.execute(VERSION)
            row = cursor.fetchone()
    except BaseException as error:
        with _lock:
            _looking = None
            if isinstance(error, OperationalError):
                _missed_at = time.monotonic()
        mine.set_exception(error)
        raise
    with _lock:
        _looking = None
        found = _seen(row)
    mine.set_result(found)
    return found


def _seen(row: tuple[Any, ...]) -> Version:
    global _version, _looked_at, _counted_at, _catalogued_at, _catalogue_reads
    moment = time.monotonic()
    minute, mark, baseline, *ids, newest_baseline = row
    drained, incident, entry, statement, service, region = (number or 0 for number in ids)
    if moment - _catalogued_at >= CATALOGUE_SECONDS:
        _catalogue_reads += 1
        _catalogued_at = moment
    if _version is not None and moment - _counted_at < COUNTS_SECONDS:
        drained = _version.drained
    else:
        _counted_at = moment
    _version = Version(
        watched_minute=minute,
        mark=mark,
        baseline_id=baseline or newest_baseline,
        drained=drained,
        acts=(incident, entry, statement),
        catalogue=(service, region, _catalogue_reads),
    )
    _looked_at = moment
    return _version


def version_at_hand() -> Version | None:
    """The version, where nobody needs to look it up just now; for the event loop, which must not wait."""
    with _lock:
        age = time.monotonic() - _looked_at
        return _version if age < (LOOK_AGAIN_SECONDS if _looking is None else PATIENCE_SECONDS) else None


def kept(key: Hashable, build: Callable[[], Answer], *, minute: int | None = None) -> Answer:
    """The answer to ``key``, made by ``build`` unless it is there for this version and ``minute``.

    A question that depends on the present passes its minute (minutes since the epoch); one that does not, none. Of
    those who ask the same at once, one makes it and the others wait.
    """
    global _answers_of, _minute_kept
    current = version()
    with _lock:
        moved_on = minute is not None and _minute_kept is not None and minute != _minute_kept
        if current != _answers_of or moved_on:
            # What is out of date is dropped at once: a map of the world weighs a megabyte.
            _answers.clear()
            _answers_of, _minute_kept = current, None
        if minute is not None:
            _minute_kept = minute
    return cast(Answer, _answers.get(key, (current, minute), build))


def rendered(key: Hashable, build: Callable[[], Answer], *, minute: int, slow: bool = False) -> Answer:
    """A finished page or body, like `kept`; for whole answers only, not for what others are made of.

    What is ``slow`` to make takes no turn from the others: one of it is made at a time.

    While a new one is made, everyone else gets the former one, if that was in force until ``FORMER_SECONDS`` ago.
    """

    def in_turn() -> Answer:
        # Where the turn does not come, something hangs; one more may then not matter.
        turns = _slow_turns if slow else _turns
        waited = turns.acquire(timeout=SLOW_TURN_SECONDS if slow else TURN_SECONDS)
        try:
            return build()
        finally:
            if waited:
                turns.release()

    return cast(Answer, _rendered.get(key, (version(), minute), in_turn, grace=FORMER_SECONDS))


def rendered_at_hand(key: Hashable, *, minute: int) -> Any:
    """The same where it lies ready, else ``None``; asks no database and waits for nobody."""
    current = version_at_hand()
    return None if current is None else _rendered.at_hand(key, (current, minute))


def is_rendered(key: Hashable, *, minute: int) -> bool:
    """Whether it lies ready; looks the version up where that is due."""
    return _rendered.at_hand(key, (version(), minute)) is not None


def last_rendered(key: Hashable) -> Any:
    """What was given out last under ``key``, however long ago, or ``None``; for when the database is away."""
    return _rendered.last(key)


def held(name: str, token: Hashable, build: Callable[[], Answer]) -> Answer:
    """One value that outlives versions: made anew only when ``token`` is another one."""
    return cast(Answer, _held.get(name, token, build))


def forget() -> None:
    """Drops every answer and the version: the next question looks at the database."""
    global _version, _missed_at, _minute_kept
    for shelf in (_answers, _rendered, _held):
        shelf.clear()
    with _lock:
        _version = _minute_kept = None
        _missed_at = -LOOK_AGAIN_SECONDS


def digest(*parts: object) -> str:
    """A short name for a content: equal parts, equal name."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=9).hexdigest()
