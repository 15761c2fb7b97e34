"""The desk's what-if from the outside: who may ask, what is refused, how it is followed, and what is kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.test_admin import log, staff

if TYPE_CHECKING:
    from django.test import Client

    from reports.models import WhatIf
    from tests.incidents.world import World

pytestmark = pytest.mark.django_db

LIST = "/admin/reports/whatif/"
ASK = f"{LIST}add/"


@pytest.fixture
def world() -> World:
    from tests.incidents.world import build_world

    return build_world()


@pytest.fixture
def desk(client: Client) -> Client:
    from django.contrib.auth.models import User

    client.force_login(User.objects.create_superuser("owner", password="a-long-password"))
    return client


def filled(**changed: Any) -> dict[str, Any]:
    """The form as it stands, with some values changed."""
    from reports.incidents.what_if import SETTINGS

    present = {s.name: int(s.present) if s.whole else s.present for s in SETTINGS}
    return {"days": 7, "service": "", "provider": "", **present, **changed}


def asked() -> WhatIf:
    from reports.models import WhatIf

    return WhatIf.objects.get()


def page_of(one: WhatIf) -> str:
    return f"{LIST}{one.pk}/change/"


def test_the_form_shows_every_setting_with_its_value_unit_range_and_meaning(world: World, desk: Client):
    from reports.incidents.what_if import SETTINGS

    page = desk.get(ASK).content.decode()
    for setting in SETTINGS:
        assert setting.meaning in page
        assert f"In force: {setting.present:g} {setting.unit}; {setting.least:g} to {setting.most:g}." in page


def test_a_question_is_asked_sent_to_a_worker_and_logged(
    world: World, desk: Client, broker: str, django_capture_on_commit_callbacks: Any
):
    with django_capture_on_commit_callbacks(execute=True) as sent:
        response = desk.post(ASK, filled(leaf_reports=9, service="att"))
    assert response.status_code == 302
    assert len(sent) == 1
    one = asked()
    assert (one.settings, one.days, one.service.slug) == ({"leaf_reports": 9}, 7, "att")
    assert log() == ["Asked: leaf_reports 9 over 7 days."]
    page = desk.get(page_of(one))
    assert b"Waiting for a worker." in page.content
    assert b'http-equiv="refresh"' in page.content


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"leaf_log10": 5}, "less than or equal to -2"),
        ({"leaf_log10": "nan"}, "Enter a number"),
        ({"leaf_reports": "many"}, "Enter a whole number"),
        ({"leaf_reports": ""}, "This field is required"),
        ({"leaf_reports": 9, "days": 31}, "less than or equal to 30"),
        ({"leaf_reports": 9, "service": "nobody"}, "Select a valid choice"),
        ({"leaf_reports": 9, "service": "whatsapp", "provider": "meta"}, "not both"),
        ({}, "settings in force"),
    ],
)
def test_bad_values_get_a_clear_error(world: World, desk: Client, changed: dict[str, Any], said: str):
    from reports.models import WhatIf

    response = desk.post(ASK, filled(**changed))
    assert response.status_code == 400
    assert said in response.content.decode()
    assert not WhatIf.objects.exists()


def test_a_second_question_waits_for_the_first(world: World, desk: Client):
    assert desk.post(ASK, filled(leaf_reports=9)).status_code == 302
    response = desk.post(ASK, filled(leaf_reports=8))
    assert response.status_code == 400
    assert "Another question is being worked on" in response.content.decode()


def test_it_can_be_cancelled_and_stays_in_the_list(world: World, desk: Client):
    desk.post(ASK, filled(leaf_reports=9))
    assert desk.get(f"{LIST}{asked().pk}/cancel/").status_code == 405
    desk.post(f"{LIST}{asked().pk}/cancel/")
    assert b"Cancelled on" in desk.get(page_of(asked())).content
    assert b'http-equiv="refresh"' not in desk.get(page_of(asked())).content
    assert "cancelled" in desk.get(LIST).content.decode()
    assert log()[-1] == "It is cancelled."


def test_what_a_dead_worker_left_can_be_started_again(
    world: World, desk: Client, broker: str, django_capture_on_commit_callbacks: Any
):
    desk.post(ASK, filled(leaf_reports=9))
    type(asked()).objects.update(started_at=world.at(0), progress=0.4)
    page = desk.get(page_of(asked())).content.decode()
    assert "Interrupted at 40 %" in page
    assert "Start it again" in page
    with django_capture_on_commit_callbacks(execute=True) as sent:
        desk.post(f"{LIST}{asked().pk}/again/")
    assert len(sent) == 1
    assert log()[-1] == "A worker is told to start it again."


def test_an_answer_shows_what_would_have_been_different_with_links_and_reviews(
    world: World, desk: Client, django_capture_on_commit_callbacks: Any
):
    from reports import clock
    from reports.incidents import watch, what_if
    from reports.models import DetectorState, Incident
    from tests.incidents.world import settle

    watch.forget()
    settle(world)
    world.outage("att", "GB-SCT", start=100, end=112, rate=1.5)
    for minute in range(10, 240, 10):
        watch.watch(now=world.at(minute + 0.2))
    watch.forget()
    faint = Incident.objects.get()
    Incident.objects.update(confirmed_at=world.at(120))
    desk.post(ASK, filled(leaf_log10=-14, pool_log10=-14, days=1))
    what_if.work(asked().pk, now=clock.now, seconds=time.monotonic)
    assert DetectorState.objects.exists()
    page = desk.get(page_of(asked())).content.decode()
    assert "1 of 1 would not have opened (among them 1 confirmed); 0 more would have." in page
    assert f'<a href="/admin/reports/incident/{faint.pk}/change/">{faint.ref}</a>' in page
    assert "confirmed" in page
    assert "1 of 1 would not have opened" in desk.get(LIST).content.decode()


def test_only_who_may_asks_cancels_or_starts_again(world: World, desk: Client, client: Client):
    desk.post(ASK, filled(leaf_reports=9))
    one = asked()
    staff(client, "view_whatif")
    assert client.get(LIST).status_code == 200
    page = client.get(page_of(one))
    assert page.status_code == 200
    assert b"Cancel it" not in page.content
    assert client.get(ASK).status_code == 403
    for act in ("cancel", "again"):
        assert client.post(f"{LIST}{one.pk}/{act}/").status_code == 403
    assert asked().ended_at is None


def test_who_may_neither_see_nor_ask_sees_nothing(world: World, desk: Client, client: Client):
    desk.post(ASK, filled(leaf_reports=9))
    one = asked()
    staff(client, "view_incident")
    assert client.get(page_of(one)).status_code == 403
    assert client.get(LIST).status_code == 403
    client.logout()
    assert client.get(ASK).status_code == 302


def test_there_is_no_page_of_a_question_nobody_asked(desk: Client):
    assert desk.get(f"{LIST}77/change/").status_code == 404
    assert desk.post(f"{LIST}77/cancel/").status_code == 404
