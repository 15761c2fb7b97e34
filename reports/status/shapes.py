"""The outlines of an incident's regions on the Earth, generalised, with their state at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.polygon import orient

from reports import regions as tree
from reports.status import catalogue
from reports.status.answers import IncidentHistory, Outline, ShownRegion
from reports.status.history import incident_history

# In degrees: about 4 km, as on a map of the world.
TOLERANCE = 0.04
DECIMALS = 2
WORLD = tree.WORLD

Ring = NDArray[np.float64]


def incident_shapes(
    ref: str, *, at: datetime | None = None, now: datetime
) -> tuple[datetime, tuple[ShownRegion, ...]] | None:
    """The instant that is shown, and the regions that a map draws and that were not normal then, by code.

    Without ``at``: the last that is known. ``None`` for an unknown ref. What only the world as a whole says is left
    out.
    """
    history = incident_history(ref, now=now)
    if history is None:
        return None
    instant = min(at or history.end, history.end)
    states = _states(history, instant)
    by = {cover.region: cover.by for cover in history.covered if cover.by != WORLD}
    shown = []
    drawn = {catalogue.codes()[index] for index in catalogue.displayed()}
    for code in sorted(drawn & (states.keys() | by.keys())):
        state, since = states.get(code) or states.get(by.get(code, ""), ("normal", instant))
        if state != "normal":
            link = catalogue.links()[catalogue.index_of(code) or 0]
            shown.append(ShownRegion(link, state, since, None if code in states else by[code], outline(code)))
    return instant, tuple(shown)


def _states(history: IncidentHistory, at: datetime) -> dict[str, tuple[str, datetime]]:
    states: dict[str, tuple[str, datetime]] = {}
    for change in history.transitions:
        if change.at > at:
            break
        states[change.region] = (change.state, change.at)
    return states


@cache
def outline(code: str) -> Outline:
    """Polygons of rings of longitude and latitude, the outer one first, wound as GeoJSON wants it (RFC 7946)."""
    shapes = _boundaries().shapes.get(code, ())
    polygons = _polygons([[_simple(ring) for ring in rings] for rings in shapes], grid=10**-DECIMALS)
    if not polygons:
        # Too small for the tolerance: drawn as it is.
        arcs = _boundaries().arcs
        polygons = _polygons([[tree.ring_points(arcs, ring) for ring in rings] for rings in shapes], grid=1e-4)
    return tuple(
        tuple(tuple((round(x, 4), round(y, 4)) for x, y in ring.coords) for ring in (part.exterior, *part.interiors))
        for part in (orient(polygon, sign=1.0) for polygon in polygons)
    )


def _polygons(shapes: Sequence[Sequence[Ring]], *, grid: float) -> list[shapely.Polygon]:
    drawn = [
        shapely.make_valid(shapely.Polygon(outer, [hole for hole in holes if len(hole) >= 4]))
        for outer, *holes in shapes
        if len(outer) >= 4
    ]
    # Simplification leaves rings that cross themselves or each other.
    whole = shapely.set_precision(shapely.union_all(drawn), grid)
    return [part for part in shapely.get_parts(whole) if isinstance(part, shapely.Polygon) and not part.is_empty]


def _simple(ring: tuple[int, ...]) -> Ring:
    points = np.round(tree.ring_points(_arcs(), ring), DECIMALS)
    moved = np.ones(len(points), dtype=np.bool_)
    moved[1:] = (points[1:] != points[:-1]).any(axis=1)
    return points[moved]


@cache
def _boundaries() -> tree.Boundaries:
    return tree.read_boundaries(tree.DATA / "regions-lookup.topo.json")


@cache
def _arcs() -> tuple[Ring, ...]:
    """The arcs, each simplified by itself: neighbours share them, so that their borders go on meeting."""
    lines = [shapely.LineString(arc) for arc in _boundaries().arcs]
    return tuple(shapely.get_coordinates(line) for line in shapely.simplify(lines, TOLERANCE, preserve_topology=False))
