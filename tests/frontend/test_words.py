"""Words: short, exact, and never surer than the figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from frontend import words
from reports import formats
from reports.detection.confidence import SIGNS
from reports.detection.decisions import REINSTATED, DecisionKind
from reports.detection.opening import LOWERED_RULES

NOON = datetime(2024, 4, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (850, "800"),
        (12_345, "12,000"),
        (853_000, "850,000"),
        (1_000_000, "1 million"),
        (4_210_000, "4.2 million"),
        (57_400_000, "57 million"),
        (314_000_000, "310 million"),
        (1_440_000_000, "1.4 billion"),
    ],
)
def test_people_are_told_in_two_digits(number: int, said: str) -> None:
    assert words.people(number) == said


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "0 min"), (59, "59 min"), (60, "1 h"), (84, "1 h 24 min"), (125, "2 h 05 min"), (3000, "2 d 2 h")],
)
def test_lengths_of_time(minutes: int, said: str) -> None:
    assert words.duration(timedelta(minutes=minutes)) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (0.01, "0"), (0.4, "0.4"), (3.0, "3"), (9.96, "10"), (1234.5, "1,234")]
)
def test_counts_have_no_more_digits_than_they_are_worth(number: float, said: str) -> None:
    assert words.count(number) == said


def test_an_instant_names_its_day_only_where_it_is_another_one() -> None:
    assert words.clock(NOON, NOON + timedelta(hours=3)) == "12:00"
    assert words.clock(NOON, NOON + timedelta(days=1)) == "3 Apr, 12:00"
    assert words.clock(NOON, NOON + timedelta(days=400)) == "3 Apr 2024, 12:00"
    assert words.moment(NOON, NOON) == '<time datetime="2024-04-03T12:00:00Z">12:00 UTC</time>'


def test_a_list_leaves_out_two_or_more_or_none() -> None:
    assert words.listing(["A"]) == "A"
    assert words.listing(["A", "B", "C", "D"]) == "A, B, C and D"
    assert words.listing(["A", "B", "C", "D", "E"]) == "A, B, C and 2 more"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["WhatsApp", "Instagram"], "WhatsApp e Instagram"),
        (["Irán", "Italia", "Hierro"], "Irán, Italia y Hierro"),
        (["Italia", "Trinidad y Tobago"], "Italia y Trinidad y Tobago"),
        (["Facebook", "Índigo"], "Facebook e Índigo"),
        (["Instagram"], "Instagram"),
    ],
)
def test_spanish_says_e_before_the_sound_of_y(names: list[str], said: str) -> None:
    with translation.override("es"):
        assert formats.listed(names) == said


def test_no_ratio_where_next_to_nothing_was_expected() -> None:
    assert words.multiple(7, 0.01) == ""
    assert words.multiple(31, 2) == "16 times the usual"
    assert words.multiple(3, 2) == "1.5 times the usual"
    assert words.multiple(984, 0.3) == "more than 100 times the usual"


def test_an_interval_names_both_sides_where_they_differ() -> None:
    minute = timedelta(minutes=1)
    assert words.interval(NOON, NOON - 7 * minute, NOON + 7 * minute) == "± 7 min"
    assert words.interval(NOON, NOON - 3 * minute, NOON + 12 * minute) == "−3 … +12 min"


@pytest.mark.parametrize(
    ("log10_p", "said"),
    [(-0.3, "about 50 %"), (-4, "1 in 10,000"), (-7.5, "1 in 32,000,000"), (-40, "less than 1 in a million billions")],
)
def test_a_probability_in_words(log10_p: float, said: str) -> None:
    assert words.probability(log10_p) == said


@pytest.mark.parametrize(("number", "said"), [(0.0, "0"), (0.021, "fewer than 0.1"), (0.3, "0.3"), (41.2, "41")])
def test_what_is_seldom_is_not_called_nothing(number: float, said: str) -> None:
    assert words.expectation(number) == said


def test_every_sign_of_a_confidence_has_a_name() -> None:
    for name in ("age", *SIGNS):
        assert words.figure_name(f"sign_{name}").startswith("For the confidence: ")


def test_every_rule_and_level_that_the_detector_writes_has_a_name() -> None:
    # What opens a region is told by which of the rules, what follows it again by its own; the rest by kind of decision.
    rules = {kind.value for kind in DecisionKind} - {"opened", "echo", "grouped"} | LOWERED_RULES
    assert rules | {"cell", "pool", "admin", REINSTATED} == set(words.RULE_NAMES)
    assert words.rule_name("pool") == "many regions together"
    assert all(words.level_name(level) != level for level in ("world", "country", "region"))


def test_a_refusal_says_what_to_do() -> None:
    for field in ("service", "region", "kind", "problem", "id"):
        assert words.refusal(field).endswith(".")
    assert words.refusal("region") != words.refusal("kind")
