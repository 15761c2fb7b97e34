"""Regions by code, name and coordinate."""

import pytest
from django.utils import translation

from reports import status


def test_a_region_is_known_in_any_case_and_by_its_aliases():
    england = status.region("gb-eng")
    assert england is not None
    assert (england.code, england.name, england.parent, england.kind) == ("GB-ENG", "England", "GB", "nation")
    assert status.region("XX") is None


def test_regions_can_be_chosen_by_parent_kind_and_name():
    assert [region.code for region in status.regions(kind="world")] == ["001"]
    assert {region.parent for region in status.regions(parent="BR")} == {"BR"}
    assert "BR-SP" in {region.code for region in status.regions(search="sao pau")}
    assert status.regions(parent="XX") == ()
    assert len(status.regions()) > 2800


def test_a_population_says_whether_it_is_an_estimate():
    england, britain = status.region("GB-ENG"), status.region("GB")
    assert england is not None
    assert britain is not None
    assert (england.population_estimated, britain.population_estimated) == (True, False)


def test_a_coordinate_lies_in_a_region_or_at_sea():
    edinburgh = status.locate(55.95, -3.19)
    assert edinburgh is not None
    assert edinburgh.code == "GB-SCT"
    assert status.locate(0.0, -30.0) is None
    with pytest.raises(ValueError):
        status.locate(91.0, 0.0)


def test_some_countries_want_an_article_in_an_english_sentence():
    kingdom, france = status.region("GB"), status.region("FR")
    assert kingdom is not None
    assert france is not None
    assert status.place_name(kingdom) == "the United Kingdom"
    assert status.place_name(france) == "France"
    with translation.override("de"):
        assert status.place_name(kingdom) == "Vereinigtes Königreich"
