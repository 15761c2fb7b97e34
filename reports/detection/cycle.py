"""What every part of a cycle needs: the state of the engine, its figures, and how a decision is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reports.detection.baseline import Baseline
from reports.detection.decisions import (
    Decision,
    DecisionKind,
    Evidence,
    Fault,
    FloatArray,
    MinuteCounts,
    Topology,
)
from reports.detection.gaps import Gaps
from reports.detection.onset import null_shape
from reports.detection.outage import KEPT, Incident, Outage
from reports.detection.parameters import WINDOWS, Parameters
from reports.detection.recent import Recent
from reports.detection.restoration import Assessment, CrowdHabits
from reports.detection.scope import Level
from reports.detection.tails import log10_tail
from reports.detection.tree import plant

DETECTOR_VERSION = "1.2"

HOUR = 60
TOLD_MINUTES = 20
"""The window of the figures beside a decision that no test of a window took; one of ``WINDOWS``."""


class Cycle:
    """The state between minutes, and the queries on it; callers use :class:`reports.detection.engine.Engine`."""

    def __init__(self, topology: Topology, baseline: Baseline, *, parameters: Parameters | None = None) -> None:
        self.topology = topology
        self.tree = plant(topology)
        self.parameters = parameters or Parameters()
        self.recent = Recent(self.tree, baseline, self.parameters)
        self.regions = len(topology.regions)
        self.services = len(topology.services)
        self.habits = CrowdHabits.unknown(self.parameters)
        self.incidents: dict[int, Incident] = {}
        """The open incident of each service."""
        self.down = np.zeros(self.services * self.regions, dtype=np.int8)
        self.shared_until = np.zeros(self.regions, dtype=np.int64)
        self.echo_told: dict[tuple[int, int], int] = {}
        self.muted_until: dict[int, int] = {}
        self.gaps = Gaps(self.tree, self.services, self.parameters)
        self._minute: int | None = None
        self._first_minute: int | None = None
        self._votes: dict[int, float] = {}
        self._decisions: list[Decision] = []
        self.faults: list[Fault] = []
        """What went wrong in the minute that was stepped last."""
        of_provider: dict[str, list[int]] = {}
        for service, provider in enumerate(topology.providers):
            of_provider.setdefault(provider, []).append(service)
        self._siblings = [tuple(of_provider[provider]) for provider in topology.providers]

    @property
    def minute(self) -> int | None:
        """The last minute stepped; ``None`` before the first."""
        return self._minute

    @property
    def baseline(self) -> Baseline:
        """The fit in use."""
        return self.recent.baseline

    def adopt(self, baseline: Baseline) -> None:
        """Use a new fit from the next minute on; open outages go on."""
        self.recent.adopt(baseline)

    @property
    def _now(self) -> int:
        assert self._minute is not None
        return self._minute

    def _cell(self, outage: Outage) -> int:
        return outage.service * self.regions + outage.region

    def _count_votes(self, counts: MinuteCounts) -> None:
        self._votes = {}
        if counts.working.any():
            cast = counts.working > 0
            cells = (counts.service * self.regions + counts.region)[cast]
            touched, totals = self.recent.spread(cells, counts.working[cast])
            self._votes = dict(zip(touched.tolist(), totals.tolist(), strict=True))

    def _look_for_gaps(self) -> None:
        """What was silent before it was known to be a gap has been taken for quiet: take that back."""
        for place, since in self.gaps.listen(self._now, self.recent).silent:
            missed = np.arange(since, self._now) % KEPT
            for incident in self.incidents.values():
                for outage in incident.open_regions():
                    if place in (self.tree.world, int(self.tree.country[outage.region])):
                        outage.blind[missed] = 1.0
                        outage.noticed += self._now - since

    def _tidy(self) -> None:
        minute = self._now
        kept = [
            self._cell(o)
            for i in self.incidents.values()
            for o in i.regions.values()
            if o.state in ("down", "recovering", "unknown")
        ]
        worlds = [i.service * self.regions + self.tree.world for i in self.incidents.values()]
        self.recent.forget(minute, [*kept, *worlds])
        self.echo_told = {k: v for k, v in self.echo_told.items() if v > minute - 24 * HOUR}
        self.muted_until = {k: v for k, v in self.muted_until.items() if v > minute}

    def _row(self, outage: Outage) -> int:
        cells, _ = self.recent.spread(np.array([self._cell(outage)]), np.array([0]))
        self.recent.ensure(cells)
        return int(self.recent.row_of[self._cell(outage)])

    def _level(self, service: int, region: int, window: int) -> Level:
        """Counts of a service in a region over the shortest of the windows that covers ``window`` minutes."""
        row = self.recent.row_of[service * self.regions + region]
        at = window_at(window)
        if row < 0:
            cell = np.array([service]), np.array([region])
            mean = self.baseline.expected(*cell, np.array([self._now - window // 2]))[0] * window
            return Level(0.0, float(mean))
        rows = np.array([row], dtype=np.int64)
        return Level(
            float(self.recent.sums(rows, self._now)[0, at]), float(self.recent.expected(rows, self._now)[0, at])
        )

    def _networks(self, service: int, region: int, window: int) -> int | None:
        """Distinct networks of a cell in the last ``window`` minutes, summed over the regions in it; ``None`` where
        nobody recorded any.
        """
        return self._sum(service, region, window, "networks")

    def _distinct_networks(self, service: int, region: int, window: int) -> int | None:
        """The same, with those that reported from several regions of a pool taken once, where that was recorded."""
        if self.tree.has_children[region]:
            once = self._sum(service, region, window, "service_networks")
            if once is not None:
                return once
        return self._networks(service, region, window)

    def _sum(self, service: int, region: int, window: int, name: str) -> int | None:
        told = self.recent.told(name)
        first = max(len(self.recent.minutes) - window, 0)
        if told.last < first:
            return None
        begin = np.searchsorted(told.at, first)
        hit = begin + np.flatnonzero(told.service[begin:] == service)
        inside = (self.tree.lineage[told.region[hit]] == region).any(axis=1)
        return int(told.values[hit][inside].sum())

    def _working(self, service: int, region: int, window: int) -> int:
        return self._sum(service, region, window, "working") or 0

    def _evidence(
        self,
        service: int,
        region: int,
        observed: float,
        expected: float,
        threshold: float,
        window: int,
        rule: str,
        figures: dict[str, float] | None = None,
    ) -> Evidence:
        """The figures of a decision about a cell now, and beside them all that it takes to work them out again."""
        p, row = self.parameters, int(self.recent.row_of[service * self.regions + region])
        level = "world" if region == self.tree.world else "country" if self.tree.depth[region] == 1 else "region"
        inflation = p.pool_null_inflation if self.tree.has_children[region] else p.null_inflation
        dispersion = float(self.baseline.dispersion[service])
        cell = np.array([service]), np.array([region])
        strength = float(self.recent.strength[row] if row >= 0 else self.baseline.levels(*cell)[1][0])
        mean = np.array([inflation * expected + 1e-4])
        shape = null_shape(mean, np.array([dispersion]), np.array([strength]), p.clumping)
        null = {
            "null_inflation": inflation,
            "clumping": p.clumping,
            "dispersion": _digits(dispersion),
            "strength": _digits(strength),
            **self._told_once(service, region, window),
            **_slow_factors(self.recent.slow_factors(row, self._now, window) if row >= 0 else np.ones(1)),
        }
        return Evidence(
            observed=round(float(observed)),
            expected=_digits(expected),
            log10_p=round(float(log10_tail(np.array([observed]), mean, shape)[0]), 4),
            threshold=threshold,
            window_minutes=window,
            window_end=self._now + 1,
            level=level,
            rule=rule,
            networks=self._networks(service, region, window),
            working=self._working(service, region, window),
            baseline_version=self.baseline.version,
            detector_version=DETECTOR_VERSION,
            figures={**(figures or {}), **null},
        )

    def _told_once(self, service: int, region: int, window: int) -> dict[str, float]:
        if not self.tree.has_children[region]:
            return {}
        networks = self._sum(service, region, window, "service_networks")
        return {} if networks is None else {"service_networks": float(networks)}

    def _lately_down(self, service: int, minutes: int) -> set[int]:
        """Regions that are open or were within the last ``minutes``: they explain what a pool saw in that time.

        The rows remember when they were closed also after the incident is resolved.
        """
        recent, incident = self.recent, self.incidents.get(service)
        closed = recent.cell[: recent.used][recent.closed_at[: recent.used] > self._now - minutes]
        ended = closed[closed // self.regions == service] % self.regions
        return set(ended.tolist()) | {o.region for o in (incident.open_regions() if incident else ())}

    def _hold(self, outage: Outage) -> None:
        """Keep the slow factor of the outage's country and of the world as it was: an outage is no slow drift."""
        recent, until = self.recent, self._now + 106
        for service in (outage.service, self.services):
            for region in (self.tree.country[outage.region], self.tree.world):
                row = recent.row_of[service * self.regions + region]
                if row >= 0:
                    recent.held_until[row] = until

    def _end(self, incident: Incident, outage: Outage, how: str) -> None:
        minute, recent = self._now, self.recent
        outage.state = how
        outage.declared = minute
        if how != "forgotten":  # giving up on a region is no news of the outage
            incident.last_change = minute
        cell = self._cell(outage)
        self.down[cell] = 0
        row = recent.row_of[cell]
        if row >= 0:
            recent.closed_at[row] = minute
            recent.tail_from[row] = outage.restored or minute
            recent.tail_size[row] = outage.excess

    @staticmethod
    def _findings(found: Assessment | None) -> dict[str, float]:
        if found is None:
            return {}
        return {
            "probability_restored": round(found.probability, 5),
            "log_evidence_rate": round(found.rate, 3),
            "log_evidence_votes": round(found.votes, 3),
            "excess_before": round(found.excess, 4),
        }

    def _tell(
        self, kind: DecisionKind, incident: Incident, outage: Outage, figures: dict[str, float] | None = None
    ) -> None:
        self._row(outage)
        level = self._level(outage.service, outage.region, TOLD_MINUTES)
        known = outage.span(self._now, self._now - outage.onset + 1)
        since = {
            "minutes_since_onset": len(known),
            "reports_since_onset": float(outage.reports[known].sum()),
            "votes_since_onset": float(outage.votes[known].sum()),
        }
        if kind is DecisionKind.RESTORED and outage.restored is not None:
            after = outage.span(self._now, max(self._now - outage.restored + 1, 0))
            since["minutes_since_restored"] = len(after)
            since["reports_since_restored"] = float(outage.reports[after].sum())
            since["votes_since_restored"] = float(outage.votes[after].sum())
        evidence = self._evidence(
            outage.service,
            outage.region,
            level.observed,
            level.expected,
            0.0,
            TOLD_MINUTES,
            kind.value,
            {**(figures or {}), **since},
        )
        self._decisions.append(
            Decision(
                kind=kind,
                decided=self._now,
                service=outage.service,
                region=outage.region,
                incident=incident.key,
                group=incident.group,
                onset=outage.onset,
                began=incident.onset,
                peak=outage.peak or None,
                peak_reports=outage.peak_reports,
                recovering=outage.recovering,
                restored=outage.restored,
                restored_low=outage.restored_low,
                restored_high=outage.restored_high,
                basis=outage.basis,
                confidence=round(incident.confidence, 4),
                evidence=evidence,
            )
        )

    def _resolve(self, incident: Incident) -> None:
        del self.incidents[incident.service]
        restored = [o.restored for o in incident.regions.values()]
        known = [r for r in restored if r is not None]
        resolved = self._about(incident, DecisionKind.RESOLVED)
        self._decisions.append(
            replace(
                resolved,
                restored=max(known) if len(known) == len(restored) and known else None,
                confidence=round(incident.confidence, 4),
            )
        )

    def _about(self, incident: Incident, kind: DecisionKind) -> Decision:
        """A decision of this minute about an incident as a whole."""
        return Decision(
            kind=kind,
            decided=self._now,
            service=incident.service,
            region=-1,
            incident=incident.key,
            group=incident.group,
            onset=incident.onset,
            began=incident.onset,
        )


def _digits(value: float) -> float:
    """Seven digits: enough to work out everything that rests on it."""
    return float(f"{value:.7g}")


def _slow_factors(newest_first: FloatArray) -> dict[str, float]:
    """The slow factor of the present ten minutes, and those of earlier ones that differ from the next."""
    told = {"slow_factor": _digits(newest_first[0])}
    for back in range(1, len(newest_first)):
        if newest_first[back] != newest_first[back - 1]:
            told[f"slow_factor_{back}"] = _digits(newest_first[back])
    return told


def window_at(minutes: int) -> int:
    """The place in ``WINDOWS`` of the shortest window that covers so many minutes."""
    return min(int(np.searchsorted(np.array(WINDOWS), minutes)), len(WINDOWS) - 1)
