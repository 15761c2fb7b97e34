"""What other settings would have done: the same engine over the counts that the site itself watched."""

from __future__ import annotations

import subprocess
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from reports.detection.parameters import Parameters
from reports.incidents import watch, what_if
from reports.models import Incident, Service, WhatIf
from tests.incidents.world import World

if TYPE_CHECKING:
    from django.contrib.auth.models import User

STRICT = {"leaf_log10": -14.0, "pool_log10": -14.0, "leaf_reports": 80, "pool_reports": 80}


def play(world: World) -> None:
    """Cycles up to an hour after the last of three outages."""
    for minute in range(10, 240, 10):
        watch.watch(now=world.at(minute + 0.2))


@pytest.fixture
def past(lived_in: World, duty: User) -> World:
    """WhatsApp and Facebook down hard, AT&T for a while and faintly; an administrator confirmed that one."""
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=60, rate=30, votes=3)
    lived_in.outage("facebook", "BR-SP", start=20, end=70, rate=30, votes=3)
    lived_in.outage("att", "GB-SCT", start=100, end=112, rate=1.5)
    play(lived_in)
    faint = Incident.objects.get(service__slug="att")
    Incident.objects.filter(pk=faint.pk).update(confirmed_at=lived_in.at(120))
    return lived_in


def ask(world: World, by: User, values: dict[str, float], **more: Any) -> WhatIf:
    return what_if.ask(values=values, days=more.pop("days", 1), by=by, now=world.at(240), **more)


def answered(asked: WhatIf, world: World) -> WhatIf:
    what_if.work(asked.pk, now=lambda: world.at(241), seconds=time.monotonic)
    asked.refresh_from_db()
    return asked


def told(asked: WhatIf) -> str:
    assert asked.result is not None
    return what_if.summary(asked.result, what_if.reviews(asked.result))


def services(rows: list[dict[str, Any]]) -> list[str]:
    return [row["service"] for row in rows]


def test_every_setting_of_the_desk_is_a_parameter_and_in_force_within_its_range():
    parameters = asdict(Parameters())
    for setting in what_if.SETTINGS:
        assert parameters[setting.name] == setting.present
        assert setting.least <= setting.present <= setting.most


def test_stricter_settings_miss_the_faint_one_and_the_answer_says_that_it_was_confirmed(past: World, duty: User):
    done = answered(ask(past, duty, STRICT), past)
    assert what_if.state(done) == "done"
    result = done.result
    assert services(result["both"]) == ["whatsapp", "facebook"]
    assert services(result["missed"]) == ["att"]
    assert result["more"] == result["only_on_site"] == []
    assert result["missed"][0]["incident"] == Incident.objects.get(service__slug="att").pk
    assert all(row["later_minutes"] > 0 for row in result["both"])
    assert told(done) == (
        "1 of 3 would not have opened (among them 1 confirmed); 0 more would have."
        " Of those opened either way 2 would have opened later and 0 earlier."
    )


def test_the_first_run_finds_what_the_site_itself_found(past: World, duty: User):
    done = answered(ask(past, duty, {"silent_minutes": 91}), past)
    for row in done.result["both"]:
        on_site = Incident.objects.get(pk=row["incident"])
        assert row["present"]["detected_at"] == row["other"]["detected_at"] == on_site.detected_at.isoformat()
        assert row["present"]["regions"] == sorted(on_site.regions.values_list("region_code", flat=True))
    assert len(done.result["both"]) == 3


def test_looser_settings_open_more(past: World, duty: User):
    done = answered(
        ask(past, duty, {"leaf_log10": -2.5, "burst_log10": 0, "leaf_reports": 2, "least_networks": 1}), past
    )
    assert done.result["more"]
    assert not done.result["missed"]


def test_what_the_site_has_beyond_its_counts_is_told_apart(past: World, duty: User):
    past_one = Incident.objects.get(service__slug="att")
    Incident.objects.create(
        ref="OUT-2026-0099",
        key="by-hand",
        service_id=past.services["att"],
        onset_at=past.at(10),
        detected_at=past.at(15),
        resolved_at=past.at(20),
        confidence=1,
    )
    done = answered(ask(past, duty, STRICT), past)
    (lost,) = done.result["only_on_site"]
    assert lost["incident"] != past_one.pk
    assert "1 on this site cannot be had from its counts" in told(done)


def test_one_service_alone_reads_only_its_counts(past: World, duty: User):
    whole = answered(ask(past, duty, STRICT), past)
    one = answered(ask(past, duty, STRICT, service=Service.objects.get(slug="att")), past)
    assert one.result["rows"] < whole.result["rows"] / 2
    assert (services(one.result["both"]), services(one.result["missed"])) == ([], ["att"])


@pytest.mark.parametrize(
    ("values", "more", "field"),
    [
        ({"leaf_log10": 0.0}, {}, "leaf_log10"),
        ({"leaf_log10": float("nan")}, {}, "leaf_log10"),
        ({"leaf_reports": 2.5}, {}, "leaf_reports"),
        ({"tail_minutes": 3.0}, {}, "tail_minutes"),
        ({"leaf_reports": 9}, {"days": 31}, "days"),
        ({"leaf_reports": 9}, {"days": 0}, "days"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    world: World, duty: User, values: dict[str, float], more: dict[str, Any], field: str
):
    with pytest.raises(ValidationError) as refused:
        ask(world, duty, values, **more)
    assert list(refused.value.message_dict) == [field]
    assert not WhatIf.objects.exists()


def test_the_settings_in_force_are_no_question(world: World, duty: User):
    with pytest.raises(ValidationError, match="in force"):
        ask(world, duty, {"leaf_log10": Parameters().leaf_log10})


def test_one_question_at_a_time(world: World, duty: User):
    first = ask(world, duty, STRICT)
    with pytest.raises(what_if.BusyError):
        ask(world, duty, STRICT)
    assert what_if.cancel(first.pk, now=world.at(241))
    assert not what_if.cancel(first.pk, now=world.at(242))
    assert what_if.state(WhatIf.objects.get()) == "cancelled"
    ask(world, duty, STRICT)


def test_a_cancelled_question_is_worked_on_no_further(past: World, duty: User):
    asked = ask(past, duty, STRICT)
    calls: list[int] = []

    def seconds() -> float:
        calls.append(1)
        if len(calls) == 5:
            what_if.cancel(asked.pk, now=past.at(241))
        return 0.0

    what_if.work(asked.pk, now=lambda: past.at(241), seconds=seconds)
    asked.refresh_from_db()
    assert (what_if.state(asked), asked.result) == ("cancelled", None)
    assert len(calls) == 5


def test_what_takes_too_long_or_is_too_much_ends_with_a_word(past: World, duty: User, monkeypatch: pytest.MonkeyPatch):
    asked = ask(past, duty, STRICT)
    ticks = iter(range(0, 10**9, 1000))
    what_if.work(asked.pk, now=lambda: past.at(241), seconds=lambda: next(ticks))
    asked.refresh_from_db()
    assert (what_if.state(asked), asked.result) == ("failed", None)
    assert "30 minutes" in asked.fault
    monkeypatch.setattr(what_if, "MOST_ROWS", 10)
    assert "fewer days" in answered(ask(past, duty, STRICT), past).fault


def test_a_site_without_counts_says_so(world: World, duty: User):
    assert answered(ask(world, duty, STRICT), world).fault == "There are no counts yet."


def test_a_failure_is_told_and_gives_way_to_the_next(past: World, duty: User, monkeypatch: pytest.MonkeyPatch):
    def fail(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(what_if.backtest, "run", fail)
        assert "ZeroDivisionError" in answered(ask(past, duty, STRICT), past).fault
    assert what_if.state(answered(ask(past, duty, STRICT), past)) == "done"


@pytest.mark.slow
def test_a_worker_that_dies_leaves_an_interrupted_question_that_another_answers(
    celery_worker_process: subprocess.Popen[bytes], committed_world: World
):
    from django.contrib.auth.models import User

    from reports import tasks
    from tests.conftest import wait_until

    duty = User.objects.create_user("duty", password="a-long-password")
    asked = ask(committed_world, duty, STRICT, days=7)
    assert what_if.state(asked) == "waiting"
    tasks.answer_what_if.delay(asked.pk)
    wait_until(lambda: WhatIf.objects.get().progress > 0, "somebody works on it", seconds=60)
    assert what_if.state(WhatIf.objects.get()) == "running"
    celery_worker_process.kill()
    wait_until(lambda: what_if.state(WhatIf.objects.get()) == "interrupted", "its lock is gone", seconds=30)
    tasks.answer_what_if(asked.pk)
    assert what_if.state(WhatIf.objects.get()) == "done"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone() == (0,)
