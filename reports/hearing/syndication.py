"""Feeds: Atom and RSS, among them the history that Statuspage gives out, whose entries hold several updates each.

The XML is looked at by the same parser that the feed's will use before that one sees it: entities, nesting and the
number of elements are where a document can be small and its reading long.
"""

from __future__ import annotations

import io
import re
from calendar import timegm
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.parsers import expat

import feedparser

from reports.hearing import meanings, plain
from reports.hearing.updates import (
    MOST_ENTRIES,
    MOST_UPDATES,
    LeftOut,
    Reading,
    Unreadable,
    Update,
    dated,
    name_of,
    said,
)

DEEPEST = 40
MOST_ELEMENTS = 20_000
_ENCODINGS = {"": "utf-8", "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii"} | dict.fromkeys(
    ("iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252"), "cp1252"
)
_DECLARATION = re.compile(rb"^\s*<\?xml\b([^>]{0,400})\?>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# Statuspage's history: <small>Mar <var data-var='date'>18</var>, <var data-var='time'>14:00</var> UTC</small><br>
# <strong>Resolved</strong> - text. The oldest is the last.
_PIECE = re.compile(
    r"<small>\s*([A-Z][a-z]{2})[a-z]*\.?\s+(\d{1,2}),(?:\s*(\d{4}),?)?\s*(\d{1,2}):(\d{2})\s*(?:UTC|GMT)\s*</small>"
    r"(?:\s|<br\s*/?>)*<strong>([^<]{1,40})</strong>\s*[-–—]?",
)
_VARIABLE = re.compile(r"</?var\b[^<>]{0,100}>")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STATUS_WORDS = frozenset({*meanings.STATUSES, *meanings.PLANNED})


def read(body: bytes, *, now: datetime) -> Reading:
    """The updates in the feed. Raises :class:`Unreadable`; nothing else, whatever comes."""
    parsed = _parsed(_checked(body))
    updates: dict[str, Update] = {}
    left_out: list[LeftOut] = []
    for entry in parsed[:MOST_ENTRIES]:
        for found in _entry(entry, now):
            if isinstance(found, Update):
                updates.setdefault(found.key, found)
            else:
                left_out.append(found)
    return Reading(tuple(sorted(updates.values(), key=lambda update: update.said_at)), tuple(left_out))


# --- the document -----------------------------------------------------------------------------------------------------


def _checked(body: bytes) -> bytes:
    """The document in UTF-8 without a declaration, well-formed and harmless. Raises :class:`Unreadable`."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    declaration = _DECLARATION.match(body)
    found = _ENCODING.search(declaration.group(1)) if declaration else None
    declared = found.group(1).decode().lower() if found else ""
    encoding = _ENCODINGS.get(declared)
    if encoding is None:
        raise Unreadable(f"it is written in {declared}; UTF-8 was expected")
    try:
        text = body[declaration.end() if declaration else 0 :].decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(f"it is not in {encoding}, which it says or which feeds are in") from None
    content = text.strip().encode()
    _look_through(content)
    return content


def _look_through(content: bytes) -> None:
    depth = elements = 0

    def begins(_name: str, _attributes: Any) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > DEEPEST or elements > MOST_ELEMENTS:
            raise Unreadable("it is nested too deep or has too many elements")

    def ends(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def declares(*_what: Any) -> None:
        raise Unreadable("it declares entities")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = begins, ends
    parser.EntityDeclHandler = declares
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        raise Unreadable("it is no well-formed XML") from None


def _parsed(content: bytes) -> list[Any]:
    """The entries. A stream, since feedparser would open a text as an address or a file; the markup is not cleaned
    there, since what is kept of it is plain text."""
    try:
        parsed = feedparser.parse(
            io.BytesIO(content),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    # It reads whatever is thrown at it, and has met everything in twenty years but what comes next.
    except Exception as error:
        raise Unreadable(f"the feed parser cannot read it: {type(error).__name__}") from error
    entries = parsed.get("entries") or []
    if not parsed.get("version") and not entries:
        raise Unreadable("it is neither Atom nor RSS")
    return list(entries)


# --- its entries ------------------------------------------------------------------------------------------------------


def _entry(entry: Any, now: datetime) -> Iterator[Update | LeftOut]:
    title = plain.line(plain.of_markup(_text(entry, "title")))
    name = _text(entry, "id")[:500] or _text(entry, "link")[:500]
    if not name:
        yield LeftOut(title, "it has no id")
        return
    published, updated = _instant(entry, "published"), _instant(entry, "updated")
    markup = _markup(entry)
    pieces = _pieces(markup, published, updated)
    url = plain.address(entry.get("link"))
    components = tuple(
        term
        for tag in (entry.get("tags") or [])[:20]
        if isinstance(tag, dict) and (term := plain.line(_text(tag, "term")))
    )
    if pieces:
        began = min([published or pieces[0][0], *(moment for moment, _status, _words in pieces)])
        for number, (moment, status, text) in enumerate(pieces):
            # Counted among those of the same minute and status, from the oldest: an edit of the text changes no name.
            same = sum((moment, status) == (at, other) for at, other, _ in pieces[:number])
            at, whole = dated(moment, now), said(title, text)
            if isinstance(at, str) or not whole:
                yield LeftOut(title, at if isinstance(at, str) else "it says nothing")
                continue
            yield Update(
                thread=name_of(name),
                key=name_of(name, moment.isoformat(), status, str(same)),
                title=title,
                text=whole,
                url=url,
                said_at=at,
                began_at=min(began, at),
                meaning=meanings.of_status(status, whole),
                planned=meanings.planned(status, title),
                components=components,
            )
        return
    text = plain.of_markup(markup)
    meaning = meanings.of_words(title, text)
    at, whole = dated(updated or published, now), said(title, text)
    if isinstance(at, str) or not whole:
        yield LeftOut(title, at if isinstance(at, str) else "it says nothing")
        return
    yield Update(
        thread=name_of(name),
        # Such an entry is written over as things go on: what it means tells one state of it from the next.
        key=name_of(name, str(meaning)),
        title=title,
        text=whole,
        url=url,
        said_at=at,
        began_at=min(published or at, at),
        meaning=meaning,
        planned=meanings.planned("", title),
        components=components,
    )


def _text(of: Any, name: str) -> str:
    value = of.get(name)
    return value[:100_000] if isinstance(value, str) else ""


def _markup(entry: Any) -> str:
    for content in entry.get("content") or ():
        if isinstance(content, dict) and _text(content, "value"):
            return _text(content, "value")
    return _text(entry, "summary")


def _instant(entry: Any, name: str) -> datetime | None:
    """feedparser's reading of a date, in UTC."""
    # Not its own way of getting it, which gives one date for the other.
    parsed = dict.get(entry, f"{name}_parsed")
    try:
        return datetime.fromtimestamp(timegm(parsed), UTC) if parsed else None
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def _pieces(markup: str, published: datetime | None, updated: datetime | None) -> list[tuple[datetime, str, str]]:
    """When, with what status and in what words, the oldest first; none unless all of it has Statuspage's shape.

    The year is not written: it is the one that brings the piece between the entry's own two dates.
    """
    bare = _VARIABLE.sub("", markup)
    if published is None or updated is None or bare.count("<small>") > MOST_UPDATES:
        return []
    found = list(_PIECE.finditer(bare))
    if not found or len(found) != bare.count("<small>") or plain.of_markup(bare[: found[0].start()]):
        return []
    pieces = []
    for piece, following in zip(found, [*found[1:], None], strict=True):
        month, day, year, hour, minute, status = piece.groups()
        if status.strip().lower() not in _STATUS_WORDS or month not in _MONTHS:
            return []
        at = _in_year(int(year) if year else None, _MONTHS.index(month) + 1, int(day), int(hour), int(minute), updated)
        if at is None or not published - timedelta(days=1) <= at <= updated + timedelta(days=1):
            return []
        text = plain.of_markup(bare[piece.end() : following.start() if following else None])
        pieces.append((at, status.strip().lower(), text))
    return pieces[::-1]


def _in_year(year: int | None, month: int, day: int, hour: int, minute: int, updated: datetime) -> datetime | None:
    for chosen in (year,) if year else (updated.year, updated.year - 1):
        try:
            at = datetime(chosen, month, day, hour, minute, tzinfo=UTC)
        except ValueError:
            continue
        if at <= updated + timedelta(days=1):
            return at
    return None
