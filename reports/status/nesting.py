"""Regions within regions: outages are decided on every level, and nobody may be counted twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from reports.status import catalogue, outages, places
from reports.status.answers import CountryState, RegionLink, RegionState


def parts(links: Iterable[RegionLink]) -> tuple[RegionLink, ...]:
    """The smallest ones: without the world, and without a country or nation of which a part is there too.

    Counting a country beside its own regions would count places twice.
    """
    found = [link for link in links if link.kind != "world"]
    above = {link.parent for link in found} | {link.code[:2] for link in found if link.kind != "country"}
    return tuple(link for link in found if link.code not in above) or tuple(links)


def own_people(links: Sequence[RegionLink], *, elsewhere: Iterable[RegionLink] = ()) -> dict[str, float]:
    """Who lives in each region and in no other of ``links`` within it: nobody twice where regions nest.

    Whoever lives in a region that another incident tells, ``elsewhere``, is that one's. The world counts only where it
    is the sole one; it would drown every other.
    """
    every = {link.code: link for link in (*elsewhere, *links)}
    regions = {code: link for code, link in every.items() if code != "001"} or every
    own = {code: float(link.population or 0) for code, link in regions.items()}
    for code, link in regions.items():
        above = link.parent
        while above is not None and above not in regions:
            found = places.region(above)
            above = found.parent if found else None
        if above is not None:
            own[above] = max(own[above] - (regions[code].population or 0), 0.0)
    return {link.code: own[link.code] for link in links if link.code in own}


def together(found: Collection[RegionState], own: str | None = None) -> str:
    """The state of an area in which ``found`` were decided on, and perhaps the area itself (``own``).

    Down while anything in it is, else recovering while anything is. Whether it is back, its own decision says: the
    detector finds a country back when those of its regions are that sent nine tenths of its reports, and leaves it
    unknown before that. Where nobody decided on the area itself, it is back when all of its parts are: how much a part
    that fell silent would weigh is not known here, and silence is never a restoration.
    """
    present = {member.state for member in found} | {own}
    smallest = {link.code for link in parts([member.region for member in found])}
    heard = all(member.state == "restored" for member in found if member.region.code in smallest)
    return next(
        (each for each in ("down", "recovering") if each in present), own or ("restored" if heard else "unknown")
    )


def by_country(
    regions: Mapping[int, RegionState], figures: Mapping[int, tuple[int, float]]
) -> tuple[CountryState, ...]:
    """What was decided, country by country, those first where the most people are affected.

    ``regions`` by index, ``figures`` the reports and the expected of the last hour of each country (by index) in
    which one of them lies. That the world as a whole exceeds the usual is no country's state.
    """
    countries = catalogue.tree().country
    inside: dict[int, dict[int, RegionState]] = {}
    for index, region in regions.items():
        if region.region.kind != "world" and region.state != "normal":
            inside.setdefault(int(countries[index]), {})[index] = region
    found = [_country(country, members, *figures[country]) for country, members in inside.items()]
    return tuple(
        sorted(found, key=lambda each: (-each.people_affected, -(each.region.population or 0), each.region.code))
    )


def _country(country: int, members: Mapping[int, RegionState], reports: int, expected: float) -> CountryState:
    smallest = {link.code for link in parts([member.region for member in members.values()])}
    states = [member.state for member in members.values() if member.region.code in smallest]
    whole = members[country].state if country in members else None
    state = together(list(members.values()), whole)
    instants = [member.since for member in members.values() if member.state == state and member.since]
    own = country in members and len(members) == 1
    return CountryState(
        region=catalogue.links()[country],
        state=state,
        # Down since the first part of it fell, back since the last one rose.
        since=(max if state == "restored" else min)(instants, default=None),
        down=0 if own else states.count("down"),
        recovering=0 if own else states.count("recovering"),
        restored=0 if own else states.count("restored"),
        unknown=0 if own else states.count("unknown"),
        people_affected=outages.people({index: member.state for index, member in members.items()}),
        reports=reports,
        expected=expected,
    )
