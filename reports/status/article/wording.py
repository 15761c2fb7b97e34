"""Figures in words: instants, lengths of time, counts, places. Each keeps its value and its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports import formats
from reports.status import places
from reports.status.answers import ProblemChoice, RegionLink, ServiceLink
from reports.status.article.pieces import Figure, Part, Source, joined, listing


def utc(at: datetime) -> str:
    """ISO 8601 in UTC, to the second: ``2026-04-03T18:02:00Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def article_page(ref: str) -> str:
    """Where the article stands."""
    return reverse("article", args=[ref])


def whole(number: float) -> str:
    """A whole number with thousands apart, as the language does it."""
    return formats.number(round(number))


def day(at: datetime, source: Source | None = None) -> Figure:
    """``3 April 2026``."""
    here = at.astimezone(UTC)
    text = _("{day} {month} {year}").format(day=here.day, month=date_format(here, "E"), year=here.year)
    return Figure(text, "day", here.date().isoformat(), source)


def instant(at: datetime, beside: date, source: Source | None = None) -> Figure:
    """``18:02 UTC``, with the day unless it is that of ``beside``."""
    here = at.astimezone(UTC)
    if here.date() == beside:
        return Figure(_("{clock} UTC").format(clock=f"{here:%H:%M}"), "instant", utc(at), source)
    text = _("{clock} UTC on {day} {month}").format(clock=f"{here:%H:%M}", day=here.day, month=date_format(here, "E"))
    return Figure(text, "instant", utc(at), source, dated=True)


def length(span: timedelta, source: Source | None = None) -> Figure:
    """``12 minutes``, ``3 hours 12 minutes``, ``2 days 3 hours``; whole minutes, rounded."""
    seconds = abs(span.total_seconds())
    minutes = round(seconds / 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    of_minutes = ngettext("{n} minute", "{n} minutes", rest).format(n=rest)
    of_hours = ngettext("{n} hour", "{n} hours", hours).format(n=hours)
    if days:
        text = ngettext("{n} day", "{n} days", days).format(n=whole(days))
        text = _("{longer} {shorter}").format(longer=text, shorter=of_hours) if hours else text
    elif hours:
        text = _("{longer} {shorter}").format(longer=of_hours, shorter=of_minutes) if rest else of_hours
    else:
        text = of_minutes if minutes else _("less than a minute")
    return Figure(text, "length", round(seconds), source)


def minutes(number: int, source: Source | None = None) -> Figure:
    """The same of a number of minutes."""
    return length(timedelta(minutes=number), source)


def count(number: int, source: Source | None = None) -> Figure:
    """A count: ``46,012``."""
    return Figure(whole(number), "count", number, source)


def expected(number: float, source: Source | None = None) -> Figure:
    """How many are usual: a digit after the point where they are few, and never nothing where it is not."""
    if 0 < number < 0.05:
        text = _("less than 0.1")
    elif number < 9.95:
        text = _digit(number)
    else:
        text = whole(number)
    return Figure(text, "number", number, source)


def reports(number: int, source: Source | None = None) -> Figure:
    """``no reports``, ``1 report``, ``46,012 reports``."""
    text = _("no reports") if not number else ngettext("{n} report", "{n} reports", number).format(n=whole(number))
    return Figure(text, "count", number, source)


def regions(number: int, source: Source | None = None) -> Figure:
    """``1 region``, ``574 regions``."""
    text = ngettext("{n} region", "{n} regions", number).format(n=whole(number))
    return Figure(text, "count", number, source)


def countries(number: int, source: Source | None = None) -> Figure:
    """``12 countries``."""
    text = ngettext("{n} country", "{n} countries", number).format(n=whole(number))
    return Figure(text, "count", number, source)


def people(number: float, source: Source | None = None) -> Figure:
    """A number of people in two digits, since populations are estimates: ``310 million``."""
    if number >= 950_000_000:
        text = _("{n} billion").format(n=_digit(number / 1e9))
    elif number >= 9_500_000:
        text = _("{n} million").format(n=whole(round(number / 1e6, -1 if number >= 1e8 else 0)))
    elif number >= 950_000:
        text = _("{n} million").format(n=_digit(number / 1e6))
    else:
        text = whole(round(number, -4 if number >= 100_000 else -3 if number >= 10_000 else -2))
    return Figure(text, "people", round(number), source)


def _digit(number: float) -> str:
    return formats.number(number, digits=1 if round(number, 1) % 1 else 0)


def share(part: float, source: Source | None = None) -> Figure:
    """``69 %``; something is never 0 %, and not everything never 100 %."""
    percent = 100 * part
    shown = 100 if part >= 1 else min(round(percent), 99)
    text = _("less than 1 %") if 0 < percent < 1 else formats.percentage(shown)
    return Figure(text, "share", round(part, 6), source)


def chance(log10_p: float, source: Source | None = None) -> Figure:
    """``1 in 40,000,000``, ``about 3 %``; bounded, not endless."""
    if log10_p > -2:
        text = formats.percentage(max(round(100 * 10**log10_p), 1))
    elif log10_p < -9:
        text = _("less than 1 in a billion")
    else:
        text = _("1 in {n}").format(n=whole(float(f"{10**-log10_p:.1e}")))
    return Figure(text, "chance", round(log10_p, 4), source)


def place(link: RegionLink, source: Source | None = None) -> Figure:
    """A region within a sentence: ``the United Kingdom``."""
    name = _("the world as a whole") if link.kind == "world" else places.place_name(link)
    return Figure(name, "place", link.code, source)


def beginning(figure: Figure) -> Figure:
    """The same at the beginning of a sentence: ``The United Kingdom``."""
    return replace(figure, text=figure.text[:1].upper() + figure.text[1:])


def region_called(code: str | None) -> RegionLink | None:
    """The region with this code."""
    return None if code is None else places.region(code)


def problem(choice: ProblemChoice, source: Source | None = None) -> Figure:
    """What fails, as people were offered it."""
    return Figure(_("“{text}”").format(text=choice.label), "problem", choice.slug, source)


def service(link: ServiceLink, source: Source | None = None) -> Figure:
    """The name of a service."""
    return Figure(link.name, "service", link.slug, source)


def provider(link: ServiceLink) -> Figure:
    """The name of who runs a service."""
    return Figure(link.provider_name, "provider", link.provider)


def incident(ref: str, source: Source) -> Figure:
    """An incident by its ref."""
    return Figure(ref, "incident", ref, source)


def words(text: str, source: Source) -> Figure:
    """Words that lead to a source."""
    return Figure(text, "text", None, source)


def quote(text: str, source: Source) -> Figure:
    """What somebody said."""
    return Figure(_("“{text}”").format(text=text.strip()), "quote", text, source)


def names(items: Sequence[Part], *, most: int = 3) -> Part:
    """``A, B and C``; beyond ``most``, the rest as a number, unless it were one only."""
    if len(items) <= most + 1:
        return listing(items, _("{names} and {last}"))
    left = len(items) - most
    rest = Figure(ngettext("{n} more", "{n} more", left).format(n=whole(left)), "count", left)
    return listing([*items[:most], rest], _("{names} and {last}"))


def where_mostly(links: Sequence[RegionLink], mostly: Sequence[RegionLink], source: Source) -> Part:
    """The same, with the countries that it is most about by name."""
    found = where(links, source)
    if len({link.code[:2] for link in links}) <= 3 or not mostly:
        return found
    listed = names([place(link, source) for link in mostly[:3]])
    return joined(_("{where}, among them {places}"), where=found, places=listed)


def where(links: Sequence[RegionLink], source: Source) -> Part:
    """Where it was: by name up to three, else so many regions of a country, or of so many countries."""
    found = sorted({link.code[:2] for link in links if link.kind != "world"})
    if links and not found:
        # That the reports of the world together rose says that it is down somewhere, not everywhere.
        return Figure(_("many places at once"), "place", links[0].code, source)
    if len(links) <= 3:
        return names([place(link, source) for link in links])
    if all(link.kind == "country" for link in links):
        return countries(len(links), source)
    whole_ones = [places.region(code) for code in found]
    if len(found) <= 3:
        inside = names([place(link, source) for link in whole_ones if link is not None])
        return listing([regions(len(links), source), inside], _("{names} of {last}"))
    return listing([regions(len(links), source), countries(len(found), source)], _("{names} of {last}"))
