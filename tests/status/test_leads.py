from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reports import status
from reports.models import Incident
from reports.status import snapshots
from reports.status.answers import LeadTimes, Spread
from tests.status.making import at, open_incident, say

if TYPE_CHECKING:
    from tests.status.making import World


def minutes(*three: float) -> Spread:
    median, shortest, longest = (timedelta(minutes=number) for number in three)
    return Spread(median=median, shortest=shortest, longest=longest)


def past(world: World, ref: str, hour: int, **more: Any) -> Incident:
    """An outage that began at the full hour, was detected four minutes later and lasted half an hour."""
    onset = at(f"{hour:02}:00")
    return open_incident(world.whatsapp, ref=ref, onset_at=onset, resolved_at=onset + timedelta(minutes=30), **more)


def lead() -> LeadTimes:
    snapshots.forget()
    found = status.provider("meta")
    assert found is not None
    return found.lead


def test_the_lead_is_the_time_from_our_detection_to_the_first_word(world: World) -> None:
    assert lead() == LeadTimes(outages=0, spoken=0, never=0, first=0, onset=None, detection=None)
    for number, (hour, spoke) in enumerate([(1, 3), (3, 24), (5, 50), (7, None), (9, None)]):
        row = past(world, f"OUT-2026-000{number}", hour)
        if spoke is not None:
            say(row, "We know.", said_at=row.onset_at + timedelta(minutes=spoke))
            say(row, "More.", said_at=row.onset_at + timedelta(minutes=spoke + 5), meaning="update")
    open_incident(world.whatsapp, ref="OUT-2026-0009")
    assert lead() == LeadTimes(
        outages=6,
        spoken=3,
        never=2,
        first=1,
        onset=minutes(24, 3, 50),
        detection=minutes(20, -1, 46),
    )


def test_a_denial_admits_nothing_and_what_was_none_does_not_count(world: World) -> None:
    denied = past(world, "OUT-2026-0001", 1)
    say(denied, "There is no outage.", said_at=at("01:10"), meaning="denied")
    say(past(world, "OUT-2026-0002", 3, rejected_at=at("03:10")), "We know.", said_at=at("03:05"))
    merged = past(world, "OUT-2026-0003", 5, merged_at=at("05:10"), merged_into=denied)
    say(merged, "There is none.", said_at=at("05:05"), meaning="denied")
    past(world, "OUT-2026-0004", 7, echo_of=denied)
    found = lead()
    assert (found.outages, found.spoken, found.never) == (1, 0, 1)


def test_a_word_on_what_was_merged_or_split_off_is_one_on_the_whole(world: World) -> None:
    whole = past(world, "OUT-2026-0001", 1)
    merged = past(world, "OUT-2026-0002", 2, merged_at=at("02:40"), merged_into=whole)
    first = past(world, "OUT-2026-0003", 1, merged_at=at("02:20"), merged_into=merged)
    part = past(world, "OUT-2026-0004", 1, split_from=whole)
    assert (lead().outages, lead().spoken, lead().never) == (1, 0, 1)
    say(part, "We know of it there.", said_at=at("01:40"))
    assert (lead().outages, lead().onset) == (1, minutes(40, 40, 40))
    say(first, "We know.", said_at=at("01:12"))
    say(merged, "Still.", said_at=at("02:10"))
    found = lead()
    assert (found.outages, found.spoken, found.never, found.onset) == (1, 1, 0, minutes(12, 12, 12))
    # What was no outage has nothing to be admitted.
    Incident.objects.filter(pk=part.pk).update(rejected_at=at("03:00"))
    first.statements.update(withdrawn_at=at("03:00"))
    merged.statements.update(withdrawn_at=at("03:00"))
    assert lead().spoken == 0


def test_all_providers_cost_as_many_queries_as_one(world: World, django_assert_num_queries) -> None:
    past(world, "OUT-2026-0001", 1)
    snapshots.forget()
    snapshots.version()
    with django_assert_num_queries(3):
        assert len(status.providers()) >= 1
    with django_assert_num_queries(0):
        assert status.provider("nobody") is None
