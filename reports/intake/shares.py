"""Who sent how much: the reports of a flow in a window by network, beside what a crowd looks like.

Counted from the single reports while they are there. A network is known by its pseudonym of the day, so one that
reports across midnight (UTC) is two. Nothing here is an address, nor leads to one once the day's secret is destroyed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import OperationalError, transaction

from reports import binary
from reports.binary import BigintArray, Cursor
from reports.intake import bans, shapes
from reports.models import Kind, Problem
from reports.partitions import lowest_id

MOST_NETWORKS = 50
"""So many are told one by one, the largest first; the others together."""
MOST_TIME = timedelta(hours=24)
SECONDS = 8.0
"""What the database may take for it."""


class TooMany(Exception):
    """The window holds more reports than can be read in time."""


@dataclass(frozen=True)
class Window:
    """Reports of a service in a region and all that lies in it, received in ``[start, end)``; of one kind, or of
    either."""

    service_id: int
    region_id: int
    start: datetime
    end: datetime
    kind: Kind | None = None

    def day_before(self) -> Window:
        """The same hours of the day before."""
        day = timedelta(days=1)
        return Window(self.service_id, self.region_id, self.start - day, self.end - day, self.kind)


@dataclass(frozen=True)
class Spread:
    """How reports are spread over networks.

    ``once`` leaves out what repeats what the same person said within the counting window, as the guard does.
    ``effective`` is Simpson's number of those: so many networks, each as busy as the others, would be as concentrated.
    """

    reports: int
    counted: int
    once: int
    networks: int
    effective: float

    @property
    def same(self) -> float:
        """The probability that two reports come from one network."""
        return 1 / self.effective if self.effective else 0.0

    @property
    def needed(self) -> float:
        """The effective number of networks below which so many reports pass for no crowd."""
        return float(shapes.least_networks(np.float64(self.once)))

    @property
    def told(self) -> bool:
        """Whether there are enough of them to tell a crowd by."""
        return self.once >= shapes.LEAST

    @property
    def concentrated(self) -> bool:
        """Whether no crowd is spread like this."""
        return self.told and self.effective < self.needed


@dataclass(frozen=True)
class Share:
    """What one network sent. ``aside`` has the reports that do not count, by reason; ``problems`` what was said to
    fail, by label."""

    network: int
    reports: int
    share: float
    persons: int
    counted: int
    first_at: datetime
    last_at: datetime
    kinds: Mapping[Kind, int]
    aside: Mapping[str, int]
    problems: Mapping[str, int]

    @property
    def label(self) -> str:
        """What it is called."""
        return bans.label(self.network)

    @property
    def of_partner(self) -> bool:
        """Whether a partner passes these reports on."""
        return self.network < 0


@dataclass(frozen=True)
class Shares:
    """The networks of a window, the largest first, and how all of them, and those of the day before, are spread."""

    spread: Spread
    before: Spread
    rows: tuple[Share, ...]
    kinds: Mapping[Kind, int]
    aside: Mapping[str, int]
    problems: Mapping[str, int]


def network_shares(window: Window) -> Shares:
    """Who sent what in the window. Raises :class:`TooMany`."""
    try:
        with transaction.atomic(), binary.reading() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{round(SECONDS * 1000)}ms"])
            region_ids = bans.inside(window.region_id)
            before = _spread(_by_network(cursor, window.day_before(), region_ids, most=1))
            found = _by_network(cursor, window, region_ids, most=MOST_NETWORKS)
            mixes = _mixes(cursor, window, region_ids, [row[0] for row in found])
    except OperationalError as error:
        # Django's for a statement that was cancelled; a database that is away is another one.
        if "statement timeout" not in str(error):
            raise
        raise TooMany from error
    spread = _spread(found)
    nothing = _Mix()
    rows = tuple(
        Share(
            network=network,
            reports=reports,
            share=reports / spread.reports,
            persons=persons,
            counted=counted,
            first_at=first,
            last_at=last,
            kinds=mixes.get(network, nothing).kinds,
            aside=mixes.get(network, nothing).aside,
            problems=mixes.get(network, nothing).problems,
        )
        for network, reports, persons, counted, first, last, *_totals in found
    )
    whole = mixes.get(None, nothing)
    return Shares(spread, before, rows, whole.kinds, whole.aside, whole.problems)


def _by_network(cursor: Cursor, window: Window, region_ids: list[int], *, most: int) -> list[tuple[Any, ...]]:
    cursor.execute(_BY_NETWORK, [*_parameters(window, region_ids), most])
    return cursor.fetchall()


def _parameters(window: Window, region_ids: list[int]) -> list[Any]:
    kind = None if window.kind is None else int(window.kind)
    inside = BigintArray(np.array(region_ids, dtype=np.int64))
    return [lowest_id(window.start), lowest_id(window.end), window.service_id, inside, kind, kind]


_OF_WINDOW = """
id >= %s AND id < %s AND service_id = %s AND region_id = ANY(%s) AND (%s::smallint IS NULL OR kind = %s)
"""
_BY_NETWORK = f"""
WITH sent AS (
    SELECT network, count(*) AS reports, count(DISTINCT person) AS persons, count(*) FILTER (WHERE counted) AS counted,
        min(received_at) AS first_at, max(received_at) AS last_at, count(*) FILTER (WHERE reason <> 'repeated') AS once
    FROM reports_report WHERE {_OF_WINDOW} GROUP BY network
)
SELECT network, reports, persons, counted, first_at, last_at, (sum(reports) OVER ())::bigint,
    (sum(counted) OVER ())::bigint, (sum(once) OVER ())::bigint, count(*) OVER (),
    (sum(once::float8 * once) OVER ())::float8
FROM sent ORDER BY reports DESC, network LIMIT %s
"""  # noqa: S608  # nothing in it comes from outside
_MIXES = f"""
SELECT CASE WHEN network = ANY(%s) THEN network END, kind, reason, problem_id, count(*)
FROM reports_report WHERE {_OF_WINDOW} GROUP BY 1, 2, 3, 4
"""  # noqa: S608


def _spread(found: Sequence[tuple[Any, ...]]) -> Spread:
    if not found:
        return Spread(0, 0, 0, 0, 0.0)
    reports, counted, once, networks, squares = found[0][6:]
    return Spread(reports, counted, once, networks, once**2 / squares if squares else 0.0)


class _Mix:
    def __init__(self) -> None:
        self.kinds, self.aside, self.problems = Counter[Kind](), Counter[str](), Counter[str]()


def _mixes(cursor: Cursor, window: Window, region_ids: list[int], networks: list[int]) -> dict[int | None, _Mix]:
    """The mixture of each of these networks, and under ``None`` that of all there are."""
    cursor.execute(_MIXES, [BigintArray(np.array(networks, dtype=np.int64)), *_parameters(window, region_ids)])
    rows = cursor.fetchall()
    labels = dict(Problem.objects.filter(pk__in={row[3] for row in rows}).values_list("pk", "label"))
    found: dict[int | None, _Mix] = {}
    for network, kind, reason, problem, reports in rows:
        for name in {network, None}:
            mix = found.setdefault(name, _Mix())
            mix.kinds[Kind(kind)] += reports
            if reason:
                mix.aside[reason] += reports
            if problem is not None:
                mix.problems[labels.get(problem, "another problem")] += reports
    return found
