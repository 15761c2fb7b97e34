"""GET /api/v1/incidents/REF/regions.geojson"""

import shapely.geometry
from shapely.geometry.polygon import LinearRing

from reports.status import shapes, snapshots
from tests.status.making import World, at, open_incident, staggered, take_down


def features(response):
    return {feature["id"]: feature for feature in response.json()["features"]}


def test_the_outlines_carry_the_state_at_the_instant(world: World, get):
    staggered(world)
    response = get("incidents/OUT-2026-0001/regions.geojson")
    assert response.headers["Content-Type"] == "application/geo+json"
    now = features(response)
    states = {code: feature["properties"]["state"] for code, feature in now.items() if code[:2] != "GB"}
    assert states == {"BR-SP": "restored", "BR-RJ": "unknown"}
    # England itself is no region of a map: its parts are.
    assert now["GB~LON"]["properties"] == {
        "region": "GB~LON",
        "name": "London",
        "state": "down",
        "since": "2026-04-03T18:02:00Z",
        "covered_by": "GB-ENG",
    }
    then = features(get("incidents/OUT-2026-0001/regions.geojson", at="2026-04-03T19:15:00Z"))
    assert then["GB-SCT"]["properties"]["state"] == "down"
    before = get("incidents/OUT-2026-0001/regions.geojson", at="2026-04-03T17:00:00Z").json()
    assert (before["at"], before["features"]) == ("2026-04-03T17:00:00Z", [])


def test_geometries_are_valid_and_wound_as_the_standard_wants(world: World, get):
    staggered(world)
    for feature in features(get("incidents/OUT-2026-0001/regions.geojson")).values():
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.is_valid
        assert shape.area > 0
        for outer, *holes in feature["geometry"]["coordinates"]:
            assert outer[0] == outer[-1]
            assert LinearRing(outer).is_ccw
            assert not any(LinearRing(hole).is_ccw for hole in holes)


def test_a_place_lies_in_the_outline_of_its_region(world: World, get):
    staggered(world)
    found = features(get("incidents/OUT-2026-0001/regions.geojson"))
    london = shapely.geometry.shape(found["GB~LON"]["geometry"])
    assert london.contains(shapely.geometry.Point(-0.12, 51.5))
    assert not london.contains(shapely.geometry.Point(-3.2, 55.95))


def test_the_whole_world_has_a_bounded_size_and_neighbours_go_on_meeting():
    outlines = {code: shapes.outline(code) for code in ("FR-BRE", "FR-PDL", "VA", "US-CA", "US-NV", "MT")}
    assert all(outlines.values())
    geometries = {
        code: shapely.geometry.shape({"type": "MultiPolygon", "coordinates": outline})
        for code, outline in outlines.items()
    }
    border = geometries["US-CA"].boundary.intersection(geometries["US-NV"].boundary)
    assert border.length > 5
    rings = [ring for code in shapes.tree.displayed() for polygon in shapes.outline(code) for ring in polygon]
    points = sum(map(len, rings))
    assert points < 150_000


def test_nothing_new_costs_no_query(world: World, get, django_assert_num_queries):
    staggered(world)
    first = get("incidents/OUT-2026-0001/regions.geojson")
    with django_assert_num_queries(0):
        again = get("incidents/OUT-2026-0001/regions.geojson", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_a_withdrawn_region_does_not_take_the_state_of_its_country(world: World, get):
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["US"])
    take_down(incident, world.regions["US-CA"], withdrawn_at=at("18:40"))
    snapshots.forget()
    found = features(get("incidents/OUT-2026-0001/regions.geojson"))
    assert "US-NY" in found
    assert "US-CA" not in found


def test_what_is_not_there_or_not_yet_is_refused(world: World, get):
    staggered(world)
    assert get("incidents/OUT-1999-0001/regions.geojson").status_code == 404
    assert list(get("incidents/OUT-2026-0001/regions.geojson", at="2026-04-03T21:00:00Z").json()) == ["at"]
