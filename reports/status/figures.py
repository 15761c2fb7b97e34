"""Counts beside what was expected, for whole regions: each region's figures hold those of the regions below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from reports import clock, counts
from reports.detection.baseline import NO_HISTORY
from reports.detection.baseline import Baseline as Fit
from reports.detection.decisions import FloatArray, IntArray
from reports.models import Baseline
from reports.status import catalogue, snapshots

HOUR_MINUTES = 60
# Evaluating a week of minutes for thousands of regions at once would need gigabytes.
CELLS_AT_ONCE = 500_000


def rolled_up(regions: IntArray, values: IntArray) -> IntArray:
    """Sums for every region of the tree of what ``values`` say for ``regions`` and all that lies below."""
    lineage = catalogue.tree().lineage
    sums = np.zeros(len(lineage), dtype=np.int64)
    known = regions >= 0
    for above in lineage[regions[known]].T:
        there = above >= 0
        np.add.at(sums, above[there], values[known][there])
    return sums


@dataclass(frozen=True, eq=False)
class Hour:
    """The reports of the 60 minutes before ``end_minute``, of every service in every region."""

    end_minute: int
    service_id: IntArray
    region: IntArray
    reports: IntArray
    working: IntArray
    _sums: dict[int, tuple[IntArray, IntArray]] = field(default_factory=dict)

    def of(self, service_id: int) -> tuple[IntArray, IntArray]:
        """``(reports, working)`` of one service by region index, regions below included."""
        if service_id not in self._sums:
            rows = slice(*np.searchsorted(self.service_id, [service_id, service_id + 1]))
            regions = self.region[rows]
            self._sums[service_id] = (
                rolled_up(regions, self.reports[rows]),
                rolled_up(regions, self.working[rows]),
            )
        return self._sums[service_id]

    def worldwide(self, service_ids: IntArray) -> tuple[IntArray, IntArray]:
        """``(reports, working)`` of each of these services in the whole world."""
        low, high = np.searchsorted(self.service_id, service_ids), np.searchsorted(self.service_id, service_ids + 1)
        sums = [np.concatenate([[0], np.cumsum(column)]) for column in (self.reports, self.working)]
        return sums[0][high] - sums[0][low], sums[1][high] - sums[1][low]


def hour(end_minute: int) -> Hour:
    """The hour before the minute ``end_minute`` begins."""
    # It outlives a cycle: the counts of a big hour take a second to read, and a cycle changes none of them.
    token = (end_minute, snapshots.version().drained, catalogue.catalogue().digest)
    return snapshots.held("hour", token, lambda: read_hour(end_minute))


def read_hour(end_minute: int, *, service_id: int | None = None) -> Hour:
    """The same, read now; of one service only where one is given."""
    end = clock.instant_of(end_minute)
    found = counts.totals(
        None if service_id is None else [service_id],
        start=end - timedelta(minutes=HOUR_MINUTES),
        end=end,
        by_region=True,
    )
    return Hour(
        end_minute=end_minute,
        service_id=found.service_id,
        region=catalogue.catalogue().regions_of(found.region_id),
        reports=found.reports,
        working=found.working,
    )


Taken = tuple[int, int, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Minutes:
    """Counts by minute (rows, from ``start``) and region (columns, regions below included)."""

    start: int
    reports: IntArray
    working: IntArray
    networks: IntArray
    service_networks: IntArray


def minutes(service_id: int, columns: IntArray, *, start: int, end: int, without: Iterable[Taken] = ()) -> Minutes:
    """The counts of one service in the minutes ``[start, end)``, for the regions ``columns`` (indices).

    What was reported ``without``, from minute to minute in a mask of regions, is left out.
    """
    found = counts.region_minutes(service_id, start=clock.instant_of(start), end=clock.instant_of(end))
    lineage = catalogue.tree().lineage
    column_of = np.full(len(lineage) + 1, -1, dtype=np.int64)
    column_of[columns] = np.arange(len(columns))
    regions = catalogue.catalogue().regions_of(found.region_id)
    sums = [np.zeros((end - start, len(columns)), dtype=np.int64) for _ in range(4)]
    known = regions >= 0
    for first, last, taken in without:
        known &= ~(taken[regions] & (found.minute >= first) & (found.minute < last))
    for above in lineage[regions[known]].T:
        # The last element belongs to no region: -1, "nothing above", lands there.
        column = column_of[above]
        wanted = column >= 0
        row = found.minute[known][wanted] - start
        values_of = (found.reports, found.working, found.networks, found.service_networks)
        for total, values in zip(sums, values_of, strict=True):
            np.add.at(total, (row, column[wanted]), values[known][wanted])
    return Minutes(start, *sums)


# --- the baseline in force --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Expectation:
    """What is ordinary, by the baseline in force. Without one, nothing is expected and ``version`` is empty."""

    version: str
    fit: Fit | None

    def within(self, service: int, regions: IntArray, *, start: int, end: int) -> FloatArray:
        """Reports expected in the minutes ``[start, end)`` in each of these regions (indices)."""
        minutes = np.arange(start, end, dtype=np.int64)
        if self.fit is None or not len(regions) or not len(minutes):
            return np.zeros(len(regions))
        at_once = max(1, CELLS_AT_ONCE // len(minutes))
        parts = [
            self.fit.expected(np.array([[service]]), regions[first : first + at_once, None], minutes[None, :]).sum(
                axis=1
            )
            for first in range(0, len(regions), at_once)
        ]
        return np.concatenate(parts)

    def worldwide(self, services: IntArray, *, start: int, end: int) -> FloatArray:
        """Reports expected in the minutes ``[start, end)`` of each of these services (indices) in the whole world."""
        return self.of_services(services, 0, start=start, end=end)

    def of_services(self, services: IntArray, region: int, *, start: int, end: int) -> FloatArray:
        """The same in one region (index)."""
        minutes, here = np.arange(start, end, dtype=np.int64), np.full((1, 1), region, dtype=np.int64)
        if self.fit is None or not len(services):
            return np.zeros(len(services))
        sums: FloatArray = self.fit.expected(services[:, None], here, minutes[None, :]).sum(axis=1)
        return sums

    def steps(self, service: int, region: int, *, start: int, end: int, step: int) -> tuple[FloatArray, FloatArray]:
        """``(expected, upper)`` of each step of ``step`` minutes from ``start``; the last one up to ``end`` only."""
        size = max(0, -((start - end) // step))
        if self.fit is None or not size:
            return np.zeros(size), np.zeros(size)
        minutes = np.arange(start, end, dtype=np.int64)
        cell = np.array([service]), np.array([region])
        expected = np.zeros(size)
        np.add.at(expected, (minutes - start) // step, self.fit.expected(*cell, minutes))
        starts = start + step * np.arange(size, dtype=np.int64)
        upper = self.fit.upper(*cell, starts, window_minutes=step)
        rest = end - int(starts[-1])
        if rest < step:
            upper[-1] = self.fit.upper(*cell, starts[-1:], window_minutes=rest)[0]
        return expected, upper

    def each(self, service: int, regions: IntArray, minutes: IntArray) -> tuple[FloatArray, FloatArray]:
        """``(expected, upper)`` of single minutes (rows) in these regions (columns)."""
        if self.fit is None:
            return np.zeros((len(minutes), len(regions))), np.zeros((len(minutes), len(regions)))
        cells = np.array([[service]]), regions[None, :], minutes[:, None]
        return self.fit.expected(*cells), self.fit.upper(*cells)


def expectation() -> Expectation:
    """The baseline that detection uses at present, else the newest one."""
    number = snapshots.version().baseline_id
    token = (number, catalogue.catalogue().digest)
    return snapshots.held("expectation", token, lambda: _read_expectation(number))


def expectation_of(version: str, day: date) -> Expectation | None:
    """What was ordinary by the fit of this version, with local time as on ``day``; ``None`` where it is not kept."""
    topology = catalogue.topology_on(day)
    if version == NO_HISTORY:
        return Expectation(version=version, fit=Fit.empty(topology))
    row = Baseline.objects.filter(version=version).first()
    if row is None:
        return None
    return Expectation(version=version, fit=Fit.from_bytes(topology, bytes(row.fit)))


def _read_expectation(number: int | None) -> Expectation:
    row = Baseline.objects.filter(pk=number).first() if number is not None else None
    if row is None:
        return Expectation(version="", fit=None)
    return Expectation(version=row.version, fit=Fit.from_bytes(catalogue.catalogue().topology, bytes(row.fit)))
