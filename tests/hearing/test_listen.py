"""From a provider's page to the public timeline, over real HTTPS; and everything that such a page can do wrong."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from reports.audience import outgoing
from reports.hearing import listen
from reports.hearing.kept import Taken
from reports.models import Heard, Incident, Provider, Statement, StatusFeed, TimelineEntry, Word
from tests.hearing.page import Document, StatusPage, entry, history, incidents, piece, update
from tests.hearing.page import incident as told

if TYPE_CHECKING:
    from tests.incidents.world import World

pytestmark = pytest.mark.django_db
PATH = "/api/v2/incidents.json"


def look(world: World, minute: float) -> listen.Round:
    return listen.listen(now=lambda: world.at(minute), seconds=60)


def test_what_a_provider_says_is_in_the_public_timeline_with_its_time_and_address(
    world: World, page: StatusPage, feed: StatusFeed, incident: Incident
) -> None:
    first = update("a", "investigating", "We are looking into it.", world.at(21))
    page.says(PATH, incidents(told(first, components=("WhatsApp",))))
    assert look(world, 22) == listen.Round(asked=1, taken=Taken(new=1, attached=1))
    statement = Statement.objects.get()
    assert (statement.incident, statement.meaning, statement.said_at) == (incident, "acknowledged", world.at(21))
    assert (statement.url, statement.entered_by) == ("https://stspg.io/p31zjtct2jer", None)
    line = TimelineEntry.objects.get(statement=statement)
    assert (line.at, line.recorded_at, line.actor) == (world.at(21), world.at(22), None)
    assert [word.kind for word in Word.objects.all()] == ["statement_down"]

    last = update("b", "resolved", "This incident has been resolved.", world.at(60))
    page.says(PATH, incidents(told(first, last, components=("WhatsApp",))))
    assert look(world, 62).taken == Taken(new=1, attached=1)
    assert [each.meaning for each in Statement.objects.all()] == ["acknowledged", "restored"]
    # The engine is told, and decides; nothing is closed by what a page says.
    assert [word.kind for word in Word.objects.order_by("id")] == ["statement_down", "statement_restored"]
    incident.refresh_from_db()
    assert incident.resolved_at is None
    assert {row.state for row in incident.regions.all()} == {"down"}


def test_the_public_answers_tell_it(
    world: World, page: StatusPage, feed: StatusFeed, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test import Client

    from reports import clock
    from reports.status import snapshots

    monkeypatch.setattr(clock, "now", lambda: world.at(30))
    page.says(PATH, incidents(told(update("a", "investigating", "We look.", world.at(21)), components=("WhatsApp",))))
    look(world, 22)
    snapshots.forget()
    shown = Client().get(f"/api/v1/incidents/{incident.ref}/").json()
    assert shown["acknowledged_at"] == "2026-03-18T12:21:00Z"
    lines = Client().get(f"/api/v1/incidents/{incident.ref}/timeline/").json()["results"]
    said = next(line for line in lines if line["kind"] == "statement")
    assert (said["at"], said["source"]["url"]) == ("2026-03-18T12:21:00Z", "https://stspg.io/p31zjtct2jer")
    assert "We look." in said["text"]


def test_what_did_not_change_costs_a_304_and_is_not_said_twice(
    world: World, page: StatusPage, feed: StatusFeed, incident: Incident
) -> None:
    page.says(PATH, incidents(told(update("a", "identified", "We know.", world.at(21)), components=("WhatsApp",))))
    look(world, 22)
    assert look(world, 23) == listen.Round()
    assert look(world, 24).taken == Taken()
    assert page.answered == [200, 304]
    # And when the page has no ETag, or another one, for the same.
    StatusFeed.objects.update(etag="", last_modified="")
    assert look(world, 26).taken == Taken()
    assert page.answered == [200, 304, 200]
    assert Statement.objects.count() == Heard.objects.count() == 1
    assert Word.objects.count() == 1


def test_an_edit_of_the_page_leaves_what_was_said_and_is_told(
    world: World, page: StatusPage, feed: StatusFeed, incident: Incident
) -> None:
    def says(text: str) -> None:
        page.says(PATH, incidents(told(update("a", "identified", text, world.at(21)), components=("WhatsApp",))))

    says("Nothing works.")
    look(world, 22)
    says("Only a few are late.")
    assert look(world, 24).taken == Taken(revised=1)
    assert Statement.objects.get().text == "Messages are delayed: Nothing works."
    heard = Heard.objects.get()
    assert (heard.revised_text, heard.revised_at) == ("Messages are delayed: Only a few are late.", world.at(24))
    from reports import status
    from reports.status import snapshots

    snapshots.forget()
    shown = status.incident(incident.ref).statements[0]
    assert (shown.text, shown.revised_text) == ("Messages are delayed: Nothing works.", heard.revised_text)
    says("Nothing works.")
    assert look(world, 26).taken == Taken(revised=1)
    heard.refresh_from_db()
    assert (heard.revised_text, heard.revised_at) == ("", None)


def test_a_page_is_asked_more_often_while_the_provider_has_an_outage(
    world: World, page: StatusPage, feed: StatusFeed
) -> None:
    page.says(PATH, incidents())
    asked = [minute for minute in range(40) if look(world, minute).asked]
    assert asked == [0, 15, 30]
    from tests.test_admin import make_incident

    make_incident(world, "OUT-2026-0007", "facebook")
    asked = [minute for minute in range(40, 50) if look(world, minute).asked]
    assert asked == [40, 42, 44, 46, 48]
    StatusFeed.objects.update(enabled=False)
    assert not look(world, 100).asked


def test_no_machine_is_asked_twice_in_a_run_and_a_feed_by_one_worker_only(
    world: World, page: StatusPage, feed: StatusFeed
) -> None:
    page.says(PATH, incidents())
    page.says("/other", incidents())
    StatusFeed.objects.create(provider=feed.provider, url=page.origin + "/other", format=feed.format, enabled=True)
    assert (look(world, 1).asked, look(world, 1).asked, look(world, 1).asked) == (1, 1, 0)
    assert [path for path, _headers in page.asked] == [PATH, "/other"]
    stale = StatusFeed.objects.get(pk=feed.pk)
    assert listen._claimed(stale, world.at(20))
    assert not listen._claimed(stale, world.at(20))


def test_the_site_says_who_asks(world: World, page: StatusPage, feed: StatusFeed) -> None:
    page.says(PATH, incidents())
    look(world, 1)
    headers = page.asked[0][1]
    assert headers["user-agent"].startswith("Outagemap (+http")
    assert headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (Document(status=500), "it answered 500"),
        (Document(status=404), "it answered 404"),
        (Document(b"<html>", content_type="text/html"), "no JSON"),
        (Document(b"{}", headers={"Content-Encoding": "br"}), "packed in a way"),
        (Document(raw=b"junk", headers={"Content-Encoding": "gzip"}), "not what gzip packs"),
        (Document(raw=gzip.compress(b"{}" * 999)[:-30], headers={"Content-Encoding": "gzip"}), "only a part"),
        (Document(raw=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"}), "unpacked"),
        (Document(b" " * (listen.JSON_BYTES + 1)), "more than"),
        (Document(raw=b"{}", headers={"Content-Length": "100", "Connection": "close"}), ""),
        (Document(b"", status=302, headers={"Location": PATH}), "redirects"),
        (Document(b"", status=302, headers={"Location": "http://localhost/x"}), "https://"),
        (Document(b"", status=302, headers={"Location": "file:///etc/passwd"}), "https://"),
        (Document(b"", status=302, headers={"Location": "https://[::"}), "address"),
        (Document(b"", status=302), "redirects"),
        (Document(b"", status=302, headers={"Location": f"https://{'a' * 80}.example.org/"}), "gaierror"),
    ],
)
def test_a_page_that_answers_badly_is_left_alone_for_a_while(
    world: World, page: StatusPage, feed: StatusFeed, document: Document, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "ANSWER_SECONDS", 2.0)
    page.documents[PATH] = document
    assert look(world, 1) == listen.Round(asked=1, failed=1)
    feed.refresh_from_db()
    assert fault in feed.fault
    assert (feed.faults, feed.wait_until, feed.read_at, feed.etag) == (1, world.at(6), None, "")
    StatusFeed.objects.update(asked_at=None)
    assert not look(world, 5).asked
    assert look(world, 6).failed
    feed.refresh_from_db()
    assert (feed.faults, feed.wait_until) == (2, world.at(16))
    page.says(PATH, incidents())
    StatusFeed.objects.update(asked_at=None)
    assert look(world, 16) == listen.Round(asked=1)
    feed.refresh_from_db()
    assert (feed.faults, feed.fault, feed.wait_until, feed.read_at) == (0, "", None, world.at(16))


@pytest.mark.parametrize(
    ("asked", "minutes"),
    [
        ({"Retry-After": "3600"}, 60),
        ({"Retry-After": "1"}, 5),
        ({"Retry-After": "999999"}, 24 * 60),
        ({"Retry-After": "Wed, 18 Mar 2026 14:00:00 GMT", "Date": "Wed, 18 Mar 2026 12:00:00 GMT"}, 120),
        ({"Retry-After": "soon"}, 5),
        ({"Retry-After": "-5"}, 5),
    ],
)
def test_who_asks_to_be_left_alone_is(
    world: World, page: StatusPage, feed: StatusFeed, asked: dict[str, str], minutes: int
) -> None:
    page.documents[PATH] = Document(status=429, headers=asked)
    look(world, 0)
    feed.refresh_from_db()
    assert feed.wait_until == world.at(minutes)


def test_pauses_grow_and_end_at_six_hours(world: World, page: StatusPage, feed: StatusFeed) -> None:
    page.documents[PATH] = Document(status=503)
    StatusFeed.objects.update(faults=500)
    look(world, 0)
    feed.refresh_from_db()
    assert feed.wait_until == world.at(360)


def test_one_that_answers_a_byte_at_a_time_is_cut_off(
    world: World, page: StatusPage, feed: StatusFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 0.5)
    page.says(PATH, incidents(), seconds=5)
    assert look(world, 1).failed


def test_a_private_address_is_not_asked_and_not_led_to(
    world: World, page: StatusPage, feed: StatusFeed, settings: object
) -> None:
    settings.ALLOW_PRIVATE_TARGETS = False
    page.says(PATH, incidents())
    assert look(world, 1).failed
    feed.refresh_from_db()
    assert "private network" in feed.fault
    assert not page.asked


def test_a_redirect_into_a_private_network_is_refused(
    page: StatusPage, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page itself counts as public; what it leads to does not."""
    settings.ALLOW_PRIVATE_TARGETS = False
    ours = {"127.0.0.1", "::1"}
    real = outgoing._is_public
    monkeypatch.setattr(outgoing, "_is_public", lambda address: str(address) in ours or real(address))
    for target in ("https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[fd00::1]/x"):
        page.documents["/moved"] = Document(status=301, headers={"Location": target})
        with pytest.raises(outgoing.Refused, match="private network"):
            outgoing.get(page.origin + "/moved", headers={}, most_bytes=100)


def test_a_page_that_has_moved_is_found(world: World, page: StatusPage, feed: StatusFeed, incident: Incident) -> None:
    said = incidents(told(update("a", "identified", "We know.", world.at(21)), components=("WhatsApp",)))
    page.says("/new/incidents.json", said, packed=True)
    page.documents[PATH] = Document(status=301, headers={"Location": "/new/incidents.json"})
    assert look(world, 22).taken == Taken(new=1, attached=1)


def test_validators_that_would_break_a_request_are_not_kept(world: World, page: StatusPage, feed: StatusFeed) -> None:
    page.says(PATH, incidents()).headers = {"ETag": "x" * 300, "Last-Modified": "ä"}
    look(world, 1)
    feed.refresh_from_db()
    assert (feed.etag, feed.last_modified, feed.faults) == ("", "", 0)


def test_an_error_of_ours_in_one_page_does_not_silence_the_others(
    world: World, page: StatusPage, feed: StatusFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_given: object, **_more: object) -> None:
        raise ZeroDivisionError

    page.says(PATH, incidents())
    monkeypatch.setattr(listen.kept, "take_in", breaks)
    assert look(world, 1) == listen.Round(asked=1, failed=1)
    feed.refresh_from_db()
    assert feed.fault == "an error of ours: ZeroDivisionError"
    assert feed.etag == ""


def test_a_feed_in_atom_does_the_same(world: World, page: StatusPage, incident: Incident) -> None:
    StatusFeed.objects.create(
        provider=Provider.objects.get(slug="meta"),
        url=page.origin + "/history.atom",
        format="feed",
        enabled=True,
    )
    pieces = piece(world.at(21), "Investigating", "We are looking into it.")
    body = history(entry(pieces, published=world.at(21), updated=world.at(21), title="WhatsApp: messages are delayed"))
    page.says("/history.atom", body, content_type="application/atom+xml", packed=True)
    assert look(world, 22).taken == Taken(new=1, attached=1)
    statement = Statement.objects.get()
    assert (statement.meaning, statement.said_at, statement.url) == (
        "acknowledged",
        world.at(21),
        "https://status.example.org/incidents/1",
    )
    later = piece(world.at(50), "Resolved", "This incident has been resolved.") + pieces
    page.says(
        "/history.atom",
        history(entry(later, published=world.at(21), updated=world.at(50), title="WhatsApp: messages are delayed")),
    )
    assert look(world, 51).taken == Taken(new=1, attached=1)
    assert look(world, 53).taken == Taken()


def test_the_task_asks_and_a_replay_does_not(
    world: World, page: StatusPage, feed: StatusFeed, settings: object
) -> None:
    from reports import tasks

    page.says(PATH, incidents())
    settings.REPLAY = "meta-2024-04-03"
    tasks.fetch_statements()
    assert not page.asked
    settings.REPLAY = ""
    tasks.fetch_statements()
    assert len(page.asked) == 1


def test_nothing_is_asked_that_no_administrator_switched_on(db: None) -> None:
    assert StatusFeed().enabled is False
