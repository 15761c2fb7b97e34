"""GET /api/v1/regions/, regions/CODE/ and regions/locate/"""

import pytest

from tests.status.making import World


def test_a_region_has_its_name_parent_and_population(world: World, get):
    assert get("regions/GB-ENG/").json() == {
        "code": "GB-ENG",
        "name": "England",
        "parent": "GB",
        "kind": "nation",
        "population": 57_751_362,
        "population_estimated": True,
    }


@pytest.mark.parametrize("code", ["gb-eng", "GB~LON", "001"])
def test_codes_are_known_in_any_case_and_with_a_tilde(world: World, get, code: str):
    assert get(f"regions/{code}/").status_code == 200


def test_an_unknown_region_is_not_found(world: World, get):
    missing = get("regions/XX/")
    assert (missing.status_code, missing.json()) == (404, {"detail": "No region found."})


def test_regions_come_in_pages_by_code(world: World, get, client):
    first = get("regions/", kind="country", limit=200).json()
    second = client.get(first["next"]).json()
    codes = [region["code"] for region in first["results"] + second["results"]]
    assert len(codes) == 249
    assert codes == sorted(codes)
    assert second["next"] is None


def test_regions_can_be_chosen(world: World, get):
    parts = get("regions/", parent="gb").json()["results"]
    assert {region["code"] for region in parts} == {"GB-ENG", "GB-SCT", "GB-WLS", "GB-NIR"}
    assert "BR-SP" in {region["code"] for region in get("regions/", search="sao paulo").json()["results"]}
    # Aliases are followed.
    several = get("regions/", code="US-CA,gb-eng,XX").json()["results"]
    assert [region["code"] for region in several] == ["GB-ENG", "US-CA"]
    assert get("regions/", parent="XX").status_code == 400
    assert get("regions/", kind="city").status_code == 400


def test_a_coordinate_lies_in_a_region(world: World, get):
    response = get("regions/locate/", lat="55.95", lon="-3.19")
    assert response.json()["code"] == "GB-SCT"
    assert response.headers["Cache-Control"] == "no-store"


def test_there_is_no_region_at_sea(world: World, get):
    response = get("regions/locate/", lat="0", lon="-30")
    assert (response.status_code, response.json()) == (404, {"detail": "No region at this place found."})


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ({}, ["lat", "lon"]),
        ({"lat": "91", "lon": "0"}, ["lat"]),
        ({"lat": "0", "lon": "-181"}, ["lon"]),
        ({"lat": "nan", "lon": "0"}, ["lat"]),
        ({"lat": "inf", "lon": "north"}, ["lat", "lon"]),
    ],
)
def test_a_place_that_is_not_on_earth_is_refused(world: World, get, query: dict[str, str], parameters: list[str]):
    response = get("regions/locate/", **query)
    assert response.status_code == 400
    assert sorted(response.json()) == parameters
