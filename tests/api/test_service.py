"""GET /api/v1/services/SLUG/"""

from tests.status.making import World, staggered


def test_one_service_comes_with_its_regions_and_problems(world: World, get):
    staggered(world)
    answer = get("services/whatsapp/").json()
    assert [(region["region"], region["state"]) for region in answer["down"]] == [
        ("GB-ENG", "down"),
        ("BR-RJ", "unknown"),
        ("GB-SCT", "recovering"),
    ]
    assert answer["down"][0]["region_name"] == "England"
    assert [region["region"] for region in answer["restored"]] == ["BR-SP"]
    assert answer["problems"] == [
        {"problem": "messages", "label": "Messages", "reports": 120},
        {"problem": "login", "label": "Signing in", "reports": 30},
    ]


def test_one_region_of_a_service_has_its_own_present(world: World, get):
    staggered(world)
    answer = get("services/whatsapp/", region="gb-sct").json()
    assert (answer["state"], answer["since"], answer["reports_last_hour"]) == (
        "recovering",
        "2026-04-03T19:40:00Z",
        7,
    )


def test_an_unknown_service_is_not_found_and_an_unknown_region_is_a_bad_parameter(world: World, get):
    missing = get("services/myspace/")
    assert (missing.status_code, missing.json()) == (404, {"detail": "No service found."})
    bad = get("services/whatsapp/", region="UK-ENG")
    assert bad.status_code == 400
    assert "GB-ENG (England)" in bad.json()["region"][0]
