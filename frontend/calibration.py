"""Reliability diagrams, made of what ``status`` says about confidence; and a confidence's basis in words."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from frontend import charts
from reports import formats, status
from reports.status.answers import CalibrationFigures


@dataclass(frozen=True)
class DiagramTick:
    """A mark on both axes: its place along and above as percentages, in units of the plot, and its value in %."""

    along: str
    above: str
    at: int
    value: int


@dataclass(frozen=True)
class Diagram:
    """One reliability diagram; ``brier`` and ``base`` (that of the base rate) as they are read."""

    figures: CalibrationFigures
    points: tuple[charts.ReliabilityPoint, ...]
    brier: str
    base: str
    ticks: tuple[DiagramTick, ...] = tuple(
        DiagramTick(charts.percent(value / 100), charts.percent(1 - value / 100), 1000 - 10 * value, value)
        for value in (0, 25, 50, 75, 100)
    )


def diagram(figures: CalibrationFigures | None) -> Diagram | None:
    """The diagram of these figures; ``None`` for none."""
    if figures is None:
        return None
    return Diagram(
        figures=figures,
        points=charts.reliability_points([(b.told, b.share, b.least, b.most, b.incidents) for b in figures.bands]),
        brier=formats.number(figures.brier, digits=3),
        base=formats.number(figures.uncertainty, digits=3),
    )


def basis(confidence: float) -> str:
    """What became of incidents that were told with about this confidence, in one or two sentences."""
    if confidence >= 1.0:
        return _("An administrator vouches for it.")
    found = status.confidence_basis(confidence)
    band = {"low": round(100 * found.low), "high": round(100 * found.high)}
    if found.simulated:
        of = {"n": found.simulated.incidents, "real": found.simulated.real, **band}
        simulated = ngettext(
            "Of one simulated incident last told with {low} to {high} %, {real} was an outage.",
            "Of {n} simulated incidents last told with {low} to {high} %, {real} were outages.",
            found.simulated.incidents,
        ).format(**of)
    else:
        simulated = _("No simulated incident was told with {low} to {high} %.").format(**band)
    if found.reviewed:
        reviewed = _("Of {n} reviewed here, {real} were.").format(n=found.reviewed.incidents, real=found.reviewed.real)
    else:
        reviewed = ngettext(
            "Reviewed here: {n} incident so far, too few to say.",
            "Reviewed here: {n} incidents so far, too few to say.",
            found.reviewed_incidents,
        ).format(n=found.reviewed_incidents)
        if found.reviewed_incidents >= found.needed_reviewed:
            reviewed = _("None reviewed here was told so.")
    return f"{simulated} {reviewed}"
