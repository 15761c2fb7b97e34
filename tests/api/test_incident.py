"""GET /api/v1/incidents/REF/"""

from tests.status.making import World, at, open_incident, staggered, take_down


def test_an_incident_has_the_fields_of_the_contract(world: World, get):
    staggered(world)
    answer = get("incidents/OUT-2026-0001/").json()
    expected = {
        "ref": "OUT-2026-0001",
        "service": "whatsapp",
        "provider": "meta",
        "group": "meta@1",
        "state": "open",
        "review": "automatic",
        "confidence": 0.98,
        "onset_at": "2026-04-03T18:02:00Z",
        "detected_at": "2026-04-03T18:06:00Z",
        "acknowledged_at": "2026-04-03T19:00:00Z",
        "peak_at": "2026-04-03T18:31:00Z",
        "first_restored_at": "2026-04-03T19:50:00Z",
        "resolved_at": None,
        "duration_s": None,
        "reports": 277,
        "working": 4,
        "currently_affected_regions": ["GB-ENG", "GB-SCT", "BR-RJ"],
        "previously_affected_regions": ["BR-SP"],
        "echo_of": None,
    }
    assert {name: answer[name] for name in expected} == expected
    assert answer["siblings"][0] == {
        "service": "facebook",
        "state": "normal",
        "observed": 14,
        "expected": 11.0,
        "window_minutes": 30,
        "incident": None,
    }
    assert answer["evidence"]["log10_p"] == -14.2
    assert answer["statements"][0]["text"] == "We are aware."


def test_a_resolved_incident_has_a_duration(world: World, get):
    over = open_incident(world.facebook, ref="OUT-2026-0003", onset_at=at("08:00"), resolved_at=at("10:00"))
    take_down(over, world.regions["US"], restored_at=at("10:00"))
    answer = get("incidents/OUT-2026-0003/").json()
    assert (answer["state"], answer["duration_s"], answer["resolved_at"]) == (
        "resolved",
        7200,
        "2026-04-03T10:00:00Z",
    )


def test_a_rejected_incident_says_why_and_goes_on_no_more(world: World, get):
    open_incident(world.facebook, rejected_at=at("19:00"), rejected_reason="A hoax.")
    answer = get("incidents/OUT-2026-0001/").json()
    assert (answer["state"], answer["review"], answer["rejected_reason"]) == ("resolved", "rejected", "A hoax.")


def test_an_unknown_ref_is_not_found(world: World, get):
    for path in ("", "regions/", "timeline/", "export.csv"):
        missing = get(f"incidents/OUT-1999-0001/{path}")
        assert (missing.status_code, missing.json()) == (404, {"detail": "No incident found."})
