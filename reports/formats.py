"""Numbers, dates and lists as the active language writes them: Unicode CLDR, through Babel.

Digits are the European ones in every language, Arabic included (CLDR's own choice for ``ar``): times, codes and counts
stand beside charts, references and files that have no others. Clocks run to 24 in every language, since UTC stands
beside each time. Without an active language (tasks, commands, the API) everything is English.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from math import floor, log10

from babel import Locale
from babel.dates import format_skeleton, get_datetime_format
from babel.lists import format_list
from babel.numbers import format_compact_decimal, format_decimal
from django.utils.translation import get_language
from django.utils.translation import gettext as _

# The language alone means its largest country to CLDR: for English that would put the month before the day.
_LOCALES = {"en": "en_GB"}


def language() -> str:
    """The language in which words are made at the moment: ``en``, ``de``."""
    return (get_language() or "en").partition("-")[0]


@cache
def _locale(code: str) -> Locale:
    return Locale.parse(_LOCALES.get(code, code))


def number(value: float, *, digits: int = 0) -> str:
    """A number rounded to ``digits`` after the point, all of them written: ``1,234``, ``0.50``."""
    return _number(value, digits, language())


@lru_cache(maxsize=8192)
def _number(value: float, digits: int, code: str) -> str:
    # Python rounds halves to even, as everywhere else here; what is left for Babel is how it is written.
    rounded = round(value, digits)
    locale = _locale(code)
    pattern = locale.decimal_formats[None].pattern.partition(";")[0].partition(".")[0]
    return str(format_decimal(rounded or 0, f"{pattern}.{'0' * digits}" if digits else pattern, locale=locale))


def rounded(value: float) -> str:
    """A large number in two digits, with its unit as a word: ``310 million``, ``1.4 billion``, ``31 करोड़``."""
    size = floor(log10(value))
    short = round(value, 1 - size)
    return str(format_compact_decimal(short, format_type="long", fraction_digits=1, locale=_locale(language())))


def percentage(value: float, *, digits: int = 0) -> str:
    """A number of hundredths: ``12 %``."""
    return _("{n} %").format(n=number(value, digits=digits))


def listed(names: Sequence[str]) -> str:
    """``England, Bahia and Malta``."""
    told = str(format_list([str(name) for name in names], locale=_locale(language())))
    last = str(names[-1]) if names else ""
    before = told.removesuffix(last)
    if language() == "es" and before.endswith(" y ") and _SOUNDS_LIKE_Y.match(last):
        # Spanish writes "e" for "y" there, which Babel does not.
        return f"{before.removesuffix('y ')}e {last}"
    return told


_SOUNDS_LIKE_Y = re.compile(r"(?i)h?[ií](?![aeo])")


def alphabetical(name: str) -> str:
    """A key that sorts names as an index does: without regard to case, accents and signs."""
    return "".join(c for c in unicodedata.normalize("NFKD", name).casefold() if not unicodedata.combining(c))


def day(at: date, *, year: bool = False) -> str:
    """``3 Apr``, or ``3 Apr 2024``; an instant by its day in UTC."""
    return _day(at.astimezone(UTC).date() if isinstance(at, datetime) else at, year, language())


@lru_cache(maxsize=1024)
def _day(at: date, year: bool, code: str) -> str:
    midnight = datetime(at.year, at.month, at.day)  # noqa: DTZ001 - a day without a zone
    return str(format_skeleton("yMMMd" if year else "MMMd", midnight, locale=_locale(code)))


def hour(at: datetime) -> str:
    """``18:02``, UTC."""
    return f"{at.astimezone(UTC):%H:%M}"


def day_and_hour(at: datetime, *, year: bool = False) -> str:
    """``3 Apr 2024, 18:02``, UTC."""
    pattern = str(get_datetime_format("medium", locale=_locale(language())))
    return pattern.replace("{1}", day(at, year=year)).replace("{0}", hour(at)).replace("'", "")
