"""The JSON shape of an article, and the site's own addresses in it made whole."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from reports.api.serializers import EvidenceShape, Shape, instant
from reports.status.article import wording
from reports.status.article.pieces import Article, Note, Paragraph, Sentence

PARAGRAPHS = ("prose", "list")


class _ValueField(serializers.Field[Any, Any, Any, Any]):
    """A text, a number, or nothing."""


extend_schema_field({"type": ["string", "number", "null"]})(_ValueField)


class SpanShape(Shape[Any]):
    """A stretch of a sentence."""

    text = serializers.CharField(trim_whitespace=False, help_text="The words.")
    kind = serializers.CharField(
        help_text="What `value` is: `instant` and `day` (ISO 8601, UTC), `length` (seconds), `count`, `number`, "
        "`people`, `share` (0 to 1), `chance` (base-10 logarithm), `place` (region code), `service` and `provider` "
        "(slug), `problem` (slug), `incident` (ref), `quote`; `text` is words alone."
    )
    value = _ValueField(allow_null=True, help_text="What the words say, for programs.")
    notes = serializers.ListField(child=serializers.IntegerField(), help_text="Numbers of the notes that it cites.")


class SentenceShape(Shape[Any]):
    """One sentence: its text whole (times in UTC), and the same in spans."""

    text = serializers.CharField(help_text="The sentence whole; times in UTC.")
    spans = SpanShape(many=True, help_text="The same, piece by piece.")


class ParagraphShape(Shape[Any]):
    """Sentences that belong together; those of a list stand each by itself."""

    kind = serializers.ChoiceField(choices=PARAGRAPHS, help_text="Running text, or a list.")
    sentences = SentenceShape(many=True, help_text="In order.")


class SectionShape(Shape[Any]):
    """A part of an article."""

    key = serializers.CharField(help_text="The same in every language.")
    heading = serializers.CharField(help_text="In the language of the article.")
    paragraphs = ParagraphShape(many=True, help_text="In order.")


class NoteShape(Shape[Any]):
    """Where a figure can be checked."""

    number = serializers.IntegerField(help_text="By which spans cite it.")
    kind = serializers.CharField(help_text="What kind of source, such as `evidence` or `statement`.")
    text = serializers.CharField(help_text="What it says.")
    page = serializers.CharField(allow_blank=True, help_text="The place on a page of this site; empty where none is.")
    data = serializers.CharField(  # type: ignore[assignment]
        allow_blank=True, help_text="The call of this API that gives the figures."
    )
    said = serializers.CharField(allow_blank=True, help_text="Of a statement: where it was made.")
    evidence = EvidenceShape(allow_null=True, help_text="The figures, where it is a decision.")


class ArticleShape(Shape[Any]):
    """An incident told in words."""

    ref = serializers.CharField(help_text="Ref of the incident.")
    service = serializers.CharField(help_text="Slug.")
    url = serializers.CharField(help_text="The page of the article.")
    version = serializers.CharField(help_text="Another one whenever a word changes: name it when you cite.")
    as_of = serializers.DateTimeField(help_text="The state of knowledge that it tells.")
    over = serializers.BooleanField(help_text="False while the incident goes on.")
    headline = serializers.CharField(help_text="One line.")
    lead = ParagraphShape(many=True, help_text="What a hurried reader has to know.")
    sections = SectionShape(many=True, help_text="In the order of a newspaper.")
    notes = NoteShape(many=True, help_text="Sources, by number.")


def article_json(article: Article, *, site: str) -> dict[str, Any]:
    """An article in the form of :class:`ArticleShape`; ``site`` is what its addresses begin with."""
    return {
        "ref": article.ref,
        "service": article.service,
        "url": site + wording.article_page(article.ref),
        "version": article.version,
        "as_of": instant(article.as_of),
        "over": article.over,
        "headline": article.headline.text,
        "lead": [_paragraph(paragraph) for paragraph in article.lead],
        "sections": [
            {
                "key": section.key,
                "heading": section.heading,
                "paragraphs": [_paragraph(paragraph) for paragraph in section.paragraphs],
            }
            for section in article.sections
        ],
        "notes": [_note(note, site) for note in article.notes],
    }


def _paragraph(paragraph: Paragraph) -> dict[str, Any]:
    return {"kind": paragraph.kind, "sentences": [_sentence(sentence) for sentence in paragraph.sentences]}


def _sentence(sentence: Sentence) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "spans": [
            {"text": span.text, "kind": span.kind, "value": span.value, "notes": list(span.notes)}
            for span in sentence.spans
        ],
    }


def _note(note: Note, site: str) -> dict[str, Any]:
    source = note.source
    return {
        "number": note.number,
        "kind": source.kind,
        "text": source.text,
        "page": source.page and site + source.page,
        "data": source.data and site + source.data,
        "said": source.said,
        "evidence": EvidenceShape(source.evidence).data if source.evidence else None,
    }
