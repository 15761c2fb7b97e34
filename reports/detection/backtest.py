"""The production engine driven over recorded counts, causally: nothing decided at a minute uses a later one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from reports.detection.baseline import BIN_MINUTES, Baseline, History, fit
from reports.detection.cycle import HOUR
from reports.detection.decisions import (
    NETWORK_KINDS,
    Basis,
    Decision,
    DecisionKind,
    Evidence,
    IntArray,
    MinuteCounts,
    Topology,
)
from reports.detection.engine import Engine
from reports.detection.parameters import Parameters

HISTORY_DAYS = 28
"""Days that a fit learns from."""
MARGIN_BEFORE, MARGIN_AFTER = 15, 30
"""Minutes around an outage that are no normal time either."""
EARLY_FITS = (120, 360, 720)
"""Minutes after the first count at which a site without history is fitted for the first times; daily afterwards."""
SEPARATE_MINUTES = 180
"""A region that falls again later than this after its restoration gets a row of its own."""
LONGEST_EXCLUDED = 720
"""What has lasted longer than this is learnt from: a new level that never ends is no outage."""
_DAY = 1440


@dataclass(frozen=True)
class Recording:
    """Recorded counts: parallel arrays sorted by minute, one element per (minute, service, region) with any report.

    ``networks`` and its finer kinds (see ``MinuteCounts``) are ``None`` where nobody recorded them.
    """

    minute: IntArray
    service: IntArray
    region: IntArray
    reports: IntArray
    working: IntArray
    networks: IntArray | None
    service_networks: IntArray | None = None
    working_networks: IntArray | None = None


@dataclass
class Row:
    """One regional outage as the backtest reports it; minutes since the epoch, ``None`` while unknown."""

    service: int
    region: int
    incident: str
    onset: int
    detected: int
    evidence: Evidence
    peak: int | None = None
    peak_reports: int | None = None
    recovering: int | None = None
    restored: int | None = None
    restored_low: int | None = None
    restored_high: int | None = None
    declared: int | None = None
    basis: Basis | None = None
    confidence: float | None = None
    group: str = ""
    withdrawn: bool = False
    ended: int | None = None


@dataclass
class Ledger:
    """Regional outages as told by the decisions, in order of detection."""

    rows: list[Row] = field(default_factory=list)
    echoes: list[Decision] = field(default_factory=list)
    weighed: list[Decision] = field(default_factory=list)
    """Every decision that said anew how sure its incident is."""
    _current: dict[tuple[int, int], Row] = field(default_factory=dict)
    _of_incident: dict[str, list[Row]] = field(default_factory=dict)

    def enter(self, decision: Decision) -> None:
        """Take in one decision."""
        kind = decision.kind
        if kind is DecisionKind.ECHO:
            self.echoes.append(decision)
            return
        if decision.region < 0:
            for row in self._of_incident.get(decision.incident, []):
                row.group = decision.group or row.group
                if kind is DecisionKind.RESOLVED and row.ended is None:
                    row.ended = decision.decided
            return
        row = self._row(decision)
        if decision.evidence is not None and "sign_surplus" in decision.evidence.figures:
            self.weighed.append(decision)
        row.group = decision.group or row.group
        row.confidence = decision.confidence
        if kind in (DecisionKind.UPDATED, DecisionKind.RESTORED):
            row.onset = decision.onset if decision.onset is not None else row.onset
        if decision.peak is not None:
            row.peak, row.peak_reports = decision.peak, decision.peak_reports
        if decision.recovering is not None:
            row.recovering = decision.recovering
        if kind is DecisionKind.RESTORED:
            row.restored, row.basis = decision.restored, decision.basis
            row.restored_low, row.restored_high = decision.restored_low, decision.restored_high
            row.declared = row.ended = decision.decided
        row.withdrawn |= kind is DecisionKind.WITHDRAWN

    def _row(self, decision: Decision) -> Row:
        key = (decision.service, decision.region)
        row = self._current.get(key)
        if decision.kind is DecisionKind.REOPENED and row is not None:
            continued = decision.evidence is not None and decision.evidence.rule == DecisionKind.REOPENED.value
            if continued or (row.declared is not None and decision.decided - row.declared <= SEPARATE_MINUTES):
                row.restored = row.restored_low = row.restored_high = row.declared = row.ended = None
                row.basis = row.recovering = None
                return row
            row = None
        if row is None or decision.kind is DecisionKind.OPENED:
            assert decision.evidence is not None
            row = Row(
                service=decision.service,
                region=decision.region,
                incident=decision.incident,
                onset=decision.onset if decision.onset is not None else decision.decided,
                detected=decision.decided,
                evidence=decision.evidence,
            )
            self._current[key] = row
            self.rows.append(row)
            self._of_incident.setdefault(decision.incident, []).append(row)
        return row

    def spans(self, now: int) -> Iterator[tuple[int, int, int, int]]:
        """(service, region, from, until) of what was no normal time, as known at ``now``."""
        for row in self.rows:
            if not row.withdrawn:
                end = row.restored_high if row.restored_high is not None else row.ended
                last = min((end if end is not None else now) + MARGIN_AFTER, now, row.onset + LONGEST_EXCLUDED)
                yield row.service, row.region, row.onset - MARGIN_BEFORE, last


class HalfHours:
    """The recording summed to half hours once, and what lay before it; each fit takes the slice that lay behind it."""

    def __init__(self, recording: Recording, topology: Topology, past: History | None = None) -> None:
        services, regions = len(topology.services), len(topology.regions)
        told = recording.reports > 0
        cell = recording.service[told] * regions + recording.region[told]
        key = recording.minute[told] // BIN_MINUTES * (services * regions) + cell
        unique, index = np.unique(key, return_inverse=True)
        self.bin, cell = np.divmod(unique, services * regions)
        self.service, self.region = np.divmod(cell, regions)
        self.reports = np.bincount(index, recording.reports[told], len(unique)).astype(np.int64)
        if past is not None:
            for name in ("bin", "service", "region", "reports"):
                setattr(self, name, np.concatenate([getattr(past, name), getattr(self, name)]))
            order = np.argsort(self.bin, kind="stable")
            for name in ("bin", "service", "region", "reports"):
                setattr(self, name, getattr(self, name)[order])

    def history(self, first: int, now: int, excluded: list[tuple[int, int, int, int]]) -> History:
        """What was known at minute ``now`` of a recording that began at minute ``first``."""
        end = now // BIN_MINUTES
        begin = max(-(-first // BIN_MINUTES), end - HISTORY_DAYS * _DAY // BIN_MINUTES)
        part = slice(*np.searchsorted(self.bin, [begin, end]))
        spans = np.array(excluded, dtype=np.int64).reshape(-1, 4)
        return History(
            service=self.service[part],
            region=self.region[part],
            bin=self.bin[part],
            reports=self.reports[part],
            first_bin=begin,
            end_bin=end,
            excluded_service=spans[:, 0],
            excluded_region=spans[:, 1],
            excluded_from=spans[:, 2],
            excluded_until=spans[:, 3],
        )


def run(
    recording: Recording,
    topology: Topology,
    *,
    parameters: Parameters | None = None,
    progress: Callable[[float], None] | None = None,
    past: History | None = None,
) -> Ledger:
    """Every regional outage the engine would have told of. ``progress`` is called with the share done, once for each
    hour of the recording; what it raises ends the run.

    ``past`` is what was counted before the recording began (which then begins with a half hour), with the outages and
    gaps known in it: the engine begins with a fit to it instead of without any.
    """
    ledger = Ledger()
    if not len(recording.minute):
        return ledger
    first, last = int(recording.minute[0]), int(recording.minute[-1])
    half_hours = HalfHours(recording, topology, past)
    began = first if past is None else past.first_bin * BIN_MINUTES
    known = [] if past is None else _excluded(past)
    engine = Engine(topology, Baseline.empty(topology) if past is None else fit(past, topology), parameters=parameters)
    starts = np.searchsorted(recording.minute, np.arange(first, last + 2))
    gaps: dict[tuple[int, int], int] = {}
    networks = {name: getattr(recording, name) for name in NETWORK_KINDS}
    for minute in range(first, last + 1):
        if progress is not None and minute % HOUR == 0:
            progress((minute - first) / (last - first + 1))
        if minute - began in EARLY_FITS or (minute % _DAY == 0 and minute - began >= EARLY_FITS[-1]):
            silent = [(-1, place, since, until) for (place, since), until in gaps.items()]
            excluded = [*known, *ledger.spans(minute), *silent]
            engine.adopt(fit(half_hours.history(began, minute, excluded), topology))
        part = slice(starts[minute - first], starts[minute - first + 1])
        counts = MinuteCounts(
            minute=minute,
            service=recording.service[part],
            region=recording.region[part],
            reports=recording.reports[part],
            working=recording.working[part],
            **{name: None if column is None else column[part] for name, column in networks.items()},
        )
        for decision in engine.step(counts):
            ledger.enter(decision)
        if engine.faults:
            # Here somebody looks on: better no figures than figures without an incident.
            raise engine.faults[0].error
        for place in np.flatnonzero(engine.gaps.blind).tolist():
            gaps[place, int(engine.gaps.since[place])] = minute + 1
    return ledger


def _excluded(history: History) -> list[tuple[int, int, int, int]]:
    columns = (history.excluded_service, history.excluded_region, history.excluded_from, history.excluded_until)
    return list(zip(*(column.tolist() for column in columns), strict=True))
