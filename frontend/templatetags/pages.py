"""Filters and tags of the pages: words for figures, and the mark of a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache

from django import template
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from frontend import words
from frontend.charts import SIDE, STATES
from frontend.course import Row
from frontend.languages import Choices, choices
from reports import formats, status
from reports.status.answers import CountryState, EvidenceFigures, IncidentStatus, RegionLink

register = template.Library()

# Each state has a shape of its own, so that it is told without colour: 16 units a side.
_SHAPES = {
    "down": '<circle cx="8" cy="8" r="7"/><path class="mark-ink" d="M4.5 8h7"/>',
    "recovering": '<circle cx="8" cy="8" r="6.25" class="mark-hollow"/><path d="M8 1.75a6.25 6.25 0 0 1 0 12.5z"/>',
    "restored": '<circle cx="8" cy="8" r="7"/><path class="mark-ink" d="m4.75 8.25 2.25 2.25 4.25-4.5"/>',
    "unknown": '<circle cx="8" cy="8" r="6.25" class="mark-hollow mark-dashed"/>',
    "normal": '<circle cx="8" cy="8" r="6.25" class="mark-hollow"/>',
}


@register.simple_tag
def mark(state: str) -> SafeString:
    """The small drawing of a state, for beside its name; it says nothing to a screen reader."""
    state = words.INCIDENT_MARKS.get(state, state)
    return format_html(
        '<svg class="mark mark-{}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">{}</svg>',
        state,
        SafeString(_SHAPES.get(state, _SHAPES["unknown"])),
    )


@register.filter
def mark_of(incident: IncidentStatus) -> str:
    """The state of the mark that stands beside an incident."""
    return words.incident_mark(incident)


@register.simple_tag(takes_context=True)
def languages(context: Context) -> Choices | None:
    """The present page in each language; nothing on a page that was made without a request."""
    request = context.get("request")
    return choices(request) if request else None


@dataclass(frozen=True)
class _Shown:
    """Evidence as it reads on one day, in one language. Once written it never changes: its number stands for it."""

    id: int
    day: date
    language: str
    evidence: EvidenceFigures = field(compare=False)
    now: datetime = field(compare=False)


# The table of a large incident shows the evidence of hundreds of regions, and is asked for again every few seconds.
@lru_cache(maxsize=4096)
def _evidence(shown: _Shown) -> str:
    return render_to_string("frontend/_evidence.html", {"evidence": shown.evidence, "now": shown.now})


@register.simple_tag
def evidence(found: EvidenceFigures | None, now: datetime) -> SafeString:
    """The figures a decision rests on; empty where nothing was noted."""
    return SafeString(_evidence(_Shown(found.id, now.date(), formats.language(), found, now)) if found else "")


@register.filter
def moment(at: datetime | None, now: datetime) -> SafeString:
    """An instant as a ``<time>``; a dash for none."""
    return words.moment(at, now) if at else SafeString("–")


@register.filter
def dated_moment(at: datetime) -> SafeString:
    """An instant as a ``<time>`` that is read on another day: with its date."""
    return words.moment(at, at + timedelta(days=400))


@register.filter
def utc(at: datetime) -> str:
    """ISO 8601 in UTC, for attributes and links."""
    return words.utc(at)


@register.simple_tag
def interval(at: datetime, low: datetime, high: datetime) -> str:
    """How far an estimate may be off, 90 %: ``± 7 min``."""
    return words.interval(at, low, high)


@register.filter
def count(number: float) -> str:
    """A number of reports."""
    return words.count(number)


@register.filter
def decimal(number: float | None, digits: int) -> str:
    """A number with so many digits after the point; a dash for none."""
    return "–" if number is None else formats.number(number, digits=digits)


@register.filter
def figure(number: float) -> str:
    """A figure of some evidence: at most three digits after the point."""
    return formats.number(
        number,
        digits=next(digits for digits in (0, 1, 2, 3) if digits == 3 or round(number, digits) == round(number, 3)),
    )


@register.filter
def day(at: datetime) -> str:
    """A day of the year by its short name, UTC: ``3 Apr``."""
    return formats.day(at)


@register.filter
def dated(at: date) -> str:
    """A day with its year, UTC: ``3 Apr 2024``."""
    return formats.day(at, year=True)


@register.filter
def clock_dated(at: datetime) -> str:
    """A day and an hour, UTC: ``3 Apr, 18:02``."""
    return formats.day_and_hour(at)


@register.filter
def tick(at: datetime) -> str:
    """An instant on an axis, UTC: the hour, or at midnight the day that begins."""
    return formats.day(at) if (at.hour, at.minute) == (0, 0) else formats.hour(at)


@register.filter
def expectation(number: float) -> str:
    """How many reports were expected."""
    return words.expectation(number)


@register.filter
def people(number: float | None) -> str:
    """A number of people; a dash where nobody knows it."""
    return words.people(number) if number else "–"


@register.filter
def people_living(number: float) -> str:
    """A number of people as a phrase, with the word."""
    return words.people_living(number)


@register.filter
def duration(length: timedelta | None) -> str:
    """A length of time; a dash for none."""
    return words.duration(length) if length is not None else "–"


@register.filter
def after(at: datetime, start: datetime) -> str:
    """How long after ``start`` the instant ``at`` came."""
    return words.duration(at - start)


@register.filter
def state_name(state: str) -> str:
    """The word for a state."""
    return words.state_name(state)


@register.filter
def basis_name(basis: str) -> str:
    """Why we believe that a region is back."""
    return words.basis_name(basis)


@register.filter
def figure_name(name: str) -> str:
    """What a figure of some evidence is."""
    return words.figure_name(name)


@register.filter
def level_name(level: str) -> str:
    """On what a decision was tested."""
    return words.level_name(level)


@register.filter
def rule_name(rule: str) -> str:
    """By which rule something was decided."""
    return words.rule_name(rule)


@register.filter
def review_name(review: str) -> str:
    """Who has looked at an incident."""
    return words.review_name(review)


@register.filter
def probability(log10_p: float) -> str:
    """The chance of so many reports on an ordinary day."""
    return words.probability(log10_p)


@register.filter
def place(link: RegionLink) -> str:
    """The name of a region as it stands within a sentence."""
    return status.place_name(link)


@register.filter
def regions(number: int) -> str:
    """A number of regions."""
    return words.regions(number)


@register.filter
def reports(number: int) -> str:
    """A number of reports, with the word."""
    return words.reports(number)


@register.simple_tag
def counted(down: int, working: int) -> str:
    """How many reports said that it was down, and that it works again."""
    return words.counted(down, working)


@register.filter
def silence(number: int) -> str:
    """From how many regions nothing can be told."""
    return words.silence(number)


@register.simple_tag
def country_parts(found: CountryState) -> str:
    """How many parts of a country are in which state."""
    return words.country_parts(found)


@register.simple_tag
def multiple(reports: float, expected: float) -> str:
    """How many times the usual; empty where a ratio would mislead."""
    return words.multiple(reports, expected)


@register.filter
def clock(at: datetime, now: datetime) -> str:
    """An instant in UTC without markup, for attributes and narrow places."""
    return words.clock(at, now)


@register.filter
def link_time(at: datetime) -> str:
    """An instant as links have it: ``2024-04-03T18:02Z``."""
    return words.utc(at)[:16] + "Z"


@register.simple_tag
def course_label(row: Row, now: datetime) -> str:
    """The bar of one region in words, for who does not see it."""
    outage = row.outage
    onset = words.clock(outage.onset_at, now)
    if outage.restored_at:
        return _("down from {onset} UTC, back at {back} UTC").format(
            onset=onset, back=words.clock(outage.restored_at, now)
        )
    return _("down from {onset} UTC").format(onset=onset)


@register.filter
def state_rank(state: str) -> int:
    """The place of a state in an ordering, the worst first."""
    return STATES.index(state)


@register.filter
def at_key(mapping: Mapping[str, int], key: str) -> int:
    """The value at a key that a template holds in a variable."""
    return mapping[key]


@register.filter
def share_of(number: float, whole: float) -> int:
    """The length of a bar in units of a plot."""
    return round(SIDE * number / whole) if whole else 0


@register.filter
def percent(share: float) -> str:
    """A probability, never rounded up to certainty."""
    return formats.percentage(min(round(100 * share), 99))


@register.filter
def share(part: float) -> str:
    """A share of a whole, which may be all of it."""
    return formats.percentage(round(100 * part))


@register.filter
def hundredths(number: int) -> str:
    """So many in a hundred."""
    return formats.percentage(number)


@register.filter
def some_share(part: float) -> str:
    """A share of a whole that is not nothing, however little."""
    return _("under 1 %") if 0 < part < 0.005 else share(part)


@register.filter
def power(log10: float) -> str:
    """A power of ten in superscript digits: ``10⁻⁷·⁵``."""
    return "10" + f"{log10:g}".translate(str.maketrans("-.0123456789", "⁻·⁰¹²³⁴⁵⁶⁷⁸⁹"))


@register.filter
def scale(factor: float) -> str:
    """A scale as on a map: ``1:20``."""
    return f"1:{factor:g}"


@register.filter
def ago(age: timedelta) -> str:
    """How long ago, in seconds where it is less than two minutes."""
    seconds = round(age.total_seconds())
    if seconds < 120:
        return _("{n} s ago").format(n=max(seconds, 0))
    return _("{length} ago").format(length=words.duration(age))
