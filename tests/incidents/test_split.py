"""One incident made two: whose the regions are, what the engine decides of each, and what the public sees."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from reports.clock import minute_of
from reports.incidents import joining, lifecycle, reviewed, statements, timeline, undo, watch, what_if
from reports.incidents.acting import ConflictError
from reports.incidents.cells import read_cells
from reports.models import Act, Evidence, Incident, RegionalOutage, TimelineEntry, Word
from tests.incidents.acts import kinds, open_incident, over, row, standing, states, twice
from tests.incidents.test_watch import near, watch_until
from tests.incidents.world import World


@pytest.fixture
def incident(world: World) -> Incident:
    return open_incident(world, "OUT-2026-0007", codes=("GB", "GB-ENG", "GB-SCT", "BR-SP"))


def split(incident: Incident, duty: User, world: World, *regions: str, minute: float = 20) -> Incident:
    return joining.split(incident.pk, regions=regions, reason="another fault", by=duty, at=world.at(minute))


def test_a_region_is_split_off_with_all_that_lies_in_it(incident: Incident, duty: User, world: World) -> None:
    given = {"regions": ["GB"], "reason": "another fault", "by": duty, "at": world.at(20), "revision": 0}
    part = twice(joining.split, incident.pk, **given)
    incident.refresh_from_db()
    assert (part.ref, part.split_from, part.service_id) == ("OUT-2026-0101", incident, incident.service_id)
    assert states(part.ref) == {"GB": "down", "GB-ENG": "down", "GB-SCT": "down"}
    assert states(incident.ref) == {"BR-SP": "down"}
    assert (part.resolved_at, incident.resolved_at, incident.revision) == (None, None, 1)
    assert kinds(incident.ref) == ["split"]
    assert kinds(part.ref) == ["split_from"]
    assert timeline.text(TimelineEntry.objects.get(kind="split")) == (
        "An administrator found an outage of its own in United Kingdom, England and Scotland: OUT-2026-0101 tells it"
        " from here on. The reason: another fault"
    )


def test_a_part_whose_regions_are_back_is_over(incident: Incident, duty: User, world: World) -> None:
    back = world.at(15)
    RegionalOutage.objects.filter(region_code="BR-SP").update(
        restored_at=back, restored_low=back, restored_high=back, declared_at=world.at(18), basis="votes"
    )
    part = split(incident, duty, world, "BR-SP")
    assert part.resolved_at == back
    assert kinds(part.ref) == ["split_from", "resolved"]


def test_what_cannot_be_split_off_is_refused(incident: Incident, duty: User, world: World) -> None:
    with pytest.raises(ValueError, match="Choose"):
        split(incident, duty, world)
    with pytest.raises(ConflictError, match="BR is no part of OUT-2026-0007"):
        split(incident, duty, world, "BR")
    with pytest.raises(ConflictError, match="Nothing would be left"):
        split(incident, duty, world, "GB", "BR-SP")
    assert (kinds(), Act.objects.count(), Incident.objects.count()) == ([], 0, 1)


def test_a_split_taken_back_gives_the_incident_all_of_its_regions(incident: Incident, duty: User, world: World) -> None:
    before = standing()
    part = split(incident, duty, world, "GB-ENG")
    twice(undo.undo, Act.objects.get().pk, by=duty, at=world.at(22), revision=1)
    assert standing(without=[part.ref]) == before
    part.refresh_from_db()
    assert (part.review, part.merged_into) == ("merged", incident)
    assert kinds(incident.ref) == ["split", "undone"]


def test_a_region_of_a_part_is_not_said_anything_of_elsewhere(incident: Incident, duty: User, world: World) -> None:
    part = split(incident, duty, world, "GB-ENG")
    with pytest.raises(ConflictError, match=f"England is told in {part.ref}: say it there"):
        lifecycle.override_region(
            incident.pk, "GB-ENG", state="down", at=world.at(21), reason="x", by=duty, now=world.at(22)
        )


def test_a_part_is_merged_into_another_but_not_the_whole_into_its_part(
    incident: Incident, duty: User, world: World
) -> None:
    part = split(incident, duty, world, "GB-ENG")
    with pytest.raises(ConflictError, match="was split off from OUT-2026-0007"):
        joining.merge(incident.pk, into=part.ref, by=duty, at=world.at(25))
    joining.merge(part.pk, into=incident.ref, by=duty, at=world.at(25))
    assert states(incident.ref) == {"GB": "down", "GB-ENG": "down", "GB-SCT": "down", "BR-SP": "down"}


def test_a_part_that_is_rejected_leaves_the_others_to_the_engine(incident: Incident, duty: User, world: World) -> None:
    part = split(incident, duty, world, "GB-ENG")
    lifecycle.reject(part.pk, reason="a load test", by=duty, at=world.at(25))
    assert [(word.kind, word.region_id) for word in Word.objects.all()] == [("admin_rejected", world.regions["GB-ENG"])]
    lifecycle.reject(incident.pk, reason="that as well", by=duty, at=world.at(26))
    assert Word.objects.latest("id").region is None


def test_nobody_can_say_which_part_a_confidence_was_about(incident: Incident, duty: User, world: World) -> None:
    other = over(open_incident(world, "OUT-2026-0008", service="facebook"), world, 30)
    for one in (incident, other):
        lifecycle.confirm(one.pk, by=duty, at=world.at(40))
    assert len(reviewed.reviewed_incidents()) == 2
    split(incident, duty, world, "GB-ENG", minute=41)
    assert len(reviewed.reviewed_incidents()) == 1
    undo.undo(Act.objects.get(kind="split").pk, by=duty, at=world.at(42))
    assert len(reviewed.reviewed_incidents()) == 2


def test_a_what_if_compares_with_the_outage_as_the_detector_saw_it(
    incident: Incident, duty: User, world: World
) -> None:
    cells = read_cells(world.at(0).date())
    chosen = [cells.service_index[incident.service_id]]
    span = {"first": minute_of(world.at(-60)), "until": minute_of(world.at(600))}
    before = what_if._site(cells, chosen, **span)
    split(incident, duty, world, "GB-ENG")
    assert what_if._site(cells, chosen, **span) == before
    assert [found.regions for found in before] == [("BR-SP", "GB", "GB-ENG", "GB-SCT")]


def test_a_statement_stays_with_the_original(incident: Incident, duty: User, world: World) -> None:
    statements.add_statement(incident.pk, text="We know.", said_at=world.at(12), by=duty, now=world.at(13))
    part = split(incident, duty, world, "GB-ENG")
    assert (incident.statements.count(), part.statements.count()) == (1, 0)


# --- with the engine --------------------------------------------------------------------------------------------------


@pytest.fixture
def failing(lived_in: World) -> World:
    """WhatsApp down in England and in São Paulo, back at different times, and later in Scotland."""
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    lived_in.outage("whatsapp", "BR-SP", start=12, end=100, rate=8, votes=2)
    lived_in.outage("whatsapp", "GB-SCT", start=50, end=90, rate=6, votes=2)
    return lived_in


def test_the_engine_goes_on_with_each_part_by_its_regions(failing: World, duty: User) -> None:
    watch_until(failing, 40.2, step=5)
    incident = Incident.objects.get()
    figures = Evidence.objects.filter(incident=incident, region__code="GB-ENG").count()
    part = joining.split(incident.pk, regions=["GB-ENG"], by=duty, at=failing.at(40.5))
    assert Evidence.objects.filter(incident=part).count() == figures > 0
    assert "region_down" in kinds(part.ref)
    watch_until(failing, 90.2, first=45.2, step=5)
    part.refresh_from_db()
    incident.refresh_from_db()
    # Each of its regions is back: a part does not wait for the rest. What went down later is the original's.
    assert near(row("GB-ENG").restored_at, failing.at(60))
    assert part.resolved_at == row("GB-ENG").restored_at
    assert (incident.resolved_at, row("GB-SCT").incident, row("BR-SP").state) == (None, incident, "down")
    watch_until(failing, 260.2, first=95.2, step=5)
    incident.refresh_from_db()
    assert incident.resolved_at is not None
    assert Incident.objects.count() == 2
    assert set(states(incident.ref).values()) | set(states(part.ref).values()) == {"restored"}
    assert kinds(part.ref)[-1] == "resolved"


def test_the_present_of_the_service_shows_both_parts_as_one_outage(failing: World, duty: User) -> None:
    from reports import status
    from reports.status import snapshots

    watch_until(failing, 40.2, step=5)
    incident = Incident.objects.get()
    snapshots.forget()
    before = status.service_status("whatsapp", now=failing.at(41))
    joining.split(incident.pk, regions=["GB-ENG"], by=duty, at=failing.at(40.5))
    snapshots.forget()
    after = status.service_status("whatsapp", now=failing.at(41))
    assert before is not None
    assert after is not None
    assert after == before
    assert after.incident == incident.ref
    assert {state.region.code for state in after.down} == {"GB-ENG", "BR-SP"}
    past = status.service_map("whatsapp", at=failing.at(35), now=failing.at(41))
    assert past is not None
    assert {state.region.code for state in past.regions} >= {"GB-ENG", "BR-SP"}
    snapshots.forget()


def test_an_engine_without_a_memory_goes_on_with_both_parts(failing: World, duty: User) -> None:
    from uuid import uuid4

    from reports.models import DetectorState

    watch_until(failing, 40.2, step=5)
    incident = Incident.objects.get()
    part = joining.split(incident.pk, regions=["GB-ENG"], by=duty, at=failing.at(40.5))
    DetectorState.objects.update(detector_version="0.1", mark=uuid4())
    watch.forget()
    watch_until(failing, 120.2, first=45.2, step=5)
    assert Incident.objects.count() == 2
    assert states(part.ref) == {"GB-ENG": "restored"}
    assert near(row("GB-ENG").restored_at, failing.at(60))


def test_a_split_does_not_move_the_beginning_of_the_whole(failing: World, duty: User) -> None:
    watch_until(failing, 40.2, step=5)
    incident = Incident.objects.get()
    began_at = incident.onset_at
    # The estimate of a region with few reports, which the beginning of the whole does not rest on.
    incident.regions.filter(region_code="BR-SP").update(onset_at=failing.at(-10))
    part = joining.split(incident.pk, regions=["GB-ENG"], by=duty, at=failing.at(40.5))
    incident.refresh_from_db()
    assert incident.onset_at == began_at
    assert part.onset_at == row("GB-ENG").onset_at
    watch_until(failing, 58.2, first=45.2, step=5)
    incident.refresh_from_db()
    assert incident.onset_at >= began_at


def test_a_split_moves_neither_when_the_whole_began_nor_when_it_was_noticed(failing: World, duty: User) -> None:
    watch_until(failing, 40.2, step=5)
    incident = Incident.objects.get()
    began_at, noticed_at = incident.onset_at, incident.detected_at
    # What was noticed first goes.
    incident.regions.exclude(region_code="GB-ENG").update(
        onset_at=noticed_at + timedelta(minutes=1), detected_at=noticed_at + timedelta(minutes=2)
    )
    part = joining.split(incident.pk, regions=["GB-ENG"], by=duty, at=failing.at(40.5))
    incident.refresh_from_db()
    assert (incident.onset_at, incident.detected_at) == (began_at, noticed_at)
    assert part.detected_at == noticed_at
    watch_until(failing, 55.2, first=45.2, step=5)
    incident.refresh_from_db()
    assert (incident.onset_at, incident.detected_at) == (began_at, noticed_at)
    undo.undo(Act.objects.get().pk, by=duty, at=failing.at(55.5))
    incident.refresh_from_db()
    assert (incident.onset_at, incident.detected_at) == (began_at, noticed_at)
