"""What one call of ``decided.apply`` is about to write: rows, relapses, evidence and lines of the timeline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reports.clock import instant_of
from reports.detection.decisions import Decision
from reports.detection.decisions import Evidence as Figures
from reports.incidents import timeline
from reports.incidents.cells import Cells
from reports.incidents.networks import Rise, note_largest
from reports.incidents.timeline import EntryKind
from reports.models import Evidence, Incident, RegionalOutage, Relapse, TimelineEntry

_ROW_FIELDS = (
    "onset_at",
    "detected_at",
    "peak_at",
    "peak_reports",
    "recovering_at",
    "unknown_at",
    "restored_at",
    "restored_low",
    "restored_high",
    "declared_at",
    "basis",
    "withdrawn_at",
)
_INCIDENT_FIELDS = (
    "group",
    "scope",
    "echo_of",
    "onset_at",
    "peak_at",
    "peak_reports",
    "resolved_at",
    "confidence",
    "siblings",
)


class Notes:
    """Collected in memory and written in a handful of statements, however many regions a storm has."""

    def __init__(self, cells: Cells, now: datetime) -> None:
        self.cells = cells
        self.now = now
        self.incidents: dict[int, Incident] = {}
        self.rows: dict[tuple[int, int], RegionalOutage] = {}
        self.relapses: list[Relapse] = []
        self.evidence: list[Evidence] = []
        self.rises: list[Rise] = []
        self.entries: list[TimelineEntry] = []

    def touch(self, incident: Incident) -> None:
        """The incident was changed in memory."""
        self.incidents[incident.pk] = incident

    def touch_row(self, row: RegionalOutage) -> None:
        """The regional outage is new or was changed in memory."""
        self.rows[row.incident_id, row.region_id] = row

    def prove(self, incident: Incident, decision: Decision | None) -> Evidence | None:
        """Notes the figures of the decision, if it has any."""
        if decision is None or decision.evidence is None:
            return None
        region_id = self.cells.region_ids[decision.region] if decision.region >= 0 else None
        evidence = _evidence(incident, decision, decision.evidence, region_id)
        self.evidence.append(evidence)
        if decision.region >= 0:
            self.rises.append(
                Rise(evidence, self.cells.service_ids[decision.service], decision.region, decision.evidence.window_end)
            )
        return evidence

    def tell(
        self,
        incident: Incident,
        kind: EntryKind,
        at: datetime,
        *,
        facts: Mapping[str, Any] | None = None,
        decision: Decision | None = None,
        region_id: int | None = None,
    ) -> TimelineEntry:
        """Notes an entry of the timeline, with the figures of ``decision``."""
        entry = timeline.entry(
            incident,
            kind=kind,
            at=at,
            recorded_at=self.now,
            region_id=region_id,
            facts=facts,
            evidence=self.prove(incident, decision),
        )
        self.entries.append(entry)
        return entry

    def tell_region(
        self,
        incident: Incident,
        kind: EntryKind,
        at: datetime,
        *,
        decision: Decision,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """The same about the region of ``decision``."""
        region_id = self.cells.region_ids[decision.region]
        self.tell(incident, kind, at, facts=facts, decision=decision, region_id=region_id)

    def save_rows(self) -> None:
        """Writes the regional outages."""
        RegionalOutage.objects.bulk_create(
            self.rows.values(),
            update_conflicts=True,
            unique_fields=["incident", "region"],
            update_fields=_ROW_FIELDS,
            batch_size=500,
        )

    def save_incidents(self) -> None:
        """Writes the incidents."""
        Incident.objects.bulk_update(self.incidents.values(), _INCIDENT_FIELDS)

    def save_rest(self) -> None:
        """Writes what refers to rows and incidents: relapses, evidence, the timeline."""
        Relapse.objects.bulk_create(self.relapses)
        note_largest(self.rises, cells=self.cells)
        Evidence.objects.bulk_create(self.evidence, batch_size=500)
        timeline.write(self.entries)


def _evidence(incident: Incident, decision: Decision, figures: Figures, region_id: int | None) -> Evidence:
    return Evidence(
        incident=incident,
        region_id=region_id,
        decision=decision.kind.value,
        decided_at=instant_of(decision.decided + 1),
        observed=figures.observed,
        expected=finite(figures.expected),
        log10_p=finite(figures.log10_p),
        threshold=finite(figures.threshold),
        window_minutes=figures.window_minutes,
        window_end_at=instant_of(figures.window_end),
        level=figures.level,
        rule=figures.rule,
        networks=figures.networks,
        working=figures.working,
        baseline_version=figures.baseline_version,
        detector_version=figures.detector_version,
        figures={name: finite(value) for name, value in figures.figures.items()},
    )


def finite(value: float) -> float:
    """The value as JSON can hold it: a tail probability of nought has a logarithm that it cannot."""
    return float(value) if math.isfinite(value) else math.copysign(9999.0, value)
