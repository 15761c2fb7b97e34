"""Text of others as plain text: no markup, no signs that hide or turn what is written, no more than is read."""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

MOST_LETTERS = 4000
TITLE_LETTERS = 300
URL_LETTERS = 500
# Beyond, nothing is looked at: a page of markup holds no more to read than this.
_RAW_LETTERS = 50_000

_UNREAD = frozenset({"script", "style", "template", "head", "noscript", "iframe", "object", "svg", "math"})
_BREAKS = frozenset({"p", "br", "div", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hr"})
# An attribute may hold a ">" in quotation marks; what then stays of it is ugly, and harmless.
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,20})(?:[\s/][^<>]{0,2000})?>")
_VALID_URL = URLValidator(schemes=["http", "https"])


def of_markup(markup: str, *, most: int = MOST_LETTERS) -> str:
    """What a reader of the HTML sees, as :func:`cleaned` leaves it.

    By hand, in one pass: the parser of the standard library takes a minute for 100 KB of nothing but ``<a b=``.
    """
    pieces: list[str] = []
    markup, at = markup[:_RAW_LETTERS], 0
    while (begin := markup.find("<", at)) >= 0:
        pieces.append(markup[at:begin])
        tag = _TAG.match(markup, begin)
        if tag is not None:
            name = tag.group(2).lower()
            at = tag.end()
            if name in _BREAKS:
                pieces.append("\n")
            if name in _UNREAD and not tag.group(1):
                end = re.compile(f"</{name}", re.IGNORECASE).search(markup, at)
                at = end.start() if end else len(markup)
        elif markup.startswith("<!--", begin):
            at = _after(markup, "-->", begin + 4)
        elif markup.startswith(("<!", "<?"), begin):
            at = _after(markup, ">", begin)
        else:
            pieces.append("<")
            at = begin + 1
    pieces.append(markup[at:])
    text = "".join(pieces)
    try:
        text = html.unescape(text)
    # A number of thousands of digits, which no sign has.
    except ValueError:
        text = text.replace("&#", "")
    return cleaned(text, most=most)


def _after(markup: str, end: str, begin: int) -> int:
    found = markup.find(end, begin)
    return len(markup) if found < 0 else found + len(end)


def cleaned(text: str, *, most: int = MOST_LETTERS) -> str:
    """The text in composed form, without control signs, direction marks, joiners and other signs that nobody sees; at
    most ``most`` letters, the last an ellipsis where something was cut off."""
    composed = unicodedata.normalize("NFC", text[:_RAW_LETTERS])
    seen = "".join(_sign(sign) for sign in composed)
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in seen.split("\n"))
    whole = re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()
    # A heap of accents on one letter would cover the lines around it.
    whole = re.sub(
        r"([\u0300-\u036f\u0489\u1dc0-\u1dff\u20d0-\u20ff]{3})[\u0300-\u036f\u0489\u1dc0-\u1dff\u20d0-\u20ff]+",
        r"\1",
        whole,
    )
    return whole if len(whole) <= most else whole[: most - 1].rstrip() + "…"


def _sign(sign: str) -> str:
    if sign in "\n\t":
        return sign
    if sign in "\r\x0b\x0c\x85\u2028\u2029":
        return "\n"
    category = unicodedata.category(sign)
    # Cc and Cf: controls, direction overrides, zero widths; Cs: halves of signs, which no database takes; Co, Cn: none.
    return "" if category[0] == "C" else sign


def line(text: str, *, most: int = TITLE_LETTERS) -> str:
    """The same on one line."""
    return cleaned(text.replace("\n", " "), most=most).replace("\n", " ")


def address(text: object) -> str:
    """The address where it is one that a page may lead to; else nothing."""
    if not isinstance(text, str) or not 0 < len(text) <= URL_LETTERS or not text.isascii():
        return ""
    try:
        _VALID_URL(text)
        parts = urlsplit(text)
    except (ValidationError, ValueError):
        return ""
    return "" if parts.username is not None or parts.password is not None else text
