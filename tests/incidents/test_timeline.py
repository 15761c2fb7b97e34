"""The words of every kind of entry. No database: the objects are never saved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reports.incidents import timeline
from reports.incidents.timeline import EntryKind, clock_time, probability, quantity
from reports.models import Evidence, Region, Statement, TimelineEntry

AT = datetime(2026, 3, 18, 19, 55, tzinfo=UTC)


def region(name: str = "Scotland", kind: str = "nation") -> Region:
    return Region(pk=1, code="GB-SCT", name=name, kind=kind)


def figures(observed: int = 41, expected: float = 3.2, log10_p: float = -9.4, window: int = 12) -> Evidence:
    return Evidence(observed=observed, expected=expected, log10_p=log10_p, window_minutes=window)


def words(kind: EntryKind, *, at: datetime = AT, place: Region | None = None, **more: Any) -> str:
    evidence, statement = more.pop("evidence", None), more.pop("statement", None)
    return timeline.text(
        TimelineEntry(
            kind=kind.value,
            at=at,
            recorded_at=AT,
            region=place,
            facts=more,
            evidence=evidence,
            statement=statement,
        )
    )


def test_a_region_down_says_its_figures() -> None:
    onset = (AT - timedelta(minutes=9)).isoformat()
    assert words(EntryKind.REGION_DOWN, place=region(), evidence=figures(), onset_at=onset) == (
        "Reports from Scotland exceeded the ordinary: 41 in 12 minutes where 3.2 were expected (p < 10⁻⁹)."
        " They began at about 19:46 UTC."
    )
    assert words(EntryKind.REGION_DOWN, place=region()) == "Reports from Scotland exceeded the ordinary."


def test_one_minute_is_no_minutes() -> None:
    text = words(EntryKind.REGION_DOWN, place=region(), evidence=figures(window=1))
    assert "41 in 1 minute where" in text


def test_the_world_is_called_so() -> None:
    for place in (None, region("World", "world")):
        assert words(EntryKind.REGION_UNKNOWN, place=place) == (
            "Too little is heard from the world as a whole to say whether it is back."
        )


@pytest.mark.parametrize(
    ("basis", "working", "reason"),
    [
        ("votes", 37, "on 37 “works again” votes"),
        ("votes", 1, "on 1 “works again” vote"),
        ("rate", 0, "on the fall of reports back to the ordinary"),
        ("statement", 0, "on the provider's statement"),
        ("admin", 0, "on an administrator's word"),
    ],
)
def test_a_restoration_says_when_how_sure_and_why(basis: str, working: int, reason: str) -> None:
    text = words(
        EntryKind.REGION_RESTORED,
        place=region("Brazil", "country"),
        restored_at="2026-03-18T19:42:00+00:00",
        low="2026-03-18T19:35:00+00:00",
        high="2026-03-18T19:51:00+00:00",
        declared_at=AT.isoformat(),
        basis=basis,
        working=working,
    )
    assert text == f"Restored in Brazil at 19:42 UTC (90 % interval 19:35–19:51), declared 19:55 {reason}."


def test_a_restoration_before_midnight_has_its_date() -> None:
    after_midnight = datetime(2026, 3, 19, 0, 10, tzinfo=UTC)
    text = words(
        EntryKind.REGION_RESTORED,
        at=after_midnight,
        place=region(),
        restored_at="2026-03-18T23:42:00+00:00",
        low="2026-03-18T23:42:00+00:00",
        high="2026-03-18T23:42:00+00:00",
        declared_at=after_midnight.isoformat(),
        basis="rate",
    )
    assert text.startswith("Restored in Scotland at 2026-03-18 23:42 UTC, declared 2026-03-19 00:10 UTC on the fall")


def test_siblings_are_told_with_their_figures() -> None:
    facebook = {"service": "facebook", "name": "Facebook", "observed": 41, "expected": 37.26, "window_minutes": 60}
    assert words(EntryKind.SIBLINGS, siblings=[facebook | {"state": "normal"}]) == (
        "Facebook, checked beside it, is normal: 41 reports in 60 minutes, 37.3 expected."
    )
    one = facebook | {"state": "down", "observed": 1, "window_minutes": 1}
    assert "is down too: 1 report in 1 minute, " in words(EntryKind.SIBLINGS, siblings=[one])
    assert "shows an echo" in words(EntryKind.SIBLINGS, siblings=[facebook | {"state": "echo"}])


@pytest.mark.parametrize(
    ("meaning", "start"),
    [
        ("acknowledged", "The provider acknowledged it: “We know.”"),
        ("update", "The provider said: “We know.”"),
        ("restored", "The provider says it is restored: “We know.”"),
        ("denied", "The provider denies an outage: “We know.”"),
    ],
)
def test_a_statement_is_quoted(meaning: str, start: str) -> None:
    statement = Statement(meaning=meaning, text="We know.")
    assert words(EntryKind.STATEMENT, statement=statement) == start
    assert words(EntryKind.STATEMENT, statement=statement, place=region()) == f"Scotland: {start}"


def test_an_end_counts_what_is_back_and_what_is_not() -> None:
    end = AT.isoformat()
    assert words(EntryKind.RESOLVED, resolved_at=end, restored=3, unknown=0) == (
        "Resolved: every region is back since 19:55 UTC."
    )
    assert words(EntryKind.RESOLVED, restored=1, unknown=2) == (
        "Closed: 1 region is back, too little is heard from 2 to say."
    )
    assert words(EntryKind.RESOLVED, restored=0, unknown=1) == (
        "Closed without a known restoration: too little is heard from 1 to say."
    )


def test_the_acts_of_administrators_name_their_reasons() -> None:
    assert words(EntryKind.CONFIRMED) == "Confirmed by an administrator."
    assert words(EntryKind.REJECTED, reason="a load test") == "Rejected by an administrator: a load test"
    assert words(EntryKind.REJECTION_UNDONE, reason="") == "An administrator took the rejection back."
    assert words(EntryKind.REGION_OVERRIDDEN, place=region(), state="restored", reason="they called") == (
        "An administrator declared Scotland restored at 19:55 UTC: they called"
    )
    assert "declared Scotland down from" in words(
        EntryKind.REGION_OVERRIDDEN, place=region(), state="down", reason="they called"
    )


def test_every_kind_has_words_and_none_of_them_stumbles_over_missing_facts() -> None:
    for kind in EntryKind:
        if kind is EntryKind.SIBLINGS:
            continue
        text = words(kind, place=region())
        assert text[0].isupper(), kind
        assert "None" not in text
        assert "%" not in text


def test_a_kind_of_a_newer_version_is_shown_by_its_name() -> None:
    assert timeline.text(TimelineEntry(kind="moved_elsewhere", at=AT, recorded_at=AT)) == "moved elsewhere"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1234, "1,234"),
        (41, "41"),
        (3.2, "3.2"),
        (3.0, "3"),
        (0.04, "0.04"),
        (123.4, "123"),
        (0.0004, "less than 0.001"),
    ],
)
def test_a_quantity_has_no_more_digits_than_it_is_worth(value: float, said: str) -> None:
    assert quantity(value) == said


@pytest.mark.parametrize(
    ("log10_p", "said"),
    [(-9.4, "p < 10⁻⁹"), (-3.0, "p < 10⁻³"), (-1.0, "p = 0.1"), (-9999.0, "p < 10⁻³⁰⁰")],
)
def test_a_probability_is_a_power_of_ten_where_it_is_small(log10_p: float, said: str) -> None:
    assert probability(log10_p) == said


def test_a_time_has_its_date_unless_it_is_the_same_day() -> None:
    assert clock_time(AT) == "2026-03-18 19:55 UTC"
    assert clock_time(AT, beside=AT) == "19:55 UTC"
