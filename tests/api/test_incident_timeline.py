"""GET /api/v1/incidents/REF/timeline/"""

from tests.status.making import World, staggered


def test_facts_come_in_order_with_their_source(world: World, get):
    staggered(world)
    facts = get("incidents/OUT-2026-0001/timeline/").json()["results"]
    assert [(fact["at"], fact["kind"], fact["region"]) for fact in facts] == [
        ("2026-04-03T18:06:00Z", "detected", None),
        ("2026-04-03T18:06:00Z", "region_down", "GB-ENG"),
        ("2026-04-03T19:00:00Z", "statement", None),
    ]
    assert facts[1]["source"]["type"] == "engine"
    assert facts[1]["source"]["evidence"]["expected"] == 9.1
    assert facts[2]["source"] == {"type": "statement", "url": "https://status.example/1", "evidence": None}
    assert "We are aware." in facts[2]["text"]


def test_a_timeline_comes_in_pages_that_split_no_instant(world: World, get, client):
    staggered(world)
    first = get("incidents/OUT-2026-0001/timeline/", limit=1).json()
    second = client.get(first["next"]).json()
    assert [first["results"][0]["kind"], second["results"][0]["kind"]] == ["detected", "region_down"]
