"""Retention at the desk: what is held and until when, never a secret or a report; and an owner starts the task."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.test_admin import desk, log, owner, staff  # noqa: F401
from tests.test_admin_networks import text

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

PAGE, RUN = "/admin/reports/report/", "/admin/reports/report/keep/"


@pytest.fixture
def days() -> tuple[date, date]:
    """The oldest day that is kept, and today; nothing lies between them, and one day is past retention."""
    from reports import partitions

    today = datetime.now(UTC).date()
    first = today - timedelta(days=30)
    partitions.drop_before(date(2200, 1, 1))
    partitions.ensure_days([first - timedelta(days=1), first, today])
    return first, today


def row_of(page: Any, day: date) -> str:
    return rows_of(page, day)[0]


def rows_of(page: Any, day: date) -> list[str]:
    found = re.findall(rf"<tr>\s*<th scope=\"row\">{day}</th>(.*?)</tr>", page.content.decode(), re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in found]


def test_the_page_tells_of_each_day_when_it_is_dropped(desk: Client, days: tuple[date, date]) -> None:  # noqa: F811
    first, today = days
    page = desk.get(PAGE)
    assert row_of(page, first - timedelta(days=1)).endswith(f"{today}: overdue")
    # Kept today still, dropped by tomorrow's first run.
    assert row_of(page, first).endswith(str(today + timedelta(days=1)))
    assert row_of(page, today).endswith(str(today + timedelta(days=31)))
    assert f"Not made ahead: {today - timedelta(days=1)}" in text(page)


def test_what_the_page_announces_is_what_the_task_does(desk: Client, days: tuple[date, date]) -> None:  # noqa: F811
    from django.conf import settings

    from reports import partitions

    first, today = days
    for at in (datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)):
        announced = desk.get(PAGE).context["days"]
        partitions.keep(at, settings.RETENTION_DAYS)
        left = {one.day for one in partitions.held()}
        assert {one["held"].day for one in announced if one["dropped_on"] <= at.date()}.isdisjoint(left)
        assert {one["held"].day for one in announced if one["dropped_on"] > at.date()} <= left
    assert first not in left
    assert today in left
    assert "Not made ahead" not in text(desk.get(PAGE))


def test_a_secret_is_told_by_its_day_and_never_by_its_value(desk: Client) -> None:  # noqa: F811
    from reports.intake import guard
    from reports.models import Salt

    now = datetime.now(UTC)
    guard.read_secrets(now)
    salt = Salt.objects.order_by("-day")[0]
    page = desk.get(PAGE)
    tomorrow = now.date() + timedelta(days=1)
    assert rows_of(page, now.date())[-1] == f"with the first report that needed it {tomorrow} 01:10"
    raw = page.content.decode()
    secret = bytes(salt.secret)
    assert secret.hex() not in raw
    assert repr(secret)[2:-1] not in raw


def test_a_secret_is_gone_when_the_page_says_so(desk: Client) -> None:  # noqa: F811
    from reports.intake import guard
    from reports.models import Salt

    day = date(2026, 3, 4)
    guard.read_secrets(datetime(2026, 3, 4, 12, tzinfo=UTC))
    end = guard.destroyed_at(day)
    guard.forget(end - timedelta(seconds=1))
    assert Salt.objects.filter(day=day).exists()
    assert "overdue; does the drain run?" in text(desk.get(PAGE))
    guard.forget(end)
    assert not Salt.objects.filter(day=day).exists()


def test_the_next_run_is_one_of_the_schedule(desk: Client) -> None:  # noqa: F811
    from reports.admin.retention import next_run

    for at, expected in (
        (datetime(2026, 3, 4, 5, 59, tzinfo=UTC), datetime(2026, 3, 4, 6, 7, tzinfo=UTC)),
        (datetime(2026, 3, 4, 18, 8, tzinfo=UTC), datetime(2026, 3, 5, 0, 7, tzinfo=UTC)),
    ):
        assert next_run(at) == expected
    shown = re.search(r"next on (\S+) at (\S+) UTC", text(desk.get(PAGE)))
    assert shown
    assert timedelta() < datetime.fromisoformat(f"{shown[1]}T{shown[2]}Z") - datetime.now(UTC) <= timedelta(hours=6)


def test_an_owner_starts_the_task_and_a_worker_does_it(
    desk: Client,  # noqa: F811
    days: tuple[date, date],
    broker: str,
) -> None:
    import redis

    from outagemap.celery import app

    redis.from_url(broker).flushdb()
    assert "A worker is told." in text(desk.post(RUN, follow=True))
    assert log() == ["Had the days of the reports made and dropped"]
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue)
        message = queue.get(timeout=5)
        assert message.headers["task"] == "reports.tasks.keep_partitions"
        message.ack()
    app.tasks["reports.tasks.keep_partitions"].run()
    assert "overdue" not in text(desk.get(PAGE))


def test_who_may_only_look_starts_nothing(client: Client) -> None:
    staff(client, "view_report")
    assert "Run it now" not in client.get(PAGE).content.decode()
    assert client.post(RUN).status_code == 403
    assert client.get(RUN).status_code == 405


def test_duty_looks_and_an_owner_runs(client: Client) -> None:
    from django.contrib.auth.models import Group
    from django.core.management import call_command

    call_command("make_roles", verbosity=0)
    for role, button in (("duty", False), ("catalogue", False), ("owner", True)):
        user = staff(client)
        user.groups.add(Group.objects.get(name=role))
        assert ("Run it now" in client.get(PAGE).content.decode()) is button
        user.delete()


def test_a_single_report_has_no_page(desk: Client) -> None:  # noqa: F811
    for address in ("1/change/", "1/history/", "00000000-0000-7000-8000-000000000000/change/"):
        assert desk.get(f"{PAGE}{address}").status_code == 404
    assert desk.get(f"{PAGE}add/").status_code == 403
    assert desk.post(PAGE).status_code == 405
