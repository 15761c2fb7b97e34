"""What the engine decides, written twice: the second time nothing changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from reports.clock import minute_of
from reports.detection.decisions import Basis, Decision, DecisionKind, Evidence, SiblingCheck
from reports.incidents import decided, timeline
from reports.incidents.cells import Cells, catalogue_digest, read_cells
from reports.models import (
    Evidence as EvidenceRow,
)
from reports.models import (
    Incident,
    OutageGroup,
    RefCounter,
    Region,
    RegionalOutage,
    Relapse,
    Service,
    ServiceDependency,
    TimelineEntry,
)
from tests.incidents.world import START, World

ZERO = minute_of(START)


@pytest.fixture
def cells(world: World) -> Cells:
    return read_cells(START.date())


def evidence(observed: int = 41, working: int = 0, **figures: float) -> Evidence:
    return Evidence(
        observed=observed,
        expected=3.2,
        log10_p=-9.4,
        threshold=-7.5,
        window_minutes=12,
        window_end=ZERO + 10,
        level="region",
        rule="cell",
        networks=30,
        working=working,
        baseline_version="b1",
        detector_version="1.0",
        figures=figures,
    )


class Teller:
    """Makes decisions in offsets from ``START`` and applies each of them twice."""

    def __init__(self, cells: Cells, world: World) -> None:
        self.cells, self.world = cells, world

    def decision(
        self, kind: str, minute: int, region: str | None = None, *, service: str = "whatsapp", **more: Any
    ) -> Decision:
        for name in ("onset", "peak", "recovering", "restored", "restored_low", "restored_high"):
            if name in more:
                more[name] += ZERO
        topology = self.cells.topology
        more.setdefault("incident", f"{service}@1")
        return Decision(
            kind=DecisionKind(kind),
            decided=ZERO + minute,
            service=topology.services.index(service),
            region=-1 if region is None else topology.regions.index(region),
            **more,
        )

    def __call__(self, kind: str, minute: int, region: str | None = None, **more: Any) -> None:
        self.tell(self.decision(kind, minute, region, **more))

    def tell(self, *decisions: Decision) -> None:
        now = self.world.at(max(d.decided for d in decisions) - ZERO + 1.1)
        assert decided.apply(decisions, cells=self.cells, now=now) == []
        once = everything()
        assert decided.apply(decisions, cells=self.cells, now=now) == []
        assert everything() == once

    def opened(self, minute: int = 10, region: str = "GB-ENG", **more: Any) -> None:
        self("opened", minute, region, onset=minute - 3, evidence=evidence(), confidence=0.97, **more)


def everything() -> list[list[dict[str, Any]]]:
    tables: tuple[Any, ...] = (Incident, RegionalOutage, Relapse, EvidenceRow, TimelineEntry, OutageGroup, RefCounter)
    return [list(table.objects.order_by("pk").values()) for table in tables]


@pytest.fixture
def tell(cells: Cells, world: World) -> Teller:
    return Teller(cells, world)


def row(region: str = "GB-ENG") -> RegionalOutage:
    return RegionalOutage.objects.get(region_code=region)


def kinds() -> list[str]:
    return list(TimelineEntry.objects.order_by("id").values_list("kind", flat=True))


def test_an_opened_region_opens_its_incident(tell: Teller, world: World) -> None:
    tell.opened(scope="product")
    incident = Incident.objects.get()
    assert (incident.ref, incident.key) == ("OUT-2026-0001", "whatsapp@1")
    assert (incident.onset_at, incident.detected_at) == (world.at(7), world.at(11))
    assert (incident.confidence, incident.scope, incident.revision) == (0.97, "product", 0)
    assert (row().region_name, row().state, row().onset_at) == ("England", "down", world.at(7))
    assert kinds() == ["detected", "region_down"]
    figures = EvidenceRow.objects.get()
    assert (figures.observed, figures.networks, figures.window_end_at) == (41, 30, world.at(10))


def test_refs_count_up_within_the_year_of_detection(tell: Teller) -> None:
    tell.opened()
    tell.opened(service="facebook")
    tell("resolved", 30)
    tell.opened(60, incident="whatsapp@2")
    assert list(Incident.objects.order_by("id").values_list("ref", flat=True)) == [
        f"OUT-2026-000{n}" for n in (1, 2, 3)
    ]


def test_the_incident_begins_with_its_earliest_region(tell: Teller, world: World) -> None:
    tell.opened()
    tell("opened", 14, "BR-SP", onset=2)
    assert Incident.objects.get().onset_at == world.at(2)


def test_an_onset_after_the_detection_is_moved_to_it(tell: Teller, world: World) -> None:
    tell("opened", 10, "GB-ENG", onset=25)
    assert row().onset_at == row().detected_at == world.at(11)


def test_a_region_is_restored_with_its_interval_and_basis(tell: Teller, world: World) -> None:
    tell.opened()
    tell("recovering", 40, "GB-ENG", recovering=39, evidence=evidence(working=6))
    assert row().state == "recovering"
    tell(
        "restored",
        55,
        "GB-ENG",
        restored=42,
        restored_low=35,
        restored_high=51,
        basis=Basis.VOTES,
        evidence=evidence(working=37),
    )
    assert (row().state, row().basis, row().declared_at) == ("restored", "votes", world.at(56))
    assert (row().restored_low, row().restored_at, row().restored_high) == tuple(map(world.at, (35, 42, 51)))
    assert kinds()[2:] == ["region_recovering", "region_restored"]


def test_a_restoration_lies_between_onset_and_declaration(tell: Teller, world: World) -> None:
    tell.opened()
    tell("restored", 20, "GB-ENG", restored=3, restored_low=1, restored_high=2, basis=Basis.RATE)
    assert (row().restored_low, row().restored_at, row().restored_high) == (world.at(7),) * 3


def test_a_relapse_keeps_what_had_been_declared(tell: Teller, world: World) -> None:
    tell.opened()
    tell("restored", 40, "GB-ENG", restored=35, basis=Basis.RATE)
    tell("reopened", 50, "GB-ENG", evidence=evidence())
    assert row().state == "down"
    assert row().onset_at == world.at(7)
    relapse = Relapse.objects.get()
    assert (relapse.restored_at, relapse.declared_at, relapse.basis) == (world.at(35), world.at(41), "rate")
    assert relapse.reopened_at == world.at(51)
    # The restoration that did not hold, told once more, changes nothing.
    tell("restored", 40, "GB-ENG", restored=35, basis=Basis.RATE)
    assert row().state == "down"


def test_a_relapse_after_the_end_reopens_the_incident(tell: Teller) -> None:
    tell.opened()
    tell("restored", 40, "GB-ENG", restored=35, basis=Basis.RATE)
    tell("resolved", 45)
    assert Incident.objects.get().resolved_at is not None
    tell("reopened", 50, "GB-ENG")
    assert Incident.objects.get().resolved_at is None
    assert kinds()[-2:] == ["reopened", "region_relapsed"]


def test_silence_is_unknown_and_reports_end_it(tell: Teller, world: World) -> None:
    tell.opened()
    tell("unknown", 100, "GB-ENG")
    assert (row().state, row().unknown_at) == ("unknown", world.at(101))
    tell("reopened", 130, "GB-ENG")
    assert (row().state, Relapse.objects.count()) == ("down", 0)
    assert kinds()[-1] == "region_down_again"


def test_an_incident_is_resolved_when_its_last_region_came_back(tell: Teller, world: World) -> None:
    tell.opened()
    tell.opened(12, "BR-SP")
    tell("restored", 40, "GB-ENG", restored=35, basis=Basis.RATE)
    tell("restored", 70, "BR-SP", restored=66, basis=Basis.RATE)
    tell("resolved", 80)
    assert Incident.objects.get().resolved_at == world.at(66)


def test_a_region_nobody_follows_any_more_ends_unknown(tell: Teller, world: World) -> None:
    tell.opened()
    tell.opened(12, "BR-SP")
    tell("restored", 40, "GB-ENG", restored=35, basis=Basis.RATE)
    tell("resolved", 300)
    assert row("BR-SP").state == "unknown"
    resolved = TimelineEntry.objects.get(kind="resolved")
    assert (resolved.facts["restored"], resolved.facts["unknown"]) == (1, 1)


def test_a_peak_only_rises(tell: Teller, world: World) -> None:
    tell.opened(peak=9, peak_reports=50)
    tell("updated", 20, "GB-ENG", peak=19, peak_reports=80)
    tell("updated", 30, "GB-ENG", peak=29, peak_reports=60)
    assert (row().peak_at, row().peak_reports) == (world.at(19), 80)
    pk = Incident.objects.get().service_id
    for reports in (100, 90, 100):
        decided.raise_peaks({pk: reports}, at=world.at(reports))
    incident = Incident.objects.get()
    assert (incident.peak_reports, incident.peak_at) == (100, world.at(100))


def test_a_better_onset_is_a_further_entry(tell: Teller, world: World) -> None:
    tell.opened()
    tell("updated", 20, "GB-ENG", onset=4)
    assert row().onset_at == Incident.objects.get().onset_at == world.at(4)
    assert kinds() == ["detected", "region_down", "onset_revised"]


def test_incidents_of_one_cause_are_told_of_each_other(tell: Teller) -> None:
    tell.opened()
    tell.opened(service="facebook")
    tell.tell(
        *(
            tell.decision("grouped", 12, service=service, group="meta@1", scope="several products")
            for service in ("whatsapp", "facebook")
        )
    )
    group = OutageGroup.objects.get()
    assert group.provider_id is not None
    assert set(group.incidents.values_list("service__slug", flat=True)) == {"whatsapp", "facebook"}
    told = {e.incident.service.slug: e.facts["incidents"] for e in TimelineEntry.objects.filter(kind="grouped")}
    assert told == {"whatsapp": ["OUT-2026-0002"], "facebook": ["OUT-2026-0001"]}
    tell.opened(14, service="att")
    tell("grouped", 15, service="att", group="meta@1")
    # A cause that several providers share belongs to none of them.
    assert OutageGroup.objects.get().provider_id is None
    assert TimelineEntry.objects.filter(kind="grouped").count() == 5


def test_what_it_depends_on_is_named_with_its_incident(tell: Teller) -> None:
    tell.opened(service="att")
    tell.opened(12, scope="product")
    tell("grouped", 15, scope="upstream suspected", upstream="att@1")
    incident = Incident.objects.get(service__slug="whatsapp")
    assert incident.scope == "upstream suspected"
    told = TimelineEntry.objects.get(kind="scope")
    assert told.facts == {"scope": "upstream suspected", "upstream": "OUT-2026-0001", "name": "AT&T"}
    assert "AT&T, which it depends on, is down in the same places (OUT-2026-0001)" in timeline.text(told)


def test_siblings_are_kept_with_their_figures_and_told_when_they_change(tell: Teller, cells: Cells) -> None:
    facebook = cells.topology.services.index("facebook")
    normal = SiblingCheck(service=facebook, observed=41, expected=37.3, window_minutes=60, state="normal")
    tell.opened(siblings=(normal,))
    assert Incident.objects.get().siblings == [
        {
            "service": "facebook",
            "name": "Facebook",
            "observed": 41,
            "expected": 37.3,
            "window_minutes": 60,
            "state": "normal",
        }
    ]
    tell("updated", 20, siblings=(replace(normal, observed=44),))
    assert kinds().count("siblings") == 1
    tell("updated", 21, siblings=(replace(normal, state="down"),))
    assert kinds().count("siblings") == 2


def test_an_echo_is_noted_once_on_the_incident_that_explains_it(tell: Teller) -> None:
    tell.opened()
    for minute in (12, 13):
        tell("echo", minute, service="facebook", incident="whatsapp@1", echo_of="whatsapp@1", evidence=evidence(90))
    assert Incident.objects.count() == 1
    entry = TimelineEntry.objects.get(kind="echo")
    assert (entry.facts["service"], entry.facts["observed"]) == ("facebook", 90)


def test_an_incident_found_to_be_an_echo_says_of_what(tell: Teller) -> None:
    tell.opened()
    tell.opened(service="att")
    tell("echo", 12, service="att", incident="att@1", echo_of="whatsapp@1")
    echo = Incident.objects.get(service__slug="att")
    assert echo.echo_of is not None
    assert echo.echo_of.service.slug == "whatsapp"


def test_an_engine_that_lost_its_memory_writes_on_in_the_open_incident(tell: Teller) -> None:
    tell.opened()
    tell.opened(40, incident="whatsapp@40")
    tell.opened(41, "BR-SP", incident="whatsapp@40")
    assert Incident.objects.count() == 1
    assert RegionalOutage.objects.count() == 2


def test_a_rejected_incident_takes_nothing_but_its_end(tell: Teller, world: World) -> None:
    tell.opened()
    Incident.objects.update(rejected_at=world.at(15), rejected_reason="a test")
    told = kinds()
    tell.opened(16, "BR-SP")
    tell("restored", 17, "GB-ENG", restored=16, basis=Basis.RATE)
    assert row().state == "down"
    tell("withdrawn", 18, "GB-ENG")
    tell("resolved", 18)
    assert row().state == "normal"
    assert Incident.objects.get().resolved_at == world.at(19)
    assert kinds() == told


def test_the_next_incident_may_open_in_the_minute_in_which_the_last_one_ends(tell: Teller) -> None:
    tell.opened()
    tell.tell(
        tell.decision("restored", 40, "GB-ENG", restored=35, basis=Basis.RATE),
        tell.decision("resolved", 40),
        tell.decision("opened", 40, "BR-SP", onset=38, incident="whatsapp@40"),
    )
    assert Incident.objects.count() == 2


def test_a_decision_about_an_unknown_incident_is_left_alone(tell: Teller) -> None:
    tell("restored", 40, "GB-ENG", restored=35, basis=Basis.RATE)
    assert not Incident.objects.exists()


def test_figures_that_json_cannot_hold_become_large_numbers(tell: Teller) -> None:
    impossible = replace(evidence(odds=float("inf")), log10_p=float("-inf"))
    tell("opened", 10, "GB-ENG", onset=9, evidence=impossible)
    kept = EvidenceRow.objects.get()
    assert (kept.log10_p, kept.figures) == (-9999.0, {"odds": 9999.0})


def test_a_storm_of_regions_takes_a_handful_of_statements(
    tell: Teller, world: World, django_assert_max_num_queries: Any
) -> None:
    brazil = Region.objects.get(code="BR")
    Region.objects.bulk_create(
        Region(code=f"BR-{n}", name=f"State {n}", kind="subdivision", parent=brazil) for n in range(500)
    )
    tell.cells = read_cells(START.date())
    storm = [tell.decision("opened", 10, f"BR-{n}", onset=8, evidence=evidence()) for n in range(500)]
    with django_assert_max_num_queries(25):
        decided.apply(storm, cells=tell.cells, now=world.at(11))
    assert TimelineEntry.objects.get(kind="detected").facts["regions"] == 500


def test_cells_are_read_anew_when_the_catalogue_changed(world: World) -> None:
    before = catalogue_digest()
    assert catalogue_digest() == before
    whatsapp, facebook = Service.objects.get(slug="whatsapp"), Service.objects.get(slug="facebook")
    ServiceDependency.objects.create(service=whatsapp, upstream=facebook)
    after = catalogue_digest()
    assert after != before
    cells = read_cells(START.date())
    services = cells.topology.services
    assert cells.topology.upstreams == ((services.index("whatsapp"), services.index("facebook")),)
    Region.objects.filter(code="BR").update(timezone="America/Manaus")
    assert catalogue_digest() != after


def test_local_time_is_that_of_the_day(world: World) -> None:
    def east(day: datetime) -> int:
        cells = read_cells(day.date())
        return int(cells.topology.utc_offsets[cells.topology.regions.index("GB-ENG")])

    assert (east(datetime(2026, 1, 10)), east(datetime(2026, 7, 10))) == (0, 60)  # noqa: DTZ001
