"""Answers kept in each process for as long as nothing changed.

A process asks the database once a second what the newest cycle, act and catalogue are; while that is the same, an
answer costs a look into a dictionary. Answers depend on the instant only through its whole minute.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from threading import RLock
from typing import TypeVar, cast
from uuid import UUID

from django.db import OperationalError, connection

LOOK_AGAIN_SECONDS = 1.0
# In a busy hour every second drains something: counts then show with this delay at most, instead of every answer
# being made anew each second.
COUNTS_SECONDS = 15.0
# Names and aliases are edited by hand, rarely, and leave no number behind that grows.
CATALOGUE_SECONDS = 60.0
MAX_ANSWERS = 512

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


_lock = RLock()
_answers: dict[Hashable, object] = {}
_held: dict[str, tuple[Hashable, object]] = {}
_version_kept: Version | None = None
_minute_kept: int | None = None
_times_cleared = 0
_version: Version | None = None
_looked_at = 0.0
_missed_at = -LOOK_AGAIN_SECONDS
_counted_at = 0.0
_catalogued_at = 0.0
_catalogue_reads = 0


def version() -> Version:
    """The version in force, looked up at most once a second.

    Raises Django's ``OperationalError`` while the database is away: after one wait for it, at once for a second.
    """
    global _version, _looked_at, _missed_at, _counted_at, _catalogued_at, _catalogue_reads
    with _lock:
        moment = time.monotonic()
        if _version is not None and moment - _looked_at < LOOK_AGAIN_SECONDS:
            return _version
        if moment - _missed_at < LOOK_AGAIN_SECONDS:
            # Those who queued behind the lock would else wait for the database one after the other.
            raise OperationalError("the database did not answer a moment ago")
        try:
            with connection.cursor() as cursor:
                cursor.execute(VERSION)
                minute, mark, baseline, *ids, newest_baseline = cursor.fetchone()
        except OperationalError:
            _missed_at = time.monotonic()
            raise
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


def kept(key: Hashable, build: Callable[[], Answer], *, minute: int | None = None) -> Answer:
    """The answer to ``key``, made by ``build`` unless it is there for this version and ``minute``.

    A question that depends on the present passes its minute (minutes since the epoch); one that does not, none.
    """
    global _version_kept, _minute_kept, _times_cleared
    with _lock:
        current = version()
        moved_on = minute is not None and _minute_kept is not None and minute != _minute_kept
        if current != _version_kept or moved_on:
            # What is out of date is dropped at once: a map of the world weighs a megabyte.
            _answers.clear()
            _times_cleared += 1
            _version_kept, _minute_kept = current, None
        if minute is not None:
            _minute_kept = minute
        if key in _answers:
            return cast(Answer, _answers[key])
        begun = _times_cleared
        answer = build()
        if begun == _times_cleared:
            # Else something changed while it was made, and it may be older than the answers that are kept by now.
            if len(_answers) >= MAX_ANSWERS:
                _answers.pop(next(iter(_answers)))
            _answers[key] = answer
        return answer


def held(name: str, token: Hashable, build: Callable[[], Answer]) -> Answer:
    """One value that outlives versions: made anew only when ``token`` is another one."""
    with _lock:
        slot = _held.get(name)
        if slot is None or slot[0] != token:
            slot = _held[name] = (token, build())
        return cast(Answer, slot[1])


def forget() -> None:
    """Drops every answer and the version: the next question looks at the database."""
    global _version, _missed_at, _minute_kept
    with _lock:
        _answers.clear()
        _held.clear()
        _version = _minute_kept = None
        _missed_at = -LOOK_AGAIN_SECONDS


def digest(*parts: object) -> str:
    """A short name for a content: equal parts, equal name."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=9).hexdigest()
