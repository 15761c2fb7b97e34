"""Pages of lists that are at hand whole: a cursor names the element that the page begins after, not its number."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

from django.conf import settings

from reports.status import CursorError

SIGNATURE_BYTES = 6

Item = TypeVar("Item")
# Of texts and numbers, the same for every element of a list; elements are sorted by it.
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some elements, and cursors for what lies beyond."""

    results: Sequence[Item]
    next: str | None
    previous: str | None


def page(items: Sequence[Item], *, key: Callable[[Item], Key], limit: int, cursor: str | None = None) -> Page[Item]:
    """``limit`` of ``items``, which are sorted by ``key``, from where ``cursor`` points. Raises :class:`CursorError`.

    Elements that came or went since the cursor was given out change nothing about the others.
    """
    back, mark = _read(cursor) if cursor else (False, None)
    try:
        if mark is None:
            start = 0
        elif back:
            start = max(0, bisect_left(items, mark, key=key) - limit)
        else:
            start = bisect_right(items, mark, key=key)
        end = min(start + limit, len(items)) if not back or mark is None else bisect_left(items, mark, key=key)
    except TypeError as error:
        # A cursor of another list: its key does not compare.
        raise CursorError("the cursor belongs to another list") from error
    results = items[start:end]
    return Page(
        results=results,
        next=_write("n", key(results[-1])) if results and end < len(items) else None,
        previous=_write("p", key(results[0])) if results and start > 0 else None,
    )


def _write(direction: str, key: Key) -> str:
    text = json.dumps([direction, *key], ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(_signature(text) + text).decode().rstrip("=")


def _read(cursor: str) -> tuple[bool, Key]:
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        signature, text = content[:SIGNATURE_BYTES], content[SIGNATURE_BYTES:]
        if signature != _signature(text):
            raise CursorError("the cursor is none that an earlier page gave out")
        found = json.loads(text)
    except CursorError:
        raise
    except (ValueError, RecursionError) as error:
        raise CursorError("the cursor is none that an earlier page gave out") from error
    if not isinstance(found, list) or len(found) < 2 or found[0] not in ("n", "p"):
        raise CursorError("the cursor is none that an earlier page gave out")
    return found[0] == "p", tuple(found[1:])


def _signature(text: bytes) -> bytes:
    """It keeps no secret; it tells a cursor of ours from one that somebody made up, which would find an empty page."""
    return blake2b(text, key=settings.SECRET_KEY.encode()[:64], digest_size=SIGNATURE_BYTES).digest()
