"""What every part of an article is written with: the facts, their sources, and the pen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reports.status.answers import RegionalOutageStatus
from reports.status.article import wording
from reports.status.article.facts import Facts
from reports.status.article.pieces import Figure, Paragraph, Part, Pen, Section, Sentence, Source
from reports.status.article.sources import Sources


class Story:
    """One article in the making."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.incident = facts.incident
        self.sources = Sources(facts)
        self.pen = Pen()
        self.service = wording.service(facts.incident.service)
        self.provider = wording.provider(facts.incident.service)

    def say(self, template: str, **parts: Part | str) -> Sentence:
        """The sentence, with its sources in the notes."""
        return self.pen.say(template, **parts)

    def at(self, instant: datetime, source: Source | None = None) -> Figure:
        """An instant; its day is named where it is not that of the onset."""
        return wording.instant(instant, self.incident.onset_at.date(), source)

    def where(self, rows: Iterable[RegionalOutageStatus]) -> Part:
        """Where it was."""
        return wording.where([row.region for row in rows], self.sources.regions)

    def place(self, row: RegionalOutageStatus) -> Figure:
        """A region, with its line of the table as the source."""
        return wording.place(row.region, self.sources.region(row))


def section(key: str, heading: str, *paragraphs: Paragraph | Iterable[Sentence]) -> Section:
    """A section of what was found to say: paragraphs without a sentence are left out."""
    made = [each if isinstance(each, Paragraph) else Paragraph(tuple(each)) for each in paragraphs]
    return Section(key, heading, tuple(each for each in made if each.sentences))
