"""The few instants that tell the course of an outage: what small maps beside each other show."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.utils.translation import gettext_lazy

from frontend import course
from reports.status.answers import IncidentHistory
from reports.status.nesting import own_people

MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)

NAMES = {
    "before": gettext_lazy("Before"),
    "worst": gettext_lazy("The worst"),
    "first": gettext_lazy("First region back"),
    "half": gettext_lazy("Half are back"),
    "most": gettext_lazy("Nine in ten are back"),
    "last": gettext_lazy("At the end"),
    "now": gettext_lazy("So far"),
}
# It is at its worst as soon as so much of the worst is reached: the last few stragglers would move it by an hour.
NEARLY = 0.98
# Shares of the people in affected regions.
_BACK = {"half": 0.5, "most": 0.9}


@dataclass(frozen=True)
class Moment:
    """An instant, why it was chosen, and the shares of people who live where it is down (or recovering) and back."""

    kind: str
    at: datetime
    out: float
    back: float

    @property
    def name(self) -> str:
        """Why it was chosen, in words."""
        return str(NAMES[self.kind])


def moments(history: IncidentHistory, *, over: bool) -> tuple[Moment, ...]:
    """Two to six instants in order, on positions of the slider: before it began, the worst, the first region back, half
    and nine in ten of the people back, the end. What falls together is told once.

    ``over``: the incident is resolved, so that its end is an end.
    """
    found: dict[str, Moment] = {}
    end_at = _end(history, over=over)
    shares = [each for each in _shares(history) if each[0] <= end_at]
    worst = NEARLY * max((out for _at, out, _back in shares), default=0.0)
    for at, out, back in shares:
        seen = Moment("", at, out, back)
        if out >= worst:
            found.setdefault("worst", seen)
        if back > 0:
            found.setdefault("first", seen)
        for kind, share in _BACK.items():
            if back >= share:
                found.setdefault(kind, seen)
            else:
                # It did not hold: the last time that it came to that counts.
                found.pop(kind, None)
        found["last" if over else "now"] = seen
    step = course.slider_step(history)
    chosen = [Moment("before", history.start, 0.0, 0.0)]
    for kind, seen in sorted(found.items(), key=lambda item: (item[1].at, list(NAMES).index(item[0]))):
        end = kind in ("last", "now")
        place = end_at if end else min(_on_slider(seen.at, history, step), end_at)
        if place - chosen[-1].at >= step * MINUTE:
            chosen.append(Moment(kind, place, seen.out, seen.back))
        elif end and chosen[-1].kind != "before":
            # The end stands for what came just before it.
            chosen[-1] = Moment(chosen[-1].kind, chosen[-1].at, seen.out, seen.back)
    return tuple(chosen)


def _end(history: IncidentHistory, *, over: bool) -> datetime:
    """The end, or of what goes on the last quarter of an hour that is over: the picture need not change with each
    minute."""
    minutes = (history.end - history.start) // QUARTER * QUARTER // MINUTE
    if over or minutes < 30:
        return history.end
    return history.start + minutes // course.slider_step(history) * course.slider_step(history) * MINUTE


def _on_slider(at: datetime, history: IncidentHistory, step: int) -> datetime:
    """The first position of the slider that is not before ``at``: there it has happened."""
    return min(history.start + math.ceil((at - history.start) / MINUTE / step) * step * MINUTE, history.end)


def _shares(history: IncidentHistory) -> list[tuple[datetime, float, float]]:
    """After each change: the instant, and the shares of people where it is down or recovering, and where it is back."""
    people: Mapping[str, float] = own_people(history.regions, elsewhere=history.told_elsewhere)
    whole = sum(people.values()) or 1.0
    state: dict[str, str] = {}
    living: dict[str, float] = defaultdict(float)
    found = []
    for at, changes in groupby(history.transitions, key=lambda change: change.at):
        for change in changes:
            number = people.get(change.region, 0.0)
            living[state.get(change.region, "normal")] -= number
            state[change.region] = change.state
            living[change.state] += number
        out = max(living["down"] + living["recovering"], 0.0) / whole
        found.append((at, out, max(living["restored"], 0.0) / whole))
    return found
