"""The article: an incident told in words, each figure with its source. Facts first, then sentences, then shapes.

It stands on ``status`` and not among ``incidents``: it tells what the public answers say, so that no figure differs.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import get_language

from reports.status import snapshots
from reports.status.article import aftermath, opening, others, telling
from reports.status.article.facts import Facts, gather
from reports.status.article.pieces import Article, Paragraph, Section
from reports.status.article.story import Story


def article(ref: str) -> Article | None:
    """The article of this incident in the language in force, or ``None`` for an unknown ref."""
    return snapshots.kept(("article", ref, get_language()), lambda: _article(ref))


def _article(ref: str) -> Article | None:
    facts = gather(ref)
    return None if facts is None else tell(facts)


def tell(facts: Facts) -> Article:
    """The facts in words."""
    story = Story(facts)
    headline = opening.headline(facts)
    lead = Paragraph(tuple(opening.lead(story)))
    sections = tuple(section for section in _sections(story) if section.paragraphs)
    notes = story.pen.notes
    return Article(
        ref=facts.incident.ref,
        service=facts.incident.service.slug,
        version=snapshots.digest(headline, lead, sections, notes),
        as_of=facts.as_of,
        began_at=facts.incident.onset_at,
        over=facts.over,
        headline=headline,
        lead=(lead,),
        sections=sections,
        notes=notes,
    )


def _sections(story: Story) -> Iterable[Section]:
    facts = story.facts
    yield from (telling.beginning(story), telling.detection(story)) if facts.regions else ()
    if story.incident.review in ("rejected", "merged"):
        return
    yield telling.failed(story)
    if not facts.regions:
        return
    yield telling.spread(story)
    yield others.siblings(story)
    yield others.statements(story)
    if facts.cause is None:
        yield aftermath.restoration(story)
        yield aftermath.setbacks(story)
        yield aftermath.duration(story)
    yield aftermath.unknown(story)
    if facts.cause is None:
        yield aftermath.meanwhile(story)
