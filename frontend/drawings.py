"""The map without a script: a drawing of the world, or of one country, coloured by state or by another fill.

It serves readers without JavaScript, printers and link previews. All colours are presentation attributes, since the
content policy allows no inline style; they are those of ``site.css``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from reports.status import outlines

PALETTES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "down": "#d55e00",
        "recovering": "#f6c65b",
        "restored": "#56a0d3",
        "unknown": "#e3e5e8",
        "normal": "#f3f1ec",
        "rate-1": "#e3d3e8",
        "rate-2": "#c3a0d0",
        "rate-3": "#a06cb6",
        "rate-4": "#753f91",
        "rate-5": "#451761",
        "back-1": "#d3e5f5",
        "back-2": "#9fc6e6",
        "back-3": "#5f9dd0",
        "back-4": "#2b6cab",
        "back-5": "#0f3b73",
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
        "rate-1": "#453a52",
        "rate-2": "#6d4f84",
        "rate-3": "#996cb8",
        "rate-4": "#c698e0",
        "rate-5": "#f1d8ff",
        "back-1": "#24415e",
        "back-2": "#306292",
        "back-3": "#4b89c6",
        "back-4": "#86b5e6",
        "back-5": "#d6e7fb",
        "sea": "#0b1015",
        "hatch": "#aab4be",
        "dots": "#4a2a00",
        "line": "#75808a",
        "ink": "#e9ebed",
        "paper": "#101418",
        "soft": "#a0aab4",
    },
}


# What is not a plain colour: the id of a pattern in the drawing, and the colours that it is made of.
PATTERNS = {"recovering": "r", "unknown": "u", "few": "u", "not-back": "d"}

Box = tuple[float, float, float, float]
"""Left, top, width and height."""

# A crop shows at least this share of the world's width: the shape of a country alone says little.
LEAST_CROP = 0.16
CROP_MARGIN = 0.06
SMALL_WIDTH, SMALL_GAP = 600, 20


@dataclass(frozen=True)
class Shape:
    """One region of a drawing: SVG path data, the state or other word for its fill, and that as an SVG paint."""

    path: str
    state: str
    paint: str


@dataclass(frozen=True)
class MapDrawing:
    """A drawing in the units of ``view_box``; ``unit`` is a thousandth of its width, for patterns and
    lines, as SVG writes it: a number would get a decimal comma in some languages."""

    view_box: str
    unit: str
    land: tuple[str, ...]
    shapes: tuple[Shape, ...]
    palette: Mapping[str, str]


@dataclass(frozen=True)
class SmallMap:
    """One of several maps in a drawing: where it stands, and which of the shared shapes is painted how."""

    id: str
    x: int
    uses: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SmallMaps:
    """Several maps of the same regions side by side, each ``width`` by ``height``, with shapes that they share."""

    base: MapDrawing
    ids: tuple[tuple[str, str], ...]
    maps: tuple[SmallMap, ...]
    width: int
    height: int
    whole_width: int


def palette(theme: str) -> Mapping[str, str]:
    """The colours of ``light`` or ``dark``; light for any other word."""
    return PALETTES.get(theme, PALETTES["light"])


def draw_map(states: Mapping[str, str], *, theme: str, around: Iterable[str] | None = None) -> MapDrawing:
    """The map of regions that are not normal: of their country where it is one only, else of the world.

    ``states`` maps codes that a map draws to states or other fills. Codes without an outline are left out. With
    ``around`` these codes choose what is shown instead, and of the world only the part that they lie in.
    """
    shown = states if around is None else list(around)
    countries = {code[:2] for code in shown}
    if len(countries) == 1 and (country := outlines.country_outline(next(iter(countries)))):
        view_box, outline = country
        land: Mapping[str, str] = outline
    else:
        view_box, outline = outlines.WORLD_VIEW_BOX, outlines.region_outline()
        land = outlines.world_outline()
        if around is not None:
            view_box = _crop([outline[code] for code in shown if code in outline])
    colours = palette(theme)
    return MapDrawing(
        view_box=view_box,
        unit=f"{float(view_box.split()[2]) / 1000:g}",
        land=tuple(land.values()),
        shapes=tuple(
            Shape(outline[code], state, _paint(state, colours))
            for code, state in sorted(states.items())
            if code in outline and state != "normal"
        ),
        palette=colours,
    )


def small_size(around: Iterable[str]) -> tuple[int, int]:
    """Width and height of each map that :func:`draw_small_maps` draws of these codes."""
    _left, _top, width, height = map(float, draw_map({}, theme="light", around=around).view_box.split())
    return SMALL_WIDTH, round(SMALL_WIDTH * height / width)


def draw_small_maps(maps: Sequence[Mapping[str, str]], *, theme: str, around: Iterable[str]) -> SmallMaps:
    """The same regions at several instants, each a mapping of codes to states, in one drawing."""
    codes = sorted(set(around))
    base = draw_map(dict.fromkeys(codes, "down"), theme=theme, around=codes)
    drawn = [code for code in codes if code in _outline_of(codes)]
    ids = {code: f"r{number}" for number, code in enumerate(drawn)}
    width, height = small_size(codes)
    return SmallMaps(
        base=base,
        ids=tuple(zip(ids.values(), (shape.path for shape in base.shapes), strict=True)),
        maps=tuple(
            SmallMap(
                id=f"m{number}",
                x=number * (width + SMALL_GAP),
                uses=tuple(
                    (ids[code], _paint(state, base.palette))
                    for code, state in sorted(states.items())
                    if code in ids and state != "normal"
                ),
            )
            for number, states in enumerate(maps)
        ),
        width=width,
        height=height,
        whole_width=len(maps) * (width + SMALL_GAP),
    )


def _outline_of(codes: Sequence[str]) -> Mapping[str, str]:
    countries = {code[:2] for code in codes}
    country = outlines.country_outline(next(iter(countries))) if len(countries) == 1 else None
    return country[1] if country else outlines.region_outline()


def _paint(state: str, colours: Mapping[str, str]) -> str:
    pattern = PATTERNS.get(state)
    return f"url(#{pattern})" if pattern else colours[state]


def _crop(paths: Sequence[str]) -> str:
    """The ``viewBox`` that holds these paths of the world's outline, as wide for its height as the world's."""
    left, top, width, height = map(float, outlines.WORLD_VIEW_BOX.split())
    boxes = [box_of(path) for path in paths]
    if not boxes:
        return outlines.WORLD_VIEW_BOX
    west, north = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, south = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
    share = max((east - west) / width, (south - north) / height) * (1 + 2 * CROP_MARGIN)
    share = min(max(share, LEAST_CROP), 1.0)
    wide, tall = width * share, height * share
    x = min(max((west + east - wide) / 2, left), left + width - wide)
    y = min(max((north + south - tall) / 2, top), top + height - tall)
    return f"{x:.0f} {y:.0f} {wide:.0f} {tall:.0f}"


@cache
def box_of(path: str) -> Box:
    """The box around path data made of ``M``, ``l``, ``h``, ``v`` and ``z``, which outlines are made of."""
    xs, ys, x, y = [], [], 0.0, 0.0
    for command, numbers in re.findall(r"([Mlhvz])([^Mlhvz]*)", path):
        values = [float(number) for number in re.findall(r"-?\d*\.?\d+", numbers)]
        if command == "h":
            steps = [(value, 0.0) for value in values]
        elif command == "v":
            steps = [(0.0, value) for value in values]
        else:
            steps = list(zip(values[::2], values[1::2], strict=True))
        if command == "M" and steps:
            # What follows the first pair is a line to absolute points; outlines have none.
            x = y = 0.0
        for right, down in steps:
            x, y = x + right, y + down
            xs.append(x)
            ys.append(y)
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
