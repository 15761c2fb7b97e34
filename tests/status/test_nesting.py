"""Regions within regions: nobody and no place is counted twice."""

from __future__ import annotations

import pytest

from reports.status.answers import RegionLink, RegionState
from reports.status.nesting import own_people, parts, together

WORLD = RegionLink("001", "World", None, "world", 8_000)
GB = RegionLink("GB", "United Kingdom", "001", "country", 70)
ENGLAND = RegionLink("GB-ENG", "England", "GB", "nation", 58)
LONDON = RegionLink("GB~LON", "London", "GB-ENG", "subdivision", 10)
SCOTLAND = RegionLink("GB-SCT", "Scotland", "GB", "subdivision", 5)
FRANCE = RegionLink("FR", "France", "001", "country", 68)


def test_a_country_is_left_out_where_a_part_of_it_is_there() -> None:
    assert parts([WORLD, GB, LONDON, FRANCE]) == (LONDON, FRANCE)
    assert parts([GB, ENGLAND, LONDON]) == (LONDON,)
    assert parts([GB, FRANCE]) == (GB, FRANCE)


def test_the_world_stands_for_itself_only_where_it_is_alone() -> None:
    assert parts([WORLD]) == (WORLD,)
    assert own_people([WORLD]) == {"001": 8_000}
    assert own_people([WORLD, FRANCE]) == {"FR": 68}


def test_people_of_a_part_are_no_more_those_of_the_whole() -> None:
    assert own_people([GB, ENGLAND, LONDON, SCOTLAND]) == {"GB": 7, "GB-ENG": 48, "GB~LON": 10, "GB-SCT": 5}
    # What another incident tells is that one's, and what this one tells within it is this one's again.
    assert own_people([GB, SCOTLAND], elsewhere=[ENGLAND, WORLD]) == {"GB": 7, "GB-SCT": 5}
    assert own_people([GB, LONDON], elsewhere=[ENGLAND]) == {"GB": 12, "GB~LON": 10}
    assert own_people([WORLD], elsewhere=[FRANCE]) == {}
    # The nation between them may have no outage of its own.
    assert own_people([GB, LONDON]) == {"GB": 60, "GB~LON": 10}


@pytest.mark.parametrize(
    ("own", "states", "found"),
    [
        (None, ("restored", "restored"), "restored"),
        # A part that fell silent may be most of the country.
        (None, ("restored", "unknown"), "unknown"),
        (None, ("unknown", "unknown"), "unknown"),
        (None, ("restored", "recovering"), "recovering"),
        (None, ("restored", "recovering", "unknown"), "recovering"),
        (None, ("restored", "unknown", "down"), "down"),
        # The detector weighs the silent parts by their reports.
        ("restored", ("restored", "unknown"), "restored"),
        ("restored", ("restored", "down"), "down"),
        ("unknown", ("restored", "unknown"), "unknown"),
        ("unknown", ("restored", "restored"), "unknown"),
        ("recovering", ("restored", "restored"), "recovering"),
        ("down", ("restored", "unknown"), "down"),
    ],
)
def test_a_country_is_back_by_its_own_decision_or_when_all_of_its_parts_are(
    own: str | None, states: tuple[str, ...], found: str
) -> None:
    places = [RegionLink(f"GB-{n}", f"Part {n}", "GB", "subdivision", 5) for n in range(len(states))]
    rows = [RegionState(place, state, None, 0, 0.0) for place, state in zip(places, states, strict=True)]
    assert together(rows, own) == found
    if own:
        # The same where its own row is one of them.
        assert together([*rows, RegionState(GB, own, None, 0, 0.0)], own) == found


def test_a_nation_does_not_vouch_for_a_part_of_it_that_fell_silent() -> None:
    rows = [RegionState(ENGLAND, "restored", None, 0, 0.0), RegionState(LONDON, "unknown", None, 0, 0.0)]
    assert together(rows) == "unknown"
