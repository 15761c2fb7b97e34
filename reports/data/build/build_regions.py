"""Write the region files that the product reads from the boundary files: codes, names, zones, outlines.

    python -m reports.data.build.build_regions BOUNDARIES ZONE_TAB

BOUNDARIES is the folder that the boundary build leaves (TopoJSON, ``regions-meta.json``,
``region_aliases.json``), ZONE_TAB the ``zone.tab`` of the IANA time zone database. ``docs/data.md`` tells
where they come from. Run again, it writes the same bytes.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from reports.data.build.names import NAMES
from reports.data.build.timezones import TIMEZONES
from reports.regions import DATA, WORLD, WORLD_VIEW_BOX, Boundaries, Points, read_boundaries, ring_points

ROOT = Path(__file__).resolve().parents[3]
BROWSER = ROOT / "frontend" / "static" / "frontend" / "regions"

ENGLAND = "GB-ENG"
#: Spellings that people and databases send, and ISO's codes for groups of the United Kingdom's parts.
EXTRA_ALIASES = {"UK": "GB", "EL": "GR", "WORLD": WORLD, "GB-GBN": "GB", "GB-UKM": "GB", "GB-EAW": "GB"}


@dataclass(frozen=True)
class Row:
    """One line of ``regions.csv``; its fields are the columns."""

    code: str
    name: str
    parent: str
    kind: str
    population: int | None
    population_source: str
    timezone: str
    latitude: float
    longitude: float


def read_zones(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Country -> (latitude, longitude, zone) of each of its zones' chief places, from ``zone.tab``."""
    zones: dict[str, list[tuple[float, float, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            country, place, zone = line.split("\t")[:3]
            split = max(place.rfind("+"), place.rfind("-"))
            zones.setdefault(country, []).append((_degrees(place[:split]), _degrees(place[split:]), zone))
    return zones


def _degrees(text: str) -> float:
    """``+DDMM``, ``+DDDMM``, ``+DDMMSS`` or ``+DDDMMSS`` of ISO 6709 in degrees."""
    sign, digits = (-1 if text[0] == "-" else 1), text[1:]
    width = 2 if len(digits) % 2 == 0 else 3
    minutes, seconds = digits[width : width + 2], digits[width + 2 :] or "0"
    return sign * (int(digits[:width]) + int(minutes) / 60 + int(seconds) / 3600)


def timezone(code: str, latitude: float, longitude: float, zones: Mapping[str, list[tuple[float, float, str]]]) -> str:
    """The zone by hand of the region or its country, else the nearest zone of the same country."""
    known = TIMEZONES.get(code) or TIMEZONES.get(code[:2])
    if known:
        return known

    def distance(zone: tuple[float, float, str]) -> float:
        return math.hypot(zone[0] - latitude, (zone[1] - longitude) * math.cos(math.radians(latitude)))

    return min(zones[code[:2]], key=distance)[2]


def polygons(boundaries: Boundaries, codes: Iterable[str]) -> list[shapely.Polygon]:
    """The polygons of some shapes of the boundaries, repaired where they touch themselves."""
    found = []
    for code in codes:
        for rings in boundaries.shapes[code]:
            outer, *holes = (ring_points(boundaries.arcs, ring) for ring in rings)
            found.append(shapely.Polygon(outer, holes).buffer(0))
    return found


def label_point(parts: list[shapely.Polygon]) -> tuple[float, float]:
    """Latitude and longitude of the middle of the widest circle in the largest part."""
    whole = shapely.union_all(parts)
    largest = max(shapely.get_parts(whole), key=lambda part: float(part.area))
    point = shapely.get_point(shapely.maximum_inscribed_circle(largest, tolerance=0.02), 0)
    return round(point.y, 2), round(point.x, 2)


def region_rows(source: Path, zone_tab: Path) -> list[Row]:
    """Every region of the tree, parents before their children."""
    meta: dict[str, Any] = json.loads((source / "regions-meta.json").read_text(encoding="utf-8"))
    zones = read_zones(zone_tab)
    shapes = read_boundaries(source / "regions-z4.topo.json")
    drawn: dict[str, list[Any]] = meta["regions"]
    leaves: list[Row] = []
    for code, (name, population, basis, latitude, longitude) in drawn.items():
        if len(code) > 2:
            parent = ENGLAND if code.startswith("GB~") else code[:2]
            # A share of nobody is an unknown population, not an empty region.
            known = population if population > 0 else None
            zone = timezone(code, latitude, longitude, zones)
            label = NAMES.get(code, name)
            source_word = {"c": "cldr", "e": "estimate"}[basis] if known else ""
            leaves.append(Row(code, label, parent, "subdivision", known, source_word, zone, latitude, longitude))
    english = [row for row in leaves if row.parent == ENGLAND]
    latitude, longitude = label_point(polygons(shapes, [row.code for row in english]))
    people = sum(row.population or 0 for row in english)
    england = Row(ENGLAND, "England", "GB", "nation", people, "estimate", english[0].timezone, latitude, longitude)
    countries: list[Row] = []
    for code, (name, population) in meta["countries"].items():
        below = [row for row in leaves if row.code[:2] == code]
        if below:
            latitude, longitude = label_point(polygons(shapes, [row.code for row in below]))
            peopled: Counter[str] = Counter()
            for row in below:
                peopled[row.timezone] += row.population or 0
            zone = peopled.most_common(1)[0][0]
        else:
            latitude, longitude = drawn[code][3:5]
            zone = timezone(code, latitude, longitude, zones)
        known = population or None
        countries.append(
            Row(
                code,
                NAMES.get(code, name),
                WORLD,
                "country",
                known,
                "cldr" if known else "",
                zone,
                latitude,
                longitude,
            )
        )
    everybody = sum(row.population or 0 for row in countries)
    world = Row(WORLD, "World", "", "world", everybody, "cldr", "UTC", 0.0, 0.0)
    return [world, *sorted(countries, key=_code), england, *sorted(leaves, key=_code)]


def _code(row: Row) -> str:
    return row.code


def write_rows(rows: list[Row], path: Path) -> None:
    """Write ``regions.csv``."""
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(Row.__dataclass_fields__)
        for row in rows:
            values = (getattr(row, field) for field in Row.__dataclass_fields__)
            writer.writerow("" if value is None else value for value in values)


def write_aliases(source: Path, rows: list[Row], path: Path) -> None:
    """Write the aliases of the boundary build and our own, without codes that are regions of the tree."""
    known = {row.code for row in rows}
    found: dict[str, str] = json.loads((source / "region_aliases.json").read_text(encoding="utf-8")) | EXTRA_ALIASES
    kept = {alias: code for alias, code in sorted(found.items()) if alias not in known}
    path.write_text(json.dumps(kept, indent=0) + "\n", encoding="utf-8")


# --- outlines -----------------------------------------------------------------------------------------------


def equal_earth(points: Points) -> Points:
    """Degrees to a plane, y down. Source: Šavrič, Patterson, Jenny, "The Equal Earth projection" (2019)."""
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    theta = np.arcsin(math.sqrt(3) / 2 * np.sin(np.radians(points[:, 1])))
    square = theta**2
    slope = a1 + 3 * a2 * square + square**3 * (7 * a3 + 9 * a4 * square)
    x = 2 * math.sqrt(3) / 3 * np.radians(points[:, 0]) * np.cos(theta) / slope
    y = theta * (a1 + a2 * square + square**3 * (a3 + a4 * square))
    return np.column_stack([x, -y])


def azimuthal(points: Points, middle: tuple[float, float]) -> Points:
    """Lambert's azimuthal equal-area projection around ``middle`` (longitude, latitude); y points down."""
    longitude, latitude = np.radians(points[:, 0] - middle[0]), np.radians(points[:, 1])
    sine, cosine = math.sin(math.radians(middle[1])), math.cos(math.radians(middle[1]))
    depth = 1 + sine * np.sin(latitude) + cosine * np.cos(latitude) * np.cos(longitude)
    k = np.sqrt(2 / depth)
    x = k * np.cos(latitude) * np.sin(longitude)
    y = k * (cosine * np.sin(latitude) - sine * np.cos(latitude) * np.cos(longitude))
    return np.column_stack([x, -y])


def thinned(arc: Points, tolerance: float) -> Points:
    """The arc with fewer points, on whole units. Its ends stay, and neighbours share arcs: borders meet."""
    line = shapely.simplify(shapely.LineString(arc), tolerance, preserve_topology=False)
    rounded: Points = np.rint(shapely.get_coordinates(line))
    return rounded


def path_data(rings: Iterable[Points], smallest: float) -> str:
    """Relative SVG path data on whole units. Rings of an area below ``smallest`` are left out."""
    parts = []
    for ring in rings:
        steps = np.diff(ring, axis=0).astype(int)
        steps = steps[np.any(steps != 0, axis=1)]
        x, y = ring[:, 0], ring[:, 1]
        area = abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2
        if area < smallest or len(steps) < 3:
            continue
        # The last step is what "z" draws.
        numbers = "".join(f"{dx} {dy} " for dx, dy in steps[:-1]).replace(" -", "-").rstrip()
        parts.append(f"M{int(x[0])} {int(y[0])}l{numbers}z")
    return "".join(parts).replace(" -", "-")


def square(x: float, y: float) -> str:
    """Path data of the least thing one can see, for a state too small for the drawing."""
    return f"M{round(x) - 1} {round(y) - 1}h3v3h-3z".replace(" -", "-")


def world_paths(boundaries: Boundaries, rows: Mapping[str, Row]) -> dict[str, str]:
    """Path data of every shape of the boundaries in ``WORLD_VIEW_BOX``."""
    width = float(WORLD_VIEW_BOX.split()[2])
    edge = equal_earth(np.array([[180.0, 0.0]]))[0, 0]
    top = equal_earth(np.array([[0.0, 83.7]]))[0, 1]

    def placed(points: Points) -> Points:
        projected: Points = (equal_earth(points) - (-edge, top)) * (width / (2 * edge))
        return projected

    arcs = tuple(thinned(placed(arc), 0.6) for arc in boundaries.arcs)
    paths = {}
    for code, shape in sorted(boundaries.shapes.items()):
        path = path_data((ring_points(arcs, ring) for polygon in shape for ring in polygon), smallest=2)
        if not path:
            row = rows[code]
            path = square(*placed(np.array([[row.longitude, row.latitude]]))[0])
        paths[code] = path
    return paths


def country_paths(boundaries: Boundaries) -> tuple[str, dict[str, str]]:
    """``viewBox`` and path data of one country's regions, 1,000 units along the longer side."""
    everywhere = np.concatenate(boundaries.arcs)
    # Countries across the antimeridian (Russia, Fiji) are drawn in one piece: count from the widest gap.
    longitudes = np.unique(np.round(everywhere[:, 0] % 360, 2))
    gaps = np.diff(longitudes, append=longitudes[0] + 360)
    west = longitudes[(int(np.argmax(gaps)) + 1) % len(longitudes)] - 0.01

    def unwrapped(points: Points) -> Points:
        return np.column_stack([west + (points[:, 0] - west) % 360, points[:, 1]])

    arcs = tuple(unwrapped(arc) for arc in boundaries.arcs)
    shapes = {
        code: [[ring_points(arcs, ring) for ring in polygon] for polygon in shape]
        for code, shape in boundaries.shapes.items()
    }
    areas = {code: [shapely.Polygon(rings[0]).area for rings in shape] for code, shape in shapes.items()}
    total = sum(sum(parts) for parts in areas.values())
    # The frame holds every region, but not every far island: Easter Island would make Chile a hair.
    framed = np.concatenate(
        [
            rings[0]
            for code, shape in shapes.items()
            for rings, area in zip(shape, areas[code], strict=True)
            if area == max(areas[code]) or area > total / 1000
        ]
    )
    # The Vatican is a line in these files: give it a frame of some size.
    low, high = framed.min(axis=0) - 0.001, framed.max(axis=0) + 0.001
    framed = np.concatenate([framed, [low, high]])
    middle = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
    flat = azimuthal(framed, middle)
    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = 1000 / float(max(high - low))

    def placed(points: Points) -> Points:
        projected: Points = (azimuthal(points, middle) - low) * scale
        return projected

    drawn = tuple(thinned(placed(arc), 0.7) for arc in arcs)
    paths = {}
    for code, shape in sorted(boundaries.shapes.items()):
        path = path_data((ring_points(drawn, ring) for polygon in shape for ring in polygon), smallest=3)
        if not path:
            path = square(*placed(shapes[code][0][0]).mean(axis=0))
        paths[code] = path
    size = np.ceil((high - low) * scale).astype(int)
    margin = 10  # room for the strokes of the outermost borders
    return f"{-margin} {-margin} {size[0] + 2 * margin} {size[1] + 2 * margin}", paths


def write_outlines(source: Path, rows: Mapping[str, Row]) -> None:
    """Write the path data of the world and of each country."""
    world = {
        "country": world_paths(read_boundaries(source / "countries-50.topo.json"), rows),
        "region": world_paths(read_boundaries(source / "regions-z4.topo.json"), rows),
    }
    (DATA / "outlines-world.json").write_text(json.dumps(world, indent=0) + "\n", encoding="utf-8")
    countries = {
        path.name[:2]: country_paths(read_boundaries(path))
        for path in sorted((source / "by-country").glob("*.topo.json"))
    }
    (DATA / "outlines-countries.json").write_text(json.dumps(countries, indent=0) + "\n", encoding="utf-8")


# --- what the browser loads ---------------------------------------------------------------------------------


def write_browser_files(source: Path, rows: list[Row]) -> None:
    """The boundary files as they are, and ``regions-meta.json``: code -> [name, latitude, longitude]."""
    (BROWSER / "by-country").mkdir(parents=True, exist_ok=True)
    names = {row.code: [row.name, row.latitude, row.longitude] for row in rows if row.code != WORLD}
    text = json.dumps(names, ensure_ascii=False, separators=(",", ":"))
    (BROWSER / "regions-meta.json").write_text(text, encoding="utf-8")
    for name in ("countries-110.topo.json", "regions-z4.topo.json"):
        shutil.copyfile(source / name, BROWSER / name)
    for path in sorted((source / "by-country").glob("*.topo.json")):
        shutil.copyfile(path, BROWSER / "by-country" / path.name)


def main(arguments: list[str]) -> None:
    """Write every file, from the two paths of the command line."""
    source, zone_tab = (Path(argument) for argument in arguments)
    DATA.mkdir(exist_ok=True)
    rows = region_rows(source, zone_tab)
    write_rows(rows, DATA / "regions.csv")
    write_aliases(source, rows, DATA / "region_aliases.json")
    shutil.copyfile(source / "regions-lookup.topo.json", DATA / "regions-lookup.topo.json")
    write_outlines(source, {row.code: row for row in rows})
    write_browser_files(source, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
