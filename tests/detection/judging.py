"""Regional outages found, against those that were: the figures that docs/detection.md publishes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from reports.detection.backtest import Row
from tests.detection.simulation import DAY, Simulation, Truth

SLACK = 30
"""Minutes by which a detection may lie outside a true outage and still mean it."""


@dataclass(frozen=True)
class Verdict:
    """Figures of one method on one suite. Times in minutes; ``nan`` where nothing was restored."""

    truths: int
    found: int
    rows: int
    precision: float
    recall: float
    f1: float
    delay_median: float
    delay_p90: float
    after_third_median: float
    false_incidents_per_service_year: float
    split_incidents: int
    restored: float
    error_median: float
    error_p90: float
    bias: float
    early: float
    declared_median: float
    declared_p90: float
    coverage: float


def judge(rows: list[Row], simulation: Simulation) -> Verdict:
    """Match rows about leaf regions to the truth, one to one, nearest detection first."""
    leaf = simulation.topology.parents.max()
    judged = [r for r in rows if r.detected >= simulation.judged_from and not r.withdrawn]
    leaves = [r for r in judged if r.region > leaf]
    truth = [t for t in simulation.truth if t.start >= simulation.judged_from]
    of_cell: dict[tuple[int, int], list[Truth]] = defaultdict(list)
    for t in simulation.truth:
        of_cell[t.service, t.region].append(t)
    matched: dict[Truth, Row] = {}
    real: set[str] = set()
    double = 0
    for row in sorted(leaves, key=lambda r: r.detected):
        for t in of_cell[row.service, row.region]:
            if t.start - SLACK <= row.detected <= t.end + SLACK:
                real.add(row.incident)
                if t in matched:
                    double += 1
                elif t.start >= simulation.judged_from:
                    matched[t] = row
                break
    overlapping = set(real)
    for row in judged:
        for t in simulation.truth:
            if t.service == row.service and t.start - SLACK <= row.detected <= t.end + SLACK:
                overlapping.add(row.incident)
                break
    false = {r.incident for r in judged} - overlapping
    years = simulation.suite.services * (simulation.until - simulation.judged_from) / DAY / 365
    precision = len(matched) / max(len(leaves), 1)
    recall = len(matched) / max(len(truth), 1)
    pairs = list(matched.items())
    delay = [r.detected - t.start for t, r in pairs]
    after = [r.detected - t.third for t, r in pairs]
    back = [(t, r) for t, r in pairs if r.restored is not None]
    error = np.array([r.restored - t.end for t, r in back if r.restored is not None], dtype=float)
    declared = [r.declared - t.end for t, r in back if r.declared is not None]
    covered = [
        r.restored_low <= t.end <= r.restored_high
        for t, r in back
        if r.restored_low is not None and r.restored_high is not None
    ]
    ended = [p for p in pairs if p[0].end < simulation.until - 120]
    return Verdict(
        truths=len(truth),
        found=len(matched),
        rows=len(leaves),
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(precision + recall, 1e-9),
        delay_median=_quantile(delay, 0.5),
        delay_p90=_quantile(delay, 0.9),
        after_third_median=_quantile(after, 0.5),
        false_incidents_per_service_year=len(false) / years,
        split_incidents=double,
        restored=sum(r.restored is not None for _, r in ended) / max(len(ended), 1),
        error_median=_quantile(np.abs(error), 0.5),
        error_p90=_quantile(np.abs(error), 0.9),
        bias=_quantile(error, 0.5),
        early=float(np.mean(error < -10)) if len(error) else float("nan"),
        declared_median=_quantile(declared, 0.5),
        declared_p90=_quantile(declared, 0.9),
        coverage=float(np.mean(covered)) if covered else float("nan"),
    )


def _quantile(values: object, q: float) -> float:
    array = np.asarray(values, dtype=float)
    return float(np.quantile(array, q)) if array.size else float("nan")
