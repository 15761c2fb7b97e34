"""GET /api/v1/services/"""

import pytest

from reports.models import Service
from reports.status import snapshots
from tests.status.making import World, staggered


def test_every_service_comes_with_its_present(world: World, get):
    staggered(world)
    answer = get("services/").json()
    assert (answer["next"], answer["previous"]) == (None, None)
    found = {service["slug"]: service for service in answer["results"]}
    assert list(found) == ["facebook", "instagram", "whatsapp"]
    assert found["whatsapp"] == {
        "slug": "whatsapp",
        "name": "WhatsApp",
        "provider": "meta",
        "category": "messaging",
        "state": "down",
        "since": "2026-04-03T18:02:00Z",
        "regions_down": 1,
        "people_affected": found["whatsapp"]["people_affected"],
        "reports_last_hour": 159,
        "baseline_last_hour": 0.0,
        "working_last_hour": 4,
        "incident": "OUT-2026-0001",
        "echo_of": None,
    }
    assert found["facebook"]["incident"] is None


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ({"category": "messaging"}, ["whatsapp"]),
        ({"category": "social", "state": "normal"}, ["facebook", "instagram"]),
        ({"state": "down"}, ["whatsapp"]),
        ({"search": "zap"}, ["whatsapp"]),
        ({"slug": "whatsapp,facebook,myspace"}, ["facebook", "whatsapp"]),
        ({"region": "GB", "state": "down"}, ["whatsapp"]),
        ({"region": "GB-SCT", "state": "recovering"}, ["whatsapp"]),
        ({"region": "IN", "state": "down"}, []),
        ({"search": "qqqqqq"}, []),
    ],
)
def test_services_can_be_chosen(world: World, get, query: dict[str, str], slugs: list[str]):
    staggered(world)
    assert [service["slug"] for service in get("services/", **query).json()["results"]] == slugs


@pytest.mark.parametrize(
    ("query", "parameter", "hint"),
    [
        ({"category": "cars"}, "category", "messaging"),
        ({"region": "UK-ENG"}, "region", "GB-ENG"),
        ({"provider": "metta"}, "provider", "meta"),
        ({"state": "broken"}, "state", "broken"),
        ({"limit": "0"}, "limit", "1"),
        ({"limit": "1001"}, "limit", "1000"),
        ({"limit": "many"}, "limit", "integer"),
        ({"cursor": "nonsense"}, "cursor", "cursor"),
    ],
)
def test_a_bad_parameter_is_named_with_what_would_do(world: World, get, query, parameter: str, hint: str):
    response = get("services/", **query)
    assert response.status_code == 400
    assert list(response.json()) == [parameter]
    assert hint in response.json()[parameter][0]


def test_pages_lead_on_and_back_by_address(world: World, get, client):
    first = get("services/", limit=2, provider="meta").json()
    second = client.get(first["next"]).json()
    assert [service["slug"] for service in first["results"]] == ["facebook", "instagram"]
    assert [service["slug"] for service in second["results"]] == ["whatsapp"]
    assert second["next"] is None
    assert "provider=meta" in first["next"]
    assert client.get(second["previous"]).json() == first


def test_a_page_goes_on_where_it_stopped_when_a_service_went_away_meanwhile(world: World, get, client):
    following = get("services/", limit=2).json()["next"]
    Service.objects.filter(slug="instagram").update(retired_at="2026-04-03T20:00Z")
    snapshots.forget()
    assert [service["slug"] for service in client.get(following).json()["results"]] == ["whatsapp"]


def test_a_cursor_of_another_list_is_refused_or_harmless(world: World, get):
    cursor = get("regions/", limit=1).json()["next"].split("cursor=")[1]
    assert get("services/", cursor=cursor).status_code in (200, 400)


def test_many_services_take_as_many_queries_as_few(world: World, get, django_assert_max_num_queries):
    get("services/")
    snapshots.forget()
    with django_assert_max_num_queries(15) as few:
        get("services/")
    Service.objects.bulk_create(
        Service(
            slug=f"s{number}", name=f"S{number}", provider=world.facebook.provider, category=world.facebook.category
        )
        for number in range(40)
    )
    snapshots.forget()
    with django_assert_max_num_queries(15) as many:
        assert len(get("services/").json()["results"]) == 43
    assert len(few) == len(many)


def test_asking_again_takes_no_query(world: World, get, django_assert_num_queries):
    get("services/")
    with django_assert_num_queries(0):
        get("services/")
