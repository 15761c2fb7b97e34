"""GET /api/v1/services/SLUG/map/"""

import pytest

from tests.status.making import World, at, open_incident, staggered, take_down


def test_the_map_holds_the_regions_that_are_not_normal(world: World, get):
    staggered(world)
    answer = get("services/whatsapp/map/").json()
    assert answer["at"] == "2026-04-03T20:00:00Z"
    own = {code: region for code, region in answer["regions"].items() if region["covered_by"] is None}
    assert {code: region["state"] for code, region in own.items()} == {
        "GB-ENG": "down",
        "GB-SCT": "recovering",
        "BR-SP": "restored",
        "BR-RJ": "unknown",
    }
    assert own["GB-ENG"] == {
        "state": "down",
        "since": "2026-04-03T18:02:00Z",
        "reports": 150,
        "expected": 0.0,
        "ratio": None,
        "covered_by": None,
    }
    assert answer["regions"]["GB~LON"]["covered_by"] == "GB-ENG"


def test_the_map_of_a_normal_service_is_empty(world: World, get):
    assert get("services/facebook/map/").json()["regions"] == {}


def test_the_past_is_shown_as_it_was(world: World, get):
    staggered(world)
    answer = get("services/whatsapp/map/", at="2026-04-03T19:15:00Z").json()
    assert answer["regions"]["BR-SP"]["state"] == "restored"
    assert answer["regions"]["GB-SCT"]["state"] == "down"


def test_the_version_stays_while_no_region_changes(world: World, get):
    staggered(world)
    assert get("services/whatsapp/map/").json()["version"] == get("services/whatsapp/map/").json()["version"]
    earlier = get("services/whatsapp/map/", at="2026-04-03T19:15:00Z").json()["version"]
    assert earlier != get("services/whatsapp/map/").json()["version"]


def test_an_outage_of_the_world_covers_every_region(world: World, get):
    take_down(open_incident(world.whatsapp), world.regions["001"])
    assert len(get("services/whatsapp/map/").json()["regions"]) > 2800


@pytest.mark.parametrize("moment", ["2026-04-03T21:00:00Z", "noon", "1000-01-01T00:00:00Z"])
def test_an_instant_ahead_or_beyond_reason_is_refused(world: World, get, moment: str):
    response = get("services/whatsapp/map/", at=moment)
    assert response.status_code == 400
    assert list(response.json()) == ["at"]


def test_an_unknown_service_is_not_found(world: World, get):
    assert get("services/myspace/map/").status_code == 404


def test_a_map_takes_as_many_queries_for_many_regions_as_for_few(world: World, get, django_assert_max_num_queries):
    from reports.status import snapshots

    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["GB-SCT"])
    get("services/whatsapp/map/")
    snapshots.forget()
    with django_assert_max_num_queries(15) as few:
        get("services/whatsapp/map/")
    for code in ("GB-WLS", "BR-SP", "BR-RJ", "US-CA", "US-NY"):
        take_down(incident, world.regions[code], onset_at=at("18:10"))
    snapshots.forget()
    with django_assert_max_num_queries(15) as many:
        get("services/whatsapp/map/")
    assert len(few) == len(many)
