"""GET /api/v1/providers/ and /api/v1/providers/SLUG/"""

from datetime import timedelta

from reports.status import snapshots
from tests.status.making import World, at, open_incident, say


def test_a_provider_comes_with_its_services_and_how_long_after_the_crowd_it_speaks(world: World, get):
    row = open_incident(world.whatsapp, onset_at=at("18:00"), resolved_at=at("19:00"))
    say(row, "We know.", said_at=at("18:44"))
    snapshots.forget()
    answer = get("providers/meta/").json()
    assert answer["slug"] == "meta"
    assert "whatsapp" in answer["services"]
    assert answer["lead"] == {
        "outages": 1,
        "spoken": 1,
        "never": 0,
        "first": 0,
        "onset": {"median_s": 2640, "shortest_s": 2640, "longest_s": 2640},
        "detection": {"median_s": 2400, "shortest_s": 2400, "longest_s": 2400},
    }


def test_a_provider_that_never_had_an_outage_has_no_lead(world: World, get):
    lead = get("providers/meta/").json()["lead"]
    assert (lead["outages"], lead["onset"], lead["detection"]) == (0, None, None)


def test_providers_are_listed_by_slug_a_page_at_a_time(world: World, get):
    whole = get("providers/").json()
    slugs = [each["slug"] for each in whole["results"]]
    assert slugs == sorted(slugs)
    first = get("providers/", limit=1).json()
    assert [each["slug"] for each in first["results"]] == slugs[:1]
    assert (first["next"] is None) == (len(slugs) == 1)


def test_what_did_not_change_is_not_sent_again(world: World, get):
    first = get("providers/meta/")
    assert get("providers/meta/", headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_a_provider_that_nobody_knows_is_a_404(world: World, get):
    assert get("providers/nobody/").status_code == 404
    assert get("providers/", cursor="rubbish").status_code == 400


def test_a_word_changes_the_figures_of_the_next_answer(world: World, get):
    row = open_incident(world.whatsapp)
    snapshots.forget()
    assert get("providers/meta/").json()["lead"]["spoken"] == 0
    say(row, "We know.", said_at=row.onset_at + timedelta(minutes=9))
    snapshots.forget()
    assert get("providers/meta/").json()["lead"]["spoken"] == 1
