from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.hearing import syndication
from reports.hearing.updates import Reading, Unreadable
from tests.hearing.page import entry, history, item, piece, rss
from tests.incidents.world import START

NOW = START + timedelta(hours=2)


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def read(body: bytes, now: datetime = NOW) -> Reading:
    return syndication.read(body, now=now)


def told(reading: Reading) -> list[tuple[float, str, str]]:
    return [((each.said_at - START) / timedelta(minutes=1), each.meaning, each.text) for each in reading.updates]


def statuspages_history(resolved: str = "This incident has been resolved.") -> bytes:
    pieces = piece(minute(90), "Resolved", resolved) + piece(minute(20), "Investigating", "We are looking into it.")
    return history(entry(pieces, published=minute(20), updated=minute(90)))


def test_an_entry_of_statuspages_history_is_read_as_the_updates_that_it_holds() -> None:
    reading = read(statuspages_history())
    assert told(reading) == [
        (20, "acknowledged", "Messages are delayed: We are looking into it."),
        (90, "restored", "Messages are delayed: This incident has been resolved."),
    ]
    assert {each.url for each in reading.updates} == {"https://status.example.org/incidents/1"}
    assert len({each.thread for each in reading.updates}) == 1


def test_an_edit_of_the_text_changes_no_name() -> None:
    before, after = read(statuspages_history()), read(statuspages_history("It is over."))
    assert [each.key for each in before.updates] == [each.key for each in after.updates]
    assert before.updates[1].text != after.updates[1].text


def test_two_updates_of_one_minute_and_status_are_two_also_when_a_third_follows() -> None:
    pieces = piece(minute(20), "Update", "Second.") + piece(minute(20), "Update", "First.")
    two = read(history(entry(pieces, published=minute(20), updated=minute(20))))
    more = read(
        history(entry(piece(minute(30), "Update", "Third.") + pieces, published=minute(20), updated=minute(30)))
    )
    assert [each.text.rsplit(" ", 1)[1] for each in more.updates] == ["First.", "Second.", "Third."]
    assert [each.key for each in two.updates] == [each.key for each in more.updates][:2]


def test_the_year_that_is_not_written_is_that_of_the_entry() -> None:
    eve, day = datetime.fromisoformat("2025-12-31T23:50Z"), datetime.fromisoformat("2026-01-01T00:20Z")
    pieces = piece(day, "Resolved", "Over.") + piece(eve, "Investigating", "We look.")
    assert [each.said_at for each in read(history(entry(pieces, published=eve, updated=day))).updates] == [eve, day]


def test_an_entry_in_another_time_zone_is_read_as_one() -> None:
    pieces = piece(minute(20), "Investigating", "We are looking into it.").replace("UTC", "PDT")
    reading = read(history(entry(pieces, published=minute(20), updated=minute(25))))
    assert [(at, meaning) for at, meaning, _text in told(reading)] == [(25, "acknowledged")]


def test_an_rss_feed_is_read_by_its_words() -> None:
    reading = read(
        rss(
            item("[RESOLVED] Calls fail", "Calls failed from 12:10 to 13:20.", minute(90), guid="c"),
            item("Calls fail", "We are investigating why calls fail in Germany.", minute(20), guid="a"),
            item("About calls", "We will say more in an hour.", minute(30), guid="b"),
        )
    )
    assert [(at, meaning) for at, meaning, _text in told(reading)] == [
        (20, "acknowledged"),
        (30, "update"),
        (90, "restored"),
    ]


def test_an_entry_that_is_written_over_is_another_update_once_it_means_something_else() -> None:
    first = read(rss(item("Calls fail", "We are investigating.", minute(20)))).updates[0]
    edited = read(rss(item("Calls fail", "We are still investigating.", minute(40)))).updates[0]
    over = read(rss(item("Resolved: calls fail", "It is over.", minute(90)))).updates[0]
    assert first.key == edited.key != over.key
    assert first.thread == over.thread


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (item("Calls fail", "x", None), "no date"),
        (item("Calls fail", "x", NOW + timedelta(hours=1)), "future"),
        (item("Calls fail", "x", NOW - timedelta(days=900)), "too long past"),
        (item("", "", minute(1)), "says nothing"),
        ("<item><title>Calls fail</title></item>", "no id"),
        (item("Calls fail", "x", minute(1)).replace("2026", "99999"), "no date"),
    ],
)
def test_what_cannot_be_dated_named_or_read_is_left_out_with_a_reason(change: str, why: str) -> None:
    reading = read(rss(change))
    assert not reading.updates
    assert why in reading.left_out[0].why


def test_markup_and_signs_that_nobody_sees_do_not_reach_the_text() -> None:
    evil = "<script>alert(1)</script><b>We</b> look\u202e into <a href='javascript:x'>it</a>.<iframe src=x></iframe>"
    assert read(rss(item("Calls", evil, minute(1)))).updates[0].text == "Calls: We look into it."
    pieces = piece(minute(20), "Investigating", "We look.<script>x</script>")
    reading = read(history(entry(pieces, published=minute(20), updated=minute(20), title="<b>Calls</b>")))
    assert reading.updates[0].text == "Calls: We look."


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b"]><rss version='2.0'><channel><item><title>&b;</title></item></channel></rss>"
)


def test_entities_are_refused_and_no_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    outside = LAUGHS.replace(b'<!ENTITY a "ha">', f'<!ENTITY a SYSTEM "file://{secret}">'.encode())
    parameter = LAUGHS.replace(b'<!ENTITY a "ha">', b'<!ENTITY % a SYSTEM "https://localhost/x"> %a;')
    for body in (LAUGHS, outside, parameter):
        with pytest.raises(Unreadable, match="entities"):
            read(body)
    # A document type from elsewhere is not fetched.
    plain = rss(item("Calls fail", "We look.", minute(1))).replace(
        b"?><rss", b'?><!DOCTYPE rss SYSTEM "https://localhost/x"><rss'
    )
    assert len(read(plain).updates) == 1


def test_a_text_that_is_an_address_or_a_path_is_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "feed.xml"
    secret.write_bytes(statuspages_history())
    for body in (str(secret).encode(), f"file://{secret}".encode(), b"https://localhost:1/x"):
        with pytest.raises(Unreadable):
            read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html><body>Not here</body></html>",
        b"<rss><channel><item></rss>",
        statuspages_history()[:-20],
        statuspages_history().decode().encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-7"?>' + statuspages_history(),
        b'<?xml version="1.0" encoding="cp037"?><rss/>',
        "<rss>ä</rss>".encode("latin-1"),
        b"<a>" * 1000 + b"</a>" * 1000,
        b"<rss>" + b"<a/>" * 30_000 + b"</rss>",
        b"<rss>&undeclared;</rss>",
        b"\x00" * 100,
    ],
)
def test_what_is_no_feed_or_was_cut_off_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


def test_other_encodings_that_feeds_are_in_are_read() -> None:
    body = rss(item("Störung", "Anrufe scheitern in Österreich.", minute(1))).decode()
    latin = body.replace("UTF-8", "ISO-8859-1").encode("latin-1")
    assert read(latin).updates[0].text == "Störung: Anrufe scheitern in Österreich."
    assert read(b"\xef\xbb\xbf" + body.encode()).updates[0].text == "Störung: Anrufe scheitern in Österreich."


@pytest.mark.parametrize(
    "evil", ["<!--", "<a b=", "<small>", "[(resolved ", "&#", "<small>Mar 1, 12:00 UTC</small><strong>x</strong>"]
)
def test_a_hostile_feed_of_the_largest_size_is_read_within_seconds(evil: str) -> None:
    long = (evil * 300_000)[:300_000]
    began = time.monotonic()
    with contextlib.suppress(Unreadable):
        read(rss(item(long, long, minute(1)))[: 2**20])
    assert time.monotonic() - began < 30


@given(st.binary(max_size=300))
def test_whatever_bytes_come_no_other_error_does(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


@given(
    st.lists(
        st.builds(
            lambda title, text, at, guid, wild: item(title, text + wild, at, guid=guid),
            st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn"])),
            st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn"])),
            st.none() | st.datetimes().map(lambda at: at.replace(tzinfo=START.tzinfo)),
            st.text("abc/:<&", max_size=5),
            st.sampled_from(
                [
                    "",
                    "<small>",
                    piece(START, "Resolved", "x"),
                    "<small>Feb 30, 12:00 UTC</small><strong>Resolved</strong>",
                ]
            ),
        ),
        max_size=4,
    )
)
def test_whatever_a_feed_says_no_other_error_comes(items: list[str]) -> None:
    try:
        reading = read(rss(*items))
    except Unreadable:
        return
    for each in reading.updates:
        assert each.text
        assert each.began_at <= each.said_at <= NOW


@given(
    st.text(alphabet="<>/ smalstrong-varUTC0123456789:,JanFebMar&;", max_size=200),
    st.sampled_from(["2026-03-18T12:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "x", ""]),
)
def test_whatever_an_entry_of_a_history_holds_no_other_error_comes(content: str, updated: str) -> None:
    body = history(entry(content, published=START, updated=START)).decode()
    read(body.replace("<updated>2026-03-18T12:00:00.000+00:00", f"<updated>{updated}").encode())
