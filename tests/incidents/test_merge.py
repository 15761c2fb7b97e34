"""Two incidents made one: what becomes of their regions, of what the engine decides, and of what people are told."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from reports.incidents import joining, lifecycle, reviewed, statements, timeline, undo, watch
from reports.incidents.acting import ConflictError, Stale
from reports.models import Act, Incident, RegionalOutage, Relapse, TimelineEntry, Word
from tests.incidents.acts import kinds, open_incident, over, row, standing, states, twice
from tests.incidents.test_watch import near, watch_until
from tests.incidents.world import World


@pytest.fixture
def earlier(world: World) -> Incident:
    """Down in England and Scotland, and back."""
    return over(open_incident(world, "OUT-2026-0001", 10, codes=("GB-ENG", "GB-SCT")), world, 30)


@pytest.fixture
def later(world: World, earlier: Incident) -> Incident:
    """Down in England and in São Paulo, and open."""
    return open_incident(world, "OUT-2026-0002", 50)


def merge(later: Incident, earlier: Incident, duty: User, world: World, minute: int = 60) -> Incident:
    return joining.merge(later.pk, into=earlier.ref, reason="the same fault", by=duty, at=world.at(minute))


def test_a_region_that_was_back_and_went_down_in_the_later_one_has_relapsed(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    given = {"into": earlier.ref, "reason": "the same fault", "by": duty, "at": world.at(60), "revision": 0}
    twice(joining.merge, later.pk, **given)
    earlier.refresh_from_db()
    later.refresh_from_db()
    assert (later.review, later.merged_into, later.merged_at) == ("merged", earlier, world.at(60))
    assert (earlier.resolved_at, earlier.onset_at, earlier.revision) == (None, world.at(10), 1)
    assert states(earlier.ref) == {"GB-ENG": "down", "GB-SCT": "restored", "BR-SP": "down"}
    assert row(ref=earlier.ref).onset_at == world.at(10)
    relapse = Relapse.objects.get()
    assert (relapse.outage, relapse.restored_at) == (row(ref=earlier.ref), world.at(30))
    assert relapse.reopened_at == world.at(50)
    # What the later one had stays on its page.
    assert states(later.ref) == {"GB-ENG": "down", "BR-SP": "down"}


def test_both_timelines_tell_of_it(earlier: Incident, later: Incident, duty: User, world: World) -> None:
    merge(later, earlier, duty, world)
    assert kinds(later.ref) == ["merged"]
    assert kinds(earlier.ref) == ["joined", "reopened"]
    told = [timeline.text(entry) for entry in TimelineEntry.objects.order_by("id")]
    assert told[0] == (
        "An administrator found it to be part of OUT-2026-0001, which tells the rest. The reason: the same fault"
    )
    assert told[1] == (
        "An administrator found OUT-2026-0002 to be part of it, with São Paulo and England. The reason: the same fault"
    )


def test_what_is_no_outage_of_the_same_service_is_not_merged(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    other = open_incident(world, "OUT-2026-0003", service="facebook")
    for into, why in ((other.ref, "one of Facebook"), (later.ref, "into itself")):
        with pytest.raises(ConflictError, match=why):
            joining.merge(later.pk, into=into, by=duty, at=world.at(60))
    with pytest.raises(ValueError, match="no incident OUT-1999-0001"):
        joining.merge(later.pk, into="OUT-1999-0001", by=duty, at=world.at(60))
    lifecycle.reject(earlier.pk, reason="none", by=duty, at=world.at(59))
    with pytest.raises(ConflictError, match="OUT-2026-0001 was rejected"):
        merge(later, earlier, duty, world)
    assert kinds() == ["rejected"]


def test_a_merged_one_cannot_be_acted_on(earlier: Incident, later: Incident, duty: User, world: World) -> None:
    merge(later, earlier, duty, world)
    with pytest.raises(ConflictError, match="merged"):
        lifecycle.confirm(later.pk, by=duty, at=world.at(61))
    with pytest.raises(Stale):
        lifecycle.confirm(earlier.pk, by=duty, at=world.at(61), revision=0)


def test_an_open_incident_cannot_reopen_an_old_one_beside_a_third(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    part = joining.split(later.pk, regions=["BR-SP"], by=duty, at=world.at(55))
    with pytest.raises(ConflictError, match="another open incident by now: OUT-2026-0002"):
        joining.merge(part.pk, into=earlier.ref, by=duty, at=world.at(60))


def test_a_merger_taken_back_leaves_both_as_they_were(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    before = standing()
    merge(later, earlier, duty, world)
    act = Act.objects.get()
    twice(undo.undo, act.pk, by=duty, at=world.at(61), reason="two faults", revision=1, seen_on=earlier.pk)
    assert standing() == before
    assert kinds(later.ref) == ["merged", "undone"]
    assert kinds(earlier.ref) == ["joined", "reopened", "undone", "resolved"]


def test_a_merger_taken_back_loses_nothing_that_was_decided_since(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    merge(later, earlier, duty, world)
    back = world.at(70)
    # What the detector would write: England back, Scotland down again, Brazil as a whole new.
    RegionalOutage.objects.filter(incident=earlier, region_code="GB-ENG").update(
        restored_at=back, restored_low=back, restored_high=back, declared_at=world.at(73), basis="votes"
    )
    scotland = row("GB-SCT", ref=earlier.ref)
    lifecycle_relapse = Relapse(
        outage=scotland,
        restored_at=world.at(30),
        declared_at=world.at(33),
        basis="rate",
        reopened_at=world.at(65),
    )
    lifecycle_relapse.save()
    RegionalOutage.objects.filter(pk=scotland.pk).update(
        restored_at=None, restored_low=None, restored_high=None, declared_at=None, basis=""
    )
    earlier.regions.create(
        region_id=world.regions["BR"],
        region_code="BR",
        region_name="Brazil",
        onset_at=world.at(62),
        detected_at=world.at(66),
    )
    undo.undo(Act.objects.get().pk, by=duty, at=world.at(80))
    earlier.refresh_from_db()
    later.refresh_from_db()
    assert states(earlier.ref) == {"GB-ENG": "restored", "GB-SCT": "restored"}
    assert (earlier.resolved_at, later.resolved_at) == (world.at(30), None)
    assert states(later.ref) == {"GB-ENG": "restored", "BR-SP": "down", "GB-SCT": "down", "BR": "down"}
    assert row("GB-ENG", ref=later.ref).restored_at == back
    assert row("GB-SCT", ref=later.ref).onset_at == world.at(65)
    assert not Relapse.objects.exists()


def test_what_was_done_on_top_has_to_be_taken_back_first(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    merge(later, earlier, duty, world)
    merged = Act.objects.get()
    lifecycle.override_region(
        earlier.pk, "BR-SP", state="restored", at=world.at(62), reason="x", by=duty, now=world.at(63)
    )
    statements.add_statement(earlier.pk, text="Oh.", said_at=world.at(62), by=duty, now=world.at(63))
    with pytest.raises(ConflictError, match=r"on top of it.*2026-03-18 13:03 UTC .overridden"):
        undo.undo(merged.pk, by=duty, at=world.at(64))
    undo.undo(Act.objects.get(kind="overridden").pk, by=duty, at=world.at(65))
    undo.undo(merged.pk, by=duty, at=world.at(66))
    assert not Incident.objects.exclude(merged_at=None).exists()


def heard_of() -> list[tuple[str, str]]:
    """What the engine was told and of which incident; it has heeded all of it."""
    Word.objects.update(heeded_at=Now())
    return list(Word.objects.order_by("id").values_list("kind", "incident__ref"))


def test_the_providers_word_on_a_merged_one_vouches_for_the_other(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    statements.add_statement(
        later.pk, text="We know.", meaning="acknowledged", said_at=world.at(52), by=duty, now=world.at(53)
    )
    merge(later, earlier, duty, world)
    lifecycle.confirm(earlier.pk, by=duty, at=world.at(61))
    told = heard_of()
    undo.undo(Act.objects.get(kind="confirmed").pk, by=duty, at=world.at(62))
    assert heard_of() == told
    # Withdrawn, it vouches for it no more.
    undo.undo(Act.objects.get(kind="statement").pk, by=duty, at=world.at(63))
    assert heard_of() == [*told, ("admin_unconfirmed", earlier.ref)]


def test_of_two_that_said_it_is_back_the_one_on_a_merged_incident_still_holds(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    given: dict[str, Any] = {"meaning": "restored", "by": duty}
    statements.add_statement(later.pk, text="Back.", said_at=world.at(54), now=world.at(55), **given)
    merge(later, earlier, duty, world)
    statements.add_statement(earlier.pk, text="All back.", said_at=world.at(61), now=world.at(62), **given)
    told = heard_of()
    undo.undo(Act.objects.filter(kind="statement").latest("pk").pk, by=duty, at=world.at(63))
    assert heard_of() == [*told, ("statement_withdrawn", earlier.ref), ("statement_restored", earlier.ref)]
    assert Word.objects.latest("id").at == world.at(54)


# --- with the engine --------------------------------------------------------------------------------------------------


@pytest.fixture
def twofold(lived_in: World) -> World:
    """WhatsApp down twice in England, for good in between; and the second time in São Paulo."""
    lived_in.outage("whatsapp", "GB-ENG", start=5, end=25, rate=12, votes=6)
    lived_in.outage("whatsapp", "GB-ENG", start=150, end=190, rate=12, votes=4)
    lived_in.outage("whatsapp", "BR-SP", start=152, end=185, rate=9, votes=3)
    return lived_in


def test_what_the_engine_decides_of_a_merged_one_is_the_others(twofold: World, duty: User) -> None:
    watch_until(twofold, 170.2, step=5)
    earlier, later = Incident.objects.order_by("onset_at")
    assert earlier.resolved_at is not None
    assert later.resolved_at is None
    joining.merge(later.pk, into=earlier.ref, reason="it came back", by=duty, at=twofold.at(170.5))
    frozen = list(later.regions.order_by("pk").values())
    watch_until(twofold, 300.2, first=175.2, step=5)
    earlier.refresh_from_db()
    later.refresh_from_db()
    assert Incident.objects.count() == 2
    assert list(later.regions.order_by("pk").values()) == frozen
    assert later.resolved_at is None
    assert states(earlier.ref) == {"GB-ENG": "restored", "BR-SP": "restored"}
    assert near(row("GB-ENG", ref=earlier.ref).restored_at, twofold.at(190))
    assert near(row("BR-SP", ref=earlier.ref).restored_at, twofold.at(185))
    assert earlier.resolved_at is not None
    assert earlier.onset_at < twofold.at(10)
    assert kinds(earlier.ref)[-1] == "resolved"


def test_a_merger_taken_back_goes_on_with_the_engine(twofold: World, duty: User) -> None:
    watch_until(twofold, 170.2, step=5)
    earlier, later = Incident.objects.order_by("onset_at")
    ended = earlier.resolved_at
    joining.merge(later.pk, into=earlier.ref, by=duty, at=twofold.at(170.5))
    watch_until(twofold, 175.2, first=175.2)
    undo.undo(Act.objects.get().pk, by=duty, at=twofold.at(175.5))
    watch_until(twofold, 300.2, first=180.2, step=5)
    earlier.refresh_from_db()
    later.refresh_from_db()
    assert earlier.resolved_at == ended
    assert near(row("GB-ENG", ref=later.ref).restored_at, twofold.at(190))
    assert later.resolved_at is not None


def test_an_engine_without_a_memory_goes_on_with_what_was_merged(twofold: World, duty: User) -> None:
    from uuid import uuid4

    from reports.models import DetectorState

    watch_until(twofold, 170.2, step=5)
    earlier, later = Incident.objects.order_by("onset_at")
    joining.merge(later.pk, into=earlier.ref, by=duty, at=twofold.at(170.5))
    DetectorState.objects.update(detector_version="0.1", mark=uuid4())
    watch.forget()
    watch_until(twofold, 300.2, first=175.2, step=5)
    assert Incident.objects.count() == 2
    assert states(earlier.ref) == {"GB-ENG": "restored", "BR-SP": "restored"}


def test_a_merged_incident_teaches_the_baseline_nothing_of_its_own(
    earlier: Incident, later: Incident, duty: User, world: World
) -> None:
    from reports.clock import minute_of
    from reports.incidents.cells import read_cells

    merge(later, earlier, duty, world)
    RegionalOutage.objects.filter(incident=earlier).update(
        declared_at=world.at(90), restored_at=world.at(90), basis="rate"
    )
    Incident.objects.filter(pk=earlier.pk).update(resolved_at=world.at(90))
    cells = read_cells(world.at(0).date())
    out = watch._outages(cells, first=minute_of(world.at(-600)), now=world.at(6000))
    assert len(out) == 3
    assert out[:, 3].max() <= minute_of(world.at(90) + watch.OUTAGE_MARGIN)


def test_a_merged_one_is_no_judgement_of_its_own(earlier: Incident, later: Incident, duty: User, world: World) -> None:
    lifecycle.confirm(later.pk, by=duty, at=world.at(55))
    lifecycle.confirm(earlier.pk, by=duty, at=world.at(56))
    merge(later, earlier, duty, world)
    assert len(reviewed.reviewed_incidents()) == 1
