"""How sure an incident is: its signs, gathered when it opens or a region passes the full bar, and some times after."""

from __future__ import annotations

from math import log

import numpy as np

from reports.detection.confidence import LOOKS, Signs, incident_confidence
from reports.detection.cycle import Cycle
from reports.detection.decisions import DecisionKind, Evidence
from reports.detection.onset import null_shape
from reports.detection.outage import Incident, Outage
from reports.detection.parameters import WINDOWS
from reports.detection.recent import SPAN
from reports.detection.tails import log10_tail

_MOST_SURPLUS = 300.0
_MOST_CROWDING = log(3.0)
"""Three reports from each network are no household any more; thirty say no more about it."""
_FIRST, _BEFORE = 10, 40
"""Minutes from the onset on, and before it, that say how sudden the rise was; of the first length, how it goes on."""


class Weighing(Cycle):
    """The part of a cycle that says how sure an incident is."""

    def _weigh(self, incident: Incident, outage: Outage, row: int, evidence: Evidence) -> Signs | None:
        """Takes in the evidence that a region opened on; nothing by an administrator's word, which is sure."""
        if evidence.rule == "admin" or incident.confidence >= 1.0:
            incident.confidence = 1.0
            return None
        # Hundreds of regions may open in a minute: their number is a logarithm, so weigh again when it has doubled.
        if len(incident.regions) < 2 * incident.signs.get("weighed", 0):
            return None
        incident.signs["weighed"] = len(incident.regions)
        incident.signs.setdefault("pool", float(evidence.rule == "pool"))
        return self._sure(incident, outage, row)

    def _look_again(self, incident: Incident) -> None:
        """Some minutes after the opening more is known: tell the confidence anew."""
        if self._now - incident.opened not in LOOKS:
            return
        regions = incident.open_regions()
        if not regions or not incident.signs:
            return
        outage = max(regions, key=lambda o: o.total_reports)
        if self.gaps.is_blind(outage.region):
            return
        signs = self._sure(incident, outage, self._row(outage))
        self._tell(DecisionKind.UPDATED, incident, outage, signs.figures())

    def _sure(self, incident: Incident, outage: Outage, row: int) -> Signs:
        """The signs of this minute; the incident's confidence is what they make it."""
        minute, kept = self._now, incident.signs
        if "sudden" not in kept or minute - incident.opened <= LOOKS[1]:
            kept["sudden"] = self._sudden(outage, row)
        window = min(max(minute - outage.onset + 1, 5), SPAN)
        course, usual = self.recent.ordered(row, minute, window), self.recent.course(row, minute, window)
        reports, networks = float(course.sum()), self._networks(outage.service, outage.region, window)
        people = reports if networks is None else min(float(networks), reports)
        kept["surplus"] = max(kept.get("surplus", 0.0), self._surplus(outage, row, people / max(reports, 1.0)))
        kept["ratio"] = max(kept.get("ratio", 0.0), log((people + 0.5) / (float(usual.sum()) + 0.5)))
        leaves = sum(not self.tree.has_children[region] for region in incident.regions)
        noticed = max(o.noticed for o in incident.regions.values())
        signs = Signs(
            age=minute - incident.opened,
            surplus=log(1.0 + kept["surplus"]),
            ratio=kept["ratio"],
            pool=kept["pool"],
            regions=log(1.0 + leaves),
            crowding=min(log(max(reports, 1.0) / max(people, 1.0)), _MOST_CROWDING),
            sudden=kept["sudden"],
            lasted=log(1.0 + max(noticed - incident.onset + 1, 0)),
            still=min(log((float(course[-_FIRST:].mean()) + 0.05) / (float(course.mean()) + 0.05)), 0.0),
            usual=log(1.0 + 60.0 * float(usual.mean())),
        )
        incident.confidence = incident_confidence(signs)
        return signs

    def _surplus(self, outage: Outage, row: int, share: float) -> float:
        """Orders of magnitude by which the best window passes the full bar, were every network one report."""
        p, at = self.parameters, np.full(len(WINDOWS), row)
        observed = np.floor(share * self.recent.sums(at[:1], self._now)[0, :-1])
        expected = self.recent.expected(at[:1], self._now)[0, :-1]
        pool = bool(self.tree.has_children[outage.region])
        mean = (p.pool_null_inflation if pool else p.null_inflation) * expected + 1e-4
        dispersion = np.full(len(WINDOWS), self.recent.dispersion[outage.service])
        shape = null_shape(mean, dispersion, self.recent.strength[at], p.clumping)
        seen = observed > mean
        if not seen.any():
            return 0.0
        least = float(log10_tail(observed[seen], mean[seen], shape[seen]).min())
        return min(max((p.pool_log10 if pool else p.leaf_log10) - least, 0.0), _MOST_SURPLUS)

    def _sudden(self, outage: Outage, row: int) -> float:
        minute = self._now
        course = self.recent.ordered(row, minute, SPAN)
        begin = max(SPAN - 1 - (minute - outage.onset), 0)
        first, before = course[begin : begin + _FIRST], course[max(begin - _BEFORE, 0) : begin]
        # Before the reach of the memory nothing is known, which speaks neither way.
        if not len(before):
            return 0.0
        return min(max(log((first.mean() + 0.05) / (before.mean() + 0.05)), 0.0), 5.0)
