"""The present: states, people, maps."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reports import status
from reports.models import Incident, RegionalOutage
from reports.status import snapshots
from reports.status.answers import ServiceStatus
from tests.status.making import NOW, World, at, count, learn, open_incident, staggered, take_down, watch


def whatsapp(region: str | None = None) -> ServiceStatus:
    found = status.service_status("whatsapp", now=NOW, region=region)
    assert found is not None
    return found


def test_a_service_without_an_incident_is_normal_while_detection_watches(world: World):
    watch()
    assert whatsapp().state == "normal"


def test_a_service_is_unknown_before_the_first_cycle_and_once_detection_is_late(world: World):
    assert whatsapp().state == "unknown"
    snapshots.forget()
    watch(NOW - timedelta(minutes=5))
    assert whatsapp().state == "unknown"


def test_a_service_is_down_while_one_of_its_regions_is(world: World):
    watch()
    staggered(world)
    now = whatsapp()
    assert (now.state, now.since, now.incident, now.regions_down) == ("down", at("18:02"), "OUT-2026-0001", 1)
    assert [(region.region.code, region.state) for region in now.down] == [
        ("GB-ENG", "down"),
        ("BR-RJ", "unknown"),
        ("GB-SCT", "recovering"),
    ]
    assert [(region.region.code, region.since) for region in now.restored] == [("BR-SP", at("19:50"))]


def test_a_service_recovers_once_no_region_is_down(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["GB-ENG"], restored_at=at("19:00"))
    take_down(incident, world.regions["BR-SP"], unknown_at=at("19:00"))
    assert whatsapp().state == "recovering"


def test_a_service_of_which_nothing_is_heard_is_unknown(world: World):
    watch()
    take_down(open_incident(world.whatsapp), world.regions["BR-SP"], unknown_at=at("19:00"))
    assert whatsapp().state == "unknown"


@pytest.mark.parametrize("end", ["rejected_at", "merged_at", "resolved_at"])
def test_an_incident_that_is_rejected_merged_or_resolved_makes_nothing_down(world: World, end: str):
    watch()
    incident = open_incident(world.whatsapp)
    setattr(incident, end, at("19:00"))
    incident.save()
    take_down(incident, world.regions["GB-ENG"], restored_at=at("18:55") if end == "resolved_at" else None)
    now = whatsapp()
    assert (now.state, now.incident, now.regions_down, now.people_affected) == ("normal", None, 0, 0)
    assert len(now.restored) == (1 if end == "resolved_at" else 0)


def test_what_was_silent_when_an_outage_ended_stays_unknown_while_the_rest_is_told_to_be_back(world: World):
    watch(baseline=learn())
    regions = world.regions
    incident = open_incident(world.whatsapp, resolved_at=at("19:30"))
    for code in ("GB-ENG", "BR", "US"):
        take_down(incident, regions[code], restored_at=at("19:00"))
    for code in ("GB-SCT", "US-CA", "IN"):
        take_down(incident, regions[code], unknown_at=at("19:10"))
    take_down(incident, regions["US-NY"], withdrawn_at=at("18:30"))
    # The world is heard, and nothing is down in it.
    now = whatsapp()
    assert (now.state, now.incident, now.down, now.people_affected) == ("normal", None, (), 0)
    assert {each.region.code for each in now.silent} == {"GB-SCT", "US-CA", "IN"}
    states = {each.region.code: each.state for each in now.countries}
    assert states == {"IN": "unknown", "US": "restored", "BR": "restored", "GB": "unknown"}
    for code, state in (("GB-SCT", "unknown"), ("GB-ENG", "normal"), ("GB", "unknown"), ("FR", "normal")):
        found = whatsapp(code)
        assert (found.state, found.since, found.incident, found.people_affected) == (state, None, None, 0), code
    # What takes its country's state, what has a word of its own beside it, and what was no part of it after all.
    assert [each.region.code for each in whatsapp("IN-GJ").silent] == ["IN-GJ"]
    assert (whatsapp("IN-GJ").state, whatsapp("US-CA").state, whatsapp("US-NY").state) == (
        "unknown",
        "unknown",
        "normal",
    )
    assert [each.region.code for each in whatsapp("GB").silent] == ["GB-SCT"]
    # Parts of a country that was found back as a whole.
    assert (whatsapp("US").state, [each.region.code for each in whatsapp("US").silent]) == ("normal", ["US-CA"])


def test_a_silence_is_forgotten_with_the_restorations_a_day_after(world: World):
    watch()
    day = timedelta(days=1)
    incident = open_incident(world.whatsapp, onset_at=at("18:00") - day, resolved_at=at("19:30") - day)
    take_down(incident, world.regions["GB-ENG"], restored_at=at("19:00") - day)
    take_down(incident, world.regions["GB-SCT"], unknown_at=at("19:10") - day)
    found = whatsapp("GB-SCT")
    assert (found.state, found.silent, whatsapp().silent, whatsapp().restored) == ("normal", (), (), ())


def test_people_are_counted_once_where_regions_nest(world: World):
    watch()
    regions = world.regions
    incident = open_incident(world.whatsapp)
    take_down(incident, regions["GB"])
    take_down(incident, regions["GB-ENG"])
    take_down(incident, regions["GB-SCT"], restored_at=at("19:00"))
    take_down(incident, regions["US-CA"])
    people = {code: region.population or 0 for code, region in regions.items()}
    assert whatsapp().people_affected == people["GB"] - people["GB-SCT"] + people["US-CA"]


def test_beside_an_outage_only_a_place_that_usually_speaks_is_called_normal(world: World):
    watch(baseline=learn())
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["001"])
    take_down(incident, world.regions["BR-SP"])
    assert whatsapp("GB-ENG").state == "normal"
    # The world as a whole is down, which is no region's own state.
    assert (whatsapp("IN").state, whatsapp("IN").since) == ("unknown", None)


def test_the_last_hour_counts_whole_minutes_and_rolls_regions_up(world: World):
    watch()
    staggered(world)
    now = whatsapp()
    assert (now.reports_last_hour, now.working_last_hour) == (120 + 30 + 7 + 2, 4)
    assert whatsapp("GB").reports_last_hour == 120 + 30 + 7
    assert [(choice.slug, reports) for choice, reports in now.problems] == [("messages", 120), ("login", 30)]


def test_a_minute_that_is_not_over_is_not_counted_yet(world: World):
    watch()
    count(world.whatsapp, world.regions["GB-ENG"], at("20:00"), 9)
    count(world.whatsapp, world.regions["GB-ENG"], at("19:59"), 1)
    count(world.whatsapp, world.regions["GB-ENG"], at("18:59"), 5)
    assert whatsapp().reports_last_hour == 1


def test_what_is_expected_comes_from_the_baseline_in_force(world: World):
    watch(baseline=learn())
    now = whatsapp()
    assert 2.0 < now.baseline_last_hour < 8.0
    assert whatsapp("GB-ENG").baseline_last_hour < now.baseline_last_hour


def test_a_region_takes_its_countrys_state_or_the_worst_of_what_lies_in_it(world: World):
    watch()
    staggered(world)
    assert whatsapp("GB").state == "down"
    assert whatsapp("GB-SCT").state == "recovering"
    assert whatsapp("BR-SP").state == "restored"
    assert (whatsapp("US-CA").state, whatsapp("US-CA").incident) == ("normal", None)
    # Nobody knows how many reports from India are usual: their absence says nothing beside an outage elsewhere.
    assert whatsapp("IN").state == "unknown"
    snapshots.forget()
    take_down(Incident.objects.get(ref="OUT-2026-0002"), world.regions["IN"])
    gujarat = status.service_status("instagram", now=NOW, region="IN-GJ")
    assert gujarat is not None
    assert (gujarat.state, gujarat.since) == ("down", at("18:05"))


def test_nobody_knows_another_service_or_region(world: World):
    watch()
    assert status.service_status("myspace", now=NOW) is None
    assert status.service_status("whatsapp", now=NOW, region="XX") is None


def test_a_country_that_is_down_covers_its_regions_on_the_map_but_for_those_with_a_word_of_their_own(world: World):
    watch()
    regions = world.regions
    incident = open_incident(world.whatsapp)
    take_down(incident, regions["GB"])
    take_down(incident, regions["GB-SCT"], restored_at=at("19:00"))
    take_down(incident, regions["GB-NIR"], withdrawn_at=at("19:00"))
    found = status.service_map("whatsapp", now=NOW)
    assert found is not None
    states = {state.region.code: (state.state, state.covered_by) for state in found.regions}
    assert states.pop("GB") == ("down", None)
    assert states.pop("GB-SCT") == ("restored", None)
    assert "GB-NIR" not in states
    assert {"GB-ENG", "GB-WLS", "GB~LON"} < set(states)
    assert set(states.values()) == {("down", "GB")}


def test_a_past_map_shows_each_region_as_it_was_then_relapses_included(world: World):
    watch()
    staggered(world)
    states = {}
    for time in ("18:01", "18:11", "19:15", "19:26", "19:35", "19:55"):
        found = status.service_map("whatsapp", at=at(time), now=NOW)
        assert found is not None
        states[time] = {state.region.code: state.state for state in found.regions if not state.covered_by}
    assert states["18:01"] == {}
    assert states["18:11"] == {"GB-ENG": "down", "GB-SCT": "down", "BR-SP": "down"}
    assert states["19:15"]["BR-SP"] == "restored"
    assert states["19:26"]["BR-SP"] == "down"
    assert states["19:35"]["BR-RJ"] == "unknown"
    assert states["19:55"] == {
        "GB-ENG": "down",
        "GB-SCT": "recovering",
        "BR-SP": "restored",
        "BR-RJ": "unknown",
    }


def test_a_past_map_counts_the_hour_before_that_instant(world: World):
    watch()
    staggered(world)
    found = status.service_map("whatsapp", at=at("18:40"), now=NOW)
    assert found is not None
    assert {state.region.code: state.reports for state in found.regions}["BR-SP"] == 80


def test_the_world_map_shows_the_worst_service_of_each_region(world: World):
    watch()
    staggered(world)
    take_down(Incident.objects.get(ref="OUT-2026-0002"), world.regions["GB-SCT"])
    found = {state.region.code: state for state in status.world_map(now=NOW).regions}
    assert (found["GB-SCT"].state, found["GB-SCT"].service and found["GB-SCT"].service.slug) == ("down", "instagram")
    assert (found["GB-ENG"].state, found["GB-ENG"].service and found["GB-ENG"].service.slug) == ("down", "whatsapp")


def test_the_world_as_a_whole_colours_no_region_of_the_map(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["001"])
    take_down(incident, world.regions["GB-ENG"])
    codes = {state.region.code for state in status.world_map(now=NOW).regions}
    # What lies in England takes its state; nothing takes the world's.
    assert "GB~LON" in codes
    assert {code[:2] for code in codes} == {"GB"}


def test_countries_come_by_people_with_how_many_parts_are_in_which_state(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["001"])
    take_down(incident, world.regions["GB-ENG"], onset_at=at("18:10"))
    take_down(incident, world.regions["GB-SCT"], restored_at=at("19:00"))
    take_down(incident, world.regions["BR"], onset_at=at("18:05"))
    take_down(incident, world.regions["US-CA"], restored_at=at("19:10"))
    take_down(incident, world.regions["US-NY"], restored_at=at("19:20"))
    count(world.whatsapp, world.regions["GB-SCT"], at("19:40"), 4)
    count(world.whatsapp, world.regions["GB"], at("19:41"), 2)
    found = {each.region.code: each for each in whatsapp().countries}
    assert list(found) == ["BR", "GB", "US"]
    assert (found["BR"].state, found["BR"].since, found["BR"].parts) == ("down", at("18:05"), 0)
    assert (found["GB"].state, found["GB"].since) == ("down", at("18:10"))
    assert (found["GB"].down, found["GB"].restored, found["GB"].reports) == (1, 1, 6)
    # Back since its last part rose; nobody is affected any more.
    assert (found["US"].state, found["US"].since, found["US"].people_affected) == ("restored", at("19:20"), 0)
    assert found["GB"].people_affected == world.regions["GB-ENG"].population


def test_a_country_with_silent_parts_is_back_only_by_the_detectors_own_word(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    for code in ("GB-SCT", "US-CA"):
        take_down(incident, world.regions[code], restored_at=at("19:00"))
    for code in ("GB-ENG", "US-NY"):
        take_down(incident, world.regions[code], unknown_at=at("19:20"))
    take_down(incident, world.regions["US"], restored_at=at("19:00"))
    found = {each.region.code: each for each in whatsapp().countries}
    assert (found["GB"].state, found["GB"].since) == ("unknown", at("19:20"))
    assert (found["GB"].restored, found["GB"].unknown) == (1, 1)
    assert (found["US"].state, found["US"].since) == ("restored", at("19:00"))


def test_a_rise_that_a_siblings_outage_explains_is_called_so(world: World):
    watch(baseline=learn())
    staggered(world)
    count(world.whatsapp, world.regions["US-CA"], at("19:31"), 4000)
    count(world.facebook, world.regions["US-CA"], at("19:30"), 40)
    found = status.service_status("facebook", now=NOW)
    assert found
    assert found.echo_of
    assert (found.state, found.incident, found.echo_of.slug) == ("normal", None, "whatsapp")


def test_a_rise_as_big_as_the_outage_beside_it_is_no_echo(world: World):
    watch(baseline=learn())
    staggered(world)
    count(world.facebook, world.regions["US-CA"], at("19:30"), 900)
    found = status.service_status("facebook", now=NOW)
    assert found
    assert found.echo_of is None


def test_search_finds_nothing_for_signs_alone(world: World):
    assert status.search("***") == ()
    assert [link.slug for link in status.search("zap-zap")] == ["whatsapp"]


def test_home_puts_first_what_most_people_feel_and_tells_what_came_back(world: World):
    watch()
    staggered(world)
    take_down(Incident.objects.get(ref="OUT-2026-0002"), world.regions["IN"])
    over = open_incident(world.facebook, ref="OUT-2026-0003", onset_at=at("09:00"), resolved_at=at("10:00"))
    take_down(over, world.regions["US-CA"], restored_at=at("10:00"))
    count(world.facebook, world.regions["US-CA"], at("19:40"), 3)
    home = status.home(now=NOW)
    assert [down.link.slug for down in home.down] == ["instagram", "whatsapp"]
    assert [incident.ref for incident in home.recently_resolved] == ["OUT-2026-0003"]
    assert [(found.link.slug, found.reports_last_hour) for found in home.most_reported] == [("facebook", 3)]
    assert (home.services_watched, home.reports_last_hour) == (3, 162)


def test_siblings_are_the_other_services_of_the_provider(world: World):
    watch()
    assert [found.link.slug for found in status.siblings("whatsapp", now=NOW)] == ["facebook", "instagram"]
    assert status.siblings("myspace", now=NOW) == ()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("whatsap", "whatsapp"),
        ("wahtsapp", "whatsapp"),
        ("zap", "whatsapp"),
        ("INSTA", "instagram"),
        ("fàcebook", "facebook"),
    ],
)
def test_search_forgives_case_accents_and_slips_and_knows_aliases(world: World, text: str, first: str):
    assert status.search(text)[0].slug == first


def test_search_finds_the_services_of_a_provider_and_nothing_for_nonsense(world: World):
    assert {link.slug for link in status.search("meta")} == {"whatsapp", "instagram", "facebook"}
    assert status.search("qqqqqq") == ()
    assert len(status.search("meta", limit=1)) == 1


def test_a_retired_service_is_no_longer_answered(world: World):
    world.facebook.retired_at = at("12:00")
    world.facebook.save()
    watch()
    assert status.service_status("facebook", now=NOW) is None
    assert [found.link.slug for found in status.services(now=NOW)] == ["instagram", "whatsapp"]


def test_reading_again_costs_no_query_while_nothing_changed(world: World, django_assert_num_queries):
    watch()
    staggered(world)
    for read in (lambda: status.home(now=NOW), lambda: whatsapp(), lambda: status.world_map(now=NOW)):
        read()
    with django_assert_num_queries(0):
        status.home(now=NOW)
        whatsapp()
        whatsapp()
        status.world_map(now=NOW)


def test_home_takes_as_many_queries_for_many_incidents_as_for_few(world: World, django_assert_max_num_queries):
    watch()
    staggered(world)
    over = open_incident(world.facebook, ref="OUT-2026-0003", onset_at=at("09:00"), resolved_at=at("10:00"))
    take_down(over, world.regions["US-CA"], restored_at=at("10:00"))
    with django_assert_max_num_queries(25) as few:
        status.home(now=NOW)
    for number in range(4, 24):
        more = open_incident(world.facebook, ref=f"OUT-2026-{number:04}", onset_at=at("09:00"), resolved_at=at("10:00"))
        for code in ("GB", "IN", "US-CA"):
            take_down(more, world.regions[code], restored_at=at("10:00"))
    snapshots.forget()
    with django_assert_max_num_queries(25) as many:
        home = status.home(now=NOW)
    assert len(home.recently_resolved) == 21
    assert len(many) == len(few)


def test_what_is_answered_changes_when_a_cycle_or_an_act_changed_it(world: World):
    watch()
    staggered(world)
    before = status.home(now=NOW)
    RegionalOutage.objects.filter(region_code="GB-ENG").update(recovering_at=at("19:59"))
    assert status.home(now=NOW) is before
    watch(NOW + timedelta(minutes=1))
    snapshots._looked_at = 0.0
    after = status.home(now=NOW)
    assert (before.down[0].state, after.down[0].state) == ("down", "recovering")
    assert before.version != after.version


def test_the_services_of_a_region_are_what_each_of_them_is_there(world: World):
    watch(baseline=learn())
    staggered(world)
    for region in ("GB", "GB-ENG", "BR-SP", "IN", "001"):
        for found in status.services(now=NOW, region=region):
            alone = status.service_status(found.link.slug, now=NOW, region=region)
            assert alone is not None
            assert replace(found, problems=()) == replace(alone, problems=())
    assert [found.link.slug for found in status.services(now=NOW, region="GB", state="down")] == ["whatsapp"]
    assert status.services(now=NOW, region="IN", state="down") == ()
    assert status.services(now=NOW, region="XX-YY") == ()
