"""Where the collection failed: a country, or the world, from which nothing at all comes though reports were due.

A gap looks like a restoration: everybody falls silent at once. It is told apart by being too complete. Ordinary reports
about everything go on during an outage and after it, and when an outage ends its last reports trickle in for some
minutes; where neither comes, nobody is listening (or the country is cut off from us, which says as little).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.detection.decisions import FloatArray, IntArray
from reports.detection.parameters import Parameters
from reports.detection.recent import SPAN, Recent
from reports.detection.tree import Tree

_LATELY = 10
"""Minutes before the silence whose reports say how many late ones are still due."""


@dataclass(frozen=True)
class Heard:
    """What one minute changed: places (regions of depth 0 or 1) found ``silent``, with the first minute of each."""

    silent: tuple[tuple[int, int], ...]


class Gaps:
    """Follows the reports about all services together, per country and for the world.

    ``since[r]`` is the first minute of the present silence of region ``r``, -1 where it is heard or was never followed;
    ``due[r]`` how many ordinary reports it should have brought by now, ``rate[r]`` the reports per minute before it.
    ``blind[r]`` marks the places whose silence is a gap.
    """

    def __init__(self, tree: Tree, services: int, parameters: Parameters) -> None:
        self.parameters = parameters
        self.world = tree.world
        self.country = tree.country
        regions = len(tree.country)
        self.places: IntArray = np.flatnonzero(tree.depth <= 1)
        self.cells: IntArray = services * regions + self.places
        self.since: IntArray = np.full(regions, -1, dtype=np.int64)
        self.due: FloatArray = np.zeros(regions)
        self.rate: FloatArray = np.zeros(regions)
        self.blind = np.zeros(regions, dtype=np.bool_)

    def listen(self, minute: int, recent: Recent) -> Heard:
        """Take in a minute that ``recent`` has already got; which places have just been found silent.

        Cost: one look at the countries that had a report within the last two hours.
        """
        rows = recent.row_of[self.cells].astype(np.int64)
        known = rows >= 0
        places, rows = self.places[known], rows[known]
        quiet = recent.counts[rows, minute % SPAN] == 0
        heard = places[~quiet]
        self.since[heard], self.due[heard], self.blind[heard] = -1, 0.0, False
        places, rows = places[quiet], rows[quiet]
        if not len(places):
            return Heard(())
        fresh = self.since[places] < 0
        if fresh.any():
            columns = np.arange(minute - _LATELY, minute) % SPAN
            self.rate[places[fresh]] = recent.counts[rows[fresh]][:, columns].mean(axis=1)
            self.since[places[fresh]] = minute
        self.due[places] += recent.expected(rows, minute)[:, 0]
        found = places[~self.blind[places] & (self._missing(places, minute) >= self.parameters.gap_expected)]
        self.blind[found] = True
        return Heard(tuple((int(place), int(self.since[place])) for place in found))

    def is_blind(self, region: int) -> bool:
        """Whether nothing is collected from the country of ``region``, or from anywhere."""
        return bool(self.blind[self.world] or self.blind[self.country[region]])

    def _missing(self, places: IntArray, minute: int) -> FloatArray:
        """Reports that should have come since each place fell silent, had everything that was down just come back."""
        p = self.parameters
        age = minute + 1 - self.since[places]
        late = p.gap_late_share * self.rate[places] * p.tail_minutes * (1 - np.exp(-age / p.tail_minutes))
        missing: FloatArray = np.maximum(self.due[places], late)
        return missing
