"""Numbers to SVG: a plot is 1,000 units high, and the page stretches it to the room it has.

It is 1,000 units wide, or, where time runs along it and an open page follows, as wide as says when: what is drawn then
stays as it is while the plot grows, and only its end is news.

Text never lies inside a stretched plot: ticks are given as percentages, to be placed beside it, so that letters keep
their size on a telephone. ``y`` grows downwards, as in SVG. Nothing here knows Django, a clock or a database.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

SIDE = 1000
"""Units along each side of a plot."""

STATES = ("down", "recovering", "restored", "unknown", "normal")
"""The states of a region in the order in which they are stacked, from the bottom up."""

_STEPS = (
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=7),
)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: ``percent`` of its length, from the left or from the top, and the value it stands for."""

    percent: str
    value: float
    minor: bool = False
    """May be left out where room is scarce."""


@dataclass(frozen=True)
class TimeTick:
    """A mark on a time axis."""

    percent: str
    at: datetime
    minor: bool = False
    midnight: bool = False


@dataclass(frozen=True)
class Span:
    """One state from ``start`` to ``end``; ``x`` and ``width`` in units of a plot, ``width`` at least 1."""

    state: str
    start: datetime
    end: datetime
    x: int
    width: int


@dataclass(frozen=True)
class CountsPlot:
    """A finished chart of counts: path data of each series, and both axes."""

    reports: str
    reports_area: str
    working: str
    expected: str
    band: str
    top: float
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[TimeTick, ...]
    start: datetime
    end: datetime
    left: int
    """Where the plot begins, and how many units it is wide: two for each step since a midnight."""
    width: int

    @property
    def right(self) -> int:
        """Where the plot ends."""
        return self.left + self.width


def percent(share: float) -> str:
    """``share`` of one as an SVG length: ``0.125`` gives ``12.5%``; never in scientific or localised notation."""
    text = f"{100 * share:.2f}".rstrip("0").rstrip(".")
    return f"{'0' if text == '-0' else text}%"


def nice_top(largest: float) -> float:
    """The upper end of an axis that holds ``largest``: 4, 8, 10, 20, 40, 80, 100, 200 ...; at least 4, so that one
    report in an hour does not fill a chart.
    """
    if not math.isfinite(largest) or largest <= 4:
        return 4.0
    scale = 10.0 ** math.floor(math.log10(largest))
    return next(step * scale for step in (1, 2, 4, 6, 8, 10) if step * scale >= largest)


def y_ticks(top: float) -> tuple[Tick, ...]:
    """Ticks at 0, a half and the whole of ``top``, quarters as minor ones; whole numbers only."""
    found = []
    for quarter in range(5):
        value = top * quarter / 4
        if value == int(value):
            found.append(Tick(percent(1 - quarter / 4), value, minor=quarter % 2 == 1))
    return tuple(found)


def time_ticks(start: datetime, end: datetime, *, most: int = 9) -> tuple[TimeTick, ...]:
    """At most ``most`` round instants (UTC) strictly inside ``[start, end]``; every second one is minor.

    None for an empty or a backward range.
    """
    length = end - start
    if length <= timedelta(0):
        return ()
    step = next((step for step in _STEPS if length / step <= most), length / most)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    number = math.floor((start - day) / step) + 1
    found = []
    while (at := day + number * step) < end:
        share = (at - start) / length
        # A label at the very edge would be cut off.
        if 0.015 < share < 0.985:
            midnight = (at.hour, at.minute) == (0, 0)
            found.append(TimeTick(percent(share), at, minor=number % 2 == 1, midnight=midnight))
        number += 1
    return tuple(found)


def _y(value: float, top: float) -> int:
    return round(SIDE * (1 - min(max(value / top, 0.0), 1.0)))


def _x(index: int, count: int, width: int = SIDE) -> int:
    return round(width * index / count)


def steps_line(values: Sequence[float], top: float, *, left: int = 0, width: int = SIDE) -> str:
    """Path data of a step line: ``values[i]`` holds over the i-th of ``len(values)`` equal parts of the width, which
    begins at ``left``.

    Values beyond ``top`` are cut at it. Empty for no values.
    """
    if not values:
        return ""
    heights = [_y(value, top) for value in values]
    path = [f"M{left} {heights[0]}"]
    for i, height in enumerate(heights[1:], start=1):
        if height != heights[i - 1]:
            path.append(f"H{left + _x(i, len(values), width)}V{height}")
    return "".join([*path, f"H{left + width}"])


def steps_area(values: Sequence[float], top: float, *, left: int = 0, width: int = SIDE) -> str:
    """Path data of the area under :func:`steps_line`, closed along the bottom."""
    line = steps_line(values, top, left=left, width=width)
    return f"{line}V{SIDE}H{left}Z" if line else ""


def smooth_line(values: Sequence[float], top: float, *, left: int = 0, width: int = SIDE) -> str:
    """Path data of straight lines through the middle of each of ``len(values)`` parts, drawn out to both edges."""
    points = _middles(values, top, left, width)
    return "M" + "L".join(f"{x} {y}" for x, y in points) if points else ""


def band(low: Sequence[float], high: Sequence[float], top: float, *, left: int = 0, width: int = SIDE) -> str:
    """Path data of the area between two lines of equal length. Raises ``ValueError`` where the lengths differ."""
    if len(low) != len(high):
        raise ValueError("both edges of a band need equally many values")
    upper, lower = _middles(high, top, left, width), _middles(low, top, left, width)
    if not upper:
        return ""
    return "M" + "L".join(f"{x} {y}" for x, y in [*upper, *reversed(lower)]) + "Z"


def _middles(values: Sequence[float], top: float, left: int, width: int) -> list[tuple[int, int]]:
    count = len(values)
    if not count:
        return []
    heights = [_y(value, top) for value in values]
    inner = [(left + round(width * (i + 0.5) / count), height) for i, height in enumerate(heights)]
    points = [(left, heights[0]), *inner, (left + width, heights[-1])]
    # A point halfway along a level stretch draws nothing.
    return [
        point
        for i, point in enumerate(points)
        if i in (0, len(points) - 1) or not points[i - 1][1] == point[1] == points[i + 1][1]
    ]


def counts_plot(
    *,
    start: datetime,
    step: timedelta,
    reports: Sequence[float],
    working: Sequence[float],
    expected: Sequence[float],
    upper: Sequence[float],
    top: float | None = None,
    most_ticks: int = 9,
) -> CountsPlot:
    """The chart of one series of counts: reports, works-again reports, and the band of what is ordinary.

    All sequences hold counts a ``step`` from ``start`` on; ``expected`` and ``upper`` may be empty where there is no
    baseline. The scale starts at zero and is shared by all series; ``top`` sets its end, to compare charts.
    """
    end = start + step * len(reports)
    if top is None:
        top = nice_top(max([*reports, *working, *upper], default=0))
    # From a midnight on, so that a step stands where it stood when the plot began earlier.
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    left, width = 2 * round((start - midnight) / step), 2 * max(len(reports), 1)
    return CountsPlot(
        reports=steps_line(reports, top, left=left, width=width),
        reports_area=steps_area(reports, top, left=left, width=width),
        working=steps_line(working, top, left=left, width=width),
        expected=smooth_line(expected, top, left=left, width=width),
        band=band([0.0] * len(upper), upper, top, left=left, width=width),
        top=top,
        y_ticks=y_ticks(top),
        x_ticks=time_ticks(start, end, most=most_ticks),
        start=start,
        end=end,
        left=left,
        width=width,
    )


def state_at(changes: Sequence[tuple[datetime, str]], at: datetime) -> str:
    """The state at ``at`` after ``changes`` (instant, state) in order of time; ``normal`` before the first."""
    number = bisect_right(changes, at, key=lambda change: change[0])
    return changes[number - 1][1] if number else "normal"


def position(at: datetime, start: datetime, end: datetime, *, width: int = SIDE) -> int:
    """Where ``at`` lies in ``[start, end]``, in units of a plot; cut at both edges, 0 for an empty range."""
    length = end - start
    if length <= timedelta(0):
        return 0
    return round(width * min(max((at - start) / length, 0.0), 1.0))


def spans(
    changes: Sequence[tuple[datetime, str]], start: datetime, end: datetime, *, width: int = SIDE
) -> tuple[Span, ...]:
    """The stretches of one region that were not ``normal`` within ``[start, end]``, in order, none overlapping."""
    found = []
    # As narrow as can still be seen.
    least = max(round(width / SIDE), 1)
    for i, (since, state) in enumerate(changes):
        until = changes[i + 1][0] if i + 1 < len(changes) else end
        since, until = max(since, start), min(until, end)
        if state == "normal" or until <= since:
            continue
        x = position(since, start, end, width=width)
        found.append(Span(state, since, until, x, max(position(until, start, end, width=width) - x, least)))
    return tuple(found)


def shares(
    people: Mapping[str, float],
    changes: Mapping[str, Sequence[tuple[datetime, str]]],
    start: datetime,
    end: datetime,
    *,
    parts: int,
) -> dict[str, list[float]]:
    """For each state, the share of ``people`` (region to population) who live in it, at ``parts + 1`` instants.

    The instants divide ``[start, end]`` evenly, both ends included; at each the shares add up to one, or are all zero
    where nobody lives. Regions without ``changes`` are ``normal``.
    """
    whole = sum(people.values())
    found = {state: [0.0] * (parts + 1) for state in STATES}
    if whole <= 0:
        return found
    instants = [start + (end - start) * i / parts for i in range(parts + 1)]
    # What each instant adds to the one before it: a region costs as much as it has changes, not as there are instants.
    gains = {state: [0.0] * (parts + 2) for state in STATES}
    for region, population in people.items():
        state, since = "normal", 0
        for at, following in changes.get(region, ()):
            first = bisect_left(instants, at)
            gains[state][since] += population
            gains[state][first] -= population
            state, since = following, first
        gains[state][since] += population
    for state, steps in gains.items():
        found[state] = [max(total, 0.0) / whole for total in accumulate(steps[: parts + 1])]
    return found


def stack(layers: Sequence[Sequence[float]], *, width: int = SIDE) -> tuple[str, ...]:
    """Path data of areas stacked from the bottom up; ``layers[k][i]`` is the share of layer k at the i-th instant.

    Sums beyond one are cut. All layers are equally long, else ``ValueError``. A layer that is nowhere more than
    nothing gives an empty path.
    """
    if len({len(layer) for layer in layers}) > 1:
        raise ValueError("layers to be stacked need equally many values")
    if not layers or len(layers[0]) < 2:
        return tuple("" for _ in layers)
    last = len(layers[0]) - 1
    floor = [0.0] * (last + 1)
    paths = []
    for layer in layers:
        ceiling = [low + share for low, share in zip(floor, layer, strict=True)]
        if max(layer) <= 0:
            paths.append("")
        else:
            upper = [f"{_x(i, last, width)} {_y(value, 1.0)}" for i, value in enumerate(ceiling)]
            lower = [f"{_x(i, last, width)} {_y(value, 1.0)}" for i, value in enumerate(floor)]
            paths.append("M" + "L".join([*upper, *reversed(lower)]) + "Z")
        floor = ceiling
    return tuple(paths)


def stack_steps(layers: Sequence[Sequence[float]], *, width: int = SIDE) -> tuple[str, ...]:
    """The same as :func:`stack`, but each share holds until the next instant: level stretches cost nothing."""
    if len({len(layer) for layer in layers}) > 1:
        raise ValueError("layers to be stacked need equally many values")
    if not layers or len(layers[0]) < 2:
        return tuple("" for _ in layers)
    last = len(layers[0]) - 1
    floor = [0.0] * (last + 1)
    paths = []
    for layer in layers:
        ceiling = [low + share for low, share in zip(floor, layer, strict=True)]
        upper, lower = (_edges([_y(value, 1.0) for value in edge], last, width) for edge in (ceiling, floor))
        paths.append(_between(upper, lower, width) if max(layer) > 0 else "")
        floor = ceiling
    return tuple(paths)


def _edges(heights: Sequence[int], last: int, width: int) -> list[tuple[int, int]]:
    """The places where a step line begins a new height: ``(x, height)``, the first at 0."""
    return [(_x(i, last, width), height) for i, height in enumerate(heights[:-1]) if i == 0 or height != heights[i - 1]]


def _between(upper: Sequence[tuple[int, int]], lower: Sequence[tuple[int, int]], width: int) -> str:
    """Path data between two step lines: along the upper one to the right, along the lower one back."""
    there = f"M0 {upper[0][1]}" + "".join(f"H{x}V{height}" for x, height in upper[1:]) + f"H{width}"
    back = f"V{lower[-1][1]}"
    for (x, _height), (_x_before, before) in zip(reversed(lower[1:]), reversed(lower[:-1]), strict=True):
        back += f"H{x}V{before}"
    return f"{there}{back}H0Z"


@dataclass(frozen=True)
class ReliabilityPoint:
    """One band of a reliability diagram: ``x`` what was told, ``y`` what came true, ``low`` to ``high`` its interval.

    In units of the plot; ``y`` grows downwards, so ``high`` is the smaller number. ``radius`` grows with how many.
    """

    x: int
    y: int
    low: int
    high: int
    radius: int


def reliability_points(bands: Sequence[tuple[float, float, float, float, int]]) -> tuple[ReliabilityPoint, ...]:
    """Points of a reliability diagram, from (told, share, least, most, incidents), all but the last shares of one.

    A point on the diagonal from lower left to upper right keeps its word. The area of a point is proportional to the
    square root of its incidents, within what can be seen and does not hide the others.
    """
    return tuple(
        ReliabilityPoint(
            x=round(SIDE * min(max(told, 0.0), 1.0)),
            y=_y(share, 1.0),
            low=_y(least, 1.0),
            high=_y(most, 1.0),
            radius=round(min(max(9.0 * incidents**0.25, 10.0), 34.0)),
        )
        for told, share, least, most, incidents in bands
    )
