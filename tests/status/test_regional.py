"""The past of a service in one region: by its own decision, that of the country above, or those of its parts."""

from __future__ import annotations

from datetime import timedelta

from reports import status
from tests.status.making import World, at, open_incident, take_down, watch


def test_a_region_is_told_by_its_own_decision_with_interval_and_basis(world: World) -> None:
    watch()
    incident = open_incident(world.whatsapp, resolved_at=at("19:30"))
    take_down(incident, world.regions["GB"], restored_at=at("19:20"))
    take_down(incident, world.regions["GB-ENG"], onset_at=at("18:04"), restored_at=at("19:00"))
    (record,) = status.region_records("whatsapp", "GB-ENG")
    assert (record.ref, record.state, record.decided_for) == (incident.ref, "restored", None)
    assert record.duration == timedelta(minutes=56)
    assert record.basis
    assert record.restored_low
    assert record.restored_high
    assert record.restored_low <= at("19:00") <= record.restored_high


def test_a_region_without_a_decision_is_told_by_the_nearest_one_above(world: World) -> None:
    watch()
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["GB-ENG"])
    (record,) = status.region_records("whatsapp", "GB~LON")
    assert record.decided_for
    assert record.decided_for.code == "GB-ENG"
    assert (record.state, record.restored_at, record.duration) == ("down", None, None)


def test_a_country_is_told_by_its_parts(world: World) -> None:
    watch()
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["GB-ENG"], onset_at=at("18:09"), restored_at=at("19:00"))
    take_down(incident, world.regions["GB-SCT"], onset_at=at("18:05"))
    (record,) = status.region_records("whatsapp", "GB")
    assert (record.parts, record.parts_back, record.state) == (2, 1, "down")
    assert (record.onset_at, record.restored_at) == (at("18:05"), None)


def test_the_world_alone_and_what_was_rejected_are_no_history_of_a_region(world: World) -> None:
    watch()
    take_down(open_incident(world.whatsapp, resolved_at=at("19:00")), world.regions["001"], restored_at=at("18:40"))
    rejected = open_incident(world.whatsapp, ref="OUT-2026-0009", rejected_at=at("19:10"))
    take_down(rejected, world.regions["GB"])
    assert status.region_records("whatsapp", "GB") == ()
    assert [record.ref for record in status.region_records("whatsapp", "001")] == ["OUT-2026-0001"]
    assert status.region_records("whatsapp", "ZZ-9") == ()
