"""manage.py calibrate, and what the public reads of it."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from reports.detection.calibration import TOO_FEW
from tests.status.making import NOW, World, make_world


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def incident(world: World, number: int, *, confidence: float, real: bool | None, rule: str = "pool"):
    from reports.models import Evidence, Incident

    at = NOW - timedelta(days=number + 1)
    found = Incident.objects.create(
        ref=f"OUT-2026-{number:04d}",
        key=f"whatsapp@{number}",
        service=world.whatsapp,
        onset_at=at,
        detected_at=at,
        resolved_at=at + timedelta(hours=1),
        confidence=confidence,
        confirmed_at=at + timedelta(hours=2) if real else None,
        rejected_at=at + timedelta(hours=2) if real is False else None,
    )
    Evidence.objects.create(
        incident=found,
        decision="opened",
        decided_at=at,
        observed=20,
        expected=2.0,
        log10_p=-9.0,
        threshold=-7.0,
        window_minutes=5,
        window_end_at=at,
        level="country",
        rule=rule,
        figures={
            "sign_age": 0,
            "sign_surplus": 1.0,
            "sign_ratio": 2.0,
            "sign_pool": 1.0,
            "sign_regions": 1.0,
            "sign_crowding": 0.1,
            "sign_sudden": 2.0,
            "sign_lasted": 2.5,
            "sign_still": 0.0,
            "sign_usual": 2.0,
        },
    )
    return found


def run(**options: object) -> str:
    out = StringIO()
    call_command("calibrate", stdout=out, **options)
    return out.getvalue()


def test_a_site_without_reviews_says_so(world: World):
    assert "reviewed incidents of this site: no incidents" in run(reviewed=True)
    assert "0 incidents so far: too few to say." in run(reviewed=True)


def test_reviewed_incidents_are_judged_and_those_opened_by_hand_are_not(world: World):
    incident(world, 1, confidence=0.9, real=True)
    incident(world, 2, confidence=0.3, real=False)
    incident(world, 3, confidence=0.5, real=None)
    incident(world, 4, confidence=1.0, real=True, rule="admin")
    found = json.loads(run(reviewed=True, json=True))["reviewed"]
    assert (found["incidents"], found["figures"]["real"], found["shift"]) == (2, 1, 0.0)
    assert found["figures"]["brier"] == pytest.approx((0.01 + 0.09) / 2)


def test_many_rejections_make_every_later_confidence_more_modest(world: World):
    from reports.incidents.reviewed import site_shift

    for number in range(TOO_FEW):
        incident(world, number, confidence=0.9, real=number % 2 == 0)
    half = site_shift()
    for number in range(TOO_FEW, 3 * TOO_FEW):
        incident(world, number, confidence=0.9, real=False)
    assert site_shift() < half - 0.5


def test_the_public_reads_what_was_reviewed_only_once_it_is_enough(world: World):
    from reports import status
    from reports.status import snapshots

    incident(world, 1, confidence=0.92, real=True)
    snapshots.forget()
    few = status.confidence_basis(0.92)
    assert (few.low, few.high, few.reviewed, few.reviewed_incidents) == (0.9, 0.97, None, 1)
    for number in range(2, TOO_FEW + 2):
        incident(world, number, confidence=0.92, real=number % 10 != 0)
    snapshots.forget()
    enough = status.confidence_basis(0.92)
    assert enough.reviewed
    assert (enough.reviewed.incidents, enough.reviewed.real) == (TOO_FEW + 1, TOO_FEW - 1)
    snapshots.forget()


@pytest.mark.slow
def test_simulated_figures_are_measured_and_written_where_the_page_can_read_them(tmp_path):
    file = tmp_path / "calibration.json"
    told = json.loads(run(simulated=True, suites="doubtful", seeds="61", days=9, json=True, write=file))
    written = json.loads(file.read_text())
    assert written == told["simulated"]
    suite = written["suites"][0]
    assert (suite["suite"], suite["seeds"], suite["days"]) == ("doubtful", [61], 9)
    for when in ("opening", "later"):
        figures = suite[when]
        assert figures["incidents"] == sum(band["incidents"] for band in figures["bands"]) >= 10
        assert 0 < figures["real"] < figures["incidents"]
        # Murphy's parts make up the score, but for what differs within a band.
        parts = figures["reliability"] - figures["resolution"] + figures["uncertainty"]
        assert figures["brier"] == pytest.approx(parts, abs=0.02)


def test_bad_options_are_refused_in_a_line():
    for options, said in (
        ({"suites": "nonsense"}, "no suite nonsense"),
        ({"seeds": "one"}, "numbers with commas"),
        ({"days": 5}, "at least 9"),
    ):
        with pytest.raises(CommandError, match=said):
            run(simulated=True, **options)
