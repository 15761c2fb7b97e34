"""Counts as charts: which stretch of time, in which steps, and the table that says the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from frontend import charts
from reports import status
from reports.status.answers import CountSeries

DAY, STEP = timedelta(hours=24), timedelta(minutes=5)
SPARK, SPARK_STEP = timedelta(hours=6), timedelta(minutes=10)


def day(slug: str, region: str, now: datetime) -> CountSeries | None:
    """The counts of the last 24 hours; ``None`` for a service or region nobody knows."""
    # Whole steps, so that the bars do not shiver from minute to minute.
    seconds = int(STEP.total_seconds())
    end = datetime.fromtimestamp(-(-now.timestamp() // seconds) * seconds, UTC)
    return status.service_counts(slug, region=region, start=end - DAY, end=end, step=STEP)


def spark(slug: str, now: datetime) -> charts.CountsPlot | None:
    """A small chart of the last hours, without axes."""
    series = status.service_counts(slug, start=now - SPARK, end=now, step=SPARK_STEP)
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
    hourly = max(int(timedelta(hours=1) / series.step), 1)
    rows = [
        {
            "at": series.start + series.step * i,
            "reports": sum(series.reports[i : i + hourly]),
            "working": sum(series.working[i : i + hourly]),
            "expected": sum(series.expected[i : i + hourly]),
        }
        for i in range(0, len(series.reports), hourly)
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
