"""Merged and split incidents as the public sees them: pages, article, feeds and figures of the whole span."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from reports import status
from reports.audience import statuspage
from reports.incidents import joining, lifecycle, undo
from reports.models import Act, Incident, Statement
from reports.status import history, snapshots
from reports.status.article import article
from reports.status.nesting import own_people
from tests.status.making import World, at, count, learn, note, open_incident, say, speak, take_down, watch
from tests.status.test_article import text

FIRST, SECOND = "OUT-2026-0001", "OUT-2026-0002"


@pytest.fixture
def duty(db: None) -> User:
    return User.objects.create_user("duty", password="a-long-password")


@pytest.fixture
def twofold(world: World) -> World:
    """WhatsApp down in England from 18:02 to 18:30, and again from 18:50 on, then in São Paulo too."""
    first = open_incident(world.whatsapp, ref=FIRST, resolved_at=at("18:30"))
    take_down(first, world.regions["GB-ENG"], restored_at=at("18:30"))
    note(first, "detected", when=at("18:06"), facts={"onset_at": at("18:02").isoformat(), "regions": 1})
    second = open_incident(world.whatsapp, ref=SECOND, onset_at=at("18:50"))
    note(second, "detected", when=at("18:54"), facts={"onset_at": at("18:50").isoformat(), "regions": 2})
    for code in ("GB-ENG", "BR-SP"):
        take_down(second, world.regions[code])
        evidence = speak(second, world.regions[code], decided_at=at("18:54"))
        note(second, "region_down", when=at("18:54"), region=world.regions[code], evidence=evidence)
    note(second, "region_recovering", when=at("19:05"), region=world.regions["BR-SP"])
    count(world.whatsapp, world.regions["GB-ENG"], at("18:10"), 70)
    count(world.whatsapp, world.regions["GB-ENG"], at("18:55"), 30)
    count(world.whatsapp, world.regions["BR-SP"], at("18:56"), 5)
    watch(at("19:20"), baseline=learn())
    snapshots.forget()
    return world


def test_a_merged_incident_is_told_with_its_whole_span(twofold: World, duty: User) -> None:
    second = Incident.objects.get(ref=SECOND)
    joining.merge(second.pk, into=FIRST, by=duty, at=at("19:10"))
    snapshots.forget()
    whole, part = status.incident(FIRST), status.incident(SECOND)
    assert whole is not None
    assert part is not None
    assert (whole.state, whole.onset_at, whole.resolved_at, whole.reports) == ("open", at("18:02"), None, 105)
    assert (part.state, part.review, part.merged_into) == ("resolved", "merged", FIRST)
    regions = {each.region.code: each for each in status.incident_regions(FIRST)}
    assert [relapse.reopened_at for relapse in regions["GB-ENG"].relapses] == [at("18:50")]
    # Its figures are those of the one that found it.
    assert regions["BR-SP"].evidence is not None
    history = status.incident_history(FIRST, now=at("19:20"))
    assert history is not None
    brazil = [change.state for change in history.transitions if change.region == "BR-SP"]
    assert brazil == ["down", "recovering"]
    assert [line.kind for line in status.incident_timeline(FIRST)] == ["detected", "joined", "reopened"]
    assert [line.kind for line in status.incident_timeline(SECOND)][-1] == "merged"


def test_the_articles_of_a_merger_lead_to_the_one_that_tells_it(twofold: World, duty: User) -> None:
    joining.merge(Incident.objects.get(ref=SECOND).pk, into=FIRST, by=duty, at=at("19:10"))
    snapshots.forget()
    whole, part = article(FIRST), article(SECOND)
    assert whole is not None
    assert part is not None
    assert whole.headline.text.startswith("WhatsApp is")
    assert "belongs to another incident, OUT-2026-0001, and is told there." in text(part)


def test_a_part_is_told_by_itself_and_the_rest_without_it(twofold: World, duty: User) -> None:
    second = Incident.objects.get(ref=SECOND)
    part = joining.split(second.pk, regions=["BR-SP"], by=duty, at=at("19:10"))
    snapshots.forget()
    told, rest = status.incident(part.ref), status.incident(SECOND)
    assert told is not None
    assert rest is not None
    assert (told.split_from, told.reports, told.evidence is not None) == (SECOND, 5, True)
    assert ([link.code for link in told.currently_affected], rest.reports) == (["BR-SP"], 30)
    kinds = [line.kind for line in status.incident_timeline(part.ref)]
    assert kinds == ["region_down", "region_recovering", "split_from"]
    article_of_part = article(part.ref)
    assert article_of_part is not None
    assert "São Paulo" in article_of_part.headline.text


def test_followers_are_told_of_a_merger_and_of_its_end(twofold: World, duty: User, client: Client) -> None:
    second = Incident.objects.get(ref=SECOND)
    joining.merge(second.pk, into=FIRST, by=duty, at=at("19:10"))
    undo.undo(Act.objects.get().pk, by=duty, at=at("19:15"))
    part = joining.split(second.pk, regions=["BR-SP"], by=duty, at=at("19:16"))
    snapshots.forget()
    told = status.milestones([FIRST, SECOND, part.ref])
    assert [one.kind for one in told[FIRST]] == ["opened", "joined", "reopened", "corrected", "resolved"]
    assert [one.kind for one in told[SECOND]] == ["opened", "corrected", "split"]
    assert [one.kind for one in told[part.ref]] == ["split_from"]
    for address in ("/services/whatsapp/history.atom", "/services/whatsapp/api/v2/incidents.json"):
        response = client.get(address)
        assert response.status_code == 200
        assert part.ref in response.content.decode()


def _spoken(ref: str) -> list[str]:
    """What the provider said of an incident, as each answer has it, with the first word's time in front."""
    snapshots.forget()
    found, course = status.incident(ref), status.incident_history(ref, now=at("19:20"))
    assert found is not None
    assert course is not None
    assert course.statements == found.statements
    said = found.acknowledged_at
    return [f"{said:%H:%M}" if said else "", *(one.text for one in found.statements)]


def test_what_the_provider_said_of_a_merged_incident_it_said_of_the_one_that_tells_it(
    twofold: World, duty: User
) -> None:
    first, second = Incident.objects.get(ref=FIRST), Incident.objects.get(ref=SECOND)
    say(first, "We know.", said_at=at("18:20"))
    withdrawn = say(first, "Never said.", said_at=at("18:10"))
    Statement.objects.filter(pk=withdrawn.pk).update(withdrawn_at=at("18:40"))
    say(second, "Again.", said_at=at("18:55"), meaning="update")
    assert (_spoken(FIRST), _spoken(SECOND)) == (["18:20", "We know."], ["18:55", "Again."])
    joining.merge(first.pk, into=SECOND, by=duty, at=at("19:10"))
    assert (_spoken(FIRST), _spoken(SECOND)) == (["18:20", "We know."], ["18:20", "We know.", "Again."])
    undo.undo(Act.objects.get().pk, by=duty, at=at("19:15"))
    assert (_spoken(FIRST), _spoken(SECOND)) == (["18:20", "We know."], ["18:55", "Again."])


def test_what_was_stated_of_both_is_told_once(twofold: World, duty: User) -> None:
    first, second = Incident.objects.get(ref=FIRST), Incident.objects.get(ref=SECOND)
    say(first, "We know.", said_at=at("18:20"))
    own = say(second, "We know.", said_at=at("18:20"))
    say(first, "We know.", said_at=at("18:25"))
    joining.merge(first.pk, into=SECOND, by=duty, at=at("19:10"))
    assert _spoken(SECOND) == ["18:20", "We know.", "We know."]
    told = status.incident(SECOND)
    assert told is not None
    assert told.statements[0].id == own.pk
    assert [one.said_at for one in told.statements] == [at("18:20"), at("18:25")]


def test_what_was_said_of_a_part_is_the_originals_once_the_split_is_taken_back(twofold: World, duty: User) -> None:
    second = Incident.objects.get(ref=SECOND)
    part = joining.split(second.pk, regions=["BR-SP"], by=duty, at=at("19:10"))
    say(part, "In Brazil.", said_at=at("19:11"))
    assert (_spoken(SECOND), _spoken(part.ref)) == ([""], ["19:11", "In Brazil."])
    undo.undo(Act.objects.get().pk, by=duty, at=at("19:15"))
    assert _spoken(SECOND) == ["19:11", "In Brazil."]


def test_a_merger_that_is_done_again_is_another_update(twofold: World, duty: User) -> None:
    def merger() -> tuple[str, str]:
        snapshots.forget()
        told = next(one for one in status.milestones([SECOND])[SECOND] if one.kind == "merged")
        return told.id, f"{told.told_at:%H:%M}"

    second = Incident.objects.get(ref=SECOND)
    joining.merge(second.pk, into=FIRST, by=duty, at=at("19:10"))
    first = merger()
    undo.undo(Act.objects.get().pk, by=duty, at=at("19:15"))
    joining.merge(second.pk, into=FIRST, by=duty, at=at("19:16"))
    again = merger()
    assert (first[1], again[1]) == ("19:10", "19:16")
    assert first[0] != again[0]


def test_a_restoration_of_one_part_keeps_the_service_down_for_the_other(twofold: World, duty: User) -> None:
    second = Incident.objects.get(ref=SECOND)
    part = joining.split(second.pk, regions=["BR-SP"], by=duty, at=at("19:10"))
    Incident.objects.filter(pk=second.pk).update(resolved_at=at("19:12"))
    when = at("19:12")
    second.regions.update(restored_at=when, restored_low=when, restored_high=when, declared_at=when, basis="votes")
    snapshots.forget()
    found = status.service_status("whatsapp", now=at("19:20") + timedelta(seconds=30))
    assert found is not None
    assert (found.incident, [state.region.code for state in found.down]) == (part.ref, ["BR-SP"])


@pytest.fixture
def worldwide(world: World) -> World:
    """WhatsApp down from 18:02 on in the world as a whole and in England and São Paulo, with reports from elsewhere."""
    whole = open_incident(world.whatsapp, ref=FIRST)
    take_down(whole, world.regions["001"])
    take_down(whole, world.regions["GB"])
    take_down(whole, world.regions["GB-ENG"], onset_at=at("18:10"), restored_at=at("18:50"))
    take_down(whole, world.regions["BR-SP"])
    count(world.whatsapp, world.regions["GB-ENG"], at("18:05"), 1, problem=world.messages)
    count(world.whatsapp, world.regions["GB-ENG"], at("18:20"), 20, problem=world.messages)
    count(world.whatsapp, world.regions["GB-ENG"], at("18:55"), 300, problem=world.login)
    count(world.whatsapp, world.regions["GB-SCT"], at("18:20"), 4000)
    count(world.whatsapp, world.regions["BR-SP"], at("18:20"), 50_000, problem=world.login)
    count(world.whatsapp, world.regions["US-CA"], at("18:20"), 600_000)
    watch(at("19:20"), baseline=learn())
    snapshots.forget()
    return world


def _counted(*refs: str) -> list[int]:
    snapshots.forget()
    found = []
    for ref in refs:
        told, problems = status.incident(ref), status.incident_problems(ref)
        assert told is not None
        assert problems is not None
        assert problems.said + problems.silent == told.reports
        found.append(told.reports)
    return found


def test_no_report_is_of_a_part_and_of_the_whole_as_well(worldwide: World, duty: User) -> None:
    whole = Incident.objects.get()
    assert _counted(FIRST) == [654_321]
    # A country: England is of the part, as the nearest row says, and the rest of the world is not.
    part = joining.split(whole.pk, regions=["GB"], by=duty, at=at("19:10"))
    assert _counted(FIRST, part.ref) == [650_000, 4321]
    # A part of the part, for as long as it lasted.
    within = joining.split(part.pk, regions=["GB-ENG"], by=duty, at=at("19:11"))
    assert _counted(FIRST, part.ref, within.ref) == [650_000, 4301, 20]
    other = joining.split(whole.pk, regions=["BR-SP"], by=duty, at=at("19:12"))
    assert _counted(FIRST, part.ref, within.ref, other.ref) == [600_000, 4301, 20, 50_000]
    joining.merge(within.pk, into=other.ref, by=duty, at=at("19:13"))
    assert _counted(FIRST, part.ref, other.ref) == [600_000, 4000, 50_321]
    for kind in ("merged", "split", "split", "split"):
        undo.undo(Act.objects.filter(kind=kind, undone_by=None).latest("id").pk, by=duty, at=at("19:15"))
    assert _counted(FIRST, part.ref, other.ref) == [654_321, 0, 0]


def test_the_regions_of_the_whole_do_not_hold_what_a_part_tells(worldwide: World, duty: User) -> None:
    def world_and_others(ref: str) -> dict[str, int]:
        snapshots.forget()
        return {each.region.code: each.reports for each in status.incident_regions(ref)}

    whole = Incident.objects.get()
    before = {"001": 654_321, "GB": 4321, "GB-ENG": 320, "BR-SP": 50_000}
    assert world_and_others(FIRST) == before
    part = joining.split(whole.pk, regions=["GB-ENG"], by=duty, at=at("19:10"))
    # England was back at 18:50; what was reported from there afterwards is of the country that was still down.
    assert world_and_others(FIRST) == {"001": 654_301, "GB": 4301, "BR-SP": 50_000}
    assert world_and_others(part.ref) == {"GB-ENG": 20}


def test_what_belongs_together_takes_one_further_query_however_much_it_is(worldwide: World, duty: User) -> None:
    whole = Incident.objects.get()

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            history.told(list(Incident.objects.values_list("pk", flat=True)))
        return len(queries)

    asked()
    alone = asked()
    for code in ("GB", "BR-SP"):
        part = joining.split(whole.pk, regions=[code], by=duty, at=at("19:10"))
        say(part, "We know.", said_at=at("19:11"))
        assert asked() <= alone + 1
    joining.merge(part.pk, into=whole.ref, by=duty, at=at("19:12"))
    assert asked() <= alone + 1


def test_what_was_reported_of_a_rejected_incident_stays_reported(worldwide: World, duty: User) -> None:
    whole = Incident.objects.get()
    whole.regions.filter(region_code="BR-SP").update(withdrawn_at=at("18:40"))
    part = joining.split(whole.pk, regions=["GB-ENG"], by=duty, at=at("19:05"))
    snapshots.forget()
    before = status.incident(FIRST)
    assert before is not None
    lifecycle.reject(whole.pk, reason="A hoax.", by=duty, at=at("19:10"))
    figures = _counted(FIRST, part.ref)
    # As the cycle does that heeds it, of all that was still down.
    whole.regions.filter(withdrawn_at=None).update(withdrawn_at=at("19:10"))
    assert _counted(FIRST, part.ref) == figures == [654_301, 20]
    after = status.incident(FIRST)
    assert after is not None
    assert (after.review, after.people_reached) == ("rejected", before.people_reached)
    assert before.people_reached == _population("GB") - _population("GB-ENG")
    refs = {found.ref for found in status.incidents(min_people=before.people_reached).results}
    assert refs == {FIRST, part.ref}
    refs = {found.ref for found in status.incidents(min_people=before.people_reached + 1).results}
    assert refs == {part.ref}


@pytest.fixture
def american(world: World) -> World:
    """WhatsApp down in the United States, and in California and New York in particular."""
    whole = open_incident(world.whatsapp, ref=FIRST)
    for code in ("US", "US-CA", "US-NY"):
        take_down(whole, world.regions[code])
    watch(at("19:20"))
    snapshots.forget()
    return world


def _reached(*refs: str) -> list[int]:
    """How many people each incident reached, as the answer, the filter and the history say alike."""
    snapshots.forget()
    found = []
    for ref in refs:
        told, course = status.incident(ref), status.incident_history(ref, now=at("19:20"))
        assert told is not None
        assert course is not None
        assert sum(own_people(course.regions, elsewhere=course.told_elsewhere).values()) == told.people_reached
        for least, is_found in ((told.people_reached, True), (told.people_reached + 1, False)):
            assert (ref in {one.ref for one in status.incidents(min_people=least).results}) == is_found
        found.append(told.people_reached)
    return found


def test_nobody_is_one_of_the_people_of_a_part_and_of_the_whole_as_well(american: World, duty: User) -> None:
    whole = Incident.objects.get()
    everybody, california, york = (_population(code) for code in ("US", "US-CA", "US-NY"))
    assert _reached(FIRST) == [everybody]
    part = joining.split(whole.pk, regions=["US-CA"], by=duty, at=at("19:10"))
    assert _reached(FIRST, part.ref) == [everybody - california, california]
    other = joining.split(whole.pk, regions=["US-NY"], by=duty, at=at("19:11"))
    assert _reached(FIRST, part.ref, other.ref) == [everybody - california - york, california, york]
    joining.merge(other.pk, into=part.ref, by=duty, at=at("19:12"))
    assert _reached(FIRST, part.ref) == [everybody - california - york, california + york]
    undo.undo(Act.objects.get(kind="merged").pk, by=duty, at=at("19:13"))
    undo.undo(Act.objects.filter(kind="split").latest("id").pk, by=duty, at=at("19:13"))
    assert _reached(FIRST, part.ref) == [everybody - california, california]
    # What was no outage there leaves California to the country, which is down.
    lifecycle.reject(part.pk, reason="A hoax.", by=duty, at=at("19:14"))
    assert _reached(FIRST) == [everybody]
    lifecycle.undo_rejection(part.pk, by=duty, at=at("19:15"))
    undo.undo(Act.objects.filter(kind="split").earliest("id").pk, by=duty, at=at("19:16"))
    assert _reached(FIRST) == [everybody]


def test_the_impact_of_a_part_is_not_the_wholes_as_well(world: World, duty: User) -> None:
    whole = open_incident(world.whatsapp, ref=FIRST)
    for code in ("001", "GB", "GB-ENG", "GB-SCT"):
        take_down(whole, world.regions[code])
    watch(at("19:20"))
    parts = [
        joining.split(whole.pk, regions=[code], by=duty, at=at("19:10")).ref for code in ("GB-ENG", "GB-SCT", "GB")
    ]
    snapshots.forget()
    england, scotland, kingdom, rest = (status.incident(ref) for ref in (*parts, FIRST))
    assert england is not None
    assert scotland is not None
    assert kingdom is not None
    assert rest is not None
    assert [statuspage.impact_of(each) for each in (england, scotland, kingdom)] == ["major", "minor", "minor"]
    # The world as a whole is left of it, which is not everybody in it.
    assert statuspage.impact_of(rest) == "minor"
    assert statuspage.impact_of(rest, scotland, kingdom, england) == "major"


def test_the_people_of_many_parts_take_as_many_queries_as_those_of_one(american: World, duty: User) -> None:
    whole = Incident.objects.get()

    def asked() -> int:
        snapshots.forget()
        snapshots.version()
        with CaptureQueriesContext(connection) as queries:
            assert status.incidents(min_people=1).results
        return len(queries)

    joining.split(whole.pk, regions=["US-CA"], by=duty, at=at("19:10"))
    one = asked()
    joining.split(whole.pk, regions=["US-NY"], by=duty, at=at("19:11"))
    assert asked() == one


def _population(code: str) -> int:
    found = status.region(code)
    assert found is not None
    return found.population or 0
