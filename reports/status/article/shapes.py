"""An article as Markdown and as HTML. JSON is made in ``reports.api``; all three say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from reports.status.article import wording
from reports.status.article.pieces import Article, Note, Paragraph, Sentence, Span

_CLAUSE_END = re.compile(r"[.,;:،؛؟।]+(?=\s|$)")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~])")
# What would begin a heading, a list or a quotation at the start of a line.
_LINE_MARKUP = re.compile(r"^(\s*)([#>+-]|\d+(?=[.)]))")


def _pieces(sentence: Sentence) -> Iterator[tuple[Span, str, tuple[int, ...]]]:
    """The sentence in pieces: a span, a stretch of its text, and the notes whose numbers stand behind it.

    A note stands where it is cited last, at the end of the clause: its number interrupts no reading.
    """
    spans = sentence.spans
    last = {note: at for at, span in enumerate(spans) for note in span.notes}
    # Where each note stands: the span, and behind how much of its text.
    stands: dict[int, dict[int, list[int]]] = {}
    for note, at in last.items():
        where, behind = _end_of_clause(spans, at)
        stands.setdefault(where, {}).setdefault(behind, []).append(note)
    for at, span in enumerate(spans):
        begin = 0
        for behind, notes in sorted(stands.get(at, {}).items()):
            yield span, span.text[begin:behind], tuple(notes)
            begin = behind
        if begin < len(span.text):
            yield span, span.text[begin:], ()


def _end_of_clause(spans: tuple[Span, ...], at: int) -> tuple[int, int]:
    for following in range(at + 1, len(spans)):
        span = spans[following]
        if span.notes:
            break
        if span.kind == "text" and (end := _CLAUSE_END.search(span.text)):
            return following, end.end()
    return at, len(spans[at].text)


# --- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(article: Article, *, site: str) -> str:
    """The article as Markdown with footnotes; ``site`` is what its addresses begin with (``https://example.org``)."""
    blocks = [f"# {_plain(article.headline.text)}"]
    blocks += _blocks(article.lead)
    for section in article.sections:
        blocks += [f"## {_plain(section.heading)}", *_blocks(section.paragraphs)]
    page = f"{site}{wording.article_page(article.ref)}"
    blocks.append("---")
    blocks.append(
        _plain(
            _("{ref}, as known at {instant}, version {version}.").format(
                ref=article.ref, instant=wording.utc(article.as_of), version=article.version
            )
        )
        + f" <{page}>"
    )
    notes = [f"[^{note.number}]: {_note(note, site)}" for note in article.notes]
    return "\n\n".join([*blocks, "\n".join(notes)]) + "\n"


def _blocks(paragraphs: tuple[Paragraph, ...]) -> list[str]:
    return [
        "\n".join(f"- {_line(sentence)}" for sentence in paragraph.sentences)
        if paragraph.kind == "list"
        else _LINE_MARKUP.sub(r"\1\\\2", " ".join(_line(sentence) for sentence in paragraph.sentences))
        for paragraph in paragraphs
    ]


def _line(sentence: Sentence) -> str:
    return "".join(f"{_plain(text)}{''.join(f'[^{note}]' for note in notes)}" for _, text, notes in _pieces(sentence))


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()) if "\n" in text else text)


def _note(note: Note, site: str) -> str:
    source = note.source
    links = [
        f"<{address}>"
        for address in (
            source.said,
            source.page and f"{site}{source.page}",
            source.data and f"{site}{source.data}",
        )
        if address
    ]
    return " ".join([_plain(source.text), *links])


# --- HTML -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HtmlBlock:
    """A paragraph: one piece of HTML for the whole of it, or one for each item of a ``list``."""

    kind: str
    items: tuple[SafeString, ...]


@dataclass(frozen=True)
class HtmlSection:
    """A section; ``key`` is the name of its place on the page."""

    key: str
    heading: str
    blocks: tuple[HtmlBlock, ...]


@dataclass(frozen=True)
class HtmlArticle:
    """An article whose sentences are HTML: times in ``<time>``, figures as links to ``#note-N``.

    The first figure that cites a note has the id ``cite-N``.
    """

    headline: str
    lead: tuple[HtmlBlock, ...]
    sections: tuple[HtmlSection, ...]
    notes: tuple[Note, ...]


def html(article: Article) -> HtmlArticle:
    """The article as HTML."""
    sentence = _html_sentence(set())
    return HtmlArticle(
        headline=article.headline.text,
        lead=_html_blocks(article.lead, sentence),
        sections=tuple(
            HtmlSection(each.key, each.heading, _html_blocks(each.paragraphs, sentence)) for each in article.sections
        ),
        notes=article.notes,
    )


def _html_blocks(
    paragraphs: tuple[Paragraph, ...], sentence: Callable[[Sentence], SafeString]
) -> tuple[HtmlBlock, ...]:
    found = []
    for paragraph in paragraphs:
        items = tuple(sentence(each) for each in paragraph.sentences)
        found.append(HtmlBlock(paragraph.kind, items if paragraph.kind == "list" else (_spaced(items),)))
    return tuple(found)


def _spaced(items: tuple[SafeString, ...]) -> SafeString:
    return mark_safe(" ".join(items))  # noqa: S308 - each is safe


def _html_sentence(cited: set[int]) -> Callable[[Sentence], SafeString]:
    def of(sentence: Sentence) -> SafeString:
        parts: list[SafeString] = []
        for span, text, notes in _pieces(sentence):
            parts.append(_html_span(span, text, cited))
            if notes:
                numbers = " ".join(str(note) for note in notes)
                parts.append(format_html('<sup class="cite" aria-hidden="true">{}</sup>', numbers))
        return mark_safe("".join(parts))  # noqa: S308 - each is safe

    return of


def _html_span(span: Span, text: str, cited: set[int]) -> SafeString:
    if span.kind == "instant":
        dated = mark_safe(" data-dated") if span.dated else ""
        inside = format_html('<time datetime="{}"{}>{}</time>', span.value, dated, text)
    elif span.kind == "quote":
        inside = format_html('<q class="said">{}</q>', str(span.value).strip())
    else:
        inside = format_html("{}", text)
    if not span.notes:
        return inside
    note = span.notes[0]
    place = "" if note in cited else format_html(' id="cite-{}"', note)
    cited.add(note)
    return format_html('<a class="cited" href="#note-{}"{}>{}</a>', note, place, inside)
