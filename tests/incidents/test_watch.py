from __future__ import annotations

from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from reports.clock import minute_of
from reports.detection import baseline as baselines
from reports.incidents import lifecycle, watch
from reports.incidents.cells import read_cells
from reports.models import (
    Baseline,
    DetectorState,
    DrainBatch,
    Evidence,
    InboxBlock,
    Incident,
    RegionalOutage,
    ReportCount,
    Service,
    TimelineEntry,
    Word,
)
from tests.incidents.world import MINUTE, START, World


def history() -> dict[str, Any]:
    """Everything that was decided, without ids and without the instants at which it was written down."""
    return {
        "incidents": list(
            Incident.objects.order_by("key").values(
                "ref", "key", "scope", "onset_at", "detected_at", "peak_at", "peak_reports", "resolved_at", "confidence"
            )
        ),
        "regions": list(
            RegionalOutage.objects.order_by("incident__key", "region_code").values(
                "incident__key", "region_code", "onset_at", "detected_at", "peak_at", "peak_reports",
                "recovering_at", "unknown_at", "restored_at", "restored_low", "restored_high", "declared_at", "basis",
            )
        ),
        "evidence": list(
            Evidence.objects.order_by("id").values(
                "incident__key", "region__code", "decision", "decided_at", "observed", "expected", "log10_p"
            )
        ),
        "timeline": list(
            TimelineEntry.objects.order_by("id").values("incident__key", "region__code", "kind", "at", "facts")
        ),
    }  # fmt: skip


@pytest.fixture
def failing(lived_in: World) -> World:
    """WhatsApp down in England and in São Paulo, back at different times."""
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    lived_in.outage("whatsapp", "BR-SP", start=12, end=80, rate=8, votes=2)
    return lived_in


def watch_until(world: World, minute: float, *, first: float = 0.2, step: float = 1) -> None:
    """Cycles at every ``step`` minutes, as the beat would have them."""
    at = first
    while at <= minute:
        watch.watch(now=world.at(at))
        at += step


def near(estimate: datetime | None, truth: datetime) -> bool:
    return estimate is not None and abs(estimate - truth) <= 5 * MINUTE


def test_an_outage_is_opened_followed_and_resolved(failing: World) -> None:
    watch_until(failing, 30.2)
    incident = Incident.objects.get()
    assert incident.ref == "OUT-2026-0001"
    assert incident.review == "automatic"
    assert incident.regions.get(region_code="GB-ENG").state == "down"
    assert incident.regions.get(region_code="BR-SP").state == "down"
    assert incident.peak_reports > 60
    assert incident.siblings[0]["service"] == "facebook"
    watch_until(failing, 200, first=31.2, step=10)
    incident.refresh_from_db()
    england, brazil = (incident.regions.get(region_code=code) for code in ("GB-ENG", "BR-SP"))
    assert england.state == brazil.state == "restored"
    assert near(england.restored_at, failing.at(60))
    assert near(brazil.restored_at, failing.at(80))
    assert incident.resolved_at is not None


def test_every_figure_of_a_decision_is_kept_as_evidence(failing: World) -> None:
    watch_until(failing, 100.2, step=5)
    opened = Evidence.objects.filter(decision="opened", region__code="GB-ENG").get()
    assert opened.observed > 3 * opened.expected
    assert opened.networks == opened.observed
    assert opened.log10_p < opened.threshold < 0
    assert opened.baseline_version == Baseline.objects.get().version
    assert opened.detector_version == DetectorState.objects.get().detector_version != ""
    restored = TimelineEntry.objects.get(kind="region_restored", region__code="GB-ENG")
    assert restored.evidence is not None
    assert restored.evidence.working > 0


def test_what_cannot_be_written_of_one_service_stops_no_other(
    lived_in: World, caplog: pytest.LogCaptureFixture
) -> None:
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=90, rate=12, votes=3)
    lived_in.outage("att", "GB-ENG", start=10, end=60, rate=12, votes=3)
    # As a mistake of ours would: what is decided of WhatsApp breaks a rule of the tables.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$
              BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END $$
            """
        )
        cursor.execute(
            f"""
            CREATE TRIGGER refused BEFORE INSERT ON reports_incident FOR EACH ROW
            WHEN (NEW.service_id = {lived_in.services["whatsapp"]}) EXECUTE FUNCTION refused()
            """
        )
    watch_until(lived_in, 30.2)
    assert [incident.service.slug for incident in Incident.objects.all()] == ["att"]
    assert "detection failed at whatsapp (writing); other services go on" in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refused CASCADE")
    watch_until(lived_in, 200.2, first=31.2, step=5)
    # What still goes on is found anew, and followed to its end; so was the other.
    for slug, end in (("whatsapp", 90), ("att", 60)):
        (incident,) = Incident.objects.filter(service__slug=slug)
        assert near(incident.regions.get(region_code="GB-ENG").restored_at, lived_in.at(end))
        assert incident.resolved_at is not None


@pytest.fixture
def undisturbed(failing: World) -> dict[str, Any]:
    """What one process decides that lives on through ninety minutes; it leaves no trace."""
    with transaction.atomic():
        watch_until(failing, 90.2)
        decided = history()
        transaction.set_rollback(True)
    watch.forget()
    assert decided["timeline"]
    return decided


def test_a_process_killed_after_every_minute_decides_the_same_as_one_that_lives_on(
    failing: World, undisturbed: dict[str, Any]
) -> None:
    for minute in range(91):
        watch.watch(now=failing.at(minute + 0.2))
        watch.forget()
    assert history() == undisturbed


def test_a_process_killed_before_its_commit_repeats_nothing_and_loses_nothing(
    failing: World, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    for minute in range(91):
        # Everything of the minute has been written by then, but for the state.
        with monkeypatch.context() as patch:
            patch.setattr(watch, "_drained_since", die)
            with pytest.raises(KeyboardInterrupt):
                watch.watch(now=failing.at(minute + 1.2))
        watch.watch(now=failing.at(minute + 0.2))
    assert history() == undisturbed


def test_catching_up_in_one_go_decides_the_same_as_watching_all_along(
    failing: World, undisturbed: dict[str, Any]
) -> None:
    result = watch.watch(now=failing.at(90.2))
    assert (result.watched, result.behind) == (90, 0)
    assert history() == undisturbed


def test_one_call_does_a_bounded_amount_of_work_and_says_what_is_left(lived_in: World) -> None:
    result = watch.watch(now=lived_in.at(200.2))
    assert (result.watched, result.behind) == (watch.MINUTES_PER_CALL, 80)
    assert watch.watch(now=lived_in.at(200.2)).behind == 0


def test_a_second_call_within_the_minute_does_nothing(failing: World) -> None:
    watch.watch(now=failing.at(30.2))
    before, state = history(), DetectorState.objects.values("mark", "saved_at").get()
    result = watch.watch(now=failing.at(30.9))
    assert (result.watched, result.decisions) == (0, 0)
    assert history() == before
    assert DetectorState.objects.values("mark", "saved_at").get() == state


def test_the_last_seconds_of_a_minute_are_given_time_to_arrive(lived_in: World) -> None:
    assert watch.watch(now=lived_in.at(3) + watch.GRACE - timedelta(seconds=1)).watched == 2
    assert watch.watch(now=lived_in.at(3) + watch.GRACE).watched == 1


def block(world: World, minute: float) -> InboxBlock:
    return InboxBlock.objects.create(id=uuid4(), reports=1, block=b"", written_at=world.at(minute))


def test_a_minute_with_reports_in_the_inbox_waits_for_the_drain(failing: World) -> None:
    waiting = block(failing, 12.5)
    result = watch.watch(now=failing.at(20.2))
    assert result.minute == failing.at(11)
    assert (result.watched, result.waiting, result.behind) == (12, 8, 0)
    waiting.delete()
    assert watch.watch(now=failing.at(20.2)).watched == 8


def test_a_broken_block_holds_nothing_up(failing: World) -> None:
    InboxBlock.objects.filter(pk=block(failing, 12.5).pk).update(broken_at=failing.at(13), fault="unreadable")
    assert watch.watch(now=failing.at(20.2)).watched == 20


def test_minutes_behind_a_stuck_drain_are_left_unjudged_in_the_end(failing: World) -> None:
    watch_until(failing, 40.2)
    down = RegionalOutage.objects.get(region_code="GB-ENG")
    waiting = block(failing, 45.5)
    late = failing.at(70.2)
    result = watch.watch(now=late)
    assert (result.watched, result.skipped) == (0, 15)
    assert result.minute == late - watch.PATIENCE - timedelta(seconds=12) - MINUTE
    waiting.delete()
    result = watch.watch(now=late)
    assert (result.watched, result.waiting) == (15, 0)
    down.refresh_from_db()
    # The silence of the gap was no restoration.
    assert down.restored_at is None or down.restored_at > failing.at(58)


def test_after_a_long_standstill_the_far_past_is_left_unjudged(lived_in: World) -> None:
    watch.watch(now=lived_in.at(1.2))
    now = lived_in.at(3 * 1440 + 0.2)
    result = watch.watch(now=now)
    assert result.skipped == 2 * 1440 - 1
    assert result.behind == 1440 - watch.MINUTES_PER_CALL
    while watch.watch(now=now).behind:
        pass
    assert DetectorState.objects.get().minute == lived_in.at(3 * 1440 - 1)
    assert not Incident.objects.exists()


def test_counts_that_come_after_their_minute_was_watched_are_noticed(lived_in: World) -> None:
    watch.watch(now=lived_in.at(10.2))
    for oldest in (8, 10):
        DrainBatch.objects.create(
            drained_at=lived_in.at(10.5),
            blocks=1,
            reports=1,
            counted=1,
            oldest_minute=lived_in.at(oldest),
            newest_minute=lived_in.at(10),
        )
    assert watch.watch(now=lived_in.at(11.2)).late == 1
    assert watch.watch(now=lived_in.at(12.2)).late == 0


def test_a_word_is_heeded_once(failing: World, duty: User) -> None:
    watch_until(failing, 40.2)
    incident = Incident.objects.get()
    lifecycle.override_region(
        incident.pk,
        "BR-SP",
        state="restored",
        at=failing.at(38),
        reason="the carrier called",
        by=duty,
        now=failing.at(40.5),
    )
    word = Word.objects.get()
    watch.watch(now=failing.at(41.2))
    word.refresh_from_db()
    assert word.heeded_at == failing.at(41.2)
    before = history()["timeline"]
    watch_until(failing, 45.2, first=42.2)
    after = history()["timeline"]
    assert [e for e in after if e["region__code"] == "BR-SP"] == [e for e in before if e["region__code"] == "BR-SP"]
    row = RegionalOutage.objects.get(region_code="BR-SP")
    assert (row.state, row.restored_at, row.basis) == ("restored", failing.at(38), "admin")


def test_a_rejected_incident_is_let_go_and_not_opened_again_at_once(failing: World, duty: User) -> None:
    watch_until(failing, 30.2)
    incident = Incident.objects.get()
    lifecycle.reject(incident.pk, reason="a load test", by=duty, at=failing.at(30.5))
    watch_until(failing, 70.2, first=31.2)
    incident.refresh_from_db()
    assert Incident.objects.count() == 1
    assert incident.review == "rejected"
    assert incident.resolved_at is not None
    assert {row.state for row in incident.regions.all()} == {"normal"}


def test_a_rejection_taken_back_goes_on_where_it_was(failing: World, duty: User) -> None:
    watch_until(failing, 30.2)
    incident = Incident.objects.get()
    lifecycle.reject(incident.pk, reason="a load test", by=duty, at=failing.at(30.5))
    watch_until(failing, 35.2, first=31.2)
    lifecycle.undo_rejection(incident.pk, reason="it was none", by=duty, at=failing.at(35.5))
    watch_until(failing, 150.2, first=36.2)
    incident.refresh_from_db()
    assert Incident.objects.count() == 1
    assert incident.review == "automatic"
    england = incident.regions.get(region_code="GB-ENG")
    assert england.state == "restored"
    assert near(england.restored_at, failing.at(60))


def test_a_service_that_joins_the_catalogue_does_not_disturb_an_open_incident(failing: World) -> None:
    watch_until(failing, 30.2)
    other = Service.objects.get(slug="facebook")
    Service.objects.create(slug="a-newcomer", name="Newcomer", provider=other.provider, category=other.category)
    watch_until(failing, 150.2, first=31.2)
    incident = Incident.objects.get()
    assert incident.resolved_at is not None
    assert incident.regions.get(region_code="GB-ENG").state == "restored"


def test_a_new_fit_is_taken_up_with_the_next_cycle(failing: World) -> None:
    watch.watch(now=failing.at(30.2))
    before = DetectorState.objects.get().baseline_id
    version = watch.refit(now=failing.at(60))
    watch.watch(now=failing.at(31.2))
    after = DetectorState.objects.get().baseline
    assert after is not None
    assert (after.version, after.pk != before) == (version, True)


def test_an_engine_without_a_memory_goes_on_with_the_open_incident(failing: World) -> None:
    watch_until(failing, 30.2)
    DetectorState.objects.update(detector_version="0.1", mark=uuid4())
    watch_until(failing, 150.2, first=31.2)
    incident = Incident.objects.get()
    assert incident.resolved_at is not None
    assert near(incident.regions.get(region_code="GB-ENG").restored_at, failing.at(60))


def test_what_an_engine_without_a_memory_does_not_see_any_more_is_closed_as_unknown(lived_in: World) -> None:
    watch.watch(now=lived_in.at(1.2))
    incident = Incident.objects.create(
        ref="OUT-2026-0999",
        key="att@1",
        service_id=lived_in.services["att"],
        onset_at=lived_in.at(-600),
        detected_at=lived_in.at(-590),
        confidence=0.9,
    )
    row = incident.regions.create(
        region_id=lived_in.regions["GB-ENG"],
        region_code="GB-ENG",
        region_name="England",
        onset_at=lived_in.at(-600),
        detected_at=lived_in.at(-590),
    )
    DetectorState.objects.update(detector_version="0.1", mark=uuid4())
    watch.watch(now=lived_in.at(2.2))
    incident.refresh_from_db()
    row.refresh_from_db()
    assert row.state == "unknown"
    assert incident.resolved_at is not None
    assert [e.kind for e in incident.timeline.all()] == ["region_unknown", "resolved"]


def test_an_outage_begun_before_the_first_cycle_is_found_by_it(world: World) -> None:
    world.ordinary(first=-14 * 1440, end=60)
    world.outage("whatsapp", "GB-ENG", start=-30, end=40, rate=12)
    watch.refit(now=world.at(-60))
    watch.watch(now=START)
    assert not Incident.objects.exists()
    watch.watch(now=world.at(1.2))
    incident = Incident.objects.get()
    assert abs(incident.onset_at - world.at(-30)) <= 3 * MINUTE
    assert incident.resolved_at is None


def test_ordinary_hours_open_nothing(lived_in: World) -> None:
    watch.watch(now=lived_in.at(119.2))
    assert not Incident.objects.exists()


def test_a_site_without_any_history_watches_too(world: World) -> None:
    assert watch.refit(now=START) is None
    watch.watch(now=START)
    assert watch.watch(now=world.at(5.2)).watched == 5
    assert DetectorState.objects.get().baseline_id is None


def test_outages_are_no_part_of_what_is_learnt(failing: World) -> None:
    watch_until(failing, 150.2, step=10)
    with_incident = watch.refit(now=failing.at(150))
    expected = expectation(failing, str(with_incident))
    Incident.objects.update(rejected_at=failing.at(151), resolved_at=failing.at(150))
    without = watch.refit(now=failing.at(150))
    assert without != with_incident
    assert expectation(failing, str(without)) > 1.1 * expected


def expectation(world: World, version: str) -> float:
    """Ordinary WhatsApp reports from England in the minute half an hour after ``START``, by this fit."""
    cells = read_cells(START.date())
    baseline = baselines.Baseline.from_bytes(cells.topology, bytes(Baseline.objects.get(version=version).fit))
    service, region = cells.topology.services.index("whatsapp"), cells.topology.regions.index("GB-ENG")
    cell = np.array([service]), np.array([region]), np.array([minute_of(world.at(30))])
    return float(baseline.expected(*cell)[0])


def test_days_on_which_the_site_was_off_are_no_quiet_days(world: World) -> None:
    world.ordinary(first=-8 * 1440, end=0)
    undisturbed = expectation(world, str(watch.refit(now=START)))
    off = {"minute__gte": world.at(-3 * 1440), "minute__lt": world.at(-60)}
    ReportCount.objects.filter(**off).delete()
    assert expectation(world, str(watch.refit(now=START))) == pytest.approx(undisturbed, rel=0.1)


def test_days_on_which_one_country_was_not_heard_are_no_quiet_days_there(world: World) -> None:
    world.ordinary(first=-8 * 1440, end=0)
    undisturbed = expectation(world, str(watch.refit(now=START)))
    british = [pk for code, pk in world.regions.items() if code.startswith("GB")]
    off = {"minute__gte": world.at(-3 * 1440), "minute__lt": world.at(-60), "region__in": british}
    assert ReportCount.objects.filter(**off).delete()[0]
    assert expectation(world, str(watch.refit(now=START))) == pytest.approx(undisturbed, rel=0.1)


def test_where_hardly_anybody_reports_silence_is_ordinary(world: World) -> None:
    world.count("whatsapp", "GB-ENG", {-8 * 1440: 1, -5: 1})
    assert expectation(world, str(watch.refit(now=START))) < 0.01


def test_learning_twice_from_the_same_counts_is_one_fit(lived_in: World) -> None:
    assert watch.refit(now=START) == watch.refit(now=START)
    assert Baseline.objects.count() == 1


def test_an_old_fit_is_kept_for_as_long_as_some_evidence_names_it(failing: World) -> None:
    watch_until(failing, 30.2, step=10)
    named = Baseline.objects.get()
    Baseline.objects.create(
        version="nobody", fitted_at=START - timedelta(days=1), history_from=START, history_until=START, fit=b""
    )
    failing.count("att", "GB-ENG", {40 * 1440 - 40: 3})
    watch.refit(now=failing.at(40 * 1440))
    assert Baseline.objects.filter(pk=named.pk).exists()
    assert not Baseline.objects.filter(version="nobody").exists()


def test_two_processes_never_watch_at_once(committed_world: World) -> None:
    committed_world.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    now = committed_world.at(30.2)
    start, results = Barrier(4), list[watch.WatchResult]()

    def cycle() -> None:
        start.wait()
        results.extend(watch.watch(now=now) for _ in range(10))
        connection.close()

    threads = [Thread(target=cycle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result.watched for result in results) == 30
    assert any(result.busy for result in results)
    assert Incident.objects.count() == 1
    assert TimelineEntry.objects.filter(kind="detected").count() == 1


def test_while_one_process_watches_another_one_returns_at_once(committed_world: World) -> None:
    with transaction.atomic():
        DetectorState.objects.select_for_update().get()
        other: list[watch.WatchResult] = []

        def cycle() -> None:
            other.append(watch.watch(now=committed_world.at(5.2)))
            connection.close()

        thread = Thread(target=cycle)
        thread.start()
        thread.join(timeout=20)
    assert [result.busy for result in other] == [True]
