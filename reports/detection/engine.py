"""One cycle over all cells: the counts of a minute and the state in, decisions and the new state out.

Live runs and backtests drive this very class, one closed minute at a time, so that what a backtest measures is what
the site does. Nothing in it reads a clock: causality is the order of the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from reports.detection import state
from reports.detection.baseline import Baseline
from reports.detection.cycle import DETECTOR_VERSION, HOUR
from reports.detection.decisions import (
    REINSTATED,
    Basis,
    Decision,
    DecisionKind,
    Fault,
    MinuteCounts,
    Signal,
    SignalKind,
    Topology,
)
from reports.detection.following import Following
from reports.detection.outage import KEPT, OPEN, Outage
from reports.detection.parameters import Parameters

__all__ = ["DETECTOR_VERSION", "Engine", "Parameters"]


class Engine(Following):
    """The detector. Feed it every minute in order with :meth:`step`, quiet ones too."""

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
        otherwise. What goes wrong about one service ends its incident and stands in ``faults``.
        """
        if self._minute is not None and counts.minute != self._minute + 1:
            raise ValueError(f"expected minute {self._minute + 1}, got {counts.minute}; use skip_to for a gap")
        minute = self._minute = counts.minute
        if self._first_minute is None:
            self._first_minute = minute
        self._decisions = []
        self.faults = []
        rows, _ = self.recent.add(counts)
        self._count_votes(counts)
        self._look_for_gaps()
        for signal in signals:
            if signal.given <= minute:
                self._guarded(signal.service, f"a word, {signal.kind}", partial(self._heed, signal))
        if len(rows):
            self._scan(rows)
        for incident in list(self.incidents.values()):
            if not self._guarded(incident.service, "following", partial(self._follow, incident)):
                self.let_go(incident.service)
        if minute % HOUR == 0:
            self._tidy()
        return self._decisions

    def _guarded(self, service: int, during: str, do: Callable[[], None]) -> bool:
        """Whether ``do`` went well. A mistake about one service is noted in ``faults`` and silences no other one: the
        state would bring it back every minute."""
        said = len(self._decisions)
        try:
            do()
        except Exception as error:
            del self._decisions[said:]
            self.faults.append(Fault(service, during, error))
            return False
        return True

    def let_go(self, service: int) -> list[Decision]:
        """Ends the incident of a service that cannot be followed: nothing is known of its regions. What goes on is
        found anew. The decisions, which those of the last minute now end with.
        """
        incident = self.incidents.pop(service, None)
        if incident is None:
            return []
        for outage in incident.open_regions():
            outage.state, outage.declared = "forgotten", self._now
            self.down[self._cell(outage)] = 0
        end = self._about(incident, DecisionKind.RESOLVED)
        self._decisions.append(end)
        return [end]

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

    def _heed(self, signal: Signal) -> None:
        incident = self.incidents.get(signal.service)
        if signal.kind is SignalKind.ADMIN_DOWN:
            self._open_by_hand(signal)
            return
        if signal.kind in (SignalKind.ADMIN_REINSTATED, SignalKind.ADMIN_UNHEARD):
            self.muted_until.pop(signal.service, None)
            if signal.region >= 0:
                self._reinstate(signal)
            return
        if incident is None:
            if signal.kind is SignalKind.ADMIN_REJECTED and signal.region < 0:
                self.muted_until[signal.service] = self._now + 6 * HOUR
            return
        if signal.kind in (SignalKind.STATEMENT_DOWN, SignalKind.ADMIN_CONFIRMED):
            self._vouch(incident)
            return
        if signal.kind is SignalKind.ADMIN_UNCONFIRMED:
            # What was laid at its door meanwhile stays there until it is looked at again.
            incident.vouched = False
            return
        chosen = [o for o in incident.open_regions() if signal.region < 0 or signal.region in self.tree.above[o.region]]
        if signal.kind is SignalKind.STATEMENT_RESTORED:
            for outage in chosen:
                outage.said = signal.at
            return
        if signal.kind is SignalKind.STATEMENT_WITHDRAWN:
            for outage in chosen:
                outage.said = 0
            return
        # An administrator's word on a country says nothing of a region in it that is told as another outage; of those
        # that it does speak of there is a word each.
        exact = [o for o in chosen if signal.region in (-1, o.region)]
        if signal.kind is SignalKind.ADMIN_RESTORED:
            for outage in exact:
                outage.restored = outage.restored_low = outage.restored_high = max(signal.at, outage.onset)
                outage.basis = Basis.ADMIN
                outage.excess = outage.recent(self._now, 20) / 20
                self._end(incident, outage, "restored")
                self._tell(DecisionKind.RESTORED, incident, outage)
        else:
            for outage in exact:
                outage.excess = outage.recent(self._now, 20) / 20
                self._end(incident, outage, "withdrawn")
                self._tell(DecisionKind.WITHDRAWN, incident, outage)
            # A word on one region must not hide what happens in the others.
            if signal.region < 0:
                self.muted_until[signal.service] = self._now + 6 * HOUR
            if not incident.open_regions():
                self._resolve(incident)

    def _open_by_hand(self, signal: Signal) -> None:
        self._open_on_word(signal, "admin")
        self._vouch(self.incidents[signal.service])

    def _reinstate(self, signal: Signal) -> None:
        """Follows a region again that was let go of by mistake; that it is down is as likely as before."""
        outage = self._open_on_word(signal, REINSTATED)
        if outage is None:
            return
        incident = self.incidents[signal.service]
        outage.detected = min(outage.detected, max(outage.onset, outage.first))
        if signal.kind is SignalKind.ADMIN_UNHEARD:
            outage.state = "unknown"
            self.down[self._cell(outage)] = 2
        incident.onset = incident.earliest()
        if len(incident.regions) == 1 and incident.confidence < 1.0:
            # It was weighed as if it had begun now.
            self._sure(incident, outage, self._row(outage))

    def _open_on_word(self, signal: Signal, rule: str) -> Outage | None:
        """Opens the region, or the world where there is none; ``None`` where it is open."""
        region = signal.region if signal.region >= 0 else self.tree.world
        incident = self.incidents.get(signal.service)
        already = incident.regions.get(region) if incident else None
        if already is not None and already.state in OPEN:
            return None
        cell = np.array([signal.service * self.regions + region])
        cells, _ = self.recent.spread(cell, np.array([0]))
        self.recent.ensure(cells)
        row = int(self.recent.row_of[cell[0]])
        level = self._level(signal.service, region, HOUR)
        self.muted_until.pop(signal.service, None)
        evidence = self._evidence(signal.service, region, level.observed, level.expected, 0.0, HOUR, rule)
        self._open(row, signal.service, region, evidence)
        outage = self.incidents[signal.service].regions[region]
        outage.onset = min(outage.onset, signal.at)
        return outage


def _nothing(minute: int) -> MinuteCounts:
    none = np.zeros(0, dtype=np.int64)
    return MinuteCounts(minute=minute, service=none, region=none, reports=none, working=none)
