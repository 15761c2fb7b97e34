"""One cycle over all cells: the counts of a minute and the state in, decisions and the new state out.

Live runs and backtests drive this very class, one closed minute at a time, so that what a backtest measures is what
the site does. Nothing in it reads a clock: causality is the order of the calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reports.detection import state
from reports.detection.baseline import Baseline
from reports.detection.confidence import incident_confidence
from reports.detection.decisions import (
    Basis,
    Decision,
    DecisionKind,
    Evidence,
    FloatArray,
    IntArray,
    MinuteCounts,
    SiblingCheck,
    Signal,
    SignalKind,
    Topology,
)
from reports.detection.onset import Rises, estimated_onset, null_shape, rises
from reports.detection.outage import KEPT, PEAK_MINUTES, Incident, Outage
from reports.detection.parameters import WINDOWS, Parameters
from reports.detection.recent import SPAN, Recent
from reports.detection.restoration import Assessment, CrowdHabits, assess, course_likelihood, fading_probability
from reports.detection.scope import Level, common_cause, is_echo, provider_scope, sibling_checks, upstream_confirmed
from reports.detection.tails import log10_tail
from reports.detection.tree import plant

__all__ = ["DETECTOR_VERSION", "Engine", "Parameters"]

DETECTOR_VERSION = "1.0"

_HOUR = 60
LOWERED_RULES = frozenset({"joined", "shared"})
"""Rules that ask less of a cell because others are down."""
_ECHO_WINDOW = 120


class Engine:
    """The detector. Feed it every minute in order with :meth:`step`, quiet ones too."""

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
        self.blind_expected = 0.0
        self.blind = False
        self._minute: int | None = None
        self._first_minute: int | None = None
        self._votes: dict[int, float] = {}
        self._decisions: list[Decision] = []
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

    def skip_to(self, minute: int) -> None:
        """Nothing was collected before ``minute``, the next one to be stepped: no quiet is concluded from the gap."""
        if self._minute is None:
            return
        for missed in range(max(self._minute + 1, minute - KEPT), minute):
            self._minute = missed
            self.recent.add(_nothing(missed))
            for incident in self.incidents.values():
                for outage in incident.open_regions():
                    outage.record(missed, 0.0, 0.0, blind=True)
                    outage.noticed += 1
        self._minute = minute - 1

    def step(self, counts: MinuteCounts, signals: Sequence[Signal] = ()) -> list[Decision]:
        """Take in one closed minute and say what it changes. Minutes must follow each other; ``ValueError``
        otherwise.
        """
        if self._minute is not None and counts.minute != self._minute + 1:
            raise ValueError(f"expected minute {self._minute + 1}, got {counts.minute}; use skip_to for a gap")
        minute = self._minute = counts.minute
        if self._first_minute is None:
            self._first_minute = minute
        self._decisions = []
        rows, _ = self.recent.add(counts)
        self._count_votes(counts)
        self._look_for_gap(rows)
        for signal in signals:
            if signal.given <= minute:
                self._heed(signal)
        if not self.blind and len(rows):
            self._scan(rows)
        for incident in list(self.incidents.values()):
            self._follow(incident)
        if minute % _HOUR == 0:
            self._tidy()
        return self._decisions

    def save(self) -> bytes:
        """Everything needed to go on, keyed by slugs and codes."""
        return state.dump(self)

    @classmethod
    def load(
        cls, topology: Topology, baseline: Baseline, content: bytes, *, parameters: Parameters | None = None
    ) -> Engine:
        """The engine that :meth:`save` wrote, over a topology that may have grown."""
        engine = cls(topology, baseline, parameters=parameters)
        state.restore(engine, content)
        return engine

    # -- the minute ---------------------------------------------------------------------------------------------

    def _count_votes(self, counts: MinuteCounts) -> None:
        self._votes = {}
        if counts.working.any():
            cast = counts.working > 0
            cells = (counts.service * self.regions + counts.region)[cast]
            touched, totals = self.recent.spread(cells, counts.working[cast])
            self._votes = dict(zip(touched.tolist(), totals.tolist(), strict=True))

    def _look_for_gap(self, rows: IntArray) -> None:
        """No report at all where a dozen were due: the collector failed, and what we see is not quiet."""
        if len(rows):
            self.blind = False
            self.blind_expected = 0.0
            return
        row = self.recent.row_of[self.services * self.regions + self.tree.world]
        if row >= 0:
            self.blind_expected += float(self.recent.course(int(row), self.recent.minutes[-1].minute, 1)[0])
            self.blind = self.blind_expected >= self.parameters.gap_expected

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
        self.echo_told = {k: v for k, v in self.echo_told.items() if v > minute - 24 * _HOUR}
        self.muted_until = {k: v for k, v in self.muted_until.items() if v > minute}

    @property
    def _now(self) -> int:
        assert self._minute is not None
        return self._minute

    def _cell(self, outage: Outage) -> int:
        return outage.service * self.regions + outage.region

    # -- onset --------------------------------------------------------------------------------------------------

    def _scan(self, rows: IntArray) -> None:
        p, recent, minute = self.parameters, self.recent, self._now
        cells = recent.cell[rows]
        real = cells < self.services * self.regions
        look = np.where(real, self.down[np.where(real, cells, 0)] == 0, minute % p.shared_every == 0)
        rows = rows[look]
        observed = recent.sums(rows, minute)[:, :-1].astype(np.float64)
        # The screens that nearly everything fails, before anything dearer is looked up.
        enough = observed[:, -1] >= p.joined_reports
        rows, observed = rows[enough], observed[enough]
        if not len(rows):
            return
        expected = recent.expected(rows, minute)[:, :-1]
        tails = recent.tail_size[rows] > 0
        if tails.any():
            expected[tails] += self._late(rows[tails])
        risen = ((observed >= p.joined_reports) & (observed >= p.least_ratio * expected)).any(axis=1)
        if not risen.any():
            return
        rows, observed, expected = rows[risen], observed[risen], expected[risen]
        cells = recent.cell[rows]
        service, region = np.divmod(cells, self.regions)
        real = service < self.services
        pool = self.tree.has_children[region]
        least = np.where(pool, p.pool_reports, p.leaf_reports)
        loosest = np.where(pool, p.pool_log10, p.leaf_log10)
        longest = np.where(pool, p.pool_window, WINDOWS[-1])
        closed = minute - recent.closed_at[rows]
        cooling = closed < p.cooling_minutes
        lineage = self.tree.lineage[region]
        shared = ((self.shared_until[lineage] > minute) & (lineage >= 0)).any(axis=1) & ~cooling & real
        loosest = np.where(shared & ~pool, p.shared_log10, loosest)
        least = np.where(shared & ~pool, p.joined_reports, least)
        joined = np.zeros(len(rows), dtype=np.bool_)
        if self.incidents:
            above = self.down[np.where(real, service, 0)[:, None] * self.regions + np.maximum(lineage, 0)] == 1
            above[:, 0] = False
            joined = (above & (lineage >= 0)).any(axis=1) & real & ~cooling & ~pool
            loosest = np.where(joined, p.joined_log10, loosest)
            least = np.where(joined, p.joined_reports, least)
        young = recent.baseline.exposure[service] < p.young_minutes
        least = np.where(young, np.maximum(least, p.unknown_reports), least)
        loosest = np.where(young, np.minimum(loosest, p.leaf_log10), loosest)
        loosest = np.where(service == self.services, p.shared_pool_log10, loosest)
        longest = np.where(service == self.services, 30, longest)
        longest = np.where(cooling, np.minimum(closed, longest), longest)
        inflation = np.where(pool & real, p.pool_null_inflation, p.null_inflation)
        least = np.where(young & ~real, 10**9, least)
        strength = recent.strength[rows]
        found = rises(observed, expected, recent.dispersion[service], strength, least, loosest, longest, inflation, p)
        if not len(found.index):
            return
        index = found.index
        # The deepest first: a pool must know which of its parts are already down.
        for k in np.argsort(-self.tree.depth[region[index]], kind="stable"):
            i = index[k]
            rule = "shared" if shared[i] and not pool[i] else "joined" if joined[i] else "pool" if pool[i] else "cell"
            self._consider(int(rows[i]), int(service[i]), int(region[i]), found, int(k), rule, float(loosest[i]))

    def _late(self, rows: IntArray) -> FloatArray:
        """Reports still to come after a restoration, per window: no new outage is seen in them."""
        p, recent = self.parameters, self.recent
        end = self._now + 1 - recent.tail_from[rows][:, None]
        start = np.maximum(end - np.array(WINDOWS)[None, :], 0)
        amount = np.exp(-start / p.late_minutes) - np.exp(-end / p.late_minutes)
        late: FloatArray = recent.tail_size[rows][:, None] * p.late_minutes * amount
        return late

    def _consider(self, row: int, service: int, region: int, found: Rises, k: int, rule: str, threshold: float) -> None:
        """A cell rose beyond its threshold: open it, unless something else explains the rise."""
        window = int(found.window[k])
        if service == self.services:
            self._consider_shared(region, window)
            return
        if self.muted_until.get(service, -1) > self._now:
            return
        if rule == "pool" and not self._broad(service, region, window):
            return
        networks = self._networks(service, region, WINDOWS[window])
        if networks is not None and networks < self.parameters.least_networks:
            return
        if self.recent.baseline.exposure[service] < self.parameters.young_minutes and not self._changed(row):
            return
        evidence = self._evidence(
            service, region, found.observed[k], found.expected[k], found.log10_p[k], threshold, WINDOWS[window], rule
        )
        if service not in self.incidents:
            big = self._echo_of(service, region)
            if big is not None:
                self._tell_echo(service, big, evidence)
                return
        self._open(row, service, region, evidence)

    def _consider_shared(self, region: int, window: int) -> None:
        """All services of a region together rose: if several did, and the rise stays without its biggest,
        lower the bar.
        """
        p, recent, minute = self.parameters, self.recent, self._now
        cells = np.arange(self.services) * self.regions + region
        every = recent.row_of[cells].astype(np.int64)
        rows = every[every >= 0]
        observed = recent.sums(rows, minute)[:, window].astype(np.float64)
        expected = recent.expected(rows, minute)[:, window]
        rising = (observed >= 2) & (observed > p.least_ratio * expected)
        if rising.sum() < p.common_services:
            return
        top = int(np.argmax(observed - expected))
        n = observed.sum() - observed[top]
        e = max(float(expected.sum() - expected[top]), 1e-4)
        if n < 4 or n < 1.7 * e:
            return
        mean = np.array([1.2 * e + 1e-4])
        shape = null_shape(mean, np.array([0.03]), np.array([1e9]), p.clumping)
        if log10_tail(np.array([n]), mean, shape)[0] < 0.6 * p.shared_pool_log10:
            self.shared_until[region] = minute + p.shared_minutes

    def _broad(self, service: int, region: int, window: int) -> bool:
        """Whether a pool still exceeds without the parts that are down already and without its most excessive one."""
        p, recent, minute = self.parameters, self.recent, self._now
        own = recent.row_of[service * self.regions + region]
        children = self.tree.children[region]
        rows = recent.row_of[service * self.regions + children]
        children, rows = children[rows >= 0], rows[rows >= 0].astype(np.int64)
        inside = [
            o.region for o in self._open_regions(service) if o.region != region and region in self.tree.above[o.region]
        ]
        largest = [r for r in inside if not any(q != r and q in self.tree.above[r] for q in inside)]
        down_rows = recent.row_of[service * self.regions + np.array(largest, dtype=np.int64)].astype(np.int64)
        every = np.concatenate([[own], rows, down_rows]).astype(np.int64)
        n = recent.sums(every, minute)[:, window].astype(np.float64)
        e = recent.expected(every, minute)[:, window]
        child_n, child_e = n[1 : 1 + len(rows)].copy(), e[1 : 1 + len(rows)].copy()
        for r, down_n, down_e in zip(largest, n[1 + len(rows) :], e[1 + len(rows) :], strict=True):
            for j in np.flatnonzero(np.isin(children, self.tree.lineage[r])):
                child_n[j] -= down_n
                child_e[j] -= down_e
        rest_n = n[0] - n[1 + len(rows) :].sum()
        rest_e = e[0] - e[1 + len(rows) :].sum()
        if len(rows):
            top = int(np.argmax(child_n - child_e))
            if child_n[top] > child_e[top]:
                rest_n -= child_n[top]
                rest_e -= child_e[top]
        rest_e = max(float(rest_e), 1e-4)
        if rest_n < 3 or rest_n < p.least_ratio * rest_e:
            return False
        mean = np.array([p.pool_null_inflation * rest_e + 1e-4])
        shape = null_shape(mean, recent.dispersion[[service]], recent.strength[[own]], p.clumping)
        return bool(log10_tail(np.array([rest_n]), mean, shape)[0] < 0.5 * p.pool_log10)

    def _changed(self, row: int) -> bool:
        """Where less than a day is known: whether the last quarter of an hour differs from the two hours before it."""
        minute = self._now
        assert self._first_minute is not None
        seen = min(minute - self._first_minute + 1, SPAN - 8)
        if seen < 30:
            return False
        course = self.recent.ordered(row, minute, seen)
        now, past = course[-15:].sum(), course[:-15].sum()
        usual = (past + 1.0) * 15.0 / (seen - 15)
        return bool(now >= self.parameters.young_ratio * usual)

    def _networks(self, service: int, region: int, window: int) -> int | None:
        """Distinct networks of a cell in the last ``window`` minutes; ``None`` where nobody recorded any."""
        total, known = 0, False
        for past in list(self.recent.minutes)[-window:]:
            if past.networks is None:
                continue
            known = True
            hit = past.cells // self.regions == service
            if hit.any():
                inside = (self.tree.lineage[past.cells[hit] % self.regions] == region).any(axis=1)
                total += int(past.networks[hit][inside].sum())
        return total if known else None

    def _working(self, service: int, region: int, window: int) -> int:
        total = 0
        for past in list(self.recent.minutes)[-window:]:
            hit = (past.cells // self.regions == service) & (past.working > 0)
            if hit.any():
                inside = (self.tree.lineage[past.cells[hit] % self.regions] == region).any(axis=1)
                total += int(past.working[hit][inside].sum())
        return total

    def _evidence(
        self,
        service: int,
        region: int,
        observed: float,
        expected: float,
        log10_p: float,
        threshold: float,
        window: int,
        rule: str,
        figures: dict[str, float] | None = None,
    ) -> Evidence:
        level = "world" if region == self.tree.world else "country" if self.tree.depth[region] == 1 else "region"
        return Evidence(
            observed=round(float(observed)),
            expected=round(float(expected), 4),
            log10_p=round(float(log10_p), 2),
            threshold=threshold,
            window_minutes=window,
            window_end=self._now + 1,
            level=level,
            rule=rule,
            networks=self._networks(service, region, window),
            working=self._working(service, region, window),
            baseline_version=self.baseline.version,
            detector_version=DETECTOR_VERSION,
            figures=figures or {},
        )

    # -- scope --------------------------------------------------------------------------------------------------

    def _level(self, service: int, region: int, window: int) -> Level:
        """Counts of a service in a region over the shortest of the windows that covers ``window`` minutes."""
        row = self.recent.row_of[service * self.regions + region]
        at = _window_at(window)
        if row < 0:
            cell = np.array([service]), np.array([region])
            mean = self.baseline.expected(*cell, np.array([self._now - window // 2]))[0] * window
            return Level(0.0, float(mean))
        rows = np.array([row], dtype=np.int64)
        return Level(
            float(self.recent.sums(rows, self._now)[0, at]), float(self.recent.expected(rows, self._now)[0, at])
        )

    def _echo_of(self, service: int, region: int) -> Incident | None:
        """The incident that explains the rise of ``service``, if one does: in this country, and in the world
        as well.
        """
        for incident in self.incidents.values():
            if incident.service == service:
                continue
            siblings = self.topology.providers[incident.service] == self.topology.providers[service]
            if all(
                is_echo(
                    self._level(service, place, _ECHO_WINDOW),
                    self._level(incident.service, place, _ECHO_WINDOW),
                    siblings=siblings,
                    parameters=self.parameters,
                )
                for place in {int(self.tree.country[region]), self.tree.world}
            ):
                return incident
        return None

    def _tell_echo(self, service: int, big: Incident, evidence: Evidence) -> None:
        key = (service, big.service)
        if self.echo_told.get(key, -(10**9)) >= big.opened:
            return
        self.echo_told[key] = self._now
        own, other = (self._level(s, self.tree.world, _ECHO_WINDOW) for s in key)
        figures = {
            "echo_observed": own.observed,
            "echo_expected": round(own.expected, 2),
            "other_observed": other.observed,
            "other_expected": round(other.expected, 2),
            "share_of_excess": round(own.excess / max(other.excess, 1.0), 5),
        }
        self._decisions.append(
            Decision(
                kind=DecisionKind.ECHO,
                decided=self._now,
                service=service,
                region=-1,
                incident=big.key,
                group=big.group,
                echo_of=big.key,
                evidence=_with_figures(evidence, figures),
            )
        )

    def _checks(self, incident: Incident) -> tuple[SiblingCheck, ...]:
        siblings = [s for s in self._siblings[incident.service] if s != incident.service]
        if not siblings:
            return ()
        window = WINDOWS[_window_at(min(max(self._now - incident.onset + 1, 5), WINDOWS[-1]))]
        levels = {s: self._level(s, self.tree.world, window) for s in siblings[:50]}
        echoes = [
            s for s, big in self.echo_told if big == incident.service and self.echo_told[s, big] >= incident.opened
        ]
        return sibling_checks(incident.service, levels, self.incidents, echoes, window)

    def _regroup(self, incident: Incident) -> None:
        """Put an incident that has just begun or grown into the group it belongs to."""
        others = [i for i in self.incidents.values() if i is not incident]
        siblings = [i for i in others if i.service in self._siblings[incident.service]]
        if siblings:
            members = [incident, *siblings]
            name = self.topology.providers[incident.service]
        else:
            if self._now - incident.opened > self.parameters.shared_minutes:
                return
            members = common_cause(incident, others, self.parameters)
            name = "common"
        if not members:
            return
        group = next((i.group for i in sorted(members, key=lambda i: i.opened) if i.group), f"{name}@{self._now}")
        services = [i.service for i in members]
        by_service = {i.service: i for i in members}
        if upstream_confirmed(self.topology, services, by_service):
            scope = "upstream suspected"
        elif siblings:
            scope = provider_scope(self._siblings[incident.service], services)
        else:
            scope = incident.scope
        for member in members:
            if member.group != group or (siblings and member.scope != scope):
                member.group, member.scope = group, scope or member.scope
                self._decisions.append(
                    Decision(
                        kind=DecisionKind.GROUPED,
                        decided=self._now,
                        service=member.service,
                        region=-1,
                        incident=member.key,
                        group=group,
                        onset=member.onset,
                        scope=member.scope,
                        siblings=self._checks(member),
                    )
                )

    # -- opening ------------------------------------------------------------------------------------------------

    def _open_regions(self, service: int) -> list[Outage]:
        incident = self.incidents.get(service)
        return incident.open_regions() if incident else []

    def _open(self, row: int, service: int, region: int, evidence: Evidence) -> None:
        minute, recent = self._now, self.recent
        incident = self.incidents.get(service)
        if incident is not None and self._dormant(incident):
            for outage in incident.open_regions():
                self._end(incident, outage, "forgotten")
            self._resolve(incident)
            incident = None
        fresh = incident is None
        if incident is None:
            key = f"{self.topology.services[service]}@{minute}"
            incident = Incident(key=key, service=service, opened=minute, onset=minute, scope="product")
            self.incidents[service] = incident
        before = incident.regions.get(region)
        reach = self.parameters.onset_reach
        usual = recent.course(row, minute, reach)
        if recent.tail_size[row] > 0:
            age = np.arange(minute - reach + 1, minute + 1) - recent.tail_from[row]
            usual = usual + recent.tail_size[row] * np.exp(-np.maximum(age, 0) / self.parameters.late_minutes) * (
                age >= 0
            )
        onset = minute + 1 - estimated_onset(recent.ordered(row, minute, reach), usual)
        own = evidence.rule not in LOWERED_RULES
        if not own and incident.regions:
            # A few scattered reports long before are not the beginning of what others began.
            onset = max(onset, min(incident.earliest() - self.parameters.onset_lead, minute))
        if before is not None:
            onset = max(onset, (before.declared or minute) - 1)
        first = minute - SPAN + 1
        outage = Outage(
            service=service, region=region, incident=incident.key, onset=onset, detected=minute, first=first, own=own
        )
        outage.reports[np.arange(first, minute) % KEPT] = recent.ordered(row, minute, SPAN)[:-1]
        self._recall_votes(outage)
        outage.noticed = minute
        outage.confidence = incident_confidence(evidence)
        if before is not None:
            outage.onset, outage.detected = before.onset, before.detected
            outage.peak, outage.peak_reports, outage.told_peak = before.peak, before.peak_reports, before.told_peak
            outage.total_reports, outage.total_votes = before.total_reports, before.total_votes
        incident.regions[region] = outage
        incident.onset = incident.earliest()
        # Regions that joined at a lowered bar prove nothing that the first did not.
        incident.confidence = max(incident.confidence, outage.confidence if own else 0.0)
        incident.last_change = minute
        self.down[self._cell(outage)] = 1
        self._hold(outage)
        self._decisions.append(
            Decision(
                kind=DecisionKind.OPENED if before is None else DecisionKind.REOPENED,
                decided=minute,
                service=service,
                region=region,
                incident=incident.key,
                group=incident.group,
                onset=onset,
                began=incident.onset,
                peak=outage.peak or minute,
                peak_reports=max(outage.peak_reports, round(outage.recent(minute - 1, PEAK_MINUTES))),
                confidence=round(incident.confidence, 4),
                scope=incident.scope if fresh else "",
                evidence=evidence,
                siblings=self._checks(incident) if fresh else (),
            )
        )
        self._regroup(incident)

    def _dormant(self, incident: Incident) -> bool:
        """Whether nothing has been heard from an incident for so long that a new rise is another outage."""
        regions = incident.regions.values()
        if any(o.state in ("down", "recovering") for o in regions):
            return False
        last = max((o.restored or o.noticed) for o in regions)
        return self._now - last >= self.parameters.separate_minutes

    def _recall_votes(self, outage: Outage) -> None:
        for past in self.recent.minutes:
            if past.minute >= self._now or not past.working.any():
                continue
            hit = past.cells // self.regions == outage.service
            inside = (self.tree.lineage[past.cells[hit] % self.regions] == outage.region).any(axis=1)
            outage.votes[past.minute % KEPT] = past.working[hit][inside].sum()

    def _hold(self, outage: Outage) -> None:
        """Keep the slow factor of the outage's country and of the world as it was: an outage is no slow drift."""
        recent, until = self.recent, self._now + 106
        for service in (outage.service, self.services):
            for region in (self.tree.country[outage.region], self.tree.world):
                row = recent.row_of[service * self.regions + region]
                if row >= 0:
                    recent.held_until[row] = until

    # -- following an open incident -----------------------------------------------------------------------------

    def _follow(self, incident: Incident) -> None:
        minute = self._now
        open_regions = incident.open_regions()
        incident.voices = None
        for outage in open_regions:
            self._watch(incident, outage, open_regions)
        if any(o.state in ("down", "recovering", "unknown") for o in open_regions):
            return
        if minute - incident.last_change >= self.parameters.settled_minutes:
            self._resolve(incident)

    def _resolve(self, incident: Incident) -> None:
        del self.incidents[incident.service]
        restored = [o.restored for o in incident.regions.values()]
        known = [r for r in restored if r is not None]
        self._decisions.append(
            Decision(
                kind=DecisionKind.RESOLVED,
                decided=self._now,
                service=incident.service,
                region=-1,
                incident=incident.key,
                group=incident.group,
                onset=incident.onset,
                restored=max(known) if len(known) == len(restored) and known else None,
                confidence=round(incident.confidence, 4),
            )
        )

    def _watch(self, incident: Incident, outage: Outage, siblings: list[Outage]) -> None:
        p, minute = self.parameters, self._now
        cell = self._cell(outage)
        row = int(self.recent.row_of[cell])
        count = 0.0
        if row >= 0:
            count = float(self.recent.counts[row, minute % SPAN])
        else:
            row = self._row(outage)
        outage.record(minute, count, self._votes.get(cell, 0.0), self.blind)
        if self.blind:
            outage.noticed += 1
            return
        if outage.state != "unknown":
            self.down[cell] = 1 if minute - outage.noticed <= p.lively_minutes else 2
        if minute - outage.detected < p.held_minutes:
            self._hold(outage)
        self._note_peak(incident, outage)
        usual = self.recent.course(row, minute, 60)
        lately = outage.recent(minute, 20)
        if lately > 2.0 * usual[-20:].sum() + 1.5:
            if outage.state == "unknown" and lately > 3.0 * usual[-20:].sum() + 4:
                if minute - outage.noticed >= p.separate_minutes:
                    # After such a silence this is no continuation that we could vouch for: let it open anew.
                    self._end(incident, outage, "forgotten")
                    return
                self._return(incident, outage)
            if outage.state != "unknown":
                outage.noticed = minute
        if minute - outage.detected == 10:
            self._refine_onset(incident, outage, row)
        if outage.declared is not None and minute - outage.declared < 3:
            return
        # Only for a pool: with hundreds of regions down, asking each about all others would take seconds a minute.
        if self.tree.has_children[outage.region] and self._is_sum(incident, outage):
            parts = [o for o in siblings if o is not outage and outage.region in self.tree.above[o.region]]
            if not any(o.state in ("down", "recovering", "unknown") for o in parts):
                self._close_sum(incident, outage, lately, float(usual[-20:].sum()))
            return
        if minute - outage.detected < 5 or minute - outage.onset < p.least_age:
            return
        self._judge(incident, outage, row, usual)

    def _row(self, outage: Outage) -> int:
        cells, _ = self.recent.spread(np.array([self._cell(outage)]), np.array([0]))
        self.recent.ensure(cells)
        return int(self.recent.row_of[self._cell(outage)])

    def _is_sum(self, incident: Incident, outage: Outage) -> bool:
        """Whether the outage of a pool was carried by regions in it that went down one by one."""
        return any(o is not outage and outage.region in self.tree.above[o.region] for o in incident.regions.values())

    def _note_peak(self, incident: Incident, outage: Outage) -> None:
        five = round(outage.recent(self._now, PEAK_MINUTES))
        if five <= outage.peak_reports:
            return
        outage.peak_reports, outage.peak = five, self._now
        if self._now - outage.detected >= 3 and five >= 1.2 * outage.told_peak + 2:
            outage.told_peak = five
            self._tell(DecisionKind.UPDATED, incident, outage)

    def _refine_onset(self, incident: Incident, outage: Outage, row: int) -> None:
        """Ten minutes later the course shows better where it began."""
        p, minute = self.parameters, self._now
        reach = min(p.onset_reach + 10, SPAN)
        counts = outage.reports[outage.span(minute, reach)]
        usual = self.recent.course(row, minute, len(counts))
        onset = minute + 1 - estimated_onset(counts[:], usual)
        if not outage.own:
            onset = max(onset, min(incident.earliest() - p.onset_lead, outage.onset))
        if onset < outage.detected and abs(onset - outage.onset) >= 2:
            outage.onset = onset
            incident.onset = incident.earliest()
            self._tell(DecisionKind.UPDATED, incident, outage)

    def _judge(self, incident: Incident, outage: Outage, row: int, usual: FloatArray) -> None:
        p, minute = self.parameters, self._now
        five = outage.recent(minute, 5)
        ten = outage.recent(minute, 10)
        voted = outage.votes[outage.span(minute, 15)].sum() > 0
        earlier = max(outage.recent(minute - 10, 20) - usual[-30:-10].sum(), 0.0) / 20.0
        falling = ten - usual[-10:].sum() <= 0.75 * 10 * earlier + 1
        if outage.state == "unknown" and not voted and not outage.said and minute % 10:
            return
        if not falling and not voted and not outage.said:
            return
        if minute < outage.judge_at and not voted:
            return
        span = outage.span(minute, KEPT)
        kin = self._kin(incident, outage)
        found = assess(
            outage.reports[span],
            outage.votes[span],
            self.recent.course(row, minute, len(span)),
            outage.blind[span],
            max(outage.onset - (minute - len(span) + 1), 0),
            self.habits,
            p,
            kin=kin,
            said=outage.said - (minute - len(span) + 1) if outage.said else None,
        )
        outage.judge_at = minute + (
            1 if found and found.probability > 0.6 else 3 if found and found.probability > 0.1 else 6
        )
        if found is not None:
            # Once the onset has left the memory, a course that is only its end would look steady.
            if not outage.shape or outage.onset >= minute - len(span):
                outage.shape = tuple(found.shape.tolist())
            quiet = five <= usual[-5:].sum() + 0.45 * 5 * found.excess + 1
            basis = self._basis(outage, found, kin)
            if quiet and basis is not None:
                outage.basis = basis
                self._restore(incident, outage, found, minute - len(span) + 1)
                return
            if outage.state == "down" and found.probability >= 0.5:
                outage.state = "recovering"
                outage.recovering = minute
                self._tell(DecisionKind.RECOVERING, incident, outage, self._findings(found))
        if outage.state != "unknown" and minute - outage.noticed >= p.silent_minutes:
            outage.state = "unknown"
            self.down[self._cell(outage)] = 2
            self._learn(outage, outage.noticed)
            self._tell(DecisionKind.UNKNOWN, incident, outage, self._findings(found))
        elif outage.state == "unknown" and minute - outage.noticed >= p.forgotten_minutes:
            self._end(incident, outage, "forgotten")

    def _kin(self, incident: Incident, outage: Outage) -> FloatArray:
        """What the other regions of the incident say about how this crowd's reports fade; each has a limited voice."""
        voices = incident.voices
        # Gathered once a minute: with a thousand regions down, each asking all others would take seconds.
        if voices is None:
            voices = incident.voices = np.zeros(1 + len(self.parameters.fatigue))
            for other in incident.regions.values():
                voices += self._voice(other)
        total = voices - self._voice(outage)
        result: FloatArray = np.maximum(total - total.max(), -6.0)
        return result

    def _voice(self, outage: Outage) -> FloatArray:
        if not outage.shape or self.tree.has_children[outage.region]:
            return np.zeros(1 + len(self.parameters.fatigue))
        shape = np.array(outage.shape)
        voice: FloatArray = np.maximum(shape - shape.max(), -2.0)
        return voice

    def _basis(self, outage: Outage, found: Assessment, kin: FloatArray) -> Basis | None:
        """On what grounds the region may be called restored now; ``None`` if on none."""
        p = self.parameters
        # Few votes, and old ones among them: those still to come would move the estimate. Wait for them.
        cast = outage.votes[outage.span(self._now, p.vote_window)].sum()
        if cast >= p.least_votes and found.votes > 0 and found.probability >= p.certainty_votes:
            return Basis.VOTES
        if found.probability < p.certainty:
            return None
        if outage.said:
            return Basis.STATEMENT
        steady = fading_probability(np.array(outage.shape), kin, self.habits) <= p.fading_most
        # A cliff that not even the fastest tiring would explain needs no trust in the crowd's habits.
        cliff = found.worst >= p.cliff_evidence
        return Basis.RATE if (steady or cliff) and outage.state != "unknown" else None

    def _return(self, incident: Incident, outage: Outage) -> None:
        outage.state = "down"
        outage.recovering = None
        self.down[self._cell(outage)] = 1
        self._tell(DecisionKind.REOPENED, incident, outage)

    def _restore(self, incident: Incident, outage: Outage, found: Assessment, origin: int) -> None:
        p = self.parameters
        outage.restored = max(origin + found.restored, outage.onset + 1)
        outage.restored_low = min(max(origin + found.low, outage.onset), outage.restored)
        outage.restored_high = max(origin + found.high, outage.restored)
        outage.excess = found.excess
        outage.restored_low = max(outage.restored_low - p.interval_slack, outage.onset)
        outage.restored_high += p.interval_slack
        if outage.basis is Basis.STATEMENT:
            # Back by then, says the provider; it may have been any time since people were last heard in numbers.
            outage.restored_low = max(min(outage.restored_low, outage.noticed), outage.onset)
        self._learn(outage, origin + found.restored)
        self._end(incident, outage, "restored")
        self._tell(DecisionKind.RESTORED, incident, outage, self._findings(found))

    def _close_sum(self, incident: Incident, outage: Outage, lately: float, usual: float) -> None:
        """A pool is back when all its parts are and the rest of it is quiet."""
        parts = [o for o in incident.regions.values() if o is not outage and outage.region in self.tree.above[o.region]]
        if lately > 2.0 * usual + 2 + 20 * 0.1 * sum(o.excess for o in parts):
            return
        if self._now - max((o.declared or o.noticed) for o in parts) < 5:
            return
        if any(o.restored is None for o in parts):
            self._end(incident, outage, "forgotten")
            self._tell(DecisionKind.UNKNOWN, incident, outage)
            return
        last = max(parts, key=lambda o: o.restored or 0)
        outage.restored, outage.basis = last.restored, last.basis
        outage.restored_low, outage.restored_high = last.restored_low, last.restored_high
        outage.excess = sum(o.excess for o in parts)
        self._end(incident, outage, "restored")
        self._tell(DecisionKind.RESTORED, incident, outage)

    def _end(self, incident: Incident, outage: Outage, how: str) -> None:
        minute, recent = self._now, self.recent
        outage.state = how
        outage.declared = minute
        incident.last_change = minute
        cell = self._cell(outage)
        self.down[cell] = 0
        row = recent.row_of[cell]
        if row >= 0:
            recent.closed_at[row] = minute
            recent.tail_from[row] = outage.restored or minute
            recent.tail_size[row] = outage.excess

    def _learn(self, outage: Outage, until: int) -> None:
        """Remember how this crowd behaved: whether its reports lasted, and whether it votes."""
        span = outage.span(self._now, KEPT)
        origin = self._now - len(span) + 1
        onset, end = max(outage.onset - origin, 0), min(until - origin, len(span) - 1)
        if end - onset >= 15:
            total = np.concatenate([[0.0], np.cumsum(outage.reports[span])])
            usual = np.concatenate([[0.0], np.cumsum(self.recent.course(self._row(outage), self._now, len(span)))])
            excess = total[end] - total[onset] - (usual[end] - usual[onset])
            if excess >= 20:
                at = np.array([end])
                before = np.array([excess / (end - onset)])
                likelihood = course_likelihood(at, onset, total, usual, before, self.parameters)[:, 0]
                weight = np.exp(likelihood - likelihood.max()) * self.habits.fading / self.habits.fading.sum()
                self.habits.fading = 0.98 * self.habits.fading + weight / weight.sum() * min(1.0, excess / 60)
        self.habits.reports += outage.total_reports
        self.habits.votes += outage.total_votes

    # -- words from outside -------------------------------------------------------------------------------------

    def _heed(self, signal: Signal) -> None:
        incident = self.incidents.get(signal.service)
        if signal.kind is SignalKind.ADMIN_DOWN:
            self._open_by_hand(signal)
            return
        if incident is None:
            if signal.kind is SignalKind.ADMIN_REJECTED:
                self.muted_until[signal.service] = self._now + 6 * _HOUR
            return
        chosen = [o for o in incident.open_regions() if signal.region < 0 or signal.region in self.tree.above[o.region]]
        if signal.kind is SignalKind.STATEMENT_RESTORED:
            for outage in chosen:
                outage.said = signal.at
        elif signal.kind is SignalKind.ADMIN_RESTORED:
            for outage in chosen:
                outage.restored = outage.restored_low = outage.restored_high = max(signal.at, outage.onset)
                outage.basis = Basis.ADMIN
                outage.excess = outage.recent(self._now, 20) / 20
                self._end(incident, outage, "restored")
                self._tell(DecisionKind.RESTORED, incident, outage)
        else:
            for outage in chosen:
                outage.excess = outage.recent(self._now, 20) / 20
                self._end(incident, outage, "withdrawn")
                self._tell(DecisionKind.WITHDRAWN, incident, outage)
            self.muted_until[signal.service] = self._now + 6 * _HOUR
            if not incident.open_regions():
                self._resolve(incident)

    def _open_by_hand(self, signal: Signal) -> None:
        region = signal.region if signal.region >= 0 else self.tree.world
        incident = self.incidents.get(signal.service)
        already = incident.regions.get(region) if incident else None
        if incident is not None and already is not None and already.state in ("down", "recovering", "unknown"):
            incident.by_hand = True
            return
        cell = np.array([signal.service * self.regions + region])
        cells, _ = self.recent.spread(cell, np.array([0]))
        self.recent.ensure(cells)
        row = int(self.recent.row_of[cell[0]])
        level = self._level(signal.service, region, _HOUR)
        self.muted_until.pop(signal.service, None)
        evidence = self._evidence(signal.service, region, level.observed, level.expected, 0.0, 0.0, _HOUR, "admin")
        self._open(row, signal.service, region, evidence)
        incident = self.incidents[signal.service]
        incident.by_hand = True
        outage = incident.regions[region]
        outage.onset = min(outage.onset, signal.at)

    # -- telling ------------------------------------------------------------------------------------------------

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
        level = self._level(outage.service, outage.region, 20)
        evidence = self._evidence(
            outage.service, outage.region, level.observed, level.expected, 0.0, 0.0, 20, kind.value, figures
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


def _window_at(minutes: int) -> int:
    return min(int(np.searchsorted(np.array(WINDOWS), minutes)), len(WINDOWS) - 1)


def _with_figures(evidence: Evidence, figures: dict[str, float]) -> Evidence:
    return replace(evidence, figures={**evidence.figures, **figures})


def _nothing(minute: int) -> MinuteCounts:
    none = np.zeros(0, dtype=np.int64)
    return MinuteCounts(minute=minute, service=none, region=none, reports=none, working=none)
