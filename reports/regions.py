"""The regions: what they are called, how they nest, where a coordinate lies, and their outlines.

Everything here comes from the files in ``reports/data/regions/`` and needs no database, so that the
detector's backtest and the pages answer from the same tree. ``docs/data.md`` says where the files come from.
"""

from __future__ import annotations

import csv
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache
from itertools import accumulate, chain, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from babel import Locale
from numpy.typing import NDArray

WORLD = "001"
DATA = Path(__file__).resolve().parent / "data" / "regions"

#: The SVG ``viewBox`` of every path of :func:`world_outline`: Equal Earth, without Antarctica.
WORLD_VIEW_BOX = "0 0 2000 862"

RegionKind = Literal["world", "country", "nation", "subdivision"]
Level = Literal["country", "region"]

_KM_PER_DEGREE = 111.195  # of latitude, on a sphere of 6,371 km


@dataclass(frozen=True, slots=True)
class RegionInfo:
    """One region. ``population`` is ``None`` where nobody knows it; ``population_source`` is ``cldr`` (a
    published national figure), ``estimate`` (shared out by settlements) or empty.

    ``latitude`` and ``longitude`` are a point for a label, well inside the largest part.
    """

    code: str
    name: str
    parent: str | None
    kind: RegionKind
    population: int | None
    population_source: str
    timezone: str
    latitude: float
    longitude: float

    @property
    def country(self) -> str | None:
        """The ISO 3166-1 code of the country it is or lies in; ``None`` for the world."""
        return None if self.kind == "world" else self.code[:2]


@cache
def tree() -> Mapping[str, RegionInfo]:
    """Every region by code, parents before their children: the world, countries, nations, subdivisions."""
    with (DATA / "regions.csv").open(encoding="utf-8", newline="") as lines:
        regions = [
            RegionInfo(
                code=row["code"],
                name=row["name"],
                parent=row["parent"] or None,
                kind=cast(RegionKind, row["kind"]),
                population=int(row["population"]) if row["population"] else None,
                population_source=row["population_source"],
                timezone=row["timezone"],
                latitude=float(row["latitude"]),
                longitude=float(row["longitude"]),
            )
            for row in csv.DictReader(lines)
        ]
    return MappingProxyType({region.code: region for region in regions})


@cache
def _local_names(language: str) -> Mapping[str, str]:
    path = DATA / "names" / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def local_name(code: str, english: str, language: str) -> str:
    """What a region is called in ``language`` (``de``); ``english``, where nothing better is known.

    Countries after Unicode CLDR. A name that the region had in earlier times is not translated.
    """
    region = tree().get(code)
    if language == "en" or region is None or region.name != english:
        return english
    if region.kind in ("world", "country"):
        return str(Locale.parse(language).territories.get(code, english))
    return _local_names(language).get(code, english)


@cache
def displayed() -> tuple[str, ...]:
    """The codes that a map draws: each subdivision, and each country that has none."""
    return tuple(code for code in tree() if not _children().get(code))


@cache
def aliases() -> Mapping[str, str]:
    """Codes that are no region of the tree (finer, withdrawn or newer) and the region that holds each."""
    found: dict[str, str] = json.loads((DATA / "region_aliases.json").read_text(encoding="utf-8"))
    return MappingProxyType(found)


@cache
def _children() -> Mapping[str, tuple[str, ...]]:
    below: dict[str, list[str]] = {}
    for region in tree().values():
        if region.parent is not None:
            below.setdefault(region.parent, []).append(region.code)
    return {code: tuple(codes) for code, codes in below.items()}


def resolve(code: str) -> str | None:
    """The code of the region meant, or ``None``. Case and outer space do not matter; aliases are followed.

    A subdivision nobody knows is ``None`` even in a known country: whether to ask again or to fall back to
    the country is the caller's choice.
    """
    wanted = code.strip().upper()
    wanted = aliases().get(wanted, wanted)
    return wanted if wanted in tree() else None


def children(code: str) -> tuple[str, ...]:
    """The codes directly below ``code``. Raises ``KeyError`` for a code that is not in the tree."""
    return _children().get(tree()[code].code, ())


def descendants(code: str) -> tuple[str, ...]:
    """The codes below ``code`` at any depth, parents first. Raises ``KeyError`` for an unknown code."""
    found: list[str] = list(children(code))
    for below in found:
        found.extend(_children().get(below, ()))
    return tuple(found)


def ancestors(code: str) -> tuple[str, ...]:
    """The codes above ``code``, nearest first, the world last. Raises ``KeyError`` for an unknown code."""
    found: list[str] = []
    parent = tree()[code].parent
    while parent is not None:
        found.append(parent)
        parent = tree()[parent].parent
    return tuple(found)


@lru_cache(maxsize=65_536)
def utc_offset_minutes(code: str, at: date | None = None) -> int:
    """Minutes east of UTC at noon UTC of the day ``at``, or standard time without a day.

    Raises ``KeyError`` for an unknown code.
    """
    zone = ZoneInfo(tree()[code].timezone)
    if at is None:
        # The smaller one of both half-years: ``dst()`` cannot tell, it is negative in an Irish winter.
        return min(_offset(zone, date(2026, month, 15)) for month in (1, 7))
    return _offset(zone, at)


def _offset(zone: ZoneInfo, day: date) -> int:
    offset = datetime.combine(day, time(12), UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 60)


# --- nearest valid values, for error messages ---------------------------------------------------------------


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[^a-z0-9]+", " ", "".join(c for c in plain if not unicodedata.combining(c))).strip()


def _pairs(folded: str) -> frozenset[str]:
    padded = f" {folded} "
    return frozenset(padded[i : i + 2] for i in range(len(padded) - 1))


class _Spellings:
    """Texts by their letter pairs, so that one question costs a look at the texts that share a pair with it."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._rows: dict[str, list[int]] = {}
        sizes = []
        for row, text in enumerate(texts):
            pairs = _pairs(text)
            sizes.append(len(pairs))
            for pair in pairs:
                self._rows.setdefault(pair, []).append(row)
        self._sizes = np.array(sizes)

    def likeness(self, text: str) -> NDArray[np.float64]:
        """Dice's coefficient of the letter pairs of ``text`` and of each text: 0 to 1."""
        pairs = _pairs(text)
        rows = [row for pair in pairs for row in self._rows.get(pair, ())]
        shared = np.bincount(np.array(rows, dtype=np.intp), minlength=len(self._sizes))
        return np.asarray(2 * shared / (len(pairs) + self._sizes), dtype=np.float64)


@cache
def _by_code() -> _Spellings:
    return _Spellings(_folded(code) for code in tree())


@cache
def _by_name() -> _Spellings:
    return _Spellings(_folded_names())


@cache
def _folded_names() -> tuple[str, ...]:
    return tuple(_folded(region.name) for region in tree().values())


@lru_cache(maxsize=1024)
def nearest_codes(text: str, limit: int = 5) -> tuple[str, ...]:
    """The ``limit`` codes whose code or name is most like ``text``, the likeliest first; none for empty text.

    Where the text begins with a country's code, as in ``GB-XYZ``, that country's own regions come first.
    """
    folded = _folded(text[:60])
    if not folded:
        return ()
    scores = np.maximum(_by_code().likeness(folded), _by_name().likeness(folded))
    scores += np.array([name.startswith(folded) for name in _folded_names()])
    head, _, tail = folded.partition(" ")
    country = resolve(head) if tail and len(head) == 2 else None
    if country is not None:
        inside = np.array([code[:2] == country for code in tree()])
        scores += inside * (1 + _by_name().likeness(tail))
    codes = list(tree())
    # Among equals the one with more people is likelier meant; the sort keeps the tree's order beyond that.
    people = np.array([region.population or 0 for region in tree().values()])
    return tuple(codes[row] for row in np.lexsort((-people, -scores))[:limit] if scores[row] > 0)


# --- boundaries: TopoJSON in, polygons out ------------------------------------------------------------------

Points = NDArray[np.float64]  # (n, 2): longitude, latitude in degrees


@dataclass(frozen=True)
class Boundaries:
    """A TopoJSON file with its arcs as coordinates. ``shapes`` holds, for each code, polygons of rings of arc
    numbers; a negative number ``~i`` is arc ``i`` walked backwards. Neighbours share arcs, hence borders.
    """

    arcs: tuple[Points, ...]
    shapes: Mapping[str, tuple[tuple[tuple[int, ...], ...], ...]]


def read_boundaries(path: Path) -> Boundaries:
    """The boundaries in a quantised TopoJSON file of one object; its geometries' ``id`` is a region code."""
    source: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    (layer,) = source["objects"].values()
    lengths = [len(arc) for arc in source["arcs"]]
    numbers = chain.from_iterable(chain.from_iterable(source["arcs"]))
    steps = np.fromiter(numbers, dtype=np.int64, count=2 * sum(lengths)).reshape(-1, 2)
    # An arc is written as steps from point to point: one running sum over all, less what came before it.
    sums = np.cumsum(steps, axis=0)
    starts = [0, *accumulate(lengths)]
    scale = np.asarray(source["transform"]["scale"])
    shift = np.asarray(source["transform"]["translate"])
    arcs = []
    for start, end in pairwise(starts):
        before = sums[start - 1] if start else 0
        arcs.append((sums[start:end] - before) * scale + shift)
    shapes = {}
    for geometry in layer["geometries"]:
        # A state too small for the file's tolerance is a geometry without arcs.
        polygons = geometry.get("arcs", [])
        if geometry["type"] == "Polygon":
            polygons = [polygons]
        shapes[str(geometry["id"])] = tuple(tuple(tuple(ring) for ring in polygon) for polygon in polygons)
    return Boundaries(arcs=tuple(arcs), shapes=MappingProxyType(shapes))


def ring_points(arcs: tuple[Points, ...], ring: Iterable[int]) -> Points:
    """The closed ring that the arc numbers of ``ring`` make, first point repeated at the end."""
    walked = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in ring]
    # Each arc begins with the point at which the one before it ended.
    return np.concatenate([walked[0], *(arc[1:] for arc in walked[1:])])


# --- a point's region ---------------------------------------------------------------------------------------


class _Lookup:
    """Polygons in a tree; one for each island, so that far-flung regions have small boxes."""

    def __init__(self, boundaries: Boundaries) -> None:
        parts: list[shapely.Polygon] = []
        codes: list[str] = []
        for code, polygons in boundaries.shapes.items():
            for rings in polygons:
                outer, *holes = (ring_points(boundaries.arcs, ring) for ring in rings)
                polygon = shapely.Polygon(outer, holes)
                # Simplification leaves a ring or two that touch themselves.
                whole = polygon if polygon.is_valid else shapely.make_valid(polygon)
                for part in shapely.get_parts(whole):
                    if isinstance(part, shapely.Polygon):
                        parts.append(part)
                        codes.append(code)
        self._codes = codes
        self._parts = np.array(parts, dtype=object)
        self._tree = shapely.STRtree(self._parts)
        shapely.prepare(self._parts)

    def holding(self, longitude: float, latitude: float) -> str | None:
        near = self._tree.query(shapely.Point(longitude, latitude))
        inside = [self._codes[i] for i in near if shapely.intersects_xy(self._parts[i], longitude, latitude)]
        # On a common border both hold it; the answer must not depend on the order in the tree.
        return min(inside, default=None)

    def nearest(self, longitude: float, latitude: float, within_km: float) -> str | None:
        km_per_degree = _KM_PER_DEGREE * np.array([max(math.cos(math.radians(latitude)), 1e-6), 1.0])
        reach = within_km / km_per_degree
        found: tuple[float, str] | None = None
        # The far side of the antimeridian is another longitude for the same place.
        for here in (longitude, longitude - 360, longitude + 360):
            window = shapely.box(here - reach[0], latitude - reach[1], here + reach[0], latitude + reach[1])
            for i in self._tree.query(window):
                # Degrees are not as long eastwards as northwards: measure on a plane in km around the point.
                plane = shapely.transform(self._parts[i], lambda xy, at=here: (xy - (at, latitude)) * km_per_degree)
                distance = float(shapely.distance(plane, shapely.Point(0, 0)))
                if distance <= within_km and (found is None or (distance, self._codes[i]) < found):
                    found = (distance, self._codes[i])
        return None if found is None else found[1]


@cache
def _lookup() -> _Lookup:
    return _Lookup(read_boundaries(DATA / "regions-lookup.topo.json"))


def locate(latitude: float, longitude: float, *, snap_km: float = 25) -> str | None:
    """The displayed region at a WGS 84 coordinate in degrees, or ``None`` at sea.

    A point off the coast belongs to the nearest region within ``snap_km``: boundaries are generalised, and
    people stand on piers, bridges and ferries. The first call in a process reads the boundaries (a second).
    Raises ``ValueError`` for a coordinate that is not on Earth.
    """
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        raise ValueError("latitude and longitude must be finite numbers")
    if not -90 <= latitude <= 90:
        raise ValueError("latitude must be between -90 and 90")
    if not -180 <= longitude <= 180:
        raise ValueError("longitude must be between -180 and 180")
    lookup = _lookup()
    return lookup.holding(longitude, latitude) or (
        lookup.nearest(longitude, latitude, snap_km) if snap_km > 0 else None
    )


@cache
def _beside() -> Mapping[str, frozenset[str]]:
    boundaries = read_boundaries(DATA / "regions-lookup.topo.json")
    owners: dict[int, set[str]] = {}
    for code, polygons in boundaries.shapes.items():
        for number in chain.from_iterable(chain.from_iterable(polygons)):
            # Neighbours walk their common arc in opposite directions.
            owners.setdefault(max(number, ~number), set()).add(code)
    found: dict[str, set[str]] = {}
    for codes in owners.values():
        for code in codes:
            found.setdefault(code, set()).update(codes - {code})
    return {code: frozenset(codes) for code, codes in found.items()}


def neighbours(code: str) -> tuple[str, ...]:
    """The displayed regions that share a border on land with the region ``code``, which may have regions in it itself.

    Sorted by code. The first call in a process reads the boundaries. Raises ``KeyError`` for an unknown code.
    """
    own = {tree()[code].code, *descendants(code)}
    return tuple(sorted({near for one in own for near in _beside().get(one, ())} - own))


# --- outlines for drawings without a script -----------------------------------------------------------------


@cache
def _world_outlines() -> Mapping[Level, Mapping[str, str]]:
    levels: dict[Level, dict[str, str]] = json.loads((DATA / "outlines-world.json").read_text(encoding="utf-8"))
    return {level: MappingProxyType(paths) for level, paths in levels.items()}


@cache
def _country_outlines() -> Mapping[str, tuple[str, Mapping[str, str]]]:
    countries = json.loads((DATA / "outlines-countries.json").read_text(encoding="utf-8"))
    return {code: (view_box, MappingProxyType(paths)) for code, (view_box, paths) in countries.items()}


def world_outline(level: Level = "country") -> Mapping[str, str]:
    """SVG path data (``d``) of every country, or of every displayed region, in :data:`WORLD_VIEW_BOX`.

    Equal Earth projection: areas compare, so a big region far north does not shout. A state too small to draw
    is a square of the least visible size at its label point.
    """
    return _world_outlines()[level]


def country_outline(country: str) -> tuple[str, Mapping[str, str]]:
    """The ``viewBox`` of one country's drawing and the SVG path data of its displayed regions by code.

    Equal-area around the country's own middle, 1,000 units along the longer side. Raises ``KeyError`` for a
    code that is no country.
    """
    return _country_outlines()[country]
