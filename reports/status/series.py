"""Counts through time beside what was expected: charts, and the table that figures can be recomputed from."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO

import numpy as np

from reports import clock, counts
from reports.detection.decisions import FloatArray
from reports.models import Evidence, Incident
from reports.status import catalogue, figures, snapshots
from reports.status.answers import CountSeries
from reports.status.shares import ended_at, span, watched_until

MINUTE = timedelta(minutes=1)
BEFORE = timedelta(hours=2)
AFTER = timedelta(hours=1)
# The longest window of a decision, and what the detector keeps beyond it.
EXPORT_BEFORE = timedelta(minutes=130)
# A chart has no use for more points than a screen has.
MOST_STEPS = 2880
CHART_STEPS = 720
EXPORT_PIECE_MINUTES = 60
EXPORT_HEADER = (
    "minute",
    "region",
    "reports",
    "working",
    "networks",
    "service_networks",
    "expected",
    "upper",
    "baseline_version",
)


class TooManyStepsError(ValueError):
    """The window holds more steps than anybody draws."""


def service_counts(
    slug: str, *, region: str = "001", start: datetime, end: datetime, step: timedelta
) -> CountSeries | None:
    """Counts of a service and a region, with all that lies in it, in steps from ``start`` (at its whole minute).

    A last step that does not end by ``end`` holds, and expects, what came before ``end``. ``None`` for a service or
    region nobody knows; raises ``ValueError`` for a step that is no whole number of minutes, and
    :class:`TooManyStepsError` beyond ``MOST_STEPS``.
    """
    entry, index = catalogue.catalogue().service(slug), catalogue.index_of(region)
    if step < MINUTE or step % MINUTE:
        raise ValueError("step: expected a positive whole number of minutes")
    if entry is None or index is None:
        return None
    first, last = clock.minute_of(start), -(-int(end.timestamp()) // 60)
    if (last - first) * MINUTE > MOST_STEPS * step:
        raise TooManyStepsError(f"at most {MOST_STEPS} steps")
    key = ("series", slug, index, first, last, step)
    return snapshots.kept(key, lambda: _series(entry, index, first=first, last=last, step=step))


def _series(entry: catalogue.Entry, region: int, *, first: int, last: int, step: timedelta) -> CountSeries:
    reports, working = counts.series(
        entry.id,
        catalogue.catalogue().ids_within(region),
        start=clock.instant_of(first),
        end=clock.instant_of(last),
        step=step,
    )
    expectation = figures.expectation()
    expected, upper = expectation.steps(entry.index, region, start=first, end=last, step=step // MINUTE)
    return CountSeries(
        service=entry.link.slug,
        region=catalogue.codes()[region],
        start=clock.instant_of(first),
        step=step,
        reports=tuple(reports.tolist()),
        working=tuple(working.tolist()),
        expected=tuple(expected.round(3).tolist()),
        upper=tuple(upper.round(3).tolist()),
        baseline_version=expectation.version,
    )


def incident_chart(ref: str, *, now: datetime, region: str = "001") -> CountSeries | None:
    """The counts around an incident: from two hours before its onset to an hour after its end, or to now.

    The step is a minute, and more where it lasted long. ``None`` for an unknown ref or region.
    """
    minute = clock.minute_of(now)
    return snapshots.kept(("incident chart", ref, region), lambda: _chart(ref, region, now), minute=minute)


def _chart(ref: str, region: str, now: datetime) -> CountSeries | None:
    row = Incident.objects.filter(ref=ref).first()
    index = catalogue.index_of(region)
    if row is None or index is None:
        return None
    first = clock.minute_of(row.onset_at - BEFORE)
    # What was merged or rejected while it went on is never resolved.
    ended = ended_at(row)
    last = clock.minute_of(min(ended + AFTER, now) if ended else now)
    last = max(last, first + 1)
    step = max(1, -(-(last - first) // CHART_STEPS))
    entry = catalogue.catalogue().by_id[row.service_id]
    return _series(entry, index, first=first, last=last, step=step * MINUTE)


def incident_export(ref: str) -> Iterator[str] | None:
    """The lines of a CSV file, header first: per minute, the world and each region of the incident (withdrawn ones
    too), from 130 minutes before the onset to an hour after the end. ``None`` for an unknown ref.

    A region's figures hold those of the regions below it, as the decisions saw them. ``expected`` and ``upper`` are by
    the fit that the first decision named, and each further one that a decision named has a column
    ``expected_VERSION``; the slow factor is in the evidence. A fit that is not kept leaves its column empty.
    """
    row = Incident.objects.filter(ref=ref).first()
    return None if row is None else _export(row)


def _export(row: Incident) -> Iterator[str]:
    indices = {catalogue.index_of(code) for code in row.regions.values_list("region_code", flat=True)}
    regions = np.array(sorted({0, *(i for i in indices if i is not None)}), dtype=np.int64)
    entry, codes = catalogue.catalogue().by_id[row.service_id], catalogue.codes()
    versions, fits = _fits(row)
    first, end = span(row)
    first -= EXPORT_BEFORE // MINUTE
    # What lies ahead of the detector is not yet counted to the end.
    end = min(end + AFTER // MINUTE, max(clock.minute_of(watched_until()), end))
    yield _line((*EXPORT_HEADER, *(f"expected_{version}" for version in versions[1:])))
    for start in range(first, end, EXPORT_PIECE_MINUTES):
        piece = figures.minutes(row.service_id, regions, start=start, end=min(start + EXPORT_PIECE_MINUTES, end))
        minutes = start + np.arange(len(piece.reports), dtype=np.int64)
        each = [None if fit is None else fit.each(entry.index, regions, minutes) for fit in fits]
        lines = StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for at, minute in enumerate(minutes.tolist()):
            instant = f"{clock.instant_of(minute):%Y-%m-%dT%H:%MZ}"
            for column, region in enumerate(regions.tolist()):
                writer.writerow(
                    (
                        instant,
                        codes[region],
                        piece.reports[at, column],
                        piece.working[at, column],
                        piece.networks[at, column],
                        piece.service_networks[at, column],
                        _number(each[0], at, column),
                        "" if each[0] is None else int(each[0][1][at, column]),
                        versions[0],
                        *(_number(of_fit, at, column) for of_fit in each[1:]),
                    )
                )
        yield lines.getvalue()


def _fits(row: Incident) -> tuple[list[str], list[figures.Expectation | None]]:
    """The fits that decisions about the incident named, the first one first; the one in force where none did."""
    named = (
        Evidence.objects.filter(incident=row).order_by("decided_at", "id").values_list("baseline_version", flat=True)
    )
    versions = list(dict.fromkeys(version for version in named if version))
    found = [figures.expectation_of(version, row.detected_at.date()) for version in versions]
    if not any(found):
        in_force = figures.expectation()
        return [in_force.version], [in_force]
    return versions, found


def _number(of_fit: tuple[FloatArray, FloatArray] | None, at: int, column: int) -> str:
    return "" if of_fit is None else f"{of_fit[0][at, column]:.7g}"


def _line(fields: tuple[str, ...]) -> str:
    return ",".join(fields) + "\n"
