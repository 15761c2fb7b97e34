"""GET /api/v1/incidents/REF/regions/"""

from tests.status.making import World, staggered


def test_each_region_has_its_own_course_and_figures(world: World, get):
    staggered(world)
    answer = get("incidents/OUT-2026-0001/regions/").json()
    found = {region["region"]: region for region in answer["results"]}
    assert list(found) == ["BR-RJ", "BR-SP", "GB-ENG", "GB-SCT"]
    paulo = found["BR-SP"]
    assert {name: paulo[name] for name in ("state", "onset_at", "restored_at", "basis", "reports", "networks")} == {
        "state": "restored",
        "onset_at": "2026-04-03T18:10:00Z",
        "restored_at": "2026-04-03T19:50:00Z",
        "basis": "votes",
        "reports": 80,
        "networks": 3,
    }
    assert (paulo["restored_low"], paulo["restored_high"]) == ("2026-04-03T19:47:00Z", "2026-04-03T19:55:00Z")
    assert paulo["relapses"] == [
        {
            "restored_at": "2026-04-03T19:10:00Z",
            "declared_at": "2026-04-03T19:16:00Z",
            "basis": "rate",
            "reopened_at": "2026-04-03T19:25:00Z",
        }
    ]
    assert found["GB-ENG"]["evidence"]["observed"] == 412
    assert found["BR-RJ"]["unknown_at"] == "2026-04-03T19:30:00Z"


def test_regions_come_in_pages(world: World, get, client):
    staggered(world)
    first = get("incidents/OUT-2026-0001/regions/", limit=3).json()
    assert [region["region"] for region in client.get(first["next"]).json()["results"]] == ["GB-SCT"]
