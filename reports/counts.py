"""Every read and write of the per-minute counts.

Minutes are whole minutes since 1970-01-01T00:00Z, windows are half open. ``reports`` are counted ``down`` reports,
``working`` the counted "works again" ones, ``networks`` the networks first counted among the ``down`` reports. Each row
counts what was reported at exactly that region: whoever wants a country passes its regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from django.db import transaction

from reports import binary
from reports.binary import BigintArray, Cursor, Integers
from reports.models import Kind

HALF_HOUR = timedelta(minutes=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60_000_000  # in microseconds
_DOWN, _WORKING = int(Kind.DOWN), int(Kind.WORKING)


@dataclass(frozen=True)
class Additions:
    """What a batch adds: parallel arrays, one element for each (minute, service, region, kind, problem), none twice.

    ``problem`` is 0 where nobody said what fails.
    """

    minute: Integers
    service_id: Integers
    region_id: Integers
    kind: Integers
    problem: Integers
    reports: Integers
    networks: Integers
    service_networks: Integers

    @classmethod
    def down(cls, minute: Integers, service_id: Integers, region_id: Integers, reports: Integers) -> Self:
        """Reports that nobody said more of, each from a network of its own: as modelled history has them."""
        nothing = np.zeros_like(minute)
        return cls(minute, service_id, region_id, nothing, nothing, reports, reports, reports)


@dataclass(frozen=True)
class CountRows:
    """Counts by minute, service and region: parallel arrays sorted by minute, no (minute, service, region) twice.

    ``service_networks`` are those of ``networks`` that were new to the service in all regions, ``working_networks`` the
    networks of the "works again" reports.
    """

    minute: Integers
    service_id: Integers
    region_id: Integers
    reports: Integers
    working: Integers
    networks: Integers
    service_networks: Integers
    working_networks: Integers


@dataclass(frozen=True)
class CellTotals:
    """Sums over a window by service and region; ``region_id`` is all zero when only services were asked for."""

    service_id: Integers
    region_id: Integers
    reports: Integers
    working: Integers
    networks: Integers


@dataclass(frozen=True)
class WindowTotals:
    """Sums by region over several windows, each of one service: ``window`` is the position in what was asked."""

    window: Integers
    region_id: Integers
    reports: Integers
    working: Integers


@dataclass(frozen=True)
class HalfHours:
    """Sums over half hours: ``bin`` 0 is the one that begins at the ``since`` asked for; only those with reports."""

    service_id: Integers
    region_id: Integers
    bin: Integers
    reports: Integers


# --- Writing ---------------------------------------------------------------------------------------------------------


def add(cursor: Cursor, additions: Additions) -> None:
    """Adds ``additions`` to the counts, in the transaction of ``cursor``.

    The caller holds the drain's lock. One that does not may meet another's minute, and gets ``IntegrityError``.
    """
    if not len(additions.minute):
        return
    a = additions
    # In the order of the key: pages and indexes are written from one end to the other.
    order = np.lexsort((a.problem, a.kind, a.region_id, a.service_id, a.minute))
    columns = (a.minute, a.service_id, a.region_id, a.kind, a.problem, a.reports, a.networks, a.service_networks)
    ordered = [column[order] for column in columns]
    # A drain that has to catch up has mostly minutes that nothing is known of: a COPY costs half of what asking for
    # each row costs. Only the newest minute is looked at, because no planner can get that wrong.
    cursor.execute("SELECT extract(epoch FROM max(minute))::bigint / 60 FROM reports_reportcount")
    newest = (cursor.fetchone() or (None,))[0]
    known = 0 if newest is None else int(np.searchsorted(ordered[0], newest, side="right"))
    if known:
        _upsert(cursor, Additions(*(column[:known] for column in ordered)))
    if known < len(order):
        _copy(cursor, Additions(*(column[known:] for column in ordered)))


def _upsert(cursor: Cursor, rows: Additions) -> None:
    columns = (
        rows.minute * 60,
        rows.service_id,
        rows.region_id,
        rows.kind,
        rows.problem,
        rows.reports,
        rows.networks,
        rows.service_networks,
    )
    cursor.execute(_ADD, [BigintArray(column) for column in columns])


_ADD = """
INSERT INTO reports_reportcount AS held (minute, service_id, region_id, kind, problem_key, reports, networks,
    service_networks)
SELECT to_timestamp(m), s, r, k, p, n, w, f FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s) AS added(m, s, r, k, p, n, w, f)
ON CONFLICT (minute, service_id, region_id, kind, problem_key) DO UPDATE
SET reports = held.reports + EXCLUDED.reports, networks = held.networks + EXCLUDED.networks,
    service_networks = held.service_networks + EXCLUDED.service_networks
"""


def _copy(cursor: Cursor, rows: Additions) -> None:
    binary.copy_in(
        cursor,
        "reports_reportcount",
        [
            ("minute", "timestamptz", rows.minute * _MINUTE),
            ("service_id", "bigint", rows.service_id),
            ("region_id", "bigint", rows.region_id),
            ("kind", "smallint", rows.kind),
            ("problem_key", "integer", rows.problem),
            ("reports", "integer", rows.reports),
            ("networks", "integer", rows.networks),
            ("service_networks", "integer", rows.service_networks),
        ],
        rows=len(rows.minute),
    )


def copy_history(parts: Iterable[Additions]) -> None:
    """Writes the counts of minutes that have none yet, in bulk: a million rows take a few seconds.

    For history that was recorded or modelled elsewhere. Raises ``IntegrityError`` where a row exists already.
    """
    with transaction.atomic(), binary.reading() as cursor:
        for rows in parts:
            _copy(cursor, rows)
    with binary.reading() as cursor:
        # Or the planner goes on to think that the table is empty until the server gets round to looking.
        cursor.execute("ANALYZE reports_reportcount")


# --- Reading ---------------------------------------------------------------------------------------------------------


def minutes(first: int, end: int) -> CountRows:
    """The counts of the minutes ``[first, end)`` of all services and regions."""
    with binary.reading() as cursor:
        minute, *columns = binary.fetch(cursor, _MINUTES, [_at(first), _at(end)], columns=8)
    return CountRows(binary.minutes_from(minute), *columns)


_SUMS = """
coalesce(sum(reports) FILTER (WHERE kind = 0), 0)::bigint,
coalesce(sum(reports) FILTER (WHERE kind = 1), 0)::bigint,
coalesce(sum(networks) FILTER (WHERE kind = 0), 0)::bigint
"""
_NETWORKS = """
coalesce(sum(service_networks) FILTER (WHERE kind = 0), 0)::bigint,
coalesce(sum(networks) FILTER (WHERE kind = 1), 0)::bigint
"""
_MINUTES = f"""
SELECT minute, service_id, region_id, {_SUMS}, {_NETWORKS} FROM reports_reportcount
WHERE minute >= %s AND minute < %s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 - made of constants


def series(
    service_id: int, region_ids: Sequence[int], *, start: datetime, end: datetime, step: timedelta
) -> tuple[Integers, Integers]:
    """``(reports, working)`` of one service in these regions together, one element for each ``step`` from ``start``.

    The last step is whole, even where ``end`` lies within it: it then holds what was reported before ``end``.
    Raises ``ValueError`` unless ``step`` is a positive whole number of minutes.
    """
    width = step // timedelta(minutes=1)
    if width < 1 or step % timedelta(minutes=1):
        raise ValueError("step: expected a positive whole number of minutes")
    size = max(0, -((start - end) // step))
    reports = np.zeros(size, dtype=np.int64)
    working = np.zeros(size, dtype=np.int64)
    if not size or not region_ids:
        return reports, working
    with binary.reading() as cursor:
        parameters = [service_id, BigintArray(np.asarray(region_ids, dtype=np.int64)), start, end]
        minute, down, up = binary.fetch(cursor, _SERIES, parameters, columns=3)
    bins = (binary.minutes_from(minute) - (start - _EPOCH) // timedelta(minutes=1)) // width
    np.add.at(reports, bins, down)
    np.add.at(working, bins, up)
    return reports, working


_SERIES = """
SELECT minute, coalesce(sum(reports) FILTER (WHERE kind = 0), 0)::bigint,
    coalesce(sum(reports) FILTER (WHERE kind = 1), 0)::bigint
FROM reports_reportcount
WHERE service_id = %s AND region_id = ANY(%s) AND minute >= %s AND minute < %s GROUP BY 1
"""


def region_minutes(service_id: int, *, start: datetime, end: datetime) -> CountRows:
    """The counts of one service in ``[start, end)``, by minute and region."""
    with binary.reading() as cursor:
        minute, *columns = binary.fetch(cursor, _REGION_MINUTES, [service_id, start, end], columns=8)
    return CountRows(binary.minutes_from(minute), *columns)


_REGION_MINUTES = f"""
SELECT minute, service_id, region_id, {_SUMS}, {_NETWORKS} FROM reports_reportcount
WHERE service_id = %s AND minute >= %s AND minute < %s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 - made of constants


def totals(
    service_ids: Sequence[int] | None = None,
    region_ids: Sequence[int] | None = None,
    *,
    start: datetime,
    end: datetime,
    by_region: bool = False,
) -> CellTotals:
    """Sums over ``[start, end)`` by service, or by service and region; ``None`` stands for all."""
    grouping = _TOTALS_BY_REGION if by_region else _TOTALS
    services, regions = ([] if ids is None else ids for ids in (service_ids, region_ids))
    parameters = [
        start,
        end,
        service_ids is None,
        BigintArray(np.asarray(services, dtype=np.int64)),
        region_ids is None,
        BigintArray(np.asarray(regions, dtype=np.int64)),
    ]
    with binary.reading() as cursor:
        return CellTotals(*binary.fetch(cursor, grouping, parameters, columns=5))


_WINDOW = """
FROM reports_reportcount WHERE minute >= %s AND minute < %s
AND (%s OR service_id = ANY(%s)) AND (%s OR region_id = ANY(%s))
"""
_TOTALS = f"SELECT service_id, 0::bigint, {_SUMS} {_WINDOW} GROUP BY 1 ORDER BY 1"
_TOTALS_BY_REGION = f"SELECT service_id, region_id, {_SUMS} {_WINDOW} GROUP BY 1, 2 ORDER BY 1, 2"


def windows(service_ids: Sequence[int], *, starts: Sequence[datetime], ends: Sequence[datetime]) -> WindowTotals:
    """Sums by region over ``[starts[i], ends[i])`` of service ``service_ids[i]``, for all ``i`` in one query."""
    if not service_ids:
        return WindowTotals(*(np.zeros(0, dtype=np.int64) for _ in range(4)))
    parameters = [BigintArray(np.asarray(service_ids, dtype=np.int64)), list(starts), list(ends)]
    with binary.reading() as cursor:
        return WindowTotals(*binary.fetch(cursor, _WINDOWS, parameters, columns=4))


_WINDOWS = """
SELECT (w.position - 1)::bigint, c.region_id,
    coalesce(sum(c.reports) FILTER (WHERE c.kind = 0), 0)::bigint,
    coalesce(sum(c.reports) FILTER (WHERE c.kind = 1), 0)::bigint
FROM unnest(%s, %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS w(service_id, start, stop, position)
JOIN reports_reportcount c ON c.service_id = w.service_id AND c.minute >= w.start AND c.minute < w.stop
GROUP BY 1, 2
"""


def by_problem(
    service_id: int, region_ids: Sequence[int] | None = None, *, start: datetime, end: datetime
) -> dict[int | None, int]:
    """Counted ``down`` reports of a service by problem id, the commonest first; ``None`` is "did not say"."""
    parameters = [
        service_id,
        _DOWN,
        start,
        end,
        region_ids is None,
        BigintArray(np.asarray([] if region_ids is None else region_ids, dtype=np.int64)),
    ]
    with binary.reading() as cursor:
        cursor.execute(_BY_PROBLEM, parameters)
        return {problem or None: reports for problem, reports in cursor}


_BY_PROBLEM = """
SELECT problem_key, sum(reports)::bigint FROM reports_reportcount
WHERE service_id = %s AND kind = %s AND minute >= %s AND minute < %s AND (%s OR region_id = ANY(%s))
GROUP BY 1 ORDER BY 2 DESC, 1
"""


def half_hours(since: datetime, until: datetime) -> HalfHours:
    """``down`` reports of all cells in ``[since, until)`` by half hour, for the fit of a baseline."""
    with binary.reading() as cursor:
        return HalfHours(*binary.fetch(cursor, _HALF_HOURS, [since, since, until], columns=4))


_HALF_HOURS = """
SELECT service_id, region_id, (extract(epoch FROM minute - %s::timestamptz)::bigint / 1800) AS bin,
    sum(reports)::bigint
FROM reports_reportcount WHERE kind = 0 AND minute >= %s AND minute < %s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def rows_between(first: int, end: int, service_ids: Sequence[int] | None = None) -> int:
    """How many rows of counts the minutes ``[first, end)`` hold, of these services or of all."""
    chosen = BigintArray(np.asarray([] if service_ids is None else service_ids, dtype=np.int64))
    with binary.reading() as cursor:
        row = cursor.execute(_ROWS, [_at(first), _at(end), service_ids is None, chosen]).fetchone()
    return int(row[0]) if row else 0


_ROWS = """
SELECT count(*) FROM reports_reportcount WHERE minute >= %s AND minute < %s AND (%s OR service_id = ANY(%s))
"""


def silent_minutes(first: int, end: int) -> list[int]:
    """The minutes of ``[first, end)`` that hold no count at all, of any service anywhere, in order."""
    with binary.reading() as cursor:
        cursor.execute(_SILENT, [first, end])
        return [int(minute) for (minute,) in cursor]


# One look into the primary key for each minute: a week takes milliseconds, however much was reported in it.
_SILENT = """
SELECT m FROM generate_series(%s::bigint, %s::bigint - 1) AS m
WHERE NOT EXISTS (SELECT FROM reports_reportcount c WHERE c.minute = to_timestamp(m * 60)) ORDER BY m
"""


def earliest() -> datetime | None:
    """The first minute with a count, or ``None`` on an empty site."""
    with binary.reading() as cursor:
        row = cursor.execute("SELECT min(minute) FROM reports_reportcount").fetchone()
    return row[0] if row else None


def _at(minute: int) -> datetime:
    return _EPOCH + timedelta(minutes=minute)
