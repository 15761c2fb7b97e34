"""The article: what it says in each kind of case, and that every figure is that of the other answers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from reports import status
from reports.incidents import lifecycle, statements
from reports.models import Baseline, Incident, OutageGroup
from reports.status import snapshots
from reports.status.article import article, shapes
from reports.status.article.pieces import Article, Pen, Source, Span
from reports.status.article.wording import share
from tests.status.making import (
    NOW,
    World,
    at,
    count,
    learn,
    note,
    open_incident,
    relapse,
    say,
    speak,
    staggered,
    take_down,
    watch,
)

REF = "OUT-2026-0001"


def told(ref: str = REF) -> Article:
    snapshots.forget()
    found = article(ref)
    assert found is not None
    return found


def text(found: Article, key: str = "") -> str:
    """A section in plain words, or the lead."""
    paragraphs = next(each.paragraphs for each in found.sections if each.key == key) if key else found.lead
    return " ".join(sentence.text for paragraph in paragraphs for sentence in paragraph.sentences)


def spans(found: Article) -> list[Span]:
    paragraphs = [*found.lead, *(p for section in found.sections for p in section.paragraphs)]
    return [span for paragraph in paragraphs for sentence in paragraph.sentences for span in sentence.spans]


def whole(found: Article) -> str:
    return "\n".join([found.headline.text, text(found), *(text(found, each.key) for each in found.sections)])


def keys(found: Article) -> list[str]:
    return [section.key for section in found.sections]


@pytest.fixture
def duty(db: None) -> User:
    return User.objects.create_user("duty", password="a-long-password")


@pytest.fixture
def short(world: World) -> World:
    """England, twelve minutes, nobody said anything."""
    watch(baseline=learn())
    incident = open_incident(world.whatsapp, onset_at=at("18:02"), resolved_at=at("18:14"))
    take_down(incident, world.regions["GB-ENG"], restored_at=at("18:14"))
    speak(incident, world.regions["GB-ENG"], decided_at=at("18:06"))
    count(world.whatsapp, world.regions["GB-ENG"], at("18:05"), 40, problem=world.messages)
    return world


@pytest.fixture
def over(world: World) -> World:
    """The staggered outage, when all of it is over but one region that fell silent."""
    watch(baseline=learn())
    incident = staggered(world)
    incident.regions.filter(region_code="GB-ENG").update(
        restored_at=at("19:20"),
        restored_low=at("19:15"),
        restored_high=at("19:26"),
        declared_at=at("19:30"),
        basis="rate",
    )
    incident.regions.filter(region_code="GB-SCT").update(
        restored_at=at("19:55"),
        restored_low=at("19:50"),
        restored_high=at("19:58"),
        declared_at=at("19:58"),
        basis="votes",
    )
    Incident.objects.filter(pk=incident.pk).update(resolved_at=at("19:57"))
    return world


# --- the cases --------------------------------------------------------------------------------------------------------


def test_a_short_outage_of_one_region_makes_a_short_article(short: World):
    found = told()
    assert found.headline.text == "WhatsApp was down in England for 12 minutes"
    assert text(found) == (
        "On 3 April 2026, WhatsApp, which Meta runs, was down in England. It began at about 18:02 UTC and was over at"
        " 18:14 UTC, 12 minutes later. About 58 million people live where it was down. We counted 40 reports that it"
        " was down."
    )
    assert text(found, "detection") == (
        "We decided at 18:06 UTC that this was an outage, 4 minutes after it began. By then England had sent 412"
        " reports within 12 minutes, against 9.1 usually. On an ordinary day, the chance of so many is less than 1 in a"
        " billion. They came from 371 different networks. We put the probability that it was an outage at 98 %. No"
        " administrator has reviewed it so far."
    )
    assert text(found, "beginning").startswith("Reports from England began to exceed the ordinary at about 18:02 UTC.")
    assert text(found, "failed") == "All 40 reports that say what failed name “Messages”."
    assert text(found, "spread") == "England, home to about 58 million people, was the only region affected."
    assert text(found, "statements") == "We know of no statement by Meta about it."
    assert text(found, "restoration") == (
        "England was back at about 18:14 UTC, 12 minutes after the beginning. With 90 % confidence it was between"
        " 18:11 UTC and 18:19 UTC: people there said that it worked again."
    )
    assert not {"setbacks", "duration"} & set(keys(found))
    assert "a probability of 2 % that it was no outage" in text(found, "unknown")


def test_a_staggered_outage_tells_first_and_last_region_people_and_what_stayed_silent(over: World):
    found = told()
    assert found.headline.text == "WhatsApp was down in 4 regions of Brazil and the United Kingdom on 3 April 2026"
    assert "the last region of which we can tell was back at 19:55 UTC, 1 hour 53 minutes later" in text(found)
    assert text(found, "failed") == (
        "Of 190 reports that say what failed, 84 % name “Messages”. Then come “Signing in” (16 %). 87 further reports"
        " do not say."
    )
    spread = text(found, "spread")
    assert "England went down first, at about 18:02 UTC, and Rio de Janeiro last, at about 18:12 UTC." in spread
    assert "It reached the United Kingdom (18:02 UTC) and Brazil (18:10 UTC)." in spread
    assert "lived where it was down by 18:05 UTC, and 90 % by 18:12 UTC." in spread
    assert "Most reports came from the United Kingdom (197) and Brazil (80)." in spread
    assert "Facebook was checked and found normal: 14 reports within 30 minutes, against 11 usually." in text(
        found, "siblings"
    )
    assert text(found, "siblings").startswith("Instagram is down too, since about 18:05 UTC (OUT-2026-0002).")
    restoration = text(found, "restoration")
    assert restoration.startswith(
        "England was back first, at about 19:20 UTC, 1 hour 18 minutes after the beginning. With 90 % confidence it was"
        " between 19:15 UTC and 19:26 UTC: reports from there had fallen back to the usual. Scotland was the last of"
        " which we can tell, at about 19:55 UTC,"
    )
    assert "It was back for half of the people affected by 19:50 UTC." in restoration
    assert text(found, "setbacks") == (
        "In São Paulo it seemed to be back at 19:10 UTC, and was down again at 19:25 UTC."
    )
    assert text(found, "duration").endswith(
        "Half of the regions were back within 1 hour 40 minutes of going down. Where we know when it came back, it was"
        " shortest in England (1 hour 18 minutes) and longest in Scotland (1 hour 50 minutes)."
    )
    assert text(found, "unknown").startswith("Too few reports came from Rio de Janeiro to say when it was back there.")
    assert "Facebook: no reports, against 7.5 usually." in text(found, "meanwhile")


def test_an_outage_that_goes_on_says_so_far(world: World):
    watch(baseline=learn())
    staggered(world)
    found = told()
    assert not found.over
    assert found.as_of == at("20:00")
    assert text(found).startswith("Since about 18:02 UTC on 3 April 2026, WhatsApp, which Meta runs, has been down in")
    assert (
        "1 hour 58 minutes so far, by what is known at 20:00 UTC. It is back in 1 region, and not yet in 2 regions."
        " From 1 region too little is heard to say."
    ) in text(found)
    assert text(found, "duration").startswith("So far it has lasted 1 hour 58 minutes.")
    assert "So far it is back for 36 % of the people affected." in text(found, "restoration")
    assert next(s.heading for s in found.sections if s.key == "meanwhile") == "What can be used meanwhile"


def test_what_is_said_of_all_regions_is_true_of_those_that_are_not_back(over: World):
    incident = Incident.objects.get(ref=REF)
    for code in ("GB-WLS", "GB-NIR", "US-CA", "US-NY"):
        incident.regions.filter(region_code=code).delete()
        take_down(incident, over.regions[code])
    Incident.objects.filter(pk=incident.pk).update(resolved_at=None)
    found = text(told(), "duration")
    assert "Of the regions that are back, half were so within 1 hour 40 minutes of going down." in found
    assert "Where it is back so far, it was shortest in England (1 hour 18 minutes) and longest in Scotland" in found
    assert "half of their 90 % intervals are at most 8 minutes wide" in text(told(), "unknown")
    # With five of eight back, half of all are: within what the fourth took.
    for code, end in (("GB-WLS", "19:57"), ("GB-NIR", "19:58")):
        incident.regions.filter(region_code=code).delete()
        take_down(incident, over.regions[code], restored_at=at(end))
    assert "Half of the regions were back within 1 hour 55 minutes of going down." in text(told(), "duration")


def test_where_all_are_back_the_longest_is_the_longest_of_all(over: World):
    incident = Incident.objects.get(ref=REF)
    incident.regions.filter(region_code="BR-RJ").delete()
    take_down(incident, over.regions["BR-RJ"], onset_at=at("18:12"), restored_at=at("19:40"))
    found = text(told(), "duration")
    assert "It was shortest in England (1 hour 18 minutes) and longest in Scotland (1 hour 50 minutes)." in found


def test_a_rejected_incident_is_said_to_be_none_and_why(short: World, duty: User):
    incident = Incident.objects.get(ref=REF)
    lifecycle.reject(incident.pk, reason="A hoax, spread on a forum.", by=duty, at=NOW)
    found = told()
    assert found.headline.text == "No outage of WhatsApp on 3 April 2026 after all"
    assert text(found) == (
        "What looked like an outage of WhatsApp on 3 April 2026 was none. An administrator rejected it at 20:00 UTC,"
        " for this reason: “A hoax, spread on a forum.” We counted 40 reports that it was down."
    )
    assert keys(found) == ["beginning", "detection"]


def test_a_confirmed_incident_is_not_said_to_be_unreviewed_or_doubtful(short: World, duty: User):
    incident = Incident.objects.get(ref=REF)
    lifecycle.confirm(incident.pk, by=duty, at=at("18:20"))
    found = told()
    assert "An administrator confirmed it at 18:20 UTC." in text(found, "detection")
    assert "no outage at all" not in text(found, "unknown")


def test_a_merged_incident_leads_to_the_other(short: World):
    other = Incident.objects.get(ref=REF)
    open_incident(short.instagram, ref="OUT-2026-0003", merged_at=at("18:20"), merged_into=other)
    found = told("OUT-2026-0003")
    assert found.headline.text == "The outage of Instagram on 3 April 2026 is told in OUT-2026-0001"
    assert "belongs to another incident, OUT-2026-0001, and is told there." in text(found)
    assert any(note.source.page == "/incidents/OUT-2026-0001/" for note in found.notes)


def test_a_part_that_is_told_by_itself_is_no_other_service(short: World):
    whole_one = Incident.objects.get(ref=REF)
    group = OutageGroup.objects.create(key="meta@1", provider_id=short.whatsapp.provider_id, formed_at=at("18:07"))
    Incident.objects.filter(pk=whole_one.pk).update(group=group)
    part = open_incident(short.whatsapp, ref="OUT-2026-0003", split_from=whole_one, group=group)
    take_down(part, short.regions["GB-SCT"])
    assert "OUT-2026-0003" not in whole(told())
    assert REF not in text(told("OUT-2026-0003"), "siblings")


def test_an_echo_names_what_it_follows_and_offers_no_alternatives(short: World):
    cause = Incident.objects.get(ref=REF)
    echo = open_incident(short.facebook, ref="OUT-2026-0003", echo_of=cause, resolved_at=at("19:00"))
    take_down(echo, short.regions["US"], restored_at=at("19:00"))
    found = told("OUT-2026-0003")
    assert found.headline.text == "Facebook was not down: its reports followed the outage of WhatsApp"
    assert "rose in the United States. They follow the outage of WhatsApp (OUT-2026-0001)" in text(found)
    assert not {"restoration", "duration", "meanwhile"} & set(keys(found))


def test_a_rise_that_follows_the_outage_is_told_as_an_echo(over: World):
    note(
        Incident.objects.get(ref=REF),
        "echo",
        when=at("18:20"),
        facts={"service": "facebook", "name": "Facebook", "observed": 41, "expected": 3.0, "window_minutes": 10},
    )
    count(over.facebook, over.regions["GB-ENG"], at("18:20"), 300)
    found = told()
    assert (
        "Reports about Facebook rose with it, to 41 within 10 minutes against 3 usually: an echo, not an outage of its"
        " own." in text(found, "siblings")
    )
    assert "Facebook: 300 reports, against 7.5 usually; a rise that follows this outage, and none of its own." in text(
        found, "meanwhile"
    )


def test_a_statement_is_told_with_how_late_or_how_early_it_was(short: World, duty: User):
    incident = Incident.objects.get(ref=REF)
    statements.add_statement(incident.pk, text="No trouble.", said_at=at("18:04"), meaning="denied", by=duty, now=NOW)
    statements.add_statement(incident.pk, text="It is back.", said_at=at("18:30"), meaning="restored", by=duty, now=NOW)
    assert text(told(), "statements") == (
        "Meta first spoke at 18:04 UTC, 2 minutes after it began and 2 minutes before we had decided. At 18:04 UTC,"
        " denying an outage: “No trouble.” At 18:30 UTC, declaring it over: “It is back.”"
    )
    statements.add_statement(incident.pk, text="Planned work.", said_at=at("17:00"), by=duty, now=NOW)
    assert text(told(), "statements").startswith(
        "Meta first spoke at 17:00 UTC, 1 hour 2 minutes before reports began to rise."
    )


def test_an_outage_over_midnight_names_the_other_day(world: World):
    incident = open_incident(world.whatsapp, onset_at=at("00:10") - timedelta(hours=1), resolved_at=at("01:10"))
    take_down(incident, world.regions["BR"], restored_at=at("01:10"))
    found = told()
    assert "It began at about 23:10 UTC and was over at 01:10 UTC on 3 April, 2 hours later." in text(found)


def test_what_only_the_world_shows_is_not_said_of_every_place(world: World):
    incident = open_incident(world.whatsapp, resolved_at=at("19:02"), scope="network")
    take_down(incident, world.regions["001"], restored_at=at("19:02"))
    found = told()
    assert found.headline.text == "WhatsApp was down in many places at once for 1 hour"
    assert "people live" not in text(found)
    assert "in no single region for itself" in text(found, "spread")
    assert "It followed a network rather than a service." in text(found, "siblings")


def test_where_nothing_came_back_the_end_is_not_made_up(world: World):
    incident = open_incident(world.whatsapp, resolved_at=at("19:02"))
    take_down(incident, world.regions["BR"], unknown_at=at("19:02"))
    found = told()
    assert found.headline.text == "WhatsApp was down in Brazil; when it came back is not known"
    assert "When it ended is not known" in text(found)
    assert text(found, "restoration") == "Of no region do we know when it came back."
    assert text(found, "duration") == "How long it lasted is not known."


def test_a_gap_in_the_counting_is_among_what_remains_unknown(world: World):
    watch(baseline=learn())
    incident = open_incident(world.whatsapp, resolved_at=at("19:50"))
    take_down(incident, world.regions["GB-ENG"], restored_at=at("19:50"))
    silent = range(13, 90)
    for minute in set(range(108)) - set(silent):
        count(world.instagram, world.regions["US-CA"], at("18:02") + timedelta(minutes=minute), 1)
    assert "From 18:15 UTC to 19:32 UTC nothing at all was counted, though some 15 reports about all services were" in (
        text(told(), "unknown")
    )
    for minute in silent:
        count(world.facebook, world.regions["IN"], at("18:02") + timedelta(minutes=minute), 1)
    assert "nothing at all was counted" not in text(told(), "unknown")


# --- every figure is checkable ----------------------------------------------------------------------------------------


def test_every_number_in_a_sentence_cites_a_note_and_every_note_is_cited(over: World):
    found = told()
    cited = {number for span in spans(found) for number in span.notes}
    assert cited == {note.number for note in found.notes} == set(range(1, len(found.notes) + 1))
    loose = [span for span in spans(found) if span.kind in ("count", "people", "share", "chance") and not span.notes]
    assert loose == []


def test_figures_are_those_of_the_other_answers(over: World):
    found, incident = told(), status.incident(REF)
    values = [(span.kind, span.value) for span in spans(found)]
    assert ("count", incident.reports) in values
    assert ("count", incident.working) in values
    assert ("instant", "2026-04-03T18:02:00Z") in values
    assert ("count", incident.evidence.observed) in values
    assert ("number", incident.evidence.expected) in values
    problems = status.incident_problems(REF)
    assert ("count", problems.said) in values
    assert ("share", round(problems.named[0][1] / problems.said, 6)) in values
    rows = {row.region.code: row for row in status.incident_regions(REF)}
    assert ("length", (rows["GB-SCT"].restored_at - rows["GB-SCT"].onset_at).total_seconds()) in values
    assert ("count", rows["GB-ENG"].reports + rows["GB-SCT"].reports) in values


def test_the_three_shapes_say_the_same(over: World):
    found = told()
    plain = re.sub(r"\s+", " ", whole(found).replace("\n", " "))
    written = shapes.markdown(found, site="https://x.example")
    body = re.sub(r"\[\^\d+\]|^#+ |^- ", "", written.split("\n---\n")[0], flags=re.MULTILINE).replace("\\", "")
    assert all(section.heading in body for section in found.sections)
    without = [line for line in body.splitlines() if line and line not in {s.heading for s in found.sections}]
    assert re.sub(r"\s+", " ", " ".join(without)).strip() == plain
    page = shapes.html(found)
    blocks = [*page.lead, *(block for section in page.sections for block in section.blocks)]
    html = " ".join(item for block in blocks for item in block.items)
    stripped = re.sub(r"<sup[^>]*>.*?</sup>", "", html).replace('<q class="said">', "“").replace("</q>", "”")
    assert re.sub(r"<[^>]+>", "", f"{page.headline} {stripped}") == plain


def test_what_a_provider_said_cannot_become_markup(short: World):
    say(Incident.objects.get(ref=REF), "<script>alert(1)</script> *all* [is](http://evil.example) {well}", said_at=NOW)
    found = told()
    page = str(shapes.html(found))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    written = shapes.markdown(found, site="https://x.example")
    assert "\\<script\\>alert(1)" in written
    assert "\\*all\\* \\[is\\](" in written
    assert "{well}" in written


def test_a_note_stands_at_the_end_of_the_clause_and_once_for_figures_of_one_source():
    pen, source, other = Pen(), Source("incident", "one"), Source("regions", "two")
    sentence = pen.say(
        "{a} came from {b} people, and {c} left.",
        a=share(0.5, source),
        b=share(0.25, source),
        c=share(0.125, other),
    )
    assert shapes._line(sentence) == "50 % came from 25 % people,[^1] and 12 % left.[^2]"


# --- versions and queries ---------------------------------------------------------------------------------------------


def test_the_version_changes_with_a_word_and_with_nothing_else(short: World, duty: User):
    before = told().version
    watch(NOW + timedelta(minutes=3), baseline=Baseline.objects.get())
    assert told().version == before
    lifecycle.confirm(Incident.objects.get(ref=REF).pk, by=duty, at=at("18:20"))
    assert told().version != before


def test_an_article_that_nothing_changed_costs_no_query(over: World, django_assert_num_queries):
    told()
    with django_assert_num_queries(0):
        assert article(REF) is article(REF)


def test_more_regions_take_no_more_queries(over: World, django_assert_max_num_queries):
    article(REF)
    snapshots.forget()
    article("OUT-2026-0002")
    snapshots.forget()
    status.incidents()
    with django_assert_max_num_queries(60) as few:
        article(REF)
    incident = Incident.objects.get(ref=REF)
    for code in ("US-NY", "IN", "GB-WLS", "GB-NIR"):
        take_down(incident, over.regions[code], restored_at=at("19:40"))
    snapshots.forget()
    status.incidents()
    with django_assert_max_num_queries(60) as many:
        article(REF)
    assert len(many) == len(few)


def test_an_unknown_ref_has_no_article(world: World):
    assert article("OUT-2026-9999") is None


def test_a_relapse_and_regions_before_the_whole_are_told_as_what_they_are(over: World):
    incident = Incident.objects.get(ref=REF)
    early = take_down(incident, over.regions["IN"], onset_at=at("17:40"), restored_at=at("19:30"))
    relapse(early, restored_at=at("18:30"), reopened_at=at("18:40"))
    found = told()
    assert "2 restorations did not hold, in 2 regions." in text(found, "setbacks")
    assert "In 1 region the beginning was reckoned, from few reports, to lie before that of the whole." in text(
        found, "unknown"
    )
    assert "England went down first" in text(found, "spread")
    assert "longest in Scotland" in text(found, "duration")
