"""Status pages at the desk: who may keep them, what a try shows, and what becomes of updates that match nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.hearing.page import incident as told
from tests.hearing.page import incidents, update

if TYPE_CHECKING:
    from django.test import Client

    from reports.models import Incident, StatusFeed
    from tests.hearing.page import StatusPage
    from tests.incidents.world import World

pytestmark = pytest.mark.django_db
ADDRESS = "/admin/reports/statusfeed/"
PATH = "/api/v2/incidents.json"


@pytest.fixture(autouse=True)
def at_minute_thirty(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from reports import clock

    monkeypatch.setattr(clock, "now", lambda: world.at(30))


def given_feed(**more: Any) -> dict[str, Any]:
    from reports.models import Provider

    meta = Provider.objects.get(slug="meta")
    return {"provider": meta.pk, "url": "https://status.example.org/x", "format": "statuspage", **more}


def test_a_page_is_off_until_somebody_switches_it_on(desk: Client, world: World) -> None:
    from reports.models import StatusFeed

    assert desk.post(ADDRESS + "add/", given_feed()).status_code == 302
    assert StatusFeed.objects.get().enabled is False
    assert "off" in desk.get(ADDRESS).content.decode()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"url": "http://status.example.org/"}, "https://"),
        ({"url": "https://127.0.0.1/"}, "private network"),
        ({"url": "https://localhost/x.json"}, "private network"),
        ({"url": "https://user:word@example.org/"}, "password"),
        ({"url": "file:///etc/passwd"}, "valid URL"),
        ({"format": "html"}, "valid choice"),
    ],
)
def test_an_address_that_is_not_asked_is_refused_with_a_reason(
    desk: Client,
    world: World,
    change: dict[str, str],
    why: str,
) -> None:
    from reports.models import StatusFeed

    answer = desk.post(ADDRESS + "add/", given_feed(**change))
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert not StatusFeed.objects.exists()


def test_a_default_service_is_the_providers_own(desk: Client, world: World) -> None:
    answer = desk.post(ADDRESS + "add/", given_feed(default_service=world.services["att"]))
    assert "is not run by" in answer.content.decode()


def test_an_edit_has_the_whole_page_read_again(desk: Client, feed: StatusFeed) -> None:
    from reports.models import StatusFeed

    StatusFeed.objects.update(etag='"x"', faults=3, fault="it answered 500")
    answer = desk.post(f"{ADDRESS}{feed.pk}/change/", given_feed(enabled="on"))
    assert answer.status_code == 302
    feed.refresh_from_db()
    assert (feed.etag, feed.faults, feed.asked_at, feed.enabled) == ("", 0, None, True)


def test_a_try_shows_what_would_become_of_each_and_stores_nothing(
    desk: Client,
    page: StatusPage,
    feed: StatusFeed,
    incident: Incident,
    world: World,
) -> None:
    from reports.models import Heard, Statement

    evil = update("b", "investigating", "<script>alert(1)</script>Ads are late.", world.at(22))
    page.says(
        PATH,
        incidents(
            told(update("a", "identified", "We know.", world.at(21)), components=("WhatsApp",)),
            told(evil, id="two", name="Ads <b>Manager</b>"),
            told(update("c", "identified", "x", world.at(9999)), id="three", name="From the future"),
        ),
    )
    address = f"{ADDRESS}{feed.pk}/try/"
    assert not page.asked
    assert "Ask it now" in desk.get(address).content.decode()
    assert not page.asked
    shown = desk.post(address, {"try": "1"}).content.decode()
    assert "becomes a statement of OUT-2026-0007" in shown
    assert "waits at the desk: it names no service" in shown
    assert "From the future</span>: its date lies in the future" in shown
    assert "<script>alert" not in shown
    assert not Heard.objects.exists()
    assert not Statement.objects.exists()
    said = desk.post(address, {"take": "1"}, follow=True).content.decode()
    assert "Taken in: 2 new, 0 changed, 1 attached to incidents." in said
    assert Statement.objects.get().incident == incident


def test_a_try_of_what_cannot_be_read_says_why(desk: Client, page: StatusPage, feed: StatusFeed) -> None:
    page.says(PATH, b"<html>")
    address = f"{ADDRESS}{feed.pk}/try/"
    assert "it is no JSON" in desk.post(address, {"try": "1"}).content.decode()
    assert "Nothing was taken in: it is no JSON." in desk.post(address, {"take": "1"}, follow=True).content.decode()
    assert desk.get(f"{ADDRESS}99999/try/").status_code == 404


def test_the_catalogue_role_keeps_pages_and_duty_judges_what_they_say(
    client: Client,
    page: StatusPage,
    feed: StatusFeed,
    incident: Incident,
    world: World,
) -> None:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command

    from reports.models import Heard

    call_command("make_roles", verbosity=0)
    page.says(PATH, incidents(told(update("a", "identified", "We know.", world.at(21)), name="Ads")))
    people = {}
    for role in ("duty", "catalogue"):
        people[role] = User.objects.create_user(role, password="a-long-password", is_staff=True)
        people[role].groups.add(Group.objects.get(name=role))
    trying = f"{ADDRESS}{feed.pk}/try/"
    client.force_login(people["duty"])
    assert client.post(trying, {"take": "1"}).status_code == 403
    assert client.get(ADDRESS + "add/").status_code == 403
    client.force_login(people["catalogue"])
    assert client.post(trying, {"take": "1"}).status_code == 302
    assert client.post(f"{ADDRESS}{feed.pk}/delete/", {"post": "yes"}).status_code == 403
    row = f"/admin/reports/heard/{Heard.objects.get().pk}/"
    assert client.get(row + "change/").status_code == 200
    for act in ("attach", "dismiss"):
        assert client.post(row + act + "/", {"incident": incident.ref, "meaning": "update"}).status_code == 403
    client.force_login(people["duty"])
    assert client.post(row + "attach/", {"incident": incident.ref, "meaning": "update"}).status_code == 302
    client.logout()
    for address in (trying, row + "change/", row + "attach/", row + "dismiss/"):
        assert client.get(address).status_code == 302


def test_an_update_is_attached_or_dismissed_with_a_line_in_the_log(
    desk: Client,
    page: StatusPage,
    feed: StatusFeed,
    incident: Incident,
    world: World,
) -> None:
    from django.contrib.admin.models import LogEntry

    from reports.hearing import listen
    from reports.models import Heard, Statement

    updates = [update(name, "identified", f"Ads {name}.", world.at(21)) for name in ("a", "b")]
    page.says(PATH, incidents(told(*updates, name="Ads")))
    listen.hear(feed, now=world.at(30))
    first, second = Heard.objects.order_by("id")
    listed = desk.get("/admin/reports/heard/?state=waiting").content.decode()
    assert listed.count("waits") >= 2
    shown = desk.get(f"/admin/reports/heard/{first.pk}/change/").content.decode()
    assert incident.ref in shown
    wrong = desk.post(f"/admin/reports/heard/{first.pk}/attach/", {"incident": "OUT-1", "meaning": "update"})
    assert wrong.status_code == 400
    assert "There is no incident OUT-1." in wrong.content.decode()
    restored = {"incident": incident.ref.lower(), "meaning": "restored"}
    answer = desk.post(f"/admin/reports/heard/{first.pk}/attach/", restored, follow=True)
    assert f"It is a statement of {incident.ref}." in answer.content.decode()
    assert Statement.objects.get().meaning == "restored"
    again = desk.post(f"/admin/reports/heard/{first.pk}/attach/", restored, follow=True)
    assert "already" in again.content.decode()
    desk.post(f"/admin/reports/heard/{second.pk}/dismiss/", {"reason": "about ads"})
    second.refresh_from_db()
    assert (second.dismissed_reason, second.dismissed_by.username) == ("about ads", "owner")
    assert "about ads" in desk.get(f"/admin/reports/heard/{second.pk}/change/").content.decode()
    assert LogEntry.objects.filter(change_message__contains="statement of").count() == 1
    assert LogEntry.objects.filter(change_message__contains="dismissed").count() == 1
    assert desk.get("/admin/reports/heard/99999/change/").status_code == 404
    assert desk.get(f"/admin/reports/heard/{first.pk}/attach/").status_code == 405


def test_an_update_whose_statement_was_withdrawn_waits_for_a_judgement_again(
    desk: Client,
    page: StatusPage,
    feed: StatusFeed,
    incident: Incident,
    world: World,
) -> None:
    from django.contrib.auth.models import User

    from reports.hearing import listen
    from reports.incidents import undo
    from reports.models import Act, Heard

    page.says(PATH, incidents(told(update("a", "identified", "We know.", world.at(21)), components=("WhatsApp",))))
    listen.hear(feed, now=world.at(25))
    address = f"/admin/reports/heard/{Heard.objects.get().pk}/"
    assert f"tatement of {incident.ref}." in desk.get(address + "change/").content.decode()
    undo.undo(Act.objects.get().pk, by=User.objects.get(), at=world.at(26))
    shown = desk.get(address + "change/").content.decode()
    assert "Waits: its statement was withdrawn." in shown
    assert "(withdrawn)" in shown
    assert address in desk.get("/admin/reports/heard/?state=waiting").content.decode()
    assert address not in desk.get("/admin/reports/heard/?state=attached").content.decode()
    restated = {"incident": incident.ref, "meaning": "acknowledged"}
    answer = desk.post(address + "attach/", restated, follow=True).content.decode()
    assert f"It is a statement of {incident.ref}." in answer
    assert address in desk.get("/admin/reports/heard/?state=attached").content.decode()
