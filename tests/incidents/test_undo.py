"""Acts taken back: what stands again, what the engine is told, and what it decided in the meantime."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import status
from reports.incidents import joining, lifecycle, statements, timeline, undo
from reports.incidents.acting import ConflictError
from reports.models import Act, Incident, RegionalOutage, Relapse, Statement, TimelineEntry, Word
from reports.status import snapshots
from tests.incidents.acts import kinds, open_incident, over, row, standing, states, twice
from tests.incidents.test_watch import near, watch_until
from tests.incidents.world import World


@pytest.fixture
def incident(world: World) -> Incident:
    return open_incident(world, "OUT-2026-0007")


def take_back(kind: str, duty: User, world: World, minute: float = 50, **more: Any) -> Act:
    act = Act.objects.filter(kind=kind).latest("id")
    done: Act = twice(undo.undo, act.pk, by=duty, at=world.at(minute), **more)
    return done


def heard(world: World, minute: float = 45) -> None:
    """The engine has heeded every word."""
    Word.objects.filter(heeded_at=None).update(heeded_at=world.at(minute))


def unheard() -> list[tuple[str, str | None]]:
    words = Word.objects.filter(heeded_at=None).order_by("id")
    return [(word.kind, word.region.code if word.region else None) for word in words.select_related("region")]


def test_a_confirmation_that_the_engine_has_not_heard_of_leaves_no_trace_with_it(
    incident: Incident, duty: User, world: World
) -> None:
    before = standing()
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    take_back("confirmed", duty, world, reason="the wrong one", revision=1)
    assert standing() == before
    assert unheard() == []
    assert kinds() == ["confirmed", "undone"]
    assert timeline.text(TimelineEntry.objects.latest("id")) == (
        "An administrator took the confirmation back. The reason: the wrong one"
    )


def test_a_confirmation_that_the_engine_has_heard_of_is_taken_back_there_too(
    incident: Incident, duty: User, world: World
) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    heard(world)
    take_back("confirmed", duty, world)
    assert unheard() == [("admin_unconfirmed", None)]


def test_nobody_stops_vouching_while_the_provider_admits_it(incident: Incident, duty: User, world: World) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    statements.add_statement(
        incident.pk, text="Yes.", said_at=world.at(19), meaning="acknowledged", by=duty, now=world.at(21)
    )
    heard(world)
    take_back("confirmed", duty, world)
    assert unheard() == []


def test_a_rejection_taken_back_gives_the_confirmation_back(incident: Incident, duty: User, world: World) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    before = standing()
    lifecycle.reject(incident.pk, reason="none", by=duty, at=world.at(21))
    with pytest.raises(ConflictError, match="on top of it"):
        undo.undo(Act.objects.get(kind="confirmed").pk, by=duty, at=world.at(22))
    take_back("rejected", duty, world)
    assert standing() == before


def override(incident: Incident, duty: User, world: World, code: str, state: str, minute: float, now: float) -> None:
    lifecycle.override_region(
        incident.pk, code, state=state, at=world.at(minute), reason="they called", by=duty, now=world.at(now)
    )


def test_a_restoration_by_word_is_taken_back(incident: Incident, duty: User, world: World) -> None:
    before = standing()
    override(incident, duty, world, "GB-ENG", "restored", 30, 40)
    override(incident, duty, world, "BR-SP", "restored", 31, 41)
    assert Incident.objects.get().resolved_at is not None
    take_back("overridden", duty, world)
    assert (states(incident.ref), Incident.objects.get().resolved_at) == ({"GB-ENG": "restored", "BR-SP": "down"}, None)
    undo.undo(Act.objects.filter(kind="overridden").earliest("id").pk, by=duty, at=world.at(51))
    assert standing() == before
    assert unheard() == []
    assert kinds()[-3:] == ["undone", "reopened", "undone"]


def test_an_engine_that_has_heard_a_word_is_told_of_the_region_again(
    incident: Incident, duty: User, world: World
) -> None:
    override(incident, duty, world, "GB-ENG", "restored", 30, 40)
    override(incident, duty, world, "GB-SCT", "down", 30, 41)
    heard(world)
    take_back("overridden", duty, world)
    assert not RegionalOutage.objects.filter(region_code="GB-SCT").exists()
    undo.undo(Act.objects.filter(kind="overridden").earliest("id").pk, by=duty, at=world.at(51))
    assert unheard() == [("admin_rejected", "GB-SCT"), ("admin_reinstated", "GB-ENG")]


def test_a_region_that_went_down_again_since_has_been_down_throughout(
    incident: Incident, duty: User, world: World
) -> None:
    override(incident, duty, world, "GB-ENG", "restored", 30, 40)
    england = row()
    # As the engine writes it.
    lifecycle.rows.relapse(england, reopened_at=world.at(45)).save()
    england.save()
    take_back("overridden", duty, world)
    assert (row().state, row().onset_at, Relapse.objects.count()) == ("down", world.at(10), 0)


def test_a_relapse_by_word_is_taken_back_and_one_by_counts_stays(incident: Incident, duty: User, world: World) -> None:
    override(incident, duty, world, "GB-ENG", "restored", 30, 31)
    override(incident, duty, world, "GB-ENG", "down", 35, 36)
    england = row()
    england.restored_at = england.restored_low = england.restored_high = world.at(40)
    england.declared_at, england.basis = world.at(43), "votes"
    lifecycle.rows.relapse(england, reopened_at=world.at(45)).save()
    england.save()
    take_back("overridden", duty, world)
    relapse = Relapse.objects.get()
    assert (row().state, relapse.restored_at, relapse.reopened_at) == ("down", world.at(30), world.at(45))


def test_a_reopening_is_taken_back(incident: Incident, duty: User, world: World) -> None:
    over(incident, world, 30)
    before = standing()
    lifecycle.reopen(incident.pk, at=world.at(40), reason="still down", by=duty, now=world.at(41))
    take_back("reopened", duty, world)
    assert standing() == before
    assert kinds()[-2:] == ["undone", "resolved"]


def test_a_withdrawn_statement_is_kept_and_counts_no_more(incident: Incident, duty: User, world: World) -> None:
    for minute, text in ((15, "Not us."), (20, "We know.")):
        statements.add_statement(
            incident.pk, text=text, said_at=world.at(minute), meaning="acknowledged", by=duty, now=world.at(25)
        )
    first = Act.objects.filter(kind="statement").earliest("id")
    undo.undo(first.pk, by=duty, at=world.at(30), reason="of another provider")
    withdrawn = Statement.objects.get(text="Not us.")
    assert withdrawn.withdrawn_at == world.at(30)
    assert [word.statement.text for word in Word.objects.all() if word.statement] == ["We know."]
    snapshots.forget()
    told = status.incident(incident.ref)
    assert told is not None
    assert (told.acknowledged_at, len(told.statements)) == (world.at(20), 1)
    words = [line.text for line in status.incident_timeline(incident.ref)]
    assert "The provider acknowledged it: “Not us.” (Withdrawn since.)" in words
    assert words[-1] == (
        "An administrator withdrew the statement of 12:15 UTC: it counts no more. The reason: of another provider"
    )
    snapshots.forget()


def test_regions_restored_on_a_withdrawn_statement_stay_so_and_it_is_said(
    incident: Incident, duty: User, world: World
) -> None:
    for text in ("All is well.", "It works."):
        statements.add_statement(
            incident.pk, text=text, said_at=world.at(20), meaning="restored", by=duty, now=world.at(21)
        )
    heard(world)
    back = world.at(20)
    RegionalOutage.objects.filter(region_code="GB-ENG").update(
        restored_at=back, restored_low=back, restored_high=back, declared_at=world.at(30), basis="statement"
    )
    undo.undo(Act.objects.filter(kind="statement").earliest("id").pk, by=duty, at=world.at(40))
    assert unheard() == [("statement_withdrawn", None), ("statement_restored", None)]
    assert row().state == "restored"
    assert "1 region was declared restored on its basis" in timeline.text(TimelineEntry.objects.latest("id"))


def test_an_undoing_is_not_undone(incident: Incident, duty: User, world: World) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    done = take_back("confirmed", duty, world)
    with pytest.raises(ConflictError, match="do that act again"):
        undo.undo(done.pk, by=duty, at=world.at(52))
    assert [bool(line.hindrance) for line in undo.log(incident)] == [True, True]
    lifecycle.confirm(incident.pk, by=duty, at=world.at(53))
    assert next(line.hindrance for line in undo.log(incident)) == ""


def test_a_rejection_beside_a_newer_incident_says_so_before_anybody_tries(
    incident: Incident, duty: User, world: World
) -> None:
    lifecycle.reject(incident.pk, reason="none", by=duty, at=world.at(20))
    assert undo.log(incident)[0].hindrance == ""
    open_incident(world, "OUT-2026-0008", 30)
    incident.refresh_from_db()
    assert undo.log(incident)[0].hindrance == "WhatsApp has another open incident by now: OUT-2026-0008."


def test_a_word_taken_back_goes_on_with_the_engine(lived_in: World, duty: User) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=80, rate=12, votes=3)
    watch_until(lived_in, 40.2, step=5)
    incident = Incident.objects.get()
    override(incident, duty, lived_in, "GB-ENG", "restored", 35, 40.5)
    watch_until(lived_in, 42.2, first=41.2)
    undo.undo(Act.objects.get().pk, by=duty, at=lived_in.at(42.5))
    assert row().state == "down"
    watch_until(lived_in, 200.2, first=45.2, step=5)
    assert near(row().restored_at, lived_in.at(80))
    assert Incident.objects.get().resolved_at is not None


# --- any sequence of acts ---------------------------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(
        st.sampled_from(("confirm", "reject", "override", "reopen", "merge", "split", "statement")),
        st.sampled_from((0, 1, 2)),
        st.sampled_from(("GB-ENG", "GB-SCT", "BR-SP")),
        st.sampled_from(("down", "restored")),
    ),
    min_size=1,
    max_size=7,
)


@given(acts=ACTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_done_taking_it_back_in_reverse_order_gives_the_same_incidents(
    acts: list[tuple[str, int, str, str]], world: World, duty: User
) -> None:
    with transaction.atomic():
        over(open_incident(world, "OUT-2026-0001", 10, codes=("GB-ENG", "GB-SCT")), world, 30)
        open_incident(world, "OUT-2026-0002", 50)
        before = standing()
        minute = 60.0
        for name, which, code, state in acts:
            minute += 1
            incidents = list(Incident.objects.order_by("id"))
            one, other = incidents[which % len(incidents)], incidents[(which + 1) % len(incidents)]
            at, now = world.at(minute - 0.5), world.at(minute)
            try:
                if name == "confirm":
                    lifecycle.confirm(one.pk, by=duty, at=now)
                elif name == "reject":
                    lifecycle.reject(one.pk, reason="none", by=duty, at=now)
                elif name == "override":
                    lifecycle.override_region(one.pk, code, state=state, at=at, reason="so", by=duty, now=now)
                elif name == "reopen":
                    lifecycle.reopen(one.pk, at=at, reason="still", by=duty, now=now)
                elif name == "merge":
                    joining.merge(one.pk, into=other.ref, by=duty, at=now)
                elif name == "split":
                    joining.split(one.pk, regions=[code], by=duty, at=now)
                else:
                    statements.add_statement(one.pk, text=f"{minute}", said_at=at, by=duty, now=now)
            except ConflictError:
                continue
        parts = list(Incident.objects.exclude(split_from=None).values_list("ref", flat=True))
        for act in Act.objects.exclude(kind="undone").order_by("-id"):
            minute += 1
            undo.undo(act.pk, by=duty, at=world.at(minute))
        assert standing(without=parts) == before
        transaction.set_rollback(True)


def test_an_incident_rejected_when_all_was_back_is_over_when_that_is_taken_back(lived_in: World, duty: User) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    watch_until(lived_in, 75.2, step=5)
    incident = Incident.objects.get()
    assert (states(incident.ref), incident.resolved_at) == ({"GB-ENG": "restored"}, None)
    lifecycle.reject(incident.pk, reason="none", by=duty, at=lived_in.at(75.5))
    watch_until(lived_in, 78.2, first=76.2)
    twice(lifecycle.undo_rejection, incident.pk, by=duty, at=lived_in.at(78.5), revision=1)
    incident.refresh_from_db()
    # The engine has let go of it: had it been opened, nobody would ever have ended it.
    assert (incident.review, incident.resolved_at) == ("automatic", row().restored_at)
    assert kinds(incident.ref)[-2:] == ["rejection_undone", "resolved"]
    # Nor is the service deaf for hours, as one is whose outage was rejected.
    lived_in.outage("whatsapp", "BR-SP", start=150, end=190, rate=12)
    watch_until(lived_in, 170.2, first=80.2, step=5)
    assert RegionalOutage.objects.get(region_code="BR-SP").incident_id != incident.pk


def test_an_onset_that_an_administrator_named_is_moved_by_no_estimate(lived_in: World, duty: User) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    lived_in.outage("whatsapp", "BR-SP", start=12, end=60, rate=8, votes=2)
    watch_until(lived_in, 40.2, step=5)
    incident = Incident.objects.get()
    estimated = incident.onset_at
    override(incident, duty, lived_in, "GB-ENG", "down", -20, 40.5)
    watch_until(lived_in, 60.2, first=41.2, step=2)
    incident.refresh_from_db()
    assert (row().onset_at, incident.onset_at) == (lived_in.at(-20), lived_in.at(-20))
    take_back("overridden", duty, lived_in, 60.5)
    watch_until(lived_in, 100.2, first=61.2, step=5)
    incident.refresh_from_db()
    assert near(row().onset_at, lived_in.at(10))
    assert incident.onset_at == estimated


def test_a_country_restored_by_word_takes_its_regions_along_and_gives_them_back(world: World, duty: User) -> None:
    incident = open_incident(world, "OUT-2026-0007", codes=("GB", "GB-ENG", "GB-SCT", "BR-SP"))
    RegionalOutage.objects.filter(region_code="GB-SCT").update(unknown_at=world.at(25))
    before = standing()
    override(incident, duty, world, "GB", "restored", 30, 40)
    assert states(incident.ref) == {"GB": "restored", "GB-ENG": "restored", "GB-SCT": "restored", "BR-SP": "down"}
    assert kinds() == ["region_overridden"] * 3
    heard(world)
    take_back("overridden", duty, world)
    assert standing() == before
    assert {code for _, code in unheard()} == {"GB", "GB-ENG", "GB-SCT"}


def test_regions_of_a_country_whose_restoration_was_taken_back_go_on_with_the_engine(
    lived_in: World, duty: User
) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=80, rate=12, votes=3)
    watch_until(lived_in, 35.2, step=5)
    incident = Incident.objects.get()
    override(incident, duty, lived_in, "GB", "down", 10, 35.5)
    watch_until(lived_in, 37.2, first=36.2)
    override(incident, duty, lived_in, "GB", "restored", 37, 40.5)
    watch_until(lived_in, 42.2, first=41.2)
    assert states(incident.ref) == {"GB": "restored", "GB-ENG": "restored"}
    take_back("overridden", duty, lived_in, 42.5)
    assert states(incident.ref) == {"GB": "down", "GB-ENG": "down"}
    watch_until(lived_in, 200.2, first=45.2, step=5)
    assert (near(row().restored_at, lived_in.at(80)), row("GB").state) == (True, "restored")
    assert Relapse.objects.count() == 0


def test_a_rejection_taken_back_leaves_the_incident_as_sure_as_it_was(lived_in: World, duty: User) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=120, rate=12, votes=3)
    watch_until(lived_in, 40.2, step=5)
    incident = Incident.objects.get()
    sure = incident.confidence
    # One of which too little was heard to say.
    silent = incident.regions.create(
        region_id=lived_in.regions["BR-SP"],
        region_code="BR-SP",
        region_name="São Paulo",
        onset_at=lived_in.at(10),
        detected_at=lived_in.at(12),
        unknown_at=lived_in.at(30),
    )
    lifecycle.reject(incident.pk, reason="none", by=duty, at=lived_in.at(40.5))
    watch_until(lived_in, 43.2, first=41.2)
    RegionalOutage.objects.filter(pk=silent.pk).update(withdrawn_at=lived_in.at(42))
    twice(lifecycle.undo_rejection, incident.pk, by=duty, at=lived_in.at(43.5), revision=1)
    assert unheard() == [("admin_reinstated", None), ("admin_reinstated", "GB-ENG"), ("admin_unheard", "BR-SP")]
    told = kinds()
    watch_until(lived_in, 46.2, first=44.2)
    incident.refresh_from_db()
    assert (kinds(), states(incident.ref)) == (told, {"GB-ENG": "down", "BR-SP": "unknown"})
    # What the engine says of it since rests on the counts: nobody vouched for it.
    assert sure <= incident.confidence < 1.0
    watch_until(lived_in, 240.2, first=50.2, step=5)
    incident.refresh_from_db()
    assert near(row().restored_at, lived_in.at(120))
    assert (row("BR-SP").state, incident.resolved_at is not None) == ("unknown", True)
    assert Incident.objects.count() == 1


def test_a_restoration_taken_back_vouches_for_nothing(lived_in: World, duty: User) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=80, rate=12, votes=3)
    watch_until(lived_in, 40.2, step=5)
    incident = Incident.objects.get()
    sure = incident.confidence
    override(incident, duty, lived_in, "GB-ENG", "restored", 35, 40.5)
    watch_until(lived_in, 42.2, first=41.2)
    take_back("overridden", duty, lived_in, 42.5)
    watch_until(lived_in, 44.2, first=43.2)
    incident.refresh_from_db()
    assert incident.confidence == sure
    watch_until(lived_in, 130.2, first=45.2, step=5)
    incident.refresh_from_db()
    assert incident.confidence < 1.0


def test_a_rejection_taken_back_does_not_move_the_beginning(lived_in: World, duty: User) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=100, rate=12, votes=3)
    lived_in.outage("whatsapp", "BR-SP", start=12, end=100, rate=8, votes=2)
    watch_until(lived_in, 40.2, step=5)
    incident = Incident.objects.get()
    began_at = incident.onset_at
    # The estimate of a region with few reports, which the beginning of the whole does not rest on.
    incident.regions.filter(region_code="BR-SP").update(onset_at=lived_in.at(-10))
    lifecycle.reject(incident.pk, reason="none", by=duty, at=lived_in.at(40.5))
    watch_until(lived_in, 43.2, first=41.2)
    twice(lifecycle.undo_rejection, incident.pk, by=duty, at=lived_in.at(43.5), revision=1)
    watch_until(lived_in, 70.2, first=45.2, step=5)
    incident.refresh_from_db()
    assert incident.onset_at == began_at
    override(incident, duty, lived_in, "GB-ENG", "down", -5, 70.5)
    watch_until(lived_in, 160.2, first=75.2, step=5)
    incident.refresh_from_db()
    assert (incident.onset_at, Incident.objects.count()) == (lived_in.at(-5), 1)
