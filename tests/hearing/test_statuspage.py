from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.hearing import statuspage
from reports.hearing.updates import Reading, Unreadable
from tests.hearing.page import incident, incidents, update
from tests.incidents.world import START

NOW = START + timedelta(hours=2)


def read(document: Any) -> Reading:
    return statuspage.read(json.dumps(document).encode(), now=NOW)


def minute(number: float) -> Any:
    return START + timedelta(minutes=number)


def test_each_update_is_read_in_the_order_in_which_it_was_said() -> None:
    reading = read(
        incidents(
            incident(
                update("b", "resolved", "This incident has been resolved.", minute(90)),
                update("a", "investigating", "<p>We are looking into <b>it</b>.</p>", minute(20)),
                components=("WhatsApp",),
            )
        )
    )
    first, last = reading.updates
    assert (first.said_at, first.meaning, first.components) == (minute(20), "acknowledged", ("WhatsApp",))
    assert first.text == "Messages are delayed: We are looking into it."
    assert first.url == "https://stspg.io/p31zjtct2jer"
    assert (last.said_at, last.meaning, last.began_at) == (minute(90), "restored", minute(20))
    assert first.thread == last.thread
    assert first.key != last.key
    assert not reading.left_out


def test_an_update_names_its_own_components_before_those_of_its_incident() -> None:
    affected = [{"code": "x", "name": "Business API", "old_status": "operational", "new_status": "major_outage"}]
    reading = read(
        incidents(
            incident(update("a", "identified", "x", minute(1), affected_components=affected), components=("WhatsApp",))
        )
    )
    assert reading.updates[0].components == ("Business API",)


def test_an_update_that_is_dated_back_was_said_when_it_was_written() -> None:
    backdated = update("a", "investigating", "x", minute(50), display_at="2026-03-18T12:01:00.000Z")
    assert read(incidents(incident(backdated))).updates[0].said_at == minute(50)


@pytest.mark.parametrize(
    ("created", "said"),
    [
        ("2026-03-18T14:05:00.000Z", NOW),
        ("2026-03-18T06:30:00.000-07:00", minute(90)),
        ("2026-03-18T15:00:00Z", "future"),
        ("2024-01-01T00:00:00Z", "past"),
        ("0001-01-01T00:00:00+14:00", "date"),
        ("9999-12-31T23:59:59-14:00", "date"),
        ("2026-03-18T13:00:00", "date"),
        ("yesterday", "date"),
        ("", "date"),
        (None, "date"),
        (5, "date"),
    ],
)
def test_a_clock_that_is_minutes_ahead_is_forgiven_and_an_absurd_date_is_not(created: Any, said: Any) -> None:
    reading = read(
        incidents(incident({**update("a", "identified", "x", NOW), "created_at": created, "display_at": None}))
    )
    if isinstance(said, str):
        assert not reading.updates
        assert said in reading.left_out[0].why
    else:
        assert reading.updates[0].said_at == said


def test_announced_work_is_told_from_an_outage() -> None:
    reading = read(
        incidents(
            incident(update("a", "scheduled", "x", minute(1)), id="m"),
            incident(update("b", "update", "x", minute(2)), id="n", impact="maintenance"),
            incident(update("c", "investigating", "x", minute(3))),
        )
    )
    assert [each.planned for each in reading.updates] == [True, True, False]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>not here</html>",
        b"[]",
        b"null",
        b"{}",
        b'{"incidents": {}}',
        b'{"incidents": [',
        b"[" * 100_000,
        b'{"incidents": ' + b"9" * 10_000 + b"}",
        b"\xff\xfe\x00",
    ],
)
def test_what_has_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        statuspage.read(body, now=NOW)


def test_rubbish_within_the_shape_is_left_out_and_the_rest_is_read() -> None:
    good = update("a", "investigating", "x", minute(1))
    rubbish: list[Any] = [
        None,
        5,
        [],
        {},
        {"id": 5},
        {"id": "x", "incident_updates": 5},
        {"id": "x", "incident_updates": [None, 5, {}, {"id": "y"}, {"id": [], "body": {}}], "name": ["x"]},
        incident({**good, "body": None}, name=""),
        incident({**good, "id": None}),
        incident(good, components=("", "\u202e"), shortlink="javascript:alert(1)"),
    ]
    reading = read(incidents(*rubbish))
    assert [(each.components, each.url) for each in reading.updates] == [((), "")]


def test_a_page_of_a_hundred_thousand_incidents_is_read_as_far_as_is_sensible() -> None:
    many = incidents(*[incident(update("a", "identified", "x", minute(1)), id=str(i)) for i in range(1000)])
    assert len(read(many).updates) == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
STAMP = st.sampled_from(["2026-03-18T12:00:00Z", "0001-01-01T00:00:00+23:59", "x", None, 7])
UPDATE = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=5) | JSON,
        "status": st.sampled_from(["investigating", "resolved", "scheduled"]) | JSON,
        "body": st.text() | JSON,
        "created_at": STAMP | JSON,
        "display_at": STAMP | JSON,
        "affected_components": JSON,
    },
)
INCIDENT = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=5) | JSON,
        "name": st.text() | JSON,
        "impact": JSON,
        "status": JSON,
        "components": st.lists(st.fixed_dictionaries({"name": st.text() | JSON}), max_size=3) | JSON,
        "shortlink": JSON,
        "started_at": STAMP | JSON,
        "created_at": STAMP | JSON,
        "incident_updates": st.lists(UPDATE | JSON, max_size=4) | JSON,
    },
)


@given(st.fixed_dictionaries({"incidents": st.lists(INCIDENT | JSON, max_size=4) | JSON}) | JSON)
def test_whatever_json_comes_no_other_error_does(document: Any) -> None:
    try:
        reading = statuspage.read(json.dumps(document).encode(), now=NOW)
    except Unreadable:
        return
    for each in reading.updates:
        assert each.text
        assert each.began_at <= each.said_at <= NOW
        (each.text + each.title + "".join(each.components)).encode()


@given(st.binary(max_size=200))
def test_whatever_bytes_come_no_other_error_does(body: bytes) -> None:
    with pytest.raises(Unreadable):
        statuspage.read(body, now=NOW)
