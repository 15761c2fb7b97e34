"""The tasks: real ones, sent through the real broker to a real worker."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings

from reports import clock, partitions, tasks
from reports.intake import guard
from reports.intake.submission import submit
from reports.models import InboxBlock, Report, ReportCount, Salt, Seen
from tests.conftest import wait_until
from tests.intake.making import make_catalogue


def send_reports(number: int) -> None:
    for i in range(number):
        submit({"service": "whatsapp", "region": "GB-ENG"}, address=f"192.0.2.{i}", received_at=clock.now())


def counted() -> int:
    return sum(ReportCount.objects.values_list("reports", flat=True))


def test_beat_names_the_tasks_that_exist():
    from outagemap.celery import app

    app.loader.import_default_modules()
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in app.tasks


def test_a_worker_drains_what_was_accepted(celery_worker_process: subprocess.Popen[bytes]):
    make_catalogue()
    send_reports(5)
    tasks.drain.delay()
    wait_until(lambda: counted() == 5, "the worker has drained the inbox", seconds=20)
    tasks.drain.delay()
    tasks.keep_partitions.delay()
    ahead = partitions.name_of((clock.now() + partitions.AHEAD).date())
    wait_until(lambda: ahead in partitions._existing(), "the worker has made partitions", seconds=20)
    assert counted() == Report.objects.count() == 5


def test_draining_goes_on_while_there_is_work_and_twice_is_once(db: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reports.intake.drain.drain.__kwdefaults__", {"max_blocks": 2})
    make_catalogue()
    send_reports(7)
    for _ in range(2):
        tasks.drain()
        assert (InboxBlock.objects.count(), counted(), Report.objects.count()) == (0, 7, 7)


def test_nobody_is_forgotten_whom_a_waiting_report_is_to_be_compared_with(db: None, monkeypatch: pytest.MonkeyPatch):
    make_catalogue()
    sent_at = clock.now() - timedelta(hours=5)
    submit({"service": "whatsapp", "region": "GB-ENG"}, address="192.0.2.1", received_at=sent_at)
    Seen.objects.create(key=1, counted_at=sent_at - timedelta(minutes=59))
    Seen.objects.create(key=2, counted_at=sent_at - timedelta(minutes=75))
    guard.forget(clock.now())
    assert list(Seen.objects.values_list("key", flat=True)) == [1]
    tasks.drain()
    assert not Seen.objects.exists()


def test_a_drain_destroys_the_secrets_of_days_past(db: None):
    guard.read_secrets(datetime(2026, 3, 4, 12, tzinfo=UTC))
    guard.read_secrets(clock.now())
    for _ in range(2):
        tasks.drain()
        assert Salt.objects.count() == sum(day is not None for day in guard.days_of(clock.now()))
