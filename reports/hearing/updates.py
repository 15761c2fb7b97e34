"""What is read from a status page: its updates, each with what it needs to be told apart, dated and matched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from reports.hearing import plain

# Clocks go wrong by a few minutes; what lies further ahead is a slip or an announcement, and neither was said.
CLOCK_SLACK = timedelta(minutes=10)
# Pages list a year and more of their past.
OLDEST = timedelta(days=400)
MOST_ENTRIES = 200
MOST_UPDATES = 100
MOST_COMPONENTS = 100


class Unreadable(Exception):
    """Nothing of the document can be read; the message says why."""


@dataclass(frozen=True)
class Update:
    """One thing that a provider said.

    ``thread`` names the page's own incident, ``key`` the update; both stay the same when it is read again. ``text`` has
    the title in it. ``began_at`` is when the thread began; ``planned``: it is work that was announced. ``title`` and
    ``components`` name what it is about.
    """

    thread: str
    key: str
    title: str
    text: str
    url: str
    said_at: datetime
    began_at: datetime
    meaning: str
    planned: bool
    components: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """An update that was not taken, and why."""

    title: str
    why: str


@dataclass(frozen=True)
class Reading:
    """What a document says, in the order in which it was said."""

    updates: tuple[Update, ...]
    left_out: tuple[LeftOut, ...] = ()


def name_of(*parts: str) -> str:
    """A name of fixed length for what others name at any length."""
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def instant(value: object) -> datetime | None:
    """The instant in ISO 8601 with an offset, or ``None``."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def dated(at: datetime | None, now: datetime) -> datetime | str:
    """The instant at which something was said; else why it is not believed."""
    if at is None:
        return "it has no date that can be read"
    if at > now + CLOCK_SLACK:
        return "its date lies in the future"
    if at < now - OLDEST:
        return "it is too long past"
    return min(at, now)


def said(title: str, body: str) -> str:
    """Title and text as one: the text alone often does not say what it is about."""
    if not body or body == title:
        return title
    if not title or title.casefold() in body.casefold():
        return body
    return plain.cleaned(f"{title}: {body}")
