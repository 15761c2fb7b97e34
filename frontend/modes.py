"""What the map of an incident can show: the state of each region, its reports against the usual, or how long until it
was back. Each mode gives every region a *fill*, a word that style sheet, drawing and script know the colour of.

Classes are fixed for a whole incident, so that two instants compare; the shades of a mode are of one hue and differ in
lightness, and what cannot be said is hatched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from frontend import course, words
from reports.status import IncidentRates
from reports.status.answers import IncidentHistory

MODES = ("state", "rate", "restore")
MINUTE = timedelta(minutes=1)

RATE_BREAKS = (2, 5, 10, 30)
"""The least multiple of the usual in every class but the first: steps of about the same factor."""
# Fewer reports than this say little (where so few would be ordinary; where more would be, they say that it is quiet).
LEAST_REPORTS = 3
# Added to both sides of a multiple: three reports where none is usual are not endlessly many times the usual.
HALF_A_REPORT = 0.5
FEW = 0

RESTORE_CLASSES = 5
# Limits of classes are multiples of the finest of these that a class is not narrower than.
_GRAINS = (1, 5, 10, 15, 30, 60, 120, 360, 720, 1440)


@dataclass(frozen=True)
class Key:
    """A line of a legend: the fill and what it means."""

    fill: str
    label: str


def chosen(asked: str) -> str:
    """The mode that is asked for by this word; the first one for any other."""
    return asked if asked in MODES else MODES[0]


# --- reports against the usual ----------------------------------------------------------------------------------------


def rate_classes(reports: NDArray[np.int64], expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """The class of each cell, 1 to 5 by :data:`RATE_BREAKS`; :data:`FEW` where too little is known. Elementwise."""
    multiple = (reports + HALF_A_REPORT) / (expected + HALF_A_REPORT)
    classes = 1 + np.searchsorted(np.array(RATE_BREAKS), multiple, side="right")
    told: NDArray[np.int64] = np.where((reports < LEAST_REPORTS) & (expected < LEAST_REPORTS), FEW, classes)
    return told


def rate_fill(number: int) -> str:
    """The fill of a class of :func:`rate_classes`."""
    return "few" if number == FEW else f"rate-{number}"


def rate_keys() -> tuple[Key, ...]:
    """The legend of the multiples."""
    first, *others = RATE_BREAKS
    keys = [Key(rate_fill(1), _("less than {n} times the usual").format(n=first))]
    for number, (low, high) in enumerate(zip([first, *others], [*others, None], strict=True), start=2):
        label = _("{low} to {high}").format(low=low, high=high) if high else _("{low} times and more").format(low=low)
        keys.append(Key(rate_fill(number), label))
    return (*keys, Key(rate_fill(FEW), _("too few reports to say")))


def instants(history: IncidentHistory) -> list[datetime]:
    """The positions of the slider."""
    step = course.slider_step(history)
    minutes = max(math.ceil((history.end - history.start) / MINUTE), 1)
    return [min(history.start + i * MINUTE, history.end) for i in range(0, minutes + step, step)]


def rates_json(history: IncidentHistory, rates: IncidentRates) -> dict[str, object]:
    """For ``modes.js``: a string a region with the class of each position of the slider, one digit each."""
    classes = rate_classes(rates.reports, rates.expected).T
    return {
        "start": words.utc(history.start),
        "step": course.slider_step(history),
        "window": int(rates.window / MINUTE),
        "regions": {
            code: "".join(map(str, row)) for code, row in zip(rates.codes, classes.tolist(), strict=True) if any(row)
        },
    }


def rate_fills(rates: IncidentRates) -> dict[str, str]:
    """The fill of every region at the first instant of ``rates``."""
    classes = rate_classes(rates.reports[0], rates.expected[0]).tolist()
    return {code: rate_fill(number) for code, number in zip(rates.codes, classes, strict=True)}


# --- time to restore --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Restoration:
    """The fill of every region that a map draws, the limits of the classes in minutes, and the legend."""

    fills: Mapping[str, str]
    breaks: tuple[int, ...]
    keys: tuple[Key, ...]


def restoration(history: IncidentHistory, *, over: bool = False) -> Restoration:
    """How long after the beginning of the incident each region came back for good, as classes fit to the incident.

    ``over``: nobody waits any more for those that are not back.
    """
    onset = min((change.at for change in history.transitions), default=history.start)
    last = {code: changes[-1] for code, changes in course.by_region(history).items() if changes}
    minutes = {code: (at - onset) / MINUTE for code, (at, state) in last.items() if state in ("restored", "normal")}
    breaks = restore_breaks(list(minutes.values()))
    fills = {
        code: f"back-{1 + sum(minutes[code] >= limit for limit in breaks)}" if code in minutes else _not_back(state)
        for code, (_at, state) in last.items()
    }
    for code, above in course.covers(history).items():
        if above in fills:
            fills.setdefault(code, fills[above])
    present = set(fills.values())
    keys = [
        *(_restore_keys(breaks) if minutes else ()),
        Key("not-back", words.state_name("down") if over else _("not back yet")),
        Key("few", _("too few reports to say")),
    ]
    return Restoration(fills, breaks, tuple(key for key in keys if key.fill.startswith("back-") or key.fill in present))


def _not_back(state: str) -> str:
    return "few" if state == "unknown" else "not-back"


def restore_breaks(minutes: Sequence[float]) -> tuple[int, ...]:
    """At most four limits in whole minutes, rising, that part these lengths of time into classes of about equal size.

    None where all are about the same. A length equal to a limit lies above it.
    """
    if not minutes:
        return ()
    spread = (max(minutes) - min(minutes)) / RESTORE_CLASSES
    grain = max((grain for grain in _GRAINS if grain <= spread), default=1)
    wanted = np.quantile(np.array(minutes), [i / RESTORE_CLASSES for i in range(1, RESTORE_CLASSES)])
    limits = sorted({grain * round(float(limit) / grain) for limit in wanted})
    return tuple(limit for limit in limits if min(minutes) < limit <= max(minutes))


def _restore_keys(breaks: Sequence[int]) -> list[Key]:
    def told(limit: int) -> str:
        return words.duration(limit * MINUTE)

    if not breaks:
        return [Key("back-1", _("back"))]
    middle = [
        Key(f"back-{number}", _("{low} to {high}").format(low=told(low), high=told(high)))
        for number, (low, high) in enumerate(pairwise(breaks), start=2)
    ]
    return [
        Key("back-1", _("back within {length}").format(length=told(breaks[0]))),
        *middle,
        Key(f"back-{len(breaks) + 1}", _("{length} and more").format(length=told(breaks[-1]))),
    ]
