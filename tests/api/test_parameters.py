"""Parameters of the query string: what there is not is refused, what says nothing about the answer is passed over."""

from typing import Any

import pytest

from reports.api import parameters
from reports.status.choosing import IncidentFilter
from tests.status.making import World, staggered

CALLS = [
    "services/",
    "services/whatsapp/",
    "services/whatsapp/counts/",
    "services/whatsapp/map/",
    "providers/",
    "providers/meta/",
    "regions/",
    "regions/GB/",
    "regions/locate/",
    "incidents/",
    "incidents/OUT-2026-0001/",
    "incidents/OUT-2026-0001/regions/",
    "incidents/OUT-2026-0001/regions.geojson",
    "incidents/OUT-2026-0001/timeline/",
    "incidents/OUT-2026-0001/problems/",
    "incidents/OUT-2026-0001/article/",
    "incidents/OUT-2026-0001/export.csv",
    "calibration/",
]


@pytest.mark.parametrize("path", CALLS)
def test_a_parameter_that_there_is_not_is_refused_by_its_name(world: World, get: Any, path: str):
    staggered(world)
    response = get(path, provder="meta")
    assert response.status_code == 400
    assert "provder" in response.json()


@pytest.mark.parametrize(
    ("path", "wrong", "hint"),
    [
        ("incidents/", "servce", "Did you mean `service`?"),
        ("incidents/", "regions", "Did you mean `region`?"),
        ("incidents/", "REGION", "Did you mean `region`?"),
        ("incidents/", "page_size", "There are category, cursor, echo"),
        ("services/", "catgory", "Did you mean `category`?"),
        ("services/whatsapp/map/", "when", "There are at."),
        ("calibration/", "when", "This call takes no parameters."),
    ],
)
def test_the_nearest_parameter_is_named(world: World, get: Any, path: str, wrong: str, hint: str):
    assert hint in get(path, **{wrong: "x"}).json()[wrong][0]


def test_everything_that_is_wrong_is_said_at_once(world: World, get: Any):
    response = get("incidents/", servce="whatsapp", state="maybe", since="lately")
    assert set(response.json()) == {"servce", "state", "since"}


def test_a_parameter_that_is_given_twice_is_refused_rather_than_one_of_them_chosen(world: World, client: Any):
    response = client.get("/api/v1/incidents/?service=whatsapp&service=facebook")
    assert (response.status_code, response.json()) == (400, {"service": ["Expected once."]})


@pytest.mark.parametrize("path", CALLS)
def test_what_programs_add_against_caches_and_marks_of_links_are_passed_over(world: World, get: Any, path: str):
    staggered(world)
    place = {"lat": "51.5", "lon": "-0.1"} if "locate" in path else {}
    asked = {"_": "1775246400000", "utm_source": "newsletter", **place}
    assert get(path, **asked).status_code == 200


def test_every_filter_of_incidents_that_the_database_knows_can_be_asked_for():
    asked = set(parameters.IncidentsParameters().fields) - {"limit", "cursor", "ordering"}
    assert asked == set(IncidentFilter.base_filters)


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1.1", "much"])
def test_a_share_is_a_number_from_0_to_1(world: World, get: Any, value: str):
    response = get("incidents/", min_confidence=value)
    assert (response.status_code, list(response.json())) == (400, ["min_confidence"])


@pytest.mark.parametrize("value", [",", ", ,", ",".join(f"x{n}" for n in range(101))])
def test_a_list_of_names_has_one_and_not_too_many(world: World, get: Any, value: str):
    response = get("services/", slug=value)
    assert (response.status_code, list(response.json())) == (400, ["slug"])
