"""Regions within regions: outages are decided on every level, and nobody may be counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports import status
from reports.status.answers import RegionLink, ServiceStatus


def parts(links: Iterable[RegionLink]) -> tuple[RegionLink, ...]:
    """The smallest ones: without the world, and without a country or nation of which a part is there too.

    Counting a country beside its own regions would count places twice.
    """
    found = [link for link in links if link.kind != "world"]
    above = {link.parent for link in found} | {link.code[:2] for link in found if link.kind != "country"}
    return tuple(link for link in found if link.code not in above) or tuple(links)


def own_people(links: Sequence[RegionLink]) -> dict[str, float]:
    """Who lives in each region and in no other of ``links`` within it: nobody twice where regions nest.

    The world counts only where it is the sole one; it would drown every other.
    """
    regions = {link.code: link for link in links if link.code != "001"} or {link.code: link for link in links}
    own = {code: float(link.population or 0) for code, link in regions.items()}
    for code, link in regions.items():
        above = link.parent
        while above is not None and above not in regions:
            found = status.region(above)
            above = found.parent if found else None
        if above is not None:
            own[above] = max(own[above] - (regions[code].population or 0), 0.0)
    return own


def people_affected(found: ServiceStatus) -> float:
    """How many people live where a service is down or recovering, without those of parts that are back."""
    own = own_people([each.region for each in (*found.down, *found.restored)])
    return sum(own.get(each.region.code, 0) for each in found.down if each.state in ("down", "recovering"))
