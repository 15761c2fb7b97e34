"""The timeline of an incident as chapters: what happened to many regions in a row is told as one line that opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports import formats
from reports.status.answers import TimelineLine

# So many lines of one kind in a row are told one by one.
FEW = 3
# So many lines of a folded stretch come with the page; all of them are in the JSON.
MOST_LINES = 20


@dataclass(frozen=True)
class Chapter:
    """One line of the timeline, or the ``lines`` that ``text`` sums up, of which ``left`` do not come with the page."""

    at: datetime
    until: datetime
    text: str
    line: TimelineLine | None
    lines: tuple[TimelineLine, ...] = ()
    left: int = 0


def chapters(lines: Sequence[TimelineLine]) -> tuple[Chapter, ...]:
    """The lines in order, with stretches of the detector's notes on single regions folded by what they say."""
    found: list[Chapter] = []
    for of_regions, stretch in groupby(
        lines, key=lambda line: line.region is not None and line.source_type == "engine"
    ):
        if not of_regions:
            found += [_alone(line) for line in stretch]
            continue
        by_kind: dict[str, list[TimelineLine]] = {}
        for line in stretch:
            by_kind.setdefault(line.kind, []).append(line)
        told: list[Chapter] = []
        for kind, alike in by_kind.items():
            told += [_alone(line) for line in alike] if len(alike) <= FEW else [_fold(kind, alike)]
        found += sorted(told, key=lambda chapter: chapter.at)
    return tuple(found)


def _alone(line: TimelineLine) -> Chapter:
    return Chapter(line.at, line.at, line.text, line)


def _fold(kind: str, lines: Sequence[TimelineLine]) -> Chapter:
    number = len({line.region.code for line in lines if line.region})
    return Chapter(
        at=lines[0].at,
        until=lines[-1].at,
        text=_summary(kind, number),
        line=None,
        lines=tuple(lines[:MOST_LINES]),
        left=max(len(lines) - MOST_LINES, 0),
    )


def _summary(kind: str, n: int) -> str:
    sentences = {
        "region_down": ngettext("{n} region went down.", "{n} regions went down.", n),
        "region_restored": ngettext("{n} region came back.", "{n} regions came back.", n),
        "region_recovering": ngettext("{n} region began to come back.", "{n} regions began to come back.", n),
        "region_relapsed": ngettext("{n} region went down again.", "{n} regions went down again.", n),
        "region_down_again": ngettext("{n} region got worse again.", "{n} regions got worse again.", n),
        "region_unknown": ngettext(
            "From {n} region too little was heard to say.", "From {n} regions too little was heard to say.", n
        ),
        "region_withdrawn": ngettext(
            "{n} region turned out to be no part of it.", "{n} regions turned out to be no part of it.", n
        ),
        "onset_revised": ngettext(
            "For {n} region we know better when it began.", "For {n} regions we know better when it began.", n
        ),
    }
    return sentences.get(kind, _("{n} notes on regions.")).format(n=formats.number(n))
