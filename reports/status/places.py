"""Regions: what they are called, how they nest, and which one holds a coordinate."""

from __future__ import annotations

from collections.abc import Iterable

from reports import formats
from reports import regions as tree
from reports.status import catalogue
from reports.status.answers import RegionLink

# Countries whose English names want an article within a sentence.
_WITH_ARTICLE = {
    *("AE", "AX", "BQ", "BS", "CC", "CD", "CF", "CG", "CK", "DO", "FK", "FO", "GB", "GM", "IM", "KM", "KY"),
    *("MH", "MP", "MV", "NL", "PH", "SB", "SC", "TC", "TF", "UM", "US", "VG", "VI"),
}


def place_name(link: RegionLink) -> str:
    """The region's name as it stands within a sentence: ``the United Kingdom``."""
    # What other languages put before a name, or do to it, hangs on the sentence: theirs let the name stand alone.
    return f"the {link.name}" if formats.language() == "en" and link.code in _WITH_ARTICLE else link.name


def region(code: str) -> RegionLink | None:
    """The region meant by ``code``, in any case and under aliases too, or ``None``."""
    index = catalogue.index_of(code)
    return None if index is None else catalogue.links()[index]


def regions(
    *,
    codes: Iterable[str] | None = None,
    parent: str | None = None,
    kind: str | None = None,
    search: str | None = None,
) -> tuple[RegionLink, ...]:
    """The regions that fit, parents before what lies in them; ``parent`` asks for those directly below it, ``codes``
    for these (aliases are followed).

    ``search`` fits the beginning of any word of a name, or of the code; accents and case do not matter.
    """
    above = tree.resolve(parent) if parent is not None else None
    wanted = catalogue.folded(search) if search is not None else ""
    meant = None if codes is None else {tree.resolve(code) for code in codes}
    return tuple(
        link
        for link in catalogue.links()
        if (meant is None or link.code in meant)
        and (parent is None or (above is not None and link.parent == above))
        and (kind is None or link.kind == kind)
        and (not wanted or _fits(wanted, link))
    )


def _fits(wanted: str, link: RegionLink) -> bool:
    return any(f" {catalogue.folded(text)}".find(f" {wanted}") >= 0 for text in (link.name, link.code))


def locate(lat: float, lon: float) -> RegionLink | None:
    """The region at a WGS 84 coordinate in degrees, or ``None`` at sea. Raises ``ValueError`` off the Earth."""
    code = tree.locate(lat, lon)
    return None if code is None else region(code)
