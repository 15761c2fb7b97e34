"""From a rise to an open region: which cells exceed, what explains them, what belongs together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reports.detection.decisions import (
    REINSTATED,
    BoolArray,
    Decision,
    DecisionKind,
    Evidence,
    FloatArray,
    IntArray,
)
from reports.detection.grouping import Grouping
from reports.detection.onset import Rises, estimated_onset, null_shape, rises
from reports.detection.outage import KEPT, PEAK_MINUTES, Incident, Outage
from reports.detection.parameters import WINDOWS
from reports.detection.recent import SPAN
from reports.detection.scope import is_echo
from reports.detection.tails import log10_tail
from reports.detection.weighing import Weighing

LOWERED_RULES = frozenset({"joined", "shared"})
"""Rules that ask less of a cell because others are down."""
_ECHO_WINDOW = 120
_ECHO_NOW = 12
"""A rise is an echo only where it is one in both: over the shorter window a service that falls later shows itself, over
the longer one a flood that ebbs still explains the small talk about others."""
_ROUNDS = 4
"""How often the cells of a service are looked at again in one minute while its regions join."""


class Opening(Grouping, Weighing):
    """The part of a cycle that looks for onsets."""

    def _scan(self, rows: IntArray) -> None:
        """Look at the cells with a new report; then at those for which what just opened has lowered the bar."""
        services, shared = self._look(rows)
        for _ in range(_ROUNDS):
            if not services and not shared:
                return
            cells = [service * self.regions + np.arange(self.regions) for service in sorted(services)]
            cells += [np.arange(self.services) * self.regions + region for region in sorted(shared)]
            again = self.recent.row_of[np.unique(np.concatenate(cells))].astype(np.int64)
            services, shared = self._look(again[again >= 0])

    def _look(self, rows: IntArray) -> tuple[set[int], set[int]]:
        """Open what passes its threshold in ``rows``; the services in which something opened, and the regions where
        the bar fell for all services.
        """
        p, recent, minute = self.parameters, self.recent, self._now
        services: set[int] = set()
        regions: set[int] = set()
        cells = recent.cell[rows]
        service, region = np.divmod(cells, self.regions)
        real = service < self.services
        falling = np.zeros(self.services + 1, dtype=np.bool_)
        falling[list(self.incidents)] = True
        lowered = falling[service] | (self.shared_until[self.tree.lineage[region]] > minute).any(axis=1)
        least = np.where(self.tree.has_children[region], p.pool_reports, p.leaf_reports)
        least = np.where(lowered, p.soon_reports, least)
        observed = recent.sums(rows, minute)[:, :-1].astype(np.float64)
        # The screens that nearly everything fails, before anything dearer is looked up.
        enough = observed[:, -1] >= least
        enough &= ~real | (self.down[np.where(real, cells, 0)] == 0)
        rows, observed = rows[enough], observed[enough]
        if not len(rows):
            return services, regions
        expected = recent.expected(rows, minute)[:, :-1]
        tails = recent.tail_size[rows] > 0
        if tails.any():
            expected[tails] += self._late(rows[tails])
        risen = ((observed >= p.soon_reports) & (observed >= p.shared_ratio * expected)).any(axis=1)
        if not risen.any():
            return services, regions
        rows, observed, expected = rows[risen], observed[risen], expected[risen]
        cells = recent.cell[rows]
        service, region = np.divmod(cells, self.regions)
        real = service < self.services
        pool = self.tree.has_children[region]
        least = np.where(pool, p.pool_reports, p.leaf_reports)
        loosest = np.where(pool, p.pool_log10, p.leaf_log10)
        burst = np.where(pool, p.pool_burst_log10, p.burst_log10) * real
        longest = np.where(pool, p.pool_window, WINDOWS[-1])
        closed = minute - recent.closed_at[rows]
        cooling = closed < p.cooling_minutes
        lineage = self.tree.lineage[region]
        shared = ((self.shared_until[lineage] > minute) & (lineage >= 0)).any(axis=1) & ~cooling & real & ~pool
        loosest = np.where(shared, p.shared_log10, loosest)
        least = np.where(shared, p.shared_reports, least)
        burst = np.where(shared, 0.0, burst)
        joined = np.zeros(len(rows), dtype=np.bool_)
        if self.incidents:
            bar, soon = self._joining_bar(service, region)
            joined = (bar > p.leaf_log10) & real & ~cooling & ~pool
            loosest = np.where(joined, bar, loosest)
            least = np.where(joined, np.where(soon, p.soon_reports, p.joined_reports), least)
            burst = np.where(joined, 0.0, burst)
        young = recent.baseline.exposure[service] < p.young_minutes
        least = np.where(young, np.maximum(least, p.unknown_reports), least)
        loosest = np.where(young, np.minimum(loosest, p.leaf_log10), loosest)
        loosest = np.where(real, loosest, p.shared_pool_log10)
        longest = np.where(real, longest, 30)
        longest = np.where(cooling, np.minimum(closed, longest), longest)
        inflation = np.where(pool & real, p.pool_null_inflation, p.null_inflation)
        inflation = np.where(real, inflation, p.shared_null_inflation)
        dispersion = np.where(real, recent.dispersion[service], p.shared_dispersion)
        ratio = np.where(real, p.least_ratio, p.shared_ratio)
        least = np.where(young & ~real, 10**9, least)
        strength = recent.strength[rows]
        # One clump of reports fills a short window; what goes on for longer is believed at less.
        bars = loosest[:, None] - burst[:, None] * (np.array(WINDOWS) <= p.burst_minutes)
        found = rises(observed, expected, dispersion, strength, least, ratio, bars, longest, inflation, p)
        index = found.index
        # The deepest first: a pool must know which of its parts are already down.
        for k in np.argsort(-self.tree.depth[region[index]], kind="stable"):
            i = index[k]
            if not real[i]:
                if self._consider_shared(int(region[i]), int(found.window[k])):
                    regions.add(int(region[i]))
                continue
            rule = "joined" if joined[i] else "shared" if shared[i] else "pool" if pool[i] else "cell"
            if self._consider(
                int(rows[i]), int(service[i]), int(region[i]), found, int(k), rule, float(bars[i, found.window[k]])
            ):
                services.add(int(service[i]))
        return services, regions

    def _joining_bar(self, service: IntArray, region: IntArray) -> tuple[FloatArray, BoolArray]:
        """For each cell the threshold (log10) below the pool above it that is down and loud, and whether most of that
        pool fell just now; -inf where no such pool is. Of several pools the loosest.

        The share: of the regions of the pool that have a report in two hours at all, those that are down.
        """
        p = self.parameters
        bar, soon = np.full(len(service), -np.inf), np.zeros(len(service), dtype=np.bool_)
        known: dict[tuple[int, int], tuple[float, bool]] = {}
        for i in np.flatnonzero(np.isin(service, list(self.incidents))):
            for above in self.tree.lineage[region[i], 1:]:
                key = int(service[i]), int(above)
                if above < 0 or self.down[key[0] * self.regions + key[1]] != 1:
                    continue
                if key not in known:
                    cells = key[0] * self.regions + self.tree.leaves[key[1]]
                    cells = cells[self.recent.row_of[cells] >= 0]
                    share = (1.0 + np.count_nonzero(self.down[cells])) / (1.0 + len(cells))
                    age = self._now - self.incidents[key[0]].regions[key[1]].detected
                    known[key] = (
                        float(p.joined_log10 + np.log10(share) - max(age - p.soon_minutes, 0) / p.joining_minutes),
                        bool(share >= p.soon_share and age <= p.soon_minutes),
                    )
                bar[i] = max(bar[i], known[key][0])
                soon[i] |= known[key][1]
        return bar, soon

    def _late(self, rows: IntArray) -> FloatArray:
        """Reports still to come after a restoration, per window: no new outage is seen in them."""
        p, recent = self.parameters, self.recent
        end = self._now + 1 - recent.tail_from[rows][:, None]
        start = np.maximum(end - np.array(WINDOWS)[None, :], 0)
        amount = np.exp(-start / p.late_minutes) - np.exp(-end / p.late_minutes)
        late: FloatArray = recent.tail_size[rows][:, None] * p.late_minutes * amount
        return late

    def _is_crowd(self, row: int, service: int, region: int, found: Rises, k: int, rule: str, threshold: float) -> bool:
        """Whether the rise is one of networks too, where they were recorded: a household or a brigade is no crowd.

        The ordinary reports of the window come from networks of their own: the excess must bring its own, and pass the
        threshold still where no network is believed more than a few reports.
        """
        p, recent = self.parameters, self.recent
        networks = self._distinct_networks(service, region, WINDOWS[int(found.window[k])])
        if networks is None:
            return True
        usual, observed = float(found.expected[k]), float(found.observed[k])
        least = p.joined_networks if rule in LOWERED_RULES else p.least_networks
        if networks - usual < max(float(least), max(observed - usual, 0.0) ** p.network_spread):
            return False
        believed = min(observed, p.reports_per_network * networks)
        inflation = p.pool_null_inflation if self.tree.has_children[region] else p.null_inflation
        mean = np.array([inflation * usual + 1e-4])
        shape = null_shape(mean, recent.dispersion[[service]], recent.strength[[row]], p.clumping)
        return bool(log10_tail(np.array([believed]), mean, shape)[0] <= threshold)

    def _consider(self, row: int, service: int, region: int, found: Rises, k: int, rule: str, threshold: float) -> bool:
        """A cell rose beyond its threshold: open it, unless something else explains the rise. Whether it opened."""
        window = int(found.window[k])
        if self.muted_until.get(service, -1) > self._now:
            return False
        if rule == "pool" and not self._broad(service, region, window):
            return False
        busy = self._busy(service, region, window) if rule == "cell" else 1.0
        if busy > 1.0 and not self._stands_out(row, service, found, k, busy, threshold):
            return False
        if not self._is_crowd(row, service, region, found, k, rule, threshold):
            return False
        if self.recent.baseline.exposure[service] < self.parameters.young_minutes and not self._changed(row):
            return False
        late = float(self._late(np.array([row]))[0, window]) if self.recent.tail_size[row] > 0 else 0.0
        figures = {"late_reports": float(f"{late:.7g}")} if late else {}
        if busy > 1.0:
            figures["rest_of_country"] = round(busy, 4)
        evidence = self._evidence(
            service, region, found.observed[k], found.expected[k], threshold, WINDOWS[window], rule, figures
        )
        if service not in self.incidents:
            big = self._echo_of(service, region)
            if big is not None:
                self._tell_echo(service, big, evidence)
                return False
        self._open(row, service, region, evidence)
        return True

    def _busy(self, service: int, region: int, window: int) -> float:
        """How busy the rest of the country of a region is in the window: its reports over what was expected, without
        the regions that are or were just down; 1 where it is not busy.

        A surge, or a level that has just shifted, lifts a whole country at once; its regions are no outages each.
        """
        p, recent, minute = self.parameters, self.recent, self._now
        country = int(self.tree.country[region])
        down = {r for r in self._lately_down(service, WINDOWS[window]) if country in self.tree.above[r]}
        if country == region or country in down:
            return 1.0
        out = down | {region}
        largest = self.tree.outermost(out)
        rows = recent.row_of[service * self.regions + np.array([country, *largest])].astype(np.int64)
        rows = rows[rows >= 0]
        n = recent.sums(rows, minute)[:, window].astype(np.float64)
        e = recent.expected(rows, minute)[:, window]
        pseudo = p.busy_pseudo_reports
        ratio = (float(n[0] - n[1:].sum()) + pseudo) / (max(float(e[0] - e[1:].sum()), 0.0) + pseudo)
        return min(max(ratio, 1.0), p.busy_most)

    def _stands_out(self, row: int, service: int, found: Rises, k: int, busy: float, threshold: float) -> bool:
        """Whether a cell still exceeds when ``busy`` times as much is expected of it."""
        p, recent = self.parameters, self.recent
        mean = np.array([p.null_inflation * busy * found.expected[k] + 1e-4])
        shape = null_shape(mean, recent.dispersion[[service]], recent.strength[[row]], p.clumping)
        return bool(log10_tail(found.observed[[k]], mean, shape)[0] <= threshold)

    def _consider_shared(self, region: int, window: int) -> bool:
        """All services of a region together rose: if several did, and the rise stays without its biggest,
        lower the bar. Whether it was not low already.
        """
        p, recent, minute = self.parameters, self.recent, self._now
        cells = np.arange(self.services) * self.regions + region
        every = recent.row_of[cells].astype(np.int64)
        rows = every[every >= 0]
        observed = recent.sums(rows, minute)[:, window].astype(np.float64)
        expected = recent.expected(rows, minute)[:, window]
        rising = (observed >= 2) & (observed > p.least_ratio * expected)
        if rising.sum() < p.common_services:
            return False
        top = int(np.argmax(observed - expected))
        n = observed.sum() - observed[top]
        e = max(float(expected.sum() - expected[top]), 1e-4)
        if n < 4 or n < 1.7 * e:
            return False
        mean = np.array([1.2 * e + 1e-4])
        shape = null_shape(mean, np.array([p.shared_dispersion]), np.array([1e9]), p.clumping)
        if log10_tail(np.array([n]), mean, shape)[0] >= 0.6 * p.shared_pool_log10:
            return False
        fresh = bool(self.shared_until[region] <= minute)
        self.shared_until[region] = minute + p.shared_minutes
        return fresh

    def _broad(self, service: int, region: int, window: int) -> bool:
        """Whether a pool still exceeds without the parts that are down already and without its most excessive one."""
        p, recent, minute = self.parameters, self.recent, self._now
        own = recent.row_of[service * self.regions + region]
        children = self.tree.children[region]
        rows = recent.row_of[service * self.regions + children]
        children, rows = children[rows >= 0], rows[rows >= 0].astype(np.int64)
        lately = self._lately_down(service, WINDOWS[window] + p.settled_minutes)
        largest = self.tree.outermost([r for r in lately if r != region and region in self.tree.above[r]])
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
        left_out = set(largest)
        if len(rows):
            top = int(np.argmax(child_n - child_e))
            if child_n[top] > child_e[top]:
                rest_n -= child_n[top]
                rest_e -= child_e[top]
                left_out.add(int(children[top]))
        # What is usual of a whole and of most of it are told apart by two slow factors and two levels: what one leaves
        # of the other may be nothing, and of the rest as much must be expected as is usual there.
        rest_e = max(float(rest_e), float(e[0]) * self._share_beside(service, region, left_out, window), 1e-4)
        if rest_n < 3 or rest_n < p.least_ratio * rest_e:
            return False
        mean = np.array([p.pool_null_inflation * rest_e + 1e-4])
        shape = null_shape(mean, recent.dispersion[[service]], recent.strength[[own]], p.clumping)
        return bool(log10_tail(np.array([rest_n]), mean, shape)[0] < 0.5 * p.pool_log10)

    def _share_beside(self, service: int, pool: int, left_out: set[int], window: int) -> float:
        """The share of what is usual of a pool in the window that comes from elsewhere than the regions left out."""
        out = self.tree.outermost(left_out)
        if not out:
            return 1.0
        path = {q for r in out for q in self.tree.above[r] if q == pool or pool in self.tree.above[q]} - set(out)
        beside = [int(c) for q in sorted(path) for c in self.tree.children[q] if c not in path and c not in out]
        regions = np.array([*out, *beside], dtype=np.int64)
        middle = np.array([self._now - WINDOWS[window] // 2])
        usual = self.baseline.expected(np.array([service]), regions, middle)
        return float(usual[len(out) :].sum() / max(usual.sum(), 1e-9))

    def _changed(self, row: int) -> bool:
        """Where hardly anything is known: whether the last minutes exceed the two hours before them, which are then all
        that the level is known from.
        """
        p, minute = self.parameters, self._now
        assert self._first_minute is not None
        seen = min(minute - self._first_minute + 1, SPAN - 8)
        if seen < p.young_least_minutes:
            return False
        course = self.recent.ordered(row, minute, seen)
        now = np.array([5, 15])
        count = np.array([course[-w:].sum() for w in now])
        past = course.sum() - count + 1.0
        mean = p.young_ratio * now * past / (seen - now)
        dispersion = np.full(len(now), self.recent.dispersion[self.recent.cell[row] // self.regions])
        shape = null_shape(mean, dispersion, past, p.clumping)
        return bool((log10_tail(count, mean, shape) <= p.young_log10).any())

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
                    self._level(service, place, window),
                    self._level(incident.service, place, window),
                    siblings=siblings,
                    parameters=self.parameters,
                )
                for place in {int(self.tree.country[region]), self.tree.world}
                for window in (_ECHO_NOW, _ECHO_WINDOW)
            ):
                return incident
        return None

    def _tell_echo(self, service: int, big: Incident, evidence: Evidence) -> None:
        # In its first minutes a sibling that truly falls is as small beside the other as an echo is.
        if self._now - big.opened < self.parameters.echo_patience:
            return
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

    def _open(self, row: int, service: int, region: int, evidence: Evidence) -> None:
        minute, recent = self._now, self.recent
        incident = self.incidents.get(service)
        reinstated = evidence.rule == REINSTATED
        if incident is not None and not reinstated and self._dormant(incident):
            for outage in incident.open_regions():
                self._end(incident, outage, "forgotten")
            self._resolve(incident)
            incident = None
        fresh = incident is None
        if incident is None:
            key = f"{self.topology.services[service]}@{minute}"
            scope = self._own_scope(service)
            incident = Incident(key=key, service=service, opened=minute, onset=minute, scope=scope)
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
        if before is not None:
            outage.onset, outage.detected = before.onset, before.detected
            outage.peak, outage.peak_reports, outage.told_peak = before.peak, before.peak_reports, before.told_peak
            outage.total_reports, outage.total_votes = before.total_reports, before.total_votes
        incident.regions[region] = outage
        incident.onset = incident.earliest()
        # Regions that joined at a lowered bar prove nothing that the first did not.
        signs = self._weigh(incident, outage, row, evidence) if own or fresh else None
        if signs is not None:
            evidence = _with_figures(evidence, signs.figures())
        incident.last_change = minute
        self.down[self._cell(outage)] = 1
        self._hold(outage)
        five = round(recent.ordered(row, minute, PEAK_MINUTES).sum())
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
                peak=minute if five > outage.peak_reports else outage.peak,
                peak_reports=max(outage.peak_reports, five),
                # What was told before stands until there is something to look at again.
                confidence=None if reinstated else round(incident.confidence, 4),
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


def _with_figures(evidence: Evidence, figures: dict[str, float]) -> Evidence:
    return replace(evidence, figures={**evidence.figures, **figures})
