"""Regions: what they are called, how they nest, and which one holds a coordinate."""

from __future__ import annotations

from reports import regions as tree
from reports.status import catalogue
from reports.status.answers import RegionLink


def region(code: str) -> RegionLink | None:
    """The region meant by ``code``, in any case and under aliases too, or ``None``."""
    index = catalogue.index_of(code)
    return None if index is None else catalogue.links()[index]


def regions(*, parent: str | None = None, kind: str | None = None, search: str | None = None) -> tuple[RegionLink, ...]:
    """The regions that fit, parents before what lies in them; ``parent`` asks for those directly below it.

    ``search`` fits the beginning of any word of a name, or of the code; accents and case do not matter.
    """
    above = tree.resolve(parent) if parent is not None else None
    wanted = catalogue.folded(search) if search is not None else ""
    return tuple(
        link
        for link in catalogue.links()
        if (parent is None or (above is not None and link.parent == above))
        and (kind is None or link.kind == kind)
        and (not wanted or _fits(wanted, link))
    )


def _fits(wanted: str, link: RegionLink) -> bool:
    return any(f" {catalogue.folded(text)}".find(f" {wanted}") >= 0 for text in (link.name, link.code))


def locate(lat: float, lon: float) -> RegionLink | None:
    """The region at a WGS 84 coordinate in degrees, or ``None`` at sea. Raises ``ValueError`` off the Earth."""
    code = tree.locate(lat, lon)
    return None if code is None else region(code)
