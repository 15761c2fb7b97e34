"""The reports of an incident's regions against the usual of the hour, at every position of the map's slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from reports import clock
from reports.detection.decisions import FloatArray, IntArray
from reports.models import Incident
from reports.status import catalogue, figures, snapshots

WINDOW_MINUTES = 15
"""Reports are compared over so many minutes, or over a whole step where that is longer."""
# What is read at once: minutes times regions, which becomes four arrays.
PIECE_CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class IncidentRates:
    """Rows are the instants asked for, columns the regions ``codes``; each figure is that of the ``window`` before."""

    window: timedelta
    codes: tuple[str, ...]
    reports: IntArray
    expected: FloatArray


def incident_rates(
    ref: str, codes: Sequence[str], *, instants: Sequence[datetime], step: timedelta
) -> IncidentRates | None:
    """Reports of these regions, with all that lies in them, and what was expected, in the window before each of
    ``instants`` (whole minutes, in order, ``step`` apart); ``None`` for an unknown ref. Unknown codes are left out.
    """
    if not instants:
        return None
    key = ("incident rates", ref, tuple(codes), instants[0], instants[-1], step)
    return snapshots.kept(key, lambda: _rates(ref, codes, [clock.minute_of(at) for at in instants], step))


def _rates(ref: str, codes: Sequence[str], instants: Sequence[int], step: timedelta) -> IncidentRates | None:
    row = Incident.objects.filter(ref=ref).first()
    if row is None:
        return None
    indices = {code: index for code in codes if (index := catalogue.index_of(code)) is not None}
    window = max(WINDOW_MINUTES, step // timedelta(minutes=1))
    columns, ends = np.array(list(indices.values()), dtype=np.int64), np.array(instants, dtype=np.int64)
    return IncidentRates(
        window=timedelta(minutes=window),
        codes=tuple(indices),
        reports=_sums(row.service_id, columns, ends, window),
        expected=_expected(row.service_id, columns, ends, window),
    )


def _sums(service_id: int, columns: IntArray, ends: IntArray, window: int) -> IntArray:
    sums = np.zeros((len(ends), len(columns)), dtype=np.int64)
    if not len(columns):
        return sums
    first, last = int(ends[0]) - window, int(ends[-1])
    at_once = max(PIECE_CELLS // len(columns), 1)
    for start in range(first, last, at_once):
        piece = figures.minutes(service_id, columns, start=start, end=min(start + at_once, last)).reports
        upto = np.concatenate([np.zeros((1, len(columns)), dtype=np.int64), np.cumsum(piece, axis=0)])
        until, since = (np.clip(edge - start, 0, len(piece)) for edge in (ends, ends - window))
        sums += upto[until] - upto[since]
    return sums


def _expected(service_id: int, columns: IntArray, ends: IntArray, window: int) -> FloatArray:
    """By the middle minute of each window: what is usual changes by the half hour."""
    fit = figures.expectation().fit
    if fit is None or not len(columns):
        return np.zeros((len(ends), len(columns)))
    service = np.array([[catalogue.catalogue().by_id[service_id].index]])
    at_once = max(figures.CELLS_AT_ONCE // len(columns), 1)
    middles = ends - window // 2
    parts = [
        fit.expected(service, columns[None, :], middles[first : first + at_once, None])
        for first in range(0, len(middles), at_once)
    ]
    expected: FloatArray = np.concatenate(parts) * window
    return expected
