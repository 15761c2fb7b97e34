"""The picture of a page for link previews: 1200 by 630 pixels, PNG, since no messenger shows an SVG.

Drawn from the same outlines and colours as the map without a script, with a font that comes as a package: a server may
have none. A process of its own draws, at the lowest priority: the renderer holds Python's lock for a fifth of a second,
and reports come in through the same process as the question for a picture.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import font_source_serif_pro as font
from django.template.loader import render_to_string
from django.utils.translation import get_language, override

from frontend import drawings
from reports.status.shelf import Shelf
from reports.status.snapshots import digest

WIDTH, HEIGHT = 1200, 630
# What the font can write. Others get their picture in English.
LANGUAGES = frozenset({"en", "de", "es", "fr", "it", "nl", "pt"})
TEXT_WIDTH = 1090
# From large to small, with the number of lines that fit.
SIZES = ((58, 2), (50, 2), (42, 3))
LINE_HEIGHT = 1.16
TEXT_MIDDLE = 94
# Of a drawing, on a machine that has better things to do.
MOST_SECONDS = 30

# Finished incidents and quiet services look the same for hours.
_pictures: Shelf[bytes] = Shelf(most_bytes=16 * 2**20)


@cache
def _font_files() -> list[str]:
    folder = Path(font.__file__).parent / "files"
    return [str(folder / f"SourceSerifPro-{weight}.ttf") for weight in ("Semibold", "Regular")]


def writable() -> override:
    """The language in force, or English where the font lacks its letters."""
    language = (get_language() or "en").split("-")[0]
    return override(get_language() if language in LANGUAGES else "en")


def picture(*, title: str, note: str, states: Mapping[str, str]) -> bytes:
    """The PNG: ``title`` over a map of ``states`` (codes of regions to states), and ``note`` in its corner.

    Raises ``subprocess.TimeoutExpired`` where the machine is too busy to draw it.
    """
    size, lines = fitted(title)
    step = round(size * LINE_HEIGHT)
    svg = render_to_string(
        "frontend/preview.svg",
        {
            "drawing": drawings.draw_map(states, theme="light"),
            "lines": [
                (line, round(TEXT_MIDDLE - step * (len(lines) - 1) / 2 + step * number + size * 0.32))
                for number, line in enumerate(lines)
            ],
            "size": size,
            "note": note,
            "width": WIDTH,
            "height": HEIGHT,
        },
    )
    return _pictures.get(digest(svg), None, lambda: _drawn(svg))


def _drawn(svg: str) -> bytes:
    program = [sys.executable, "-I", str(Path(__file__).with_name("drawing_process.py")), *_font_files()]
    return subprocess.run(program, input=svg.encode(), stdout=subprocess.PIPE, check=True, timeout=MOST_SECONDS).stdout


def fitted(title: str) -> tuple[int, list[str]]:
    """The largest size at which ``title`` fits, and its lines; what fits at no size ends in an ellipsis."""
    for size, most in SIZES:
        ems = TEXT_WIDTH / size
        lines = wrapped(title, ems)
        if len(lines) <= most:
            # Lines of about one length: a last word alone looks forgotten.
            while len(closer := wrapped(title, ems - 0.5)) == len(lines) and ems > 8:
                ems, lines = ems - 0.5, closer
            return size, lines
    shown = lines[:most]
    return size, [*shown[:-1], shown[-1].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"]


def wrapped(text: str, ems: float) -> list[str]:
    """``text`` in lines that are at most ``ems`` wide."""
    lines: list[str] = []
    for word in text.split():
        if lines and breadth(f"{lines[-1]} {word}") <= ems:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def breadth(text: str) -> float:
    """About how wide ``text`` is in the headline's font, in ems; rather too wide than too narrow."""
    return sum(
        0.3 if character in " .,;:'’!|()il" else 0.92 if character in "mwMW—" else 0.7 if character.isupper() else 0.56
        for character in text
    )
