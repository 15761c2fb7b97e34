"""What an article is made of: sections of sentences of spans, and the notes that its figures cite.

A sentence is translated whole; what stands in its placeholders is a :class:`Figure`: words for reading, a value for
programs, and the source that a reader can check it by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from string import Formatter

from reports.status.answers import EvidenceFigures

Value = str | int | float | None


@dataclass(frozen=True)
class Source:
    """Where figures can be checked: the place on a page, the address of the data, and the evidence itself.

    ``page`` and ``data`` are addresses on this site (empty where there is none), ``said`` one elsewhere.
    """

    kind: str
    text: str
    page: str = ""
    data: str = ""
    said: str = ""
    evidence: EvidenceFigures | None = None


@dataclass(frozen=True)
class Note:
    """A source under the number by which an article cites it."""

    number: int
    source: Source


@dataclass(frozen=True)
class Figure:
    """Something a sentence tells: a count, an instant, a place; ``kind`` says what ``value`` is."""

    text: str
    kind: str
    value: Value
    source: Source | None = None
    dated: bool = False
    """Of an instant: whether ``text`` names its day."""


@dataclass(frozen=True)
class Span:
    """A stretch of a sentence. ``notes`` are the numbers of what it cites; ``value`` is for programs.

    Kinds: ``text``; ``instant`` and ``day`` (ISO 8601, UTC), ``length`` (seconds), ``count``, ``number``, ``people``,
    ``share`` (0 to 1), ``chance`` (log10), ``place`` (code), ``service`` and ``provider`` (slug), ``problem`` (slug),
    ``incident`` (ref), ``quote``.
    """

    text: str
    kind: str = "text"
    value: Value = None
    notes: tuple[int, ...] = ()
    dated: bool = False


@dataclass(frozen=True)
class Sentence:
    """One sentence, or a headline."""

    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The sentence as plain text, times in UTC."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True)
class Paragraph:
    """Sentences that belong together; the sentences of a ``list`` stand each by itself."""

    sentences: tuple[Sentence, ...]
    kind: str = "prose"


@dataclass(frozen=True)
class Section:
    """A part of an article under a heading."""

    key: str
    heading: str
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Article:
    """An incident told in words. ``as_of`` is the state of knowledge; ``version`` changes when any word does."""

    ref: str
    service: str
    version: str
    as_of: datetime
    began_at: datetime
    over: bool
    headline: Sentence
    lead: tuple[Paragraph, ...]
    sections: tuple[Section, ...]
    notes: tuple[Note, ...]


Part = Figure | Sequence[Figure]


class Pen:
    """Writes sentences, and numbers their sources in the order in which they are cited first."""

    def __init__(self) -> None:
        self._numbers: dict[Source, int] = {}
        self._sources: dict[Source, Source] = {}

    def say(self, template: str, **parts: Part | str) -> Sentence:
        """The (translated) template with its ``{placeholders}`` filled in."""
        spans: list[Span] = []
        for text, name, _, _ in Formatter().parse(template):
            if text:
                spans.append(Span(text))
            if name is not None:
                spans += self._spans(parts[name])
        return Sentence(tuple(spans))

    def _spans(self, part: Part | str) -> list[Span]:
        if isinstance(part, str):
            return [Span(part)] if part else []
        if isinstance(part, Figure):
            return [self._span(part)]
        return [self._span(figure) for figure in part]

    def _span(self, figure: Figure) -> Span:
        notes = () if figure.source is None else (self._number(figure.source),)
        return Span(figure.text, figure.kind, figure.value, notes, figure.dated)

    def _number(self, source: Source) -> int:
        # Evidence holds a dictionary, so a source is known by what names it.
        key = replace(source, evidence=None)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers) + 1
            self._sources[key] = source
        return self._numbers[key]

    @property
    def notes(self) -> tuple[Note, ...]:
        """Every source cited so far, by number."""
        return tuple(Note(number, self._sources[key]) for key, number in self._numbers.items())


def joined(template: str, **parts: Part) -> tuple[Figure, ...]:
    """A template filled with figures, as a part of a sentence: ``{place} ({time})``."""
    found: list[Figure] = []
    for text, name, _, _ in Formatter().parse(template):
        if text:
            found.append(Figure(text, "text", None))
        if name is not None:
            part = parts[name]
            found += [part] if isinstance(part, Figure) else part
    return tuple(found)


def listing(items: Sequence[Part], last: str, *, comma: str = ", ") -> tuple[Figure, ...]:
    """``A, B and C`` by the (translated) template ``last`` of the last two: ``{names} and {last}``."""
    each: list[Mapping[str, Part]] = [{"part": item} for item in items]
    if not each:
        return ()
    first = joined("{part}", **each[0])
    for item in each[1:-1]:
        first = (*first, Figure(comma, "text", None), *joined("{part}", **item))
    return joined(last, names=first, last=items[-1]) if len(items) > 1 else first
