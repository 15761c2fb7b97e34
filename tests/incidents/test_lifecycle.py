from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from reports.incidents import lifecycle, statements, timeline
from reports.incidents.lifecycle import ConflictError, RegionWord, Stale
from reports.models import Incident, RegionalOutage, Relapse, Statement, TimelineEntry, Word
from tests.incidents.acts import kinds, open_incident, over, row, twice
from tests.incidents.world import World


@pytest.fixture
def incident(world: World) -> Incident:
    return open_incident(world, "OUT-2026-0007")


def test_a_confirmation_says_who_and_when(incident: Incident, duty: User, world: World) -> None:
    twice(lifecycle.confirm, incident.pk, by=duty, at=world.at(20), revision=0)
    incident.refresh_from_db()
    assert (incident.review, incident.confirmed_at, incident.revision) == ("confirmed", world.at(20), 1)
    entry = TimelineEntry.objects.get()
    assert (entry.kind, entry.actor, entry.at) == ("confirmed", duty, world.at(20))


def test_a_rejection_needs_a_reason(incident: Incident, duty: User, world: World) -> None:
    with pytest.raises(ValueError, match="reason"):
        lifecycle.reject(incident.pk, reason="  ", by=duty, at=world.at(20))
    assert kinds() == []


def test_a_rejection_tells_the_engine(incident: Incident, duty: User, world: World) -> None:
    twice(lifecycle.reject, incident.pk, reason="a load test", by=duty, at=world.at(20), revision=0)
    incident.refresh_from_db()
    assert (incident.review, incident.rejected_reason) == ("rejected", "a load test")
    word = Word.objects.get()
    assert (word.kind, word.region, word.heeded_at) == ("admin_rejected", None, None)
    assert kinds() == ["rejected"]


def test_a_resolved_incident_is_rejected_without_a_word_to_the_engine(
    incident: Incident, duty: User, world: World
) -> None:
    Incident.objects.update(resolved_at=world.at(15))
    lifecycle.reject(incident.pk, reason="a load test", by=duty, at=world.at(20))
    assert not Word.objects.exists()


def test_a_confirmed_incident_can_be_rejected_but_not_the_other_way_round(
    incident: Incident, duty: User, world: World
) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    lifecycle.reject(incident.pk, reason="I was wrong", by=duty, at=world.at(21))
    with pytest.raises(ConflictError, match="take the rejection back first"):
        lifecycle.confirm(incident.pk, by=duty, at=world.at(22))
    assert kinds() == ["confirmed", "rejected"]


def test_a_rejection_that_the_engine_has_not_heard_of_leaves_no_trace_with_it(
    incident: Incident, duty: User, world: World
) -> None:
    lifecycle.reject(incident.pk, reason="a load test", by=duty, at=world.at(20))
    twice(lifecycle.undo_rejection, incident.pk, reason="it was none", by=duty, at=world.at(21), revision=1)
    incident.refresh_from_db()
    assert (incident.review, incident.rejected_reason, incident.resolved_at) == ("automatic", "", None)
    assert not Word.objects.exists()
    assert kinds() == ["rejected", "rejection_undone"]


def test_a_rejection_that_the_engine_has_heeded_is_taken_back_region_by_region(
    incident: Incident, duty: User, world: World
) -> None:
    lifecycle.reject(incident.pk, reason="a load test", by=duty, at=world.at(20))
    Word.objects.update(heeded_at=world.at(21))
    RegionalOutage.objects.update(withdrawn_at=world.at(21))
    Incident.objects.update(resolved_at=world.at(21))
    twice(lifecycle.undo_rejection, incident.pk, by=duty, at=world.at(22))
    assert {row(code).state for code in ("GB-ENG", "BR-SP")} == {"down"}
    words = Word.objects.filter(heeded_at=None)
    assert {(word.kind, word.region.code) for word in words if word.region} == {
        ("admin_reinstated", "GB-ENG"),
        ("admin_reinstated", "BR-SP"),
    }


def test_a_rejection_cannot_be_taken_back_over_a_newer_open_incident(
    incident: Incident, duty: User, world: World
) -> None:
    lifecycle.reject(incident.pk, reason="a load test", by=duty, at=world.at(20))
    open_incident(world, "OUT-2026-0008", minute=30)
    with pytest.raises(ConflictError, match="OUT-2026-0008"):
        lifecycle.undo_rejection(incident.pk, by=duty, at=world.at(50))
    incident.refresh_from_db()
    assert incident.review == "rejected"


def test_the_tables_refuse_a_second_open_incident_of_a_service(incident: Incident, world: World) -> None:
    with pytest.raises(IntegrityError):
        open_incident(world, "OUT-2026-0008")


def test_two_administrators_cannot_overwrite_each_other(incident: Incident, duty: User, world: World) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20), revision=0)
    with pytest.raises(Stale, match="Somebody else"):
        lifecycle.reject(incident.pk, reason="no", by=duty, at=world.at(21), revision=0)
    with pytest.raises(Stale):
        lifecycle.override_region(
            incident.pk, "GB-ENG", state="restored", at=world.at(20), reason="x", by=duty, now=world.at(21), revision=0
        )
    incident.refresh_from_db()
    assert incident.review == "confirmed"
    assert row().state == "down"


def test_a_merged_incident_is_left_alone(incident: Incident, duty: User, world: World) -> None:
    Incident.objects.update(merged_at=world.at(15))
    with pytest.raises(ConflictError, match="merged"):
        lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    with pytest.raises(ConflictError, match="merged"):
        lifecycle.reject(incident.pk, reason="no", by=duty, at=world.at(20))


def override(incident: Incident, duty: User, world: World, code: str, state: str, minute: float, now: float) -> Any:
    return twice(
        lifecycle.override_region,
        incident.pk,
        code,
        state=state,
        at=world.at(minute),
        reason="the carrier called",
        by=duty,
        now=world.at(now),
    )


def test_a_region_declared_restored_is_restored_at_once(incident: Incident, duty: User, world: World) -> None:
    override(incident, duty, world, "GB-ENG", "restored", 30, 40)
    england = row()
    assert (england.state, england.restored_at, england.basis) == ("restored", world.at(30), "admin")
    assert (england.restored_low, england.restored_high, england.declared_at) == (*[world.at(30)] * 2, world.at(40))
    word = Word.objects.get()
    assert (word.kind, word.at, word.given_at) == ("admin_restored", world.at(30), world.at(40))
    entry = TimelineEntry.objects.get()
    assert (entry.kind, entry.actor, entry.facts["reason"]) == ("region_overridden", duty, "the carrier called")


def test_the_last_region_declared_restored_resolves_the_incident(incident: Incident, duty: User, world: World) -> None:
    override(incident, duty, world, "GB-ENG", "restored", 35, 40)
    override(incident, duty, world, "BR-SP", "restored", 30, 41)
    incident.refresh_from_db()
    assert incident.resolved_at == world.at(35)
    assert kinds()[-1] == "resolved"


def test_a_restored_region_declared_down_relapses(incident: Incident, duty: User, world: World) -> None:
    override(incident, duty, world, "GB-ENG", "restored", 30, 40)
    override(incident, duty, world, "GB-ENG", "down", 45, 50)
    assert row().state == "down"
    assert Relapse.objects.get().reopened_at == world.at(45)
    assert Word.objects.order_by("id").last().kind == "admin_down"  # type: ignore[union-attr]


def test_a_region_declared_down_joins_the_incident_and_reopens_it(incident: Incident, duty: User, world: World) -> None:
    Incident.objects.update(resolved_at=world.at(30))
    override(incident, duty, world, "GB-SCT", "down", 5, 50)
    incident.refresh_from_db()
    assert incident.resolved_at is None
    assert incident.onset_at == row("GB-SCT").onset_at == world.at(5)
    assert kinds() == ["region_overridden", "reopened"]


def test_a_word_that_does_not_fit_is_refused(incident: Incident, duty: User, world: World) -> None:
    def word(code: str, state: str, minute: float, reason: str = "because") -> None:
        lifecycle.override_region(
            incident.pk, code, state=state, at=world.at(minute), reason=reason, by=duty, now=world.at(40)
        )

    with pytest.raises(ConflictError, match="Scotland is no part"):
        word("GB-SCT", RegionWord.RESTORED, 30)
    with pytest.raises(ConflictError, match="went down at"):
        word("GB-ENG", RegionWord.RESTORED, 5)
    with pytest.raises(ValueError, match="future"):
        word("GB-ENG", RegionWord.RESTORED, 41)
    with pytest.raises(ValueError, match="more than 7 days before"):
        word("GB-ENG", RegionWord.DOWN, -8 * 24 * 60)
    with pytest.raises(ValueError, match="no region XX"):
        word("XX", RegionWord.DOWN, 30)
    with pytest.raises(ValueError, match="reason"):
        word("GB-ENG", RegionWord.RESTORED, 30, reason=" ")
    with pytest.raises(ValueError, match="normal"):
        word("GB-ENG", "normal", 30)
    assert kinds() == []


def test_an_incident_that_is_over_is_opened_again_where_it_is_least_sure_to_be_back(
    incident: Incident, duty: User, world: World
) -> None:
    over(incident, world, 40)
    RegionalOutage.objects.filter(region_code="BR-SP").update(restored_at=world.at(35))
    twice(lifecycle.reopen, incident.pk, at=world.at(48), reason="still", by=duty, now=world.at(50), revision=0)
    incident.refresh_from_db()
    assert (incident.resolved_at, row().state, row("BR-SP").state) == (None, "down", "restored")
    assert Relapse.objects.get().reopened_at == world.at(48)
    assert kinds() == ["reopened", "region_overridden"]
    assert timeline.text(TimelineEntry.objects.earliest("id")) == "Reopened by an administrator: still"
    assert Word.objects.get().kind == "admin_down"


def test_an_incident_with_a_silent_region_is_opened_again_there(incident: Incident, duty: User, world: World) -> None:
    over(incident, world, 40)
    RegionalOutage.objects.filter(region_code="BR-SP").update(
        restored_at=None, restored_low=None, restored_high=None, declared_at=None, basis="", unknown_at=world.at(39)
    )
    lifecycle.reopen(incident.pk, at=world.at(48), reason="still", by=duty, now=world.at(50))
    brazil = row("BR-SP")
    assert (brazil.state, brazil.onset_at, row().state) == ("down", world.at(10), "restored")


def test_only_what_is_over_and_nobody_elses_is_opened_again(incident: Incident, duty: User, world: World) -> None:
    def again(**more: Any) -> None:
        asked = {"at": world.at(45), "reason": "still", "by": duty, "now": world.at(50)}
        lifecycle.reopen(incident.pk, **{**asked, **more})

    with pytest.raises(ConflictError, match="not over"):
        again()
    over(incident, world, 40)
    with pytest.raises(ValueError, match="reason"):
        again(reason=" ")
    with pytest.raises(ValueError, match="no region XX"):
        again(regions=["XX"])
    with pytest.raises(ValueError, match="future"):
        again(at=world.at(51))
    open_incident(world, "OUT-2026-0008", minute=44)
    with pytest.raises(ConflictError, match="OUT-2026-0008"):
        again(regions=["GB-SCT"])
    assert (kinds(), Word.objects.count()) == ([], 0)


def say(incident: Incident, duty: User | None, world: World, **more: Any) -> Any:
    said = {
        "text": "We are aware.",
        "url": "https://status.example.com/1",
        "said_at": world.at(20),
        "meaning": "acknowledged",
        "by": duty,
        "now": world.at(25),
    }
    return twice(statements.add_statement, incident.pk, **{**said, **more})


def test_a_statement_is_kept_with_its_source(incident: Incident, duty: User, world: World) -> None:
    statement = say(incident, duty, world)
    assert (statement.said_at, statement.entered_at, statement.entered_by) == (world.at(20), world.at(25), duty)
    entry = TimelineEntry.objects.get()
    assert (entry.kind, entry.at, entry.statement) == ("statement", world.at(20), statement)
    word = Word.objects.get()
    assert (word.kind, word.statement, word.region) == ("statement_down", statement, None)


def test_a_statement_that_it_is_restored_reaches_the_engine(incident: Incident, world: World) -> None:
    say(incident, None, world, meaning="restored", region_code="BR-SP")
    word = Word.objects.get()
    assert (word.kind, word.region_id, word.at) == ("statement_restored", world.regions["BR-SP"], world.at(20))


def test_a_statement_about_a_resolved_incident_is_kept_but_not_passed_on(incident: Incident, world: World) -> None:
    Incident.objects.update(resolved_at=world.at(19))
    say(incident, None, world, meaning="restored")
    assert not Word.objects.exists()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("text", {"text": " "}),
        ("url", {"url": "javascript:alert(1)"}),
        ("url", {"url": "https://e.org/" + "a" * 500}),
        ("meaning", {"meaning": "perhaps"}),
    ],
)
def test_a_statement_with_a_fault_names_its_field(
    incident: Incident, duty: User, world: World, field: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as refused:
        say(incident, duty, world, **wrong)
    assert list(refused.value.message_dict) == [field]
    assert not Statement.objects.exists()


def test_nobody_can_have_said_anything_in_the_future_or_nowhere(incident: Incident, duty: User, world: World) -> None:
    with pytest.raises(ValidationError) as refused:
        say(incident, duty, world, said_at=world.at(25) + timedelta(seconds=1), region_code="XX")
    assert set(refused.value.message_dict) == {"said_at", "region"}


def test_a_provider_may_announce_days_ahead_but_not_years(incident: Incident, duty: User, world: World) -> None:
    assert say(incident, duty, world, said_at=world.at(-3 * 24 * 60)).pk
    for wrong in ({"said_at": world.at(-365 * 24 * 60)}, {"said_at": world.at(-1), "meaning": "restored"}):
        with pytest.raises(ValidationError) as refused:
            say(incident, duty, world, **wrong)
        assert list(refused.value.message_dict) == ["said_at"]
