"""What changed between two versions of a text: the pieces that are new, and where in the former one the rest stands.

A page that stays open names the version it has and gets this instead of the whole (``keeping.py``); ``living.js`` puts
the new version together. Nothing here knows Django, a clock or a page. The method is that of rsync (Tridgell and
Mackerras 1996): blocks of the old text are looked up at every place of the new one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

BLOCK = 24
"""Bytes. A shorter copy would be written in as many as it saves."""
# A number that became another one of the same length: what follows it stands where it was expected, ...
RESUMED = 6
# ... and where the length is another one, not far from there. Markup repeats: the same bytes elsewhere are other rows.
NEAR, REACH = 12, 400

Edit = int | str


def edits(old: bytes, new: bytes) -> list[Edit]:
    """``new`` as edits of ``old``, both UTF-8: a string is new text; two numbers copy bytes, the first how far beyond
    the end of the copy before it (negative: back), the second how many. ``new`` is their concatenation.
    """
    places = _places(old)
    found: list[Edit] = []
    # Of what is written already: where it ends in the new text, and where the last copy ended in the old one.
    done = copied = 0
    at = 0
    while at < len(new):
        start = _candidate(old, new, at, at - done + copied, copied, places)
        if start is None:
            at += 1
            continue
        begin, end = at, at
        while begin > done and start > 0 and new[begin - 1] == old[start - 1]:
            begin, start = begin - 1, start - 1
        end = begin + _common(old, start, new, begin)
        # A copy holds whole characters, so that each piece is a text of its own.
        while begin < end and _continues(new[begin]):
            begin, start = begin + 1, start + 1
        while end > begin and end < len(new) and _continues(new[end]):
            end -= 1
        if end - begin < RESUMED:
            at += 1
            continue
        if begin > done:
            found.append(new[done:begin].decode())
        found += [start - copied, end - begin]
        copied = start + end - begin
        done = at = end
    if done < len(new):
        found.append(new[done:].decode())
    return found


def applied(old: bytes, found: Sequence[Edit]) -> bytes:
    """The new text; what ``living.js`` does."""
    pieces = []
    copied = 0
    each = iter(found)
    for edit in each:
        if isinstance(edit, str):
            pieces.append(edit.encode())
            continue
        start, length = copied + edit, next(each)
        assert isinstance(length, int)
        copied = start + length
        pieces.append(old[start:copied])
    return b"".join(pieces)


def _places(old: bytes) -> dict[bytes, list[int]]:
    places: dict[bytes, list[int]] = defaultdict(list)
    for start in range(0, len(old) - BLOCK + 1, BLOCK):
        places[old[start : start + BLOCK]].append(start)
    return places


def _candidate(
    old: bytes, new: bytes, at: int, expected: int, copied: int, places: dict[bytes, list[int]]
) -> int | None:
    """Where in the old text the new one might go on from ``at``: best where it was expected, as markup repeats."""
    if old[expected : expected + RESUMED] == new[at : at + RESUMED] and expected + RESUMED <= len(old):
        return expected
    near = old.find(new[at : at + NEAR], copied, copied + REACH)
    if near >= 0 and at + NEAR <= len(new):
        return near
    known = places.get(new[at : at + BLOCK])
    if not known:
        return None
    after = bisect_left(known, expected)
    return min(known[max(after - 1, 0) : after + 1], key=lambda place: abs(place - expected))


def _common(old: bytes, start: int, new: bytes, begin: int) -> int:
    """How many bytes both have in common from there on."""
    length, stride = 0, BLOCK
    while stride:
        one = old[start + length : start + length + stride]
        if len(one) == stride and one == new[begin + length : begin + length + stride]:
            length += stride
            stride *= 2
        else:
            stride //= 2
    return length


def _continues(byte: int) -> bool:
    return byte & 0xC0 == 0x80
