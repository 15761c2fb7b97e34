"""One region of an incident in a sentence: the reader's own, or the one that a link names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from frontend import words
from frontend.course import country_name
from reports import status
from reports.status.answers import RegionalOutageStatus, RegionLink, TimelineLine
from reports.status.nesting import parts


@dataclass(frozen=True)
class Pinned:
    """What we say about ``region``: the sentence, the state that goes with it, and what it rests on.

    ``outage`` is the one decided for the region itself, else for the region ``above`` that stands for it; ``None``
    where parts of the region were decided on, or nothing was.
    """

    region: RegionLink
    country: str
    state: str
    sentence: SafeString
    outage: RegionalOutageStatus | None = None
    above: RegionLink | None = None
    noted: tuple[TimelineLine, ...] = ()


def pinned(
    region: RegionLink, outages: Sequence[RegionalOutageStatus], lines: Sequence[TimelineLine], now: datetime
) -> Pinned:
    """The region as it stands in an incident with these ``outages`` and the timeline ``lines``."""
    by_code = {outage.region.code: outage for outage in outages}
    country = country_name(region)
    below = [outage for outage in outages if _within(outage.region, region)]
    if len(below) > 1 or (below and region.code not in by_code):
        state, sentence = _of_parts(region, below, now)
        return Pinned(region, country, state, sentence)
    found = by_code.get(region.code)
    above = None
    if found is None and (code := _above(region, set(by_code))):
        found, above = by_code[code], by_code[code].region
    if found is None:
        return Pinned(
            region, country, "normal", format_html(_("{region}: no outage was seen there."), region=region.name)
        )
    noted = tuple(line for line in lines if line.region and line.region.code == found.region.code)
    return Pinned(region, country, found.state, _of_one(found, now), found, above, noted)


def _within(link: RegionLink, region: RegionLink) -> bool:
    """Whether a region lies in another one: directly, or in one that does."""
    above = link.parent
    while above is not None and above != region.code:
        found = status.region(above)
        above = found.parent if found else None
    return above is not None


def _above(region: RegionLink, codes: set[str]) -> str | None:
    """The nearest region above that is among ``codes``. The whole world says nothing of one place."""
    above = region.parent
    while above is not None and above not in codes:
        found = status.region(above)
        above = found.parent if found else None
    return above if above != "001" else None


def _of_one(outage: RegionalOutageStatus, now: datetime) -> SafeString:
    facts = {
        "region": outage.region.name,
        "onset": words.moment(outage.onset_at, now),
        "back": words.moment(outage.restored_at, now) if outage.restored_at else "",
        "basis": words.basis_name(outage.basis),
    }
    if outage.restored_at and outage.restored_low and outage.restored_high:
        interval = words.interval(outage.restored_at, outage.restored_low, outage.restored_high)
        return format_html(_("{region}: back since {back} {interval}, because {basis}."), interval=interval, **facts)
    sentence = {
        "restored": _("{region}: back since {back}, because {basis}."),
        "recovering": _("{region}: coming back; it went down at {onset}."),
        "unknown": _("{region}: down since {onset}; whether it is back, too few reports say."),
    }.get(outage.state, _("{region}: down since {onset}."))
    return format_html(sentence, **facts)


def _of_parts(region: RegionLink, below: Sequence[RegionalOutageStatus], now: datetime) -> tuple[str, SafeString]:
    counted = {link.code for link in parts(outage.region for outage in below)}
    chosen = [outage for outage in below if outage.region.code in counted]
    backs = sorted(outage.restored_at for outage in chosen if outage.restored_at)
    facts = {
        "region": region.name,
        "n": len(chosen),
        "back": len(backs),
        "onset": words.moment(min(outage.onset_at for outage in chosen), now),
        "first": words.moment(backs[0], now) if backs else "",
        "last": words.moment(backs[-1], now) if backs else "",
    }
    if len(backs) == len(chosen):
        sentence = ngettext(
            "{region}: the part that was down is back since {last}.",
            "{region}: all {n} parts that were down are back, the first since {first}, the last since {last}.",
            len(chosen),
        )
        return "restored", format_html(sentence, **facts)
    if backs:
        sentence = ngettext(
            "{region}: {back} of {n} parts that went down is back, since {first}.",
            "{region}: {back} of {n} parts that went down are back, the first since {first}.",
            len(backs),
        )
        return "recovering", format_html(sentence, **facts)
    sentence = ngettext(
        "{region}: down in one part since {onset}.", "{region}: down in {n} parts since {onset}.", len(chosen)
    )
    return "down", format_html(sentence, **facts)
