"""GET /api/v1/services/SLUG/counts/"""

import pytest

from tests.status.making import World, learn, staggered, watch

AN_HOUR = {"from": "2026-04-03T19:00:00Z", "to": "2026-04-03T20:00:00Z"}


def test_counts_come_in_steps_of_equal_length(world: World, get):
    watch(baseline=learn())
    staggered(world)
    answer = get("services/whatsapp/counts/", region="GB", step=1800, **AN_HOUR).json()
    assert (answer["start"], answer["step"], answer["region"]) == ("2026-04-03T19:00:00Z", 1800, "GB")
    assert (answer["reports"], answer["working"]) == ([7, 150], [0, 4])
    assert len(answer["expected"]) == len(answer["upper"]) == 2
    assert answer["expected"][0] > 0
    assert answer["baseline_version"]


def test_the_default_is_the_world_over_the_last_day_by_the_minute(world: World, get):
    answer = get("services/whatsapp/counts/").json()
    assert (answer["start"], answer["step"], answer["region"]) == ("2026-04-02T20:00:00Z", 60, "001")
    assert len(answer["reports"]) == 1440


def test_what_lies_ahead_is_left_out_rather_than_shown_as_silence(world: World, get):
    ahead = {"from": "2026-04-03T19:00:00Z", "to": "2026-04-03T23:00:00Z"}
    assert len(get("services/whatsapp/counts/", **ahead).json()["reports"]) == 60


def test_an_unescaped_plus_in_an_instant_is_forgiven(world: World, client):
    response = client.get("/api/v1/services/whatsapp/counts/?from=2026-04-03T19:00:00+00:00&step=600")
    assert response.json()["start"] == "2026-04-03T19:00:00Z"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"step": "90"}, "step"),
        ({"step": "0"}, "step"),
        ({"step": "100000000000000000000"}, "step"),
        ({"step": "60", "from": "2026-03-01T00:00:00Z"}, "step"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-04-03T21:00:00Z"}, "from"),
        ({"from": "2026-04-03T19:00:00Z", "to": "2026-04-03T18:00:00Z"}, "from"),
        ({"to": "0001-01-01T00:00:00Z"}, "to"),
        ({"to": "9999-12-31T23:59:59Z"}, "to"),
        ({"region": "Narnia"}, "region"),
    ],
)
def test_a_bad_parameter_is_named(world: World, get, query: dict[str, str], parameter: str):
    response = get("services/whatsapp/counts/", **query)
    assert response.status_code == 400
    assert list(response.json()) == [parameter]


def test_an_unknown_service_is_not_found(world: World, get):
    assert get("services/myspace/counts/").status_code == 404
