"""The map without a script: a drawing of the world, or of one country, coloured by state.

It serves readers without JavaScript, printers and link previews. All colours are presentation attributes, since the
content policy allows no inline style; they are those of ``site.css``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.status import outlines

PALETTES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "down": "#d55e00",
        "recovering": "#f6c65b",
        "restored": "#56a0d3",
        "unknown": "#e3e5e8",
        "normal": "#f3f1ec",
        "sea": "#e6edf1",
        "hatch": "#5a6672",
        "dots": "#8c4600",
        "line": "#83878c",
        "ink": "#17191c",
        "paper": "#fcfbf8",
        "soft": "#596068",
    },
    "dark": {
        "down": "#f2662e",
        "recovering": "#fff0b8",
        "restored": "#2f74b5",
        "unknown": "#1b232b",
        "normal": "#26303a",
        "sea": "#0b1015",
        "hatch": "#aab4be",
        "dots": "#4a2a00",
        "line": "#75808a",
        "ink": "#e9ebed",
        "paper": "#101418",
        "soft": "#a0aab4",
    },
}


@dataclass(frozen=True)
class Shape:
    """One region of a drawing: SVG path data and the state that fills it."""

    path: str
    state: str


@dataclass(frozen=True)
class MapDrawing:
    """A drawing in the units of ``view_box``; ``unit`` is about a thousandth of its width, for patterns and lines."""

    view_box: str
    unit: float
    land: tuple[str, ...]
    shapes: tuple[Shape, ...]
    palette: Mapping[str, str]


def palette(theme: str) -> Mapping[str, str]:
    """The colours of ``light`` or ``dark``; light for any other word."""
    return PALETTES.get(theme, PALETTES["light"])


def draw_map(states: Mapping[str, str], *, theme: str) -> MapDrawing:
    """The map of regions that are not normal: of their country where it is one only, else of the world.

    ``states`` maps codes that a map draws to states. Codes without an outline are left out.
    """
    countries = {code[:2] for code in states}
    if len(countries) == 1 and (country := outlines.country_outline(next(iter(countries)))):
        view_box, outline = country
        land: Mapping[str, str] = outline
    else:
        view_box, outline = outlines.WORLD_VIEW_BOX, outlines.region_outline()
        land = outlines.world_outline()
    return MapDrawing(
        view_box=view_box,
        unit=float(view_box.split()[2]) / 1000,
        land=tuple(land.values()),
        shapes=tuple(
            Shape(outline[code], state)
            for code, state in sorted(states.items())
            if code in outline and state != "normal"
        ),
        palette=palette(theme),
    )
