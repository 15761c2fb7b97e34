"""Counts through time, and the table that figures can be recomputed from."""

import csv
from datetime import timedelta

import pytest

from reports import status
from reports.models import Kind
from reports.status.answers import CountSeries
from tests.status.making import NOW, World, at, count, learn, open_incident, staggered, take_down, watch

HALF_HOUR = timedelta(minutes=30)


def series(region: str = "001", *, start: str, end: str, step: timedelta = HALF_HOUR) -> CountSeries:
    found = status.service_counts("whatsapp", region=region, start=at(start), end=at(end), step=step)
    assert found is not None
    return found


def test_steps_are_equal_and_regions_hold_what_lies_in_them(world: World):
    watch()
    staggered(world)
    assert series(start="18:00", end="20:00").reports == (40, 80, 7, 152)
    assert series("GB", start="18:00", end="20:00").reports == (40, 0, 7, 150)
    assert series("GB-ENG", start="18:00", end="20:00").working == (0, 0, 0, 4)


def test_a_step_cut_short_holds_and_expects_what_came_before_the_end(world: World):
    watch(baseline=learn())
    count(world.whatsapp, world.regions["GB-ENG"], at("19:40"), 5)
    count(world.whatsapp, world.regions["GB-ENG"], at("19:50"), 7)
    whole, cut = series(start="19:00", end="20:00"), series(start="19:00", end="19:45")
    assert (whole.reports, cut.reports) == ((0, 12), (0, 5))
    assert cut.expected[1] == pytest.approx(whole.expected[1] / 2, rel=0.05)
    assert cut.upper[1] <= whole.upper[1]


def test_what_is_expected_adds_up_whatever_the_step(world: World):
    watch(baseline=learn())
    coarse, fine = series(start="10:00", end="20:00"), series(start="10:00", end="20:00", step=timedelta(minutes=1))
    assert sum(coarse.expected) == pytest.approx(sum(fine.expected), rel=0.02)
    assert all(high > mean for high, mean in zip(coarse.upper, coarse.expected, strict=True))
    assert coarse.baseline_version != ""


def test_nothing_is_expected_before_anything_was_learnt(world: World):
    watch()
    found = series(start="18:00", end="20:00")
    assert (found.expected, found.upper, found.baseline_version) == ((0.0,) * 4, (0.0,) * 4, "")


def test_too_many_steps_and_odd_steps_are_refused(world: World):
    watch()
    with pytest.raises(status.TooManyStepsError):
        status.service_counts("whatsapp", start=NOW - timedelta(days=3), end=NOW, step=timedelta(minutes=1))
    with pytest.raises(ValueError, match="whole number of minutes"):
        status.service_counts("whatsapp", start=at("18:00"), end=at("19:00"), step=timedelta(seconds=90))


def test_nobody_knows_another_service_or_region(world: World):
    watch()
    for slug, region in (("myspace", "001"), ("whatsapp", "XX")):
        assert status.service_counts(slug, region=region, start=at("18:00"), end=at("19:00"), step=HALF_HOUR) is None


def test_a_chart_shows_two_hours_before_the_onset_and_ends_now_or_an_hour_after(world: World):
    watch()
    staggered(world)
    running = status.incident_chart("OUT-2026-0001", now=NOW)
    over = open_incident(world.facebook, ref="OUT-2026-0003", onset_at=at("08:00"), resolved_at=at("10:00"))
    take_down(over, world.regions["US"], restored_at=at("10:00"))
    ended = status.incident_chart("OUT-2026-0003", now=NOW)
    assert running is not None
    assert ended is not None
    assert (running.start, len(running.reports)) == (at("16:02"), 238)
    assert (ended.start, len(ended.reports)) == (at("06:00"), 300)


def test_a_chart_of_a_long_outage_has_longer_steps(world: World):
    watch()
    take_down(open_incident(world.whatsapp, onset_at=at("18:00") - timedelta(days=7)), world.regions["GB"])
    chart = status.incident_chart("OUT-2026-0001", now=NOW)
    assert chart is not None
    assert len(chart.reports) <= 720
    assert chart.step == timedelta(minutes=15)


def rows(ref: str = "OUT-2026-0001") -> list[dict[str, str]]:
    lines = status.incident_export(ref)
    assert lines is not None
    return list(csv.DictReader("".join(lines).splitlines()))


def test_every_figure_can_be_recomputed_from_the_export(world: World):
    watch(baseline=learn())
    staggered(world)
    count(world.whatsapp, world.regions["GB"], at("19:10"), 6)
    count(world.whatsapp, world.regions["BR-SP"], at("19:55"), 11, kind=Kind.WORKING)
    exported = rows()
    for outage in status.incident_regions("OUT-2026-0001"):
        own = [
            row
            for row in exported
            if row["region"] == outage.region.code and row["minute"] >= f"{outage.onset_at:%Y-%m-%dT%H:%MZ}"
        ]
        assert sum(int(row["reports"]) for row in own) == outage.reports
        assert sum(int(row["working"]) for row in own) == outage.working
        assert sum(int(row["networks"]) for row in own) == outage.networks
    incident = status.incident("OUT-2026-0001")
    assert incident is not None
    inside = {"GB-ENG", "GB-SCT", "BR-SP", "BR-RJ"}
    lasted = [row for row in exported if row["region"] in inside and row["minute"] >= "2026-04-03T18:02Z"]
    assert sum(int(row["reports"]) for row in lasted) == incident.reports
    world_wide = [row for row in exported if row["region"] == "001" and "18:00" <= row["minute"][11:16] < "18:30"]
    chart = series(start="18:00", end="18:30")
    assert sum(float(row["expected"]) for row in world_wide) == pytest.approx(chart.expected[0], abs=0.01)
    assert {row["baseline_version"] for row in exported} == {chart.baseline_version}


def test_the_export_has_every_minute_of_every_region_once(world: World):
    watch()
    staggered(world)
    exported = rows()
    keys = [(row["minute"], row["region"]) for row in exported]
    assert len(set(keys)) == len(keys)
    assert {region for _, region in keys} == {"001", "GB-ENG", "GB-SCT", "BR-SP", "BR-RJ", "US-CA"}
    assert (keys[0][0], keys[-1][0]) == ("2026-04-03T15:52Z", "2026-04-03T19:59Z")
    assert len(keys) == 6 * 248
