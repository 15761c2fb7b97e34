"""Classes and chosen instants: whatever the numbers, they are in order, cover all, and never say more than is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend import modes, moments
from frontend.course import slider_step
from reports.status.answers import IncidentHistory, RegionLink, Transition

START = datetime(2024, 4, 3, 17, 50, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
lengths = st.lists(st.floats(1, 5000), max_size=80)


def history(changes: dict[str, list[tuple[int, str]]], minutes: int) -> IncidentHistory:
    """Regions of a hundred people each."""
    return IncidentHistory(
        ref="OUT-2024-0001",
        version="1",
        start=START,
        end=START + minutes * MINUTE,
        regions=tuple(RegionLink(code, code, None, "country", 100) for code in changes),
        transitions=tuple(
            sorted(
                (
                    Transition(code, START + minute * MINUTE, state)
                    for code, told in changes.items()
                    for minute, state in told
                ),
                key=lambda change: change.at,
            )
        ),
        statements=(),
    )


@given(st.integers(0, 10_000), st.floats(0, 10_000))
def test_more_reports_are_never_a_lower_class(reports: int, expected: float) -> None:
    few, more = modes.rate_classes(np.array([reports, reports + 1]), np.array([expected, expected])).tolist()
    assert few <= more
    assert 0 <= few <= 5
    # A place where next to nobody reports says nothing, and silence where many are usual says that it is quiet.
    assert (few == modes.FEW) == (reports < 3 and expected < 3)


def test_three_reports_out_of_nowhere_are_not_endlessly_many() -> None:
    classes = modes.rate_classes(np.array([3, 2, 0, 3, 200]), np.array([0.001, 0.001, 50.0, 30.0, 4.0])).tolist()
    assert classes == [3, modes.FEW, 1, 1, 5]


def test_breaks_of_the_rate_are_a_legend_without_gaps(db: None) -> None:
    labels = [key.label for key in modes.rate_keys()]
    assert labels == [
        "less than 2 times the usual",
        "2 to 5",
        "5 to 10",
        "10 to 30",
        "30 times and more",
        "too few reports to say",
    ]


@given(lengths)
def test_breaks_part_the_lengths_into_at_most_five_classes(minutes: list[float]) -> None:
    breaks = modes.restore_breaks(minutes)
    assert len(breaks) <= 4
    assert all(low < high for low, high in pairwise(breaks))
    counts = [0] * (len(breaks) + 1)
    for minute in minutes:
        counts[sum(minute >= limit for limit in breaks)] += 1
    # No shade of the legend is without a region.
    assert not minutes or counts[0] > 0
    assert not minutes or counts[-1] > 0


def test_a_region_that_is_not_back_for_good_is_not_back() -> None:
    found = modes.restoration(
        history(
            {
                "US": [(10, "down"), (70, "restored")],
                "GB": [(12, "down"), (60, "restored"), (65, "down")],
                "FR": [(12, "down"), (90, "unknown")],
                "DE": [(14, "down"), (130, "restored")],
            },
            180,
        )
    )
    assert found.fills["GB"] == "not-back"
    assert found.fills["FR"] == "few"
    assert found.fills["US"] == "back-1"
    assert found.fills["DE"] == f"back-{len(found.breaks) + 1}" != "back-1"
    assert [key.fill for key in found.keys][-2:] == ["not-back", "few"]


def test_the_course_is_told_in_six_instants() -> None:
    changes = {f"A{n}": [(10, "down"), (60 + 10 * n, "restored")] for n in range(10)}
    found = moments.moments(history(changes, 200), over=True)
    assert [(moment.kind, round((moment.at - START) / MINUTE)) for moment in found] == [
        ("before", 0),
        ("worst", 10),
        ("first", 60),
        ("half", 100),
        ("most", 140),
        ("last", 200),
    ]
    assert [round(moment.back, 1) for moment in found] == [0, 0, 0.1, 0.5, 0.9, 1]


def test_a_recovery_that_did_not_hold_is_not_half_back() -> None:
    changes = {
        "A0": [(10, "down"), (60, "restored"), (80, "down"), (150, "restored")],
        "A1": [(10, "down"), (170, "restored")],
    }
    kinds = {
        moment.kind: round((moment.at - START) / MINUTE) for moment in moments.moments(history(changes, 260), over=True)
    }
    assert kinds["first"] == 60
    assert kinds["half"] == 150


@given(
    st.dictionaries(
        st.sampled_from([f"A{n}" for n in range(8)]),
        st.lists(
            st.tuples(st.integers(1, 900), st.sampled_from(["down", "recovering", "restored", "unknown"])),
            min_size=1,
            max_size=5,
            unique_by=lambda change: change[0],
        ),
        min_size=1,
    ),
    st.booleans(),
)
def test_instants_are_in_order_on_the_slider_and_few(changes: dict[str, list[tuple[int, str]]], over: bool) -> None:
    whole = history(changes, 901)
    found = moments.moments(whole, over=over)
    assert 2 <= len(found) <= 6
    step = slider_step(whole) * MINUTE
    for one, other in pairwise(found):
        assert other.at - one.at >= step
    for moment in found:
        assert moment.at == whole.end or (moment.at - whole.start) % step == timedelta(0)
        assert 0 <= moment.out + moment.back <= 1.0001


@pytest.mark.parametrize("asked", ["", "heat", "STATE"])
def test_an_unknown_mode_is_the_first(asked: str) -> None:
    assert modes.chosen(asked) == "state"
