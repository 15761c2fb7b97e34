"""Incidents: whole, in lists, by region, fact by fact, and through time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reports import status
from reports.models import Incident, Kind
from reports.status import snapshots
from reports.status.answers import IncidentHistory, IncidentStatus
from tests.status.making import (
    NOW,
    World,
    at,
    count,
    note,
    open_incident,
    relapse,
    say,
    speak,
    staggered,
    take_down,
    watch,
)


def told(ref: str = "OUT-2026-0001") -> IncidentStatus:
    found = status.incident(ref)
    assert found is not None
    return found


def history(ref: str = "OUT-2026-0001") -> IncidentHistory:
    found = status.incident_history(ref, now=NOW)
    assert found is not None
    return found


def changes(region: str) -> list[tuple[str, str]]:
    return [(f"{change.at:%H:%M}", change.state) for change in history().transitions if change.region == region]


def test_an_incident_is_told_whole(world: World):
    watch()
    staggered(world)
    incident = told()
    assert (incident.state, incident.review, incident.service.slug) == ("open", "automatic", "whatsapp")
    assert (incident.acknowledged_at, incident.first_restored_at) == (at("19:00"), at("19:50"))
    assert [region.code for region in incident.currently_affected] == ["GB-ENG", "GB-SCT", "BR-RJ"]
    assert [region.code for region in incident.previously_affected] == ["BR-SP"]
    assert [(sibling.service.slug, sibling.state, sibling.incident) for sibling in incident.siblings] == [
        ("facebook", "normal", None),
        ("instagram", "down", "OUT-2026-0002"),
    ]
    assert (incident.group, incident.group_incidents) == ("meta@1", ("OUT-2026-0002",))
    assert incident.evidence is not None
    assert (incident.evidence.region, incident.evidence.observed) == ("GB-ENG", 412)
    assert incident.duration is None


def test_an_incident_counts_what_came_from_its_regions_while_it_lasted(world: World):
    watch()
    staggered(world)
    count(world.whatsapp, world.regions["GB-ENG"], at("17:59"), 500)
    count(world.instagram, world.regions["GB-ENG"], at("19:00"), 500)
    # 40 + 150 in England, 7 in Scotland, 80 in São Paulo; California was withdrawn.
    assert (told().reports, told().working) == (277, 4)


def test_an_incident_counts_nobody_twice_where_its_regions_nest(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["GB"])
    take_down(incident, world.regions["GB-ENG"])
    count(world.whatsapp, world.regions["GB-ENG"], at("19:00"), 5)
    count(world.whatsapp, world.regions["GB"], at("19:00"), 2)
    assert told().reports == 7


def test_the_state_of_an_incident_follows_its_regions(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    england = take_down(incident, world.regions["GB-ENG"])
    paulo = take_down(incident, world.regions["BR-SP"], unknown_at=at("19:00"))
    states = [told().state]
    england.recovering_at = at("19:00")
    england.save()
    snapshots.forget()
    states.append(told().state)
    england.recovering_at, england.unknown_at = None, at("19:10")
    england.save()
    snapshots.forget()
    states.append(told().state)
    incident.resolved_at = at("19:30")
    incident.save()
    paulo.delete()
    snapshots.forget()
    states.append(told().state)
    assert states == ["open", "recovering", "open", "resolved"]
    assert told().duration == timedelta(minutes=88)


def test_how_long_it_lasted_does_not_wait_for_the_silent(world: World):
    watch()
    incident = open_incident(world.whatsapp, resolved_at=at("19:30"))
    # A country beside its parts is counted nowhere.
    take_down(incident, world.regions["GB"], restored_at=at("19:20"))
    england = take_down(incident, world.regions["GB-ENG"], restored_at=at("19:02"))
    take_down(incident, world.regions["BR-SP"], unknown_at=at("19:30"))
    found = told()
    assert (found.back_at, found.lasted) == (at("19:02"), timedelta(hours=1))
    assert found.duration == timedelta(minutes=88)
    england.delete()
    incident.regions.filter(region_code="GB").delete()
    snapshots.forget()
    assert (told().back_at, told().lasted, told().duration) == (None, None, timedelta(minutes=88))


@pytest.mark.parametrize("closed", ["merged_at", "rejected_at"])
def test_what_was_merged_or_rejected_while_it_went_on_ends_there(world: World, closed: str):
    watch()
    incident = open_incident(world.whatsapp)
    Incident.objects.filter(pk=incident.pk).update(**{closed: at("19:10")})
    take_down(incident, world.regions["GB-ENG"])
    later = NOW + timedelta(days=40)
    history = status.incident_history(incident.ref, now=later)
    chart = status.incident_chart(incident.ref, now=later)
    assert history is not None
    assert chart is not None
    assert history.end == at("19:10")
    assert chart.start + len(chart.reports) * chart.step == at("20:10")


def test_a_denial_acknowledges_nothing(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    say(incident, "All is well.", said_at=at("18:30"), meaning="denied")
    assert told().acknowledged_at is None
    assert [statement.meaning for statement in told().statements] == ["denied"]


def test_nobody_knows_another_ref(world: World):
    watch()
    assert status.incident("OUT-1999-0001") is None
    assert status.incident_regions("OUT-1999-0001") == ()
    assert status.incident_timeline("OUT-1999-0001") == ()
    assert status.incident_history("OUT-1999-0001", now=NOW) is None
    assert status.incident_chart("OUT-1999-0001", now=NOW) is None
    assert status.incident_export("OUT-1999-0001") is None


# --- lists ---


def refs(**asked: object) -> list[str]:
    return [incident.ref for incident in status.incidents(**asked).results]  # type: ignore[arg-type]


@pytest.fixture
def several(world: World) -> World:
    watch()
    staggered(world)
    over = open_incident(world.facebook, ref="OUT-2026-0003", onset_at=at("08:00"), resolved_at=at("10:00"))
    take_down(over, world.regions["US"], restored_at=at("10:00"))
    wrong = open_incident(world.facebook, ref="OUT-2026-0004", onset_at=at("12:00"), rejected_at=at("12:30"))
    take_down(wrong, world.regions["IN"], withdrawn_at=at("12:30"))
    back = open_incident(world.facebook, ref="OUT-2026-0005", onset_at=at("19:00"), confirmed_at=at("19:10"))
    take_down(back, world.regions["BR-RJ"], recovering_at=at("19:50"))
    return world


def test_incidents_come_with_the_latest_detected_first(several: World):
    assert refs() == ["OUT-2026-0005", "OUT-2026-0002", "OUT-2026-0001", "OUT-2026-0004", "OUT-2026-0003"]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"service": "whatsapp"}, [1]),
        ({"service": "myspace"}, []),
        ({"provider": "meta", "state": "open"}, [2, 1]),
        ({"state": "recovering"}, [5]),
        ({"state": "resolved"}, [4, 3]),
        ({"review": "rejected"}, [4]),
        ({"review": "confirmed"}, [5]),
        ({"review": "automatic"}, [2, 1, 3]),
        ({"review": "merged"}, []),
        ({"region": "US-CA"}, [3]),
        ({"region": "BR"}, [5, 1]),
        ({"region": "IN"}, []),
        ({"region": "001"}, [5, 1, 3]),
        ({"since": at("19:00")}, [5]),
    ],
)
def test_incidents_can_be_chosen(several: World, asked: dict[str, object], numbers: list[int]):
    assert refs(**asked) == [f"OUT-2026-{number:04}" for number in numbers]


def test_incidents_filtered_by_state_have_that_state(several: World):
    for state in ("open", "recovering", "resolved"):
        assert {incident.state for incident in status.incidents(state=state).results} == {state}


def test_pages_of_incidents_lead_there_and_back(several: World):
    first = status.incidents(limit=2)
    second = status.incidents(limit=2, cursor=first.next)
    third = status.incidents(limit=2, cursor=second.next)
    assert [len(page.results) for page in (first, second, third)] == [2, 2, 1]
    assert (first.previous, third.next) == (None, None)
    assert status.incidents(limit=2, cursor=third.previous).results == second.results
    back = status.incidents(limit=2, cursor=second.previous)
    assert (back.results, back.previous) == (first.results, None)


@pytest.mark.parametrize("cursor", ["x", "bm9uc2Vuc2U", "////", "bjFAMjAyNg"])
def test_a_made_up_cursor_is_refused(several: World, cursor: str):
    with pytest.raises(status.CursorError):
        status.incidents(cursor=cursor)


def test_a_page_of_incidents_takes_as_many_queries_for_many_as_for_few(several: World, django_assert_max_num_queries):
    with django_assert_max_num_queries(20) as few:
        status.incidents(limit=2)
    snapshots.forget()
    with django_assert_max_num_queries(20) as many:
        assert len(status.incidents(limit=50).results) == 5
    assert len(many) == len(few)


# --- by region, fact by fact, through time ---


def test_each_region_has_its_own_onset_restoration_and_figures(world: World):
    watch()
    incident = staggered(world)
    speak(incident, world.regions["BR-SP"], decided_at=at("18:14"))
    speak(incident, world.regions["BR-SP"], decided_at=at("19:25"), decision="reopened")
    count(world.whatsapp, world.regions["BR-SP"], at("19:55"), 11, kind=Kind.WORKING)
    count(world.whatsapp, world.regions["BR-SP"], at("18:05"), 3)
    found = {outage.region.code: outage for outage in status.incident_regions("OUT-2026-0001")}
    assert list(found) == ["GB-ENG", "GB-SCT", "BR-SP", "BR-RJ"]
    paulo = found["BR-SP"]
    assert (paulo.state, paulo.onset_at, paulo.restored_at, paulo.basis) == (
        "restored",
        at("18:10"),
        at("19:50"),
        "votes",
    )
    assert [(fact.restored_at, fact.reopened_at) for fact in paulo.relapses] == [(at("19:10"), at("19:25"))]
    assert (paulo.reports, paulo.working, paulo.networks) == (80, 11, 3)
    assert paulo.evidence is not None
    assert paulo.evidence.decision == "reopened"
    assert (found["GB-ENG"].reports, found["GB-ENG"].working) == (190, 4)


def test_figures_of_regions_hold_over_days(world: World):
    watch()
    early = at("18:00") - timedelta(days=3)
    incident = open_incident(world.whatsapp, onset_at=early)
    take_down(incident, world.regions["GB"])
    for days in range(4):
        count(world.whatsapp, world.regions["GB-ENG"], at("18:30") - timedelta(days=days), 10 + days)
    (britain,) = status.incident_regions("OUT-2026-0001")
    assert britain.reports == 10 + 11 + 12 + 13


def test_the_timeline_tells_each_fact_with_its_source(world: World):
    watch()
    staggered(world)
    lines = status.incident_timeline("OUT-2026-0001")
    assert [(line.kind, line.source_type) for line in lines] == [
        ("detected", "engine"),
        ("region_down", "engine"),
        ("statement", "statement"),
    ]
    assert lines[1].region is not None
    assert lines[1].region.code == "GB-ENG"
    assert "412" in lines[1].text
    assert lines[1].evidence is not None
    assert "We are aware." in lines[2].text
    assert lines[2].source_url == "https://status.example/1"


def test_an_administrators_act_names_no_administrator(world: World, django_user_model):
    watch()
    incident = open_incident(world.whatsapp)
    somebody = django_user_model.objects.create_user("ada")
    note(incident, "confirmed", when=at("19:00"), actor=somebody)
    (line,) = status.incident_timeline("OUT-2026-0001")
    assert line.source_type == "administrator"
    assert "ada" not in str(line)


def test_a_history_holds_every_change_of_every_region(world: World):
    watch()
    staggered(world)
    assert changes("GB-ENG") == [("18:02", "down")]
    assert changes("GB-SCT") == [("18:05", "down"), ("19:40", "recovering")]
    assert changes("BR-SP") == [("18:10", "down"), ("19:10", "restored"), ("19:25", "down"), ("19:50", "restored")]
    assert changes("BR-RJ") == [("18:12", "down"), ("19:30", "unknown")]
    assert changes("US-CA") == []
    assert (history().start, history().end) == (at("17:52"), at("20:00"))
    assert {link.code for link in history().regions} == {"GB-ENG", "GB-SCT", "BR-SP", "BR-RJ"}


def test_a_history_remembers_from_the_timeline_what_the_row_forgot(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    region = world.regions["GB-ENG"]
    england = take_down(incident, region, restored_at=at("19:50"))
    relapse(england, restored_at=at("19:05"), reopened_at=at("19:20"))
    for when, kind in (
        ("18:40", "region_recovering"),
        ("18:50", "region_down_again"),
        ("19:00", "region_recovering"),
        ("19:08", "region_restored"),
        ("19:30", "region_unknown"),
        ("19:40", "region_recovering"),
        ("19:55", "region_recovering"),
    ):
        note(incident, kind, when=at(when), region=region)
    assert changes("GB-ENG") == [
        ("18:02", "down"),
        ("18:40", "recovering"),
        ("18:50", "down"),
        ("19:00", "recovering"),
        ("19:05", "restored"),
        ("19:20", "down"),
        ("19:30", "unknown"),
        ("19:40", "recovering"),
        ("19:50", "restored"),
    ]


def test_a_history_names_the_regions_that_a_country_covers(world: World):
    watch()
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["GB"])
    take_down(incident, world.regions["GB-SCT"], withdrawn_at=at("18:30"))
    covered = {cover.region: cover.by for cover in history().covered}
    assert covered["GB-ENG"] == covered["GB~LON"] == "GB"
    assert "GB-SCT" not in covered


def test_an_incident_keeps_its_answer_until_something_changes(world: World, django_assert_num_queries):
    watch()
    staggered(world)
    before = told()
    status.incident_regions("OUT-2026-0001")
    status.incident_timeline("OUT-2026-0001")
    history()
    with django_assert_num_queries(0):
        assert told() is before
        status.incident_regions("OUT-2026-0001")
        status.incident_timeline("OUT-2026-0001")
        history()
    assert replace(before) == told()
