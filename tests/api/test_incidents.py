"""GET /api/v1/incidents/"""

import pytest

from reports.status import snapshots
from tests.status.making import World, at, open_incident, staggered, take_down


@pytest.fixture
def several(world: World) -> World:
    staggered(world)
    over = open_incident(world.facebook, ref="OUT-2026-0003", onset_at=at("08:00"), resolved_at=at("10:00"))
    take_down(over, world.regions["US"], restored_at=at("10:00"))
    return world


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [2, 1, 3]),
        ({"service": "facebook"}, [3]),
        ({"provider": "meta", "region": "GB"}, [1]),
        ({"state": "resolved"}, [3]),
        ({"state": "open", "review": "automatic"}, [2, 1]),
        ({"review": "rejected"}, []),
        ({"since": "2026-04-03T18:08:00Z"}, [2]),
    ],
)
def test_incidents_can_be_chosen(several: World, get, query: dict[str, str], numbers: list[int]):
    refs = [incident["ref"] for incident in get("incidents/", **query).json()["results"]]
    assert refs == [f"OUT-2026-{number:04}" for number in numbers]


def test_pages_lead_on_and_back_by_address(several: World, get, client):
    first = get("incidents/", limit=2, provider="meta").json()
    second = client.get(first["next"]).json()
    assert [incident["ref"] for incident in second["results"]] == ["OUT-2026-0003"]
    assert client.get(second["previous"]).json() == first


@pytest.mark.parametrize(
    "query",
    [
        {"service": "whatsap"},
        {"provider": "x"},
        {"region": "UK-ENG"},
        {"state": "down"},
        {"review": "maybe"},
        {"since": "lately"},
        {"cursor": "abc"},
        {"limit": "-1"},
    ],
)
def test_a_bad_parameter_is_named(several: World, get, query: dict[str, str]):
    response = get("incidents/", **query)
    assert response.status_code == 400
    assert list(response.json()) == list(query)


def test_a_page_takes_as_many_queries_for_many_incidents_as_for_few(several: World, get, django_assert_max_num_queries):
    get("incidents/")
    snapshots.forget()
    with django_assert_max_num_queries(20) as few:
        get("incidents/", limit=1)
    for number in range(10, 40):
        more = open_incident(
            several.facebook, ref=f"OUT-2026-{number:04}", onset_at=at("08:00"), resolved_at=at("10:00")
        )
        take_down(more, several.regions["IN"], restored_at=at("10:00"))
    snapshots.forget()
    with django_assert_max_num_queries(20) as many:
        assert len(get("incidents/").json()["results"]) == 33
    assert len(few) == len(many)
