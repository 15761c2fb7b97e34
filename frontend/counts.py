"""Counts as charts: which stretch of time, in which steps, and the table that says the same."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from frontend import charts
from reports import status
from reports.status.answers import CountSeries

DAY, STEP = timedelta(hours=24), timedelta(minutes=5)
SPARK, SPARK_STEP = timedelta(hours=6), timedelta(minutes=10)


def day(slug: str, region: str, now: datetime) -> CountSeries | None:
    """The counts of the last 24 hours; ``None`` for a service or region nobody knows."""
    end = _whole(now, STEP)
    return status.service_counts(slug, region=region, start=end - DAY, end=end, step=STEP)


def _whole(now: datetime, step: timedelta) -> datetime:
    """The end of the step in which ``now`` lies, so that bars do not shiver from minute to minute."""
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(-(-now.timestamp() // seconds) * seconds, UTC)


def spark(slug: str, now: datetime) -> charts.CountsPlot | None:
    """A small chart of the last hours, without axes."""
    end = _whole(now, SPARK_STEP)
    series = status.service_counts(slug, start=end - SPARK, end=end, step=SPARK_STEP)
    return plot(series) if series else None


def plot(series: CountSeries, *, top: float | None = None) -> charts.CountsPlot:
    """The drawing of a series; ``top`` sets its scale, to compare charts."""
    return charts.counts_plot(
        start=series.start,
        step=series.step,
        reports=series.reports,
        working=series.working,
        expected=series.expected,
        upper=series.upper,
        top=top,
    )


def chart(series: CountSeries, *, top: float | None = None) -> dict[str, object]:
    """What ``_chart.html`` and ``chart.svg`` take: the drawing, its table by the hour, and its highest step."""
    rows = [
        {
            "at": series.start + series.step * i,
            "reports": sum(series.reports[i:until]),
            "working": sum(series.working[i:until]),
            "expected": sum(series.expected[i:until]),
        }
        for i, until in pairwise(_hours(series))
    ]
    most = max(series.reports, default=0)
    return {
        "plot": plot(series, top=top),
        "series": series,
        "rows": rows,
        "most": most,
        "most_at": series.start + series.step * series.reports.index(most) if most else None,
        "step_minutes": int(series.step / timedelta(minutes=1)),
    }


def _hours(series: CountSeries) -> list[int]:
    """The steps at which a row begins: the first, those at a full hour, and one beyond the last. A row that is over
    then stays as it is while the series moves on.
    """
    number = len(series.reports)
    hour = timedelta(hours=1)
    first = (series.start + hour).replace(minute=0, second=0, microsecond=0)
    full = {math.ceil((first + hour * i - series.start) / series.step) for i in range(number)}
    return sorted({0, *(step for step in full if step < number), number})
