"""Where a visitor is: what they chose, else a guess from their browser's language; never from their address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from django.http import HttpRequest

from reports import formats, status
from reports.status.answers import RegionLink

WORLD = "001"


@dataclass(frozen=True)
class Here:
    """Where the reader is: as they said, or ``guessed`` from their browser's language."""

    region: RegionLink
    guessed: bool

    @property
    def code(self) -> str:
        """The region's code."""
        return self.region.code


@dataclass(frozen=True)
class PlaceForm:
    """The two fields of the report's form. ``guessed`` is true where nobody chose."""

    countries: tuple[RegionLink, ...]
    country: RegionLink | None
    regions: tuple[RegionLink, ...]
    region: RegionLink | None
    guessed: bool


def countries() -> tuple[RegionLink, ...]:
    """Every country, in the order of its name in the language of the page."""
    return _countries(formats.language())


@cache
def _countries(_language: str) -> tuple[RegionLink, ...]:
    return _by_name(status.regions(kind="country"))


def _by_name(links: Iterable[RegionLink]) -> tuple[RegionLink, ...]:
    return tuple(sorted(links, key=lambda link: formats.alphabetical(link.name)))


def regions_of(country: str) -> tuple[RegionLink, ...]:
    """What a country is divided into, by name; what lies in a nation (England) stands with the rest."""
    return _regions_of(country, formats.language())


@cache
def _regions_of(country: str, _language: str) -> tuple[RegionLink, ...]:
    found: list[RegionLink] = []
    for link in status.regions(parent=country):
        found.append(link)
        if link.kind == "nation":
            found.extend(status.regions(parent=link.code))
    return _by_name(found)


def guessed_country(accept_language: str) -> str | None:
    """The country in the first language tag that names one (``en-GB`` gives ``GB``); ``None`` where none does.

    A bare ``en`` says nothing about where somebody is.
    """
    for tag in accept_language.split(","):
        found = re.match(r"\s*[A-Za-z]{2,3}(?:-[A-Za-z]{4})?-([A-Za-z]{2})\b", tag)
        link = status.region(found[1]) if found else None
        if link and link.kind == "country":
            return link.code
    return None


def here(request: HttpRequest) -> Here | None:
    """By ``?here=``, which scripts send; by ``?country=`` and ``?region=``, which forms send; else by a guess.

    ``None`` where nobody knows, or where the reader would rather not say. Two readers of one region get one page.
    """
    asked = request.GET.get("here", "")[:10]
    if not asked:
        asked = chosen_region(request.GET.get("country", "")[:10], request.GET.get("region", "")[:10], silent="")
    guessed = not asked
    code = asked or guessed_country(request.headers.get("Accept-Language", "")[:200])
    found = status.region(code) if code else None
    return Here(found, guessed) if found and found.code != WORLD else None


def place_form(here: Here | None, *, about: RegionLink | None = None) -> PlaceForm:
    """The fields, set to the region that the page is ``about``, else to where the reader is."""
    region = about or (here.region if here else None)
    country = status.region(region.code[:2]) if region else None
    return PlaceForm(
        countries=countries(),
        country=country,
        regions=regions_of(country.code) if country else (),
        region=region if region and region.kind != "country" else None,
        guessed=about is None and here is not None and here.guessed,
    )


def filled_form(country: str, region: str) -> PlaceForm:
    """The fields as they were sent; what names no place is left open."""
    link = status.region(country.strip()[:10]) if country.strip() else None
    known = link if link and link.kind == "country" else None
    parts = regions_of(known.code) if known else ()
    part = next((each for each in parts if each.code == region.strip()), None)
    return PlaceForm(countries=countries(), country=known, regions=parts, region=part, guessed=False)


def chosen_region(country: str, region: str, *, silent: str = WORLD) -> str:
    """The code that a plain form means: the region, unless it lies in another country than the one chosen since;
    ``silent`` where neither was chosen.
    """
    country, region = country.strip(), region.strip()
    if region and (not country or country == WORLD or region[:2].upper() == country[:2].upper()):
        return region
    return country or silent
