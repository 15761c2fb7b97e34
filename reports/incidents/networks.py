"""How much of a rise one network made up, counted from the single reports while they are there.

Counts per minute cannot tell: which network was whose is known of single reports only, and those are dropped after some
weeks. What is decided keeps the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.db.models import Sum

from reports import binary
from reports.binary import BigintArray
from reports.clock import instant_of
from reports.incidents.cells import Cells
from reports.models import DrainBatch, Evidence, Kind
from reports.partitions import lowest_id

# Reports that one cycle reads at most: some tenths of a second. In a bigger storm no network stands out anyway.
MOST_REPORTS = 300_000


@dataclass(frozen=True)
class Rise:
    """A piece of evidence, and the cell and the minute ``end`` (excluded) that its window has."""

    evidence: Evidence
    service_id: int
    region: int
    end: int


def note_largest(rises: Sequence[Rise], *, cells: Cells) -> None:
    """Gives each piece of evidence the reports of its largest network, where the window's reports can be read.

    It stays unknown where they are too many, or are not those that were counted (counts without reports, as imported
    history has them). A network is known by its pseudonym of the day: across midnight it counts as two.
    """
    rises = [rise for rise in rises if rise.evidence.observed]
    if not rises:
        return
    starts = [rise.end - rise.evidence.window_minutes for rise in rises]
    first, end = min(starts), max(rise.end for rise in rises)
    # A report is drained after it was received, and the log of the drain knows how many there were, counted or not.
    drained = DrainBatch.objects.filter(
        drained_at__gte=instant_of(first) - timedelta(minutes=1), newest_minute__gte=instant_of(first)
    )
    if not 0 < (drained.aggregate(reports=Sum("reports"))["reports"] or 0) <= MOST_REPORTS:
        return
    services = np.unique([rise.service_id for rise in rises])
    parameters = [lowest_id(instant_of(first)), lowest_id(instant_of(end)), BigintArray(services), int(Kind.DOWN)]
    with binary.reading() as cursor:
        service, region_id, network, minute, reports = binary.fetch(cursor, _BY_NETWORK, parameters, columns=5)
    region = cells.region_indices(region_id)
    lineage = cells.tree.lineage[region]
    for rise, start in zip(rises, starts, strict=True):
        inside = (service == rise.service_id) & (minute >= start) & (minute < rise.end) & (region >= 0)
        inside[inside] = (lineage[inside] == rise.region).any(axis=1)
        _, place = np.unique(network[inside], return_inverse=True)
        sent = np.bincount(place, reports[inside])
        if sent.sum() == rise.evidence.observed:
            rise.evidence.largest_network = int(sent.max())


_BY_NETWORK = """
SELECT service_id, region_id, network, (floor(extract(epoch FROM received_at) / 60))::bigint, count(*)::bigint
FROM reports_report WHERE id >= %s AND id < %s AND counted AND service_id = ANY(%s) AND kind = %s GROUP BY 1, 2, 3, 4
"""
