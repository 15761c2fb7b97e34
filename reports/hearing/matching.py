"""Whom and where an update is about: services of the provider by their names, regions by theirs, both as whole words.

A wrong region is worse than none: what names an area that is no region here (a continent, half a country, a cloud
provider's own region) is about a part that cannot be told, and then neither becomes that of the country it looks like
nor is believed when it says that all is well again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from reports import regions
from reports.hearing.updates import Update
from reports.models import Provider, Service

# A shorter name counts only where it is all that a component is called.
SHORTEST = 3
# What names more than so many regions is about a large part of the world, and told of the whole.
MOST_REGIONS = 5


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Other names of countries, as status pages write them.
_COUNTRY_NAMES = {
    "uk": "GB",
    "us": "US",
    "u k": "GB",
    "great britain": "GB",
    "usa": "US",
    "u s": "US",
    "u s a": "US",
    "united states of america": "US",
    "turkey": "TR",
    "czech republic": "CZ",
    "ivory coast": "CI",
    "holland": "NL",
    "uae": "AE",
    "korea": "KR",
    "the netherlands": "NL",
    "burma": "MM",
    "macau": "MO",
    "swaziland": "SZ",
}
_AREAS = _set(
    "eu eea europe european emea apac apj asia asian africa african america americas latam latin amer anz oceania"
    " pacific scandinavia nordics nordic benelux dach balkans caribbean mena gcc gulf sea antarctica"
) | {"north america", "south america", "central america", "middle east", "south east asia", "southeast asia"}
_POINTS = _set(
    "north south east west central northeast northwest southeast southwest northern southern eastern western upper"
    " lower mid midwest n s e w ne nw se sw"
)
_KINDS = _set("region province district state division coast island islands city capital")
# us-east-1, europe-west4, ap-southeast-2, eastus2, westeurope.
_CLOUD = re.compile(
    r"\b[a-z]{2,12}-(?:gov-)?(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-?\d{0,2}\b"
    r"|\b(?:north|south|east|west|central|southeast|northeast)(?:us|europe|asia|india|uk)\d?\b",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"\s[-–—]+\s|[:|/,;()\[\]•·»>]+|\s&\s|\band\b")
_ISO = re.compile(r"(?<![\w-])([A-Z]{2}-[A-Z0-9]{1,3})(?![\w-])")
# Letters that are a country's code and a state's of the United States: nobody can tell which is meant.
_STATES = _set(
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA"
    " RI SC SD TN TX UT VT VA WA WV WI WY"
)
# Codes that are words, or abbreviations of other things, where a whole segment is written in capitals.
_NO_CODES = _set("IT IS AS AT BE BY DO IO NO SO TO TV AI AM PM ID MS VC PR PS PC MC ML SM ST VA SI GS CD CF")


@dataclass(frozen=True)
class Offer:
    """A service and how it is called, folded, the longest first."""

    slug: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """The services of a provider, as an update may name them."""

    provider: str
    services: tuple[Offer, ...]
    default: str = ""
    """What an update is about that names none."""


@dataclass(frozen=True)
class Places:
    """The regions that are named, by code. ``partly``: something is named that is none of them."""

    codes: tuple[str, ...] = ()
    partly: bool = False


def subject_of(provider: Provider, default: Service | None) -> Subject:
    """What the provider runs now, and what its feed is about where it does not say."""
    offered = provider.services.filter(retired_at=None).prefetch_related("aliases").order_by("slug")
    found = tuple(
        Offer(
            each.slug,
            tuple(
                sorted(
                    {folded(each.name), folded(each.slug), *(folded(row.alias) for row in each.aliases.all())} - {""},
                    key=lambda name: (-len(name), name),
                )
            ),
        )
        for each in offered
    )
    chosen = default.slug if default is not None and default.retired_at is None else ""
    return Subject(folded(provider.name), found, chosen or (found[0].slug if len(found) == 1 else ""))


def folded(text: str) -> str:
    """What two spellings of a name have in common: words without case, accents and signs, but for a plus."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(re.findall(r"[^\W_]+\+?", bare.replace("+", "+ ")))


# --- services ---------------------------------------------------------------------------------------------------------


def services(update: Update, subject: Subject) -> tuple[str, ...]:
    """The slugs of the services that an update is about; none where that cannot be told.

    What its components name goes before what its title names. The provider's own name is no service's where it has
    several.
    """
    names = {
        name: offer.slug
        for offer in subject.services
        for name in offer.names
        if name != subject.provider or len(subject.services) == 1
    }
    found = _named(update.components, names) or _named([update.title], names)
    return found or ((subject.default,) if subject.default else ())


def _named(texts: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    long = {name: slug for name, slug in names.items() if len(name) >= SHORTEST}
    found: dict[str, None] = {}
    for text in texts:
        whole = names.get(folded(text))
        for slug in [whole] if whole else [long[name] for name, _before, _after in _words_of(text, long)]:
            found[slug] = None
    return tuple(found)


def _words_of(text: str, names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The names in the text, the longest at each place, each with the words before and after it."""
    words = folded(text).split()
    longest = max((len(name.split()) for name in names), default=0)
    found = []
    at = 0
    while at < len(words):
        for length in range(min(longest, len(words) - at), 0, -1):
            name = " ".join(words[at : at + length])
            if name in names:
                before = words[at - 1] if at else ""
                after = words[at + length] if at + length < len(words) else ""
                found.append((name, before, after))
                at += length
                break
        else:
            at += 1
    return found


# --- regions ----------------------------------------------------------------------------------------------------------


def places(update: Update) -> Places:
    """The regions that components and title name."""
    codes: dict[str, None] = {}
    partly = False
    for text in (*update.components, update.title):
        found = _places_in(text, component=text is not update.title)
        codes.update(dict.fromkeys(found.codes))
        partly = partly or found.partly
    inside = tuple(code for code in codes if not any(above in codes for above in regions.ancestors(code)))
    if len(inside) > MOST_REGIONS:
        return Places((), partly=True)
    return Places(inside, partly=partly)


def _places_in(text: str, *, component: bool) -> Places:
    text = text[:300]
    codes: list[str] = []
    bare = _CLOUD.sub(" ", text)
    partly = bare != text
    for code in _ISO.findall(bare):
        known = regions.resolve(code)
        codes += [known] if known and known == code else []
    for segment in _SEPARATORS.split(bare):
        found = _segment(segment.strip(), component=component)
        codes += found.codes
        partly = partly or found.partly
    return Places(tuple(codes), partly)


def _segment(segment: str, *, component: bool) -> Places:
    if not segment:
        return Places()
    if re.fullmatch(r"[A-Z]{2}", segment):
        return _of_code(segment)
    plain = folded(segment)
    if component and (one := _only(plain)):
        return one
    codes: list[str] = []
    partly = False
    left = f" {plain} "
    for name, before, after in _words_of(segment, _names_in_texts()):
        left = left.replace(f" {name} ", " ", 1)
        # "us" is a word, "US" a country.
        if len(name) <= SHORTEST and not _in_capitals(name, segment):
            continue
        code = _names_in_texts()[name]
        # "Australia East", "Germany 2": finer than a country. "North Korea" is a name of its own.
        if not code or before in _POINTS or after in _POINTS or after.isdigit():
            partly = True
        else:
            codes.append(code)
    partly = (
        partly or any(f" {area} " in left for area in _AREAS) or any(word in _subdivisions() for word in left.split())
    )
    return Places(tuple(codes), partly)


def _in_capitals(name: str, segment: str) -> bool:
    """Whether a short name such as "UK" is written as one: "us" is a word."""
    return bool(re.search(r"(?<!\w)" + r"\.?".join(name.upper().split()) + r"\.?(?!\w)", segment))


def _of_code(code: str) -> Places:
    if code == "UK":
        return Places(("GB",))
    if code == "EU" or code in _STATES:
        return Places(partly=True)
    known = regions.resolve(code)
    return Places((known,)) if known == code and code not in _NO_CODES else Places()


def _only(name: str) -> Places | None:
    """The region that is all that a component is called; nothing certain where several are called so."""
    codes = _every_name().get(name, ())
    if not codes or name in _POINTS:
        return None
    return Places((codes[0],)) if len(codes) == 1 else Places(partly=True)


@cache
def _names_in_texts() -> Mapping[str, str]:
    """What is looked for within a text: countries, nations, and subdivisions of two words and more (New Mexico is not
    Mexico). Folded, with the code; without one where several are called so, or it says no more than a direction."""
    found: dict[str, str] = {}
    for name, codes in _every_name().items():
        whole = any(regions.tree()[code].kind in ("country", "nation") for code in codes)
        if whole or " " in name:
            vague = all(word in _POINTS or word in _KINDS for word in name.split())
            found[name] = codes[0] if len(codes) == 1 and not vague else ""
    return found | _COUNTRY_NAMES


@cache
def _subdivisions() -> frozenset[str]:
    """Names of one word: too often a word of another meaning to be taken for the region, or to be overlooked."""
    return frozenset(name for name in _every_name() if " " not in name and len(name) >= 5) - _names_in_texts().keys()


@cache
def _every_name() -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for region in regions.tree().values():
        if region.kind != "world":
            found.setdefault(folded(region.name), []).append(region.code)
    # A country and its capital's district: the larger one, where they are called the same.
    return {
        name: [codes[0]] if len({code[:2] for code in codes}) == 1 and len(codes[0]) == 2 else codes
        for name, codes in found.items()
    }
