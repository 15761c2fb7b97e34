"""Charts: whatever the numbers, the drawing stays inside its square and says what they say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend import charts

START = datetime(2024, 4, 3, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

counts = st.lists(st.floats(0, 1e7), min_size=1, max_size=60)
states = st.sampled_from(charts.STATES)
courses = st.lists(st.tuples(st.integers(-600, 3000), states), max_size=8).map(
    lambda changes: [(START + timedelta(minutes=m), state) for m, state in sorted(changes)]
)


def numbers(path: str) -> list[int]:
    return [int(found) for found in re.findall(r"-?\d+", path)]


@given(counts, st.floats(1, 1e7))
def test_a_line_stays_inside_its_square(values: list[float], top: float) -> None:
    for path in (
        charts.steps_line(values, top),
        charts.steps_area(values, top),
        charts.smooth_line(values, top),
    ):
        assert path.startswith("M")
        assert all(0 <= n <= charts.SIDE for n in numbers(path))


@given(counts)
def test_a_band_is_closed_and_inside(values: list[float]) -> None:
    path = charts.band([0.0] * len(values), values, charts.nice_top(max(values)))
    assert path.startswith("M")
    assert path.endswith("Z")
    assert all(0 <= n <= charts.SIDE for n in numbers(path))


def test_a_band_needs_two_edges_of_one_length() -> None:
    with pytest.raises(ValueError, match="equally many"):
        charts.band([0.0], [1.0, 2.0], 4)


def test_a_step_line_holds_each_value_over_its_own_part() -> None:
    assert charts.steps_line([0, 2, 2, 4], 4) == "M0 1000H250V500H750V0H1000"


def test_no_values_draw_nothing() -> None:
    assert charts.steps_line([], 4) == charts.steps_area([], 4) == charts.smooth_line([], 4) == ""
    assert charts.band([], [], 4) == ""


@given(st.floats(0, 1e9))
def test_the_top_of_an_axis_holds_the_largest_value_and_wastes_little(largest: float) -> None:
    top = charts.nice_top(largest)
    assert top >= max(largest, 4)
    assert top <= max(2 * largest, 4) * 1.001


@given(st.floats(0, 1e9))
def test_ticks_are_whole_numbers_and_include_both_ends(largest: float) -> None:
    ticks = charts.y_ticks(charts.nice_top(largest))
    assert [ticks[0].percent, ticks[-1].percent] == ["100%", "0%"]
    assert all(tick.value == int(tick.value) for tick in ticks)


@given(st.integers(1, 60 * 24 * 60), st.integers(3, 12))
def test_time_ticks_are_few_round_and_inside(minutes: int, most: int) -> None:
    ticks = charts.time_ticks(START, START + timedelta(minutes=minutes), most=most)
    assert len(ticks) <= most + 1
    assert all(START < tick.at < START + timedelta(minutes=minutes) for tick in ticks)


def test_a_day_is_ticked_every_three_hours() -> None:
    ticks = charts.time_ticks(START, START + 24 * HOUR)
    assert [tick.at.hour for tick in ticks] == [21, 0, 3, 6, 9, 12, 15]
    assert [tick.midnight for tick in ticks].count(True) == 1


def test_a_backward_range_has_no_ticks() -> None:
    assert charts.time_ticks(START, START - HOUR) == ()


@given(st.floats(-0.5, 1.5))
def test_a_percentage_is_plain(share: float) -> None:
    assert re.fullmatch(r"-?\d+(\.\d{1,2})?%", charts.percent(share))


def test_the_state_changes_at_the_very_instant() -> None:
    changes = [(START, "down"), (START + HOUR, "restored")]
    second = timedelta(seconds=1)
    assert charts.state_at(changes, START - second) == "normal"
    assert charts.state_at(changes, START) == "down"
    assert charts.state_at(changes, START + HOUR - second) == "down"
    assert charts.state_at(changes, START + HOUR) == "restored"


@given(courses)
def test_spans_are_in_order_inside_and_never_normal(changes: list[tuple[datetime, str]]) -> None:
    found = charts.spans(changes, START, START + 24 * HOUR)
    for span in found:
        assert span.state != "normal"
        assert START <= span.start < span.end <= START + 24 * HOUR
        assert 0 <= span.x <= charts.SIDE
        assert span.width >= 1
    assert all(a.end <= b.start for a, b in pairwise(found))


@given(st.dictionaries(st.text("ABC", min_size=1), st.floats(1, 1e9), min_size=1, max_size=6), courses)
def test_shares_of_people_add_up_to_one(people: dict[str, float], course: list[tuple[datetime, str]]) -> None:
    found = charts.shares(people, dict.fromkeys(people, course), START, START + 6 * HOUR, parts=12)
    for i in range(13):
        assert sum(found[state][i] for state in charts.STATES) == pytest.approx(1)


def test_where_nobody_lives_there_is_no_share() -> None:
    found = charts.shares({}, {}, START, START + HOUR, parts=2)
    assert all(share == 0 for layer in found.values() for share in layer)


@given(st.lists(st.lists(st.floats(0, 1), min_size=5, max_size=5), min_size=1, max_size=5))
def test_stacked_layers_stay_inside(layers: list[list[float]]) -> None:
    for path in charts.stack(layers):
        assert all(0 <= n <= charts.SIDE for n in numbers(path))


def test_a_layer_lies_on_the_one_below() -> None:
    lower, upper = charts.stack([[0.5, 0.25], [0.5, 0.75]])
    assert lower == "M0 500L1000 750L1000 1000L0 1000Z"
    assert upper == "M0 0L1000 0L1000 750L0 500Z"


def test_layers_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        charts.stack([[0.0, 1.0], [0.0]])


def test_a_chart_of_counts_shares_one_scale() -> None:
    plot = charts.counts_plot(
        start=START,
        step=timedelta(minutes=5),
        reports=[1, 90, 40],
        working=[0, 0, 12],
        expected=[2, 2, 2],
        upper=[6, 6, 6],
    )
    assert plot.top == 100
    assert plot.end == START + timedelta(minutes=15)
    assert plot.band.startswith(f"M{plot.left} 940")


shares = st.floats(0, 1)


@given(st.lists(st.tuples(shares, shares, shares, shares, st.integers(1, 10**6)), max_size=10))
def test_a_reliability_diagram_stays_inside_its_square(bands: list[tuple[float, float, float, float, int]]) -> None:
    points = charts.reliability_points(bands)
    assert len(points) == len(bands)
    for point in points:
        assert all(0 <= n <= charts.SIDE for n in (point.x, point.y, point.low, point.high))
        assert 10 <= point.radius <= 34


def test_a_confidence_that_keeps_its_word_lies_on_the_diagonal() -> None:
    kept, broken = charts.reliability_points([(0.9, 0.9, 0.8, 0.95, 100), (0.9, 0.5, 0.4, 0.6, 4)])
    assert kept.x + kept.y == charts.SIDE
    assert kept.high < kept.y < kept.low
    assert broken.y > kept.y
    assert broken.radius < kept.radius


layered = st.integers(2, 40).flatmap(
    lambda size: st.lists(st.lists(st.floats(0, 0.25), min_size=size, max_size=size), min_size=1, max_size=4)
)


@given(layered)
def test_stacked_steps_are_closed_inside_and_say_the_same(layers: list[list[float]]) -> None:
    """Filled, the step lines hold each share until the next instant: their areas are those of the numbers."""
    paths = charts.stack_steps(layers)
    last = len(layers[0]) - 1
    floor = [0.0] * last
    for layer, path in zip(layers, paths, strict=True):
        ceiling = [low + share for low, share in zip(floor, layer, strict=False)]
        if max(layer) == 0:
            assert path == ""
            continue
        assert path.startswith("M0 ")
        assert path.endswith("H0Z")
        assert all(0 <= n <= charts.SIDE for n in numbers(path))
        for i in range(last):
            heights = [round(charts.SIDE * (1 - min(value, 1.0))) for value in (ceiling[i], floor[i])]
            middle = charts.SIDE * (i + 0.5) / last
            assert crossings(path, middle) == sorted(heights)
        floor = ceiling


def crossings(path: str, at: float) -> list[int]:
    """The heights at which the outline crosses the upright line at ``at``."""
    x, y, found = 0, 0, []
    for command, value in re.findall(r"([MHV])(\d+(?: \d+)?)", path):
        if command == "M":
            x, y = map(int, value.split())
        elif command == "V":
            y = int(value)
        else:
            if min(x, int(value)) < at < max(x, int(value)):
                found.append(y)
            x = int(value)
    return sorted(found)


def test_stacked_steps_need_layers_of_one_length() -> None:
    with pytest.raises(ValueError, match="equally many"):
        charts.stack_steps([[0.1, 0.2], [0.1]])
