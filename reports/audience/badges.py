"""Badges: the state of a service in a word, as a small drawing or in the schema that shields.io reads.

The drawing needs no font of a certain width: each text is told how long it is (``textLength``), by the widths of
Helvetica, which Arial and Liberation Sans share.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import escape

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports.audience import ready
from reports.status.answers import RegionLink, ServiceStatus

FRESH_SECONDS = 60
# shields.io keeps a badge for five minutes at least.
SHIELDS_SECONDS = 300

SIZE, PADDING, HEIGHT = 11, 6, 20
LABEL = "#33383e"
# Those of the map, darkened until white text on them has a contrast of 4.5; what is normal has no colour.
COLOURS = {
    "normal": "#596068",
    "down": "#b84f00",
    "recovering": "#8c5a00",
    "restored": "#2f6ea8",
    "unknown": "#6a6f75",
}

# Thousandths of the size, from the space on (Adobe's metrics of Helvetica).
# fmt: off
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778,
    722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278,
    278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)
# fmt: on
_WIDE, _OTHER = 1000, 600


@dataclass(frozen=True)
class Badge:
    """What it is about, what it says, and the state whose colour it has."""

    label: str
    message: str
    state: str


def badge(found: ServiceStatus, region: RegionLink | None) -> Badge:
    """The badge of a service, or of it in one region. Silence says so."""
    label = f"{found.link.name}, {region.name}" if region else found.link.name
    states = {state.region.code: state.state for state in (*found.down, *found.restored)}
    state = states.get(region.code, found.state) if region else found.state
    return Badge(
        label, _message(found, state, one=region is not None and region.code in states, area=region is not None), state
    )


def _message(found: ServiceStatus, state: str, *, one: bool, area: bool) -> str:
    if state == "down" and not one and found.regions_down:
        return ngettext("down in %(count)s region", "down in %(count)s regions", found.regions_down) % {
            "count": f"{found.regions_down:,}"
        }
    return {
        "down": _("down"),
        "recovering": _("recovering"),
        "restored": _("restored"),
        "unknown": _("too few reports to say") if found.incident or area else _("cannot say now"),
    }.get(state, _("no outage seen"))


def told(badge: Badge) -> bytes:
    """The schema of shields.io's endpoint badge."""
    return ready.as_json(
        {
            "schemaVersion": 1,
            "label": badge.label,
            "message": badge.message,
            "color": COLOURS[badge.state].removeprefix("#"),
            "labelColor": LABEL.removeprefix("#"),
            "cacheSeconds": SHIELDS_SECONDS,
        }
    )


def drawn(badge: Badge) -> bytes:
    """A flat drawing with a title for those who do not see it."""
    texts = (badge.label, badge.message)
    lengths = [width(text) for text in texts]
    left, right = (length + 2 * PADDING for length in lengths)
    title = escape(f"{badge.label}: {badge.message}")
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:g}" height="{HEIGHT}" role="img"'
        f' aria-label="{title}"><title>{title}</title>'
        f'<rect width="{left:g}" height="{HEIGHT}" fill="{LABEL}"/>'
        f'<rect x="{left:g}" width="{right:g}" height="{HEIGHT}" fill="{COLOURS[badge.state]}"/>'
        f'<g fill="#fff" font-family="Helvetica,Arial,\'Liberation Sans\',sans-serif" font-size="{SIZE}">'
    )
    for text, length, start in zip(texts, lengths, (0.0, left), strict=True):
        drawing += (
            f'<text x="{start + PADDING:g}" y="14" textLength="{length:g}" lengthAdjust="spacingAndGlyphs">'
            f"{escape(text)}</text>"
        )
    return f"{drawing}</g></svg>".encode()


def width(text: str) -> float:
    """How long the text is in the units of the drawing, to a tenth."""
    return round(sum(map(_width, unicodedata.normalize("NFC", text))) * SIZE / 1000, 1)


def _width(character: str) -> int:
    # A letter with an accent is as wide as without.
    base = unicodedata.normalize("NFD", character)[0]
    place = ord(base) - 32
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place]
    return _WIDE if unicodedata.east_asian_width(base) in "WF" else _OTHER
