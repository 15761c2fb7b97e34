"""The keys of partners: made, revoked, and checked without asking a table for each call.

A process holds all keys that are in force, and reads them anew when its reading is older than ``REFRESH_SECONDS``: so
long a revoked key still works, whatever is asked with. While the database is away, the last reading goes on.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from django.db import OperationalError
from django.db.models import Q

from reports.intake import inbox, submission
from reports.models import ApiKey, Scope

REFRESH_SECONDS = 5.0
# When a key was used last is for people to look at: not worth a write for each call.
NOTE_EVERY = timedelta(minutes=5)

PREFIX_LENGTH = 8
_TOKEN = re.compile(rf"([a-z0-9]{{{PREFIX_LENGTH}}})\.[A-Za-z0-9_-]{{43}}", re.ASCII)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Key:
    """A key in force."""

    id: int
    prefix: str
    digest: str
    scopes: frozenset[str]
    rate_per_minute: int
    expires_at: datetime | None


# --- Made and revoked ------------------------------------------------------------------------------------------------


def issue(
    name: str,
    *,
    owner: str,
    now: datetime,
    scopes: Iterable[str] = (Scope.REPORTS_WRITE,),
    rate_per_minute: int = 20_000,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key, and its token: kept nowhere, so that this is the only time it can be shown."""
    prefix = "".join(secrets.choice(_LETTERS) for _ in range(PREFIX_LENGTH))
    token = f"{prefix}.{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        name=name,
        owner=owner,
        prefix=prefix,
        digest=_digest(token),
        scopes=list(scopes),
        rate_per_minute=rate_per_minute,
        created_at=now,
        expires_at=expires_at,
    )
    return key, token


def revoke(id: int, *, now: datetime) -> bool:
    """Ends a key for good; whether it had not been before. Processes follow within ``REFRESH_SECONDS``."""
    return bool(ApiKey.objects.filter(id=id, revoked_at__isnull=True).update(revoked_at=now))


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


# --- Checked ---------------------------------------------------------------------------------------------------------

_held: Mapping[str, Key] | None = None
_checked_at = 0.0


async def holder(token: str) -> Key | None:
    """The key in force that ``token`` is of. Raises ``inbox.Unavailable`` if none were ever read and none can be."""
    return _fitting(token, await _in_force())


def holder_now(token: str) -> Key | None:
    """The same for a thread, which may ask the table itself. Without any reading and without a database: nobody."""
    held = _held
    if held is None or time.monotonic() - _checked_at >= REFRESH_SECONDS:
        with suppress(OperationalError):
            held = _read()
    return _fitting(token, held or {})


def _fitting(token: str, keys: Mapping[str, Key]) -> Key | None:
    found = _TOKEN.fullmatch(token)
    key = keys.get(found[1]) if found else None
    # Compared in the same way whether there is such a key or not: an answer takes no longer for a prefix that exists.
    same = hmac.compare_digest(_digest(token), key.digest if key else _NOBODYS)
    # By the machine's clock on a replaying site too: a key expires in the world of those who hold it.
    if key is None or not same or (key.expires_at is not None and key.expires_at <= datetime.now(UTC)):
        return None
    return key


_NOBODYS = "0" * 64


async def _in_force() -> Mapping[str, Key]:
    global _checked_at
    held = _held
    if held is not None and time.monotonic() - _checked_at < REFRESH_SECONDS:
        return held
    try:
        return await asyncio.shield(submission.once("keys", _read))
    except inbox.Unavailable:
        if held is None:
            raise
        # Asked again as late as after a success: else every call would wait for the database first.
        _checked_at = time.monotonic()
        return held


def _read() -> Mapping[str, Key]:
    """All keys in force. An attacker who tries prefixes by the million causes no further question."""
    global _held, _checked_at
    checked_at = time.monotonic()
    rows = ApiKey.objects.filter(revoked_at__isnull=True).filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=datetime.now(UTC))
    )
    _held = {
        row.prefix: Key(row.id, row.prefix, row.digest, frozenset(row.scopes), row.rate_per_minute, row.expires_at)
        for row in rows
    }
    _checked_at = checked_at
    return _held


_noted: dict[int, float] = {}


def note_use(key: Key) -> None:
    """Writes down, beside the call and seldom, that ``key`` is in use."""
    now = time.monotonic()
    if now - _noted.get(key.id, -NOTE_EVERY.total_seconds()) < NOTE_EVERY.total_seconds():
        return
    _noted[key.id] = now

    def write() -> None:
        at = datetime.now(UTC)
        earlier = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at - NOTE_EVERY / 2)
        ApiKey.objects.filter(earlier, id=key.id).update(last_used_at=at)

    # No call waits for it, and it says itself in the log when it failed.
    task = submission.once(("key used", key.id), write)
    _writing.add(task)
    task.add_done_callback(_writing.discard)


_writing: set[asyncio.Task[None]] = set()


async def settle() -> None:
    """Waits for what is being written down beside the calls."""
    if _writing:
        await asyncio.wait(set(_writing))


def forget() -> None:
    """Drops what this process holds: the next call reads it anew."""
    global _held
    _held = None
    _noted.clear()
