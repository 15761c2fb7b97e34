"""Which incidents are asked for, and in which order."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from reports import status
from reports.models import Incident, Statement
from reports.status import snapshots
from reports.status.choosing import chosen
from tests.status.making import World, at, open_incident, say, staggered, take_down, watch


@pytest.fixture
def several(world: World) -> World:
    """Five incidents: 1 and 2 belong together, 3 is over, 4 was rejected, 5 is explained by 1."""
    watch()
    first = staggered(world)
    over = open_incident(world.facebook, ref="OUT-2026-0003", onset_at=at("08:00"), resolved_at=at("10:00"))
    take_down(over, world.regions["US"], restored_at=at("10:00"))
    take_down(over, world.regions["US-CA"], restored_at=at("10:00"))
    wrong = open_incident(
        world.facebook, ref="OUT-2026-0004", onset_at=at("12:00"), rejected_at=at("12:30"), peak_reports=20
    )
    take_down(wrong, world.regions["IN"], withdrawn_at=at("12:30"))
    echo = open_incident(world.facebook, ref="OUT-2026-0005", onset_at=at("19:00"), echo_of=first, peak_reports=20)
    take_down(echo, world.regions["001"])
    take_down(echo, world.regions["BR-RJ"], recovering_at=at("19:50"))
    say(over, "A router failed in Oregon.", said_at=at("08:40"))
    return world


def numbers(**asked: object) -> list[int]:
    return [int(found.ref[-1]) for found in status.incidents(**asked).results]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"ref": ("OUT-2026-0001", "OUT-2026-0004")}, [4, 1]),
        ({"category": "social"}, [5, 4, 3, 2]),
        ({"scope": "several products"}, [1]),
        ({"group": "meta@1"}, [2, 1]),
        ({"since": at("12:00"), "until": at("19:00")}, [4, 2, 1]),
        ({"until": at("08:04")}, []),
        ({"until": at("08:05")}, [3]),
        ({"min_confidence": 0.98}, [5, 4, 3, 2, 1]),
        ({"min_confidence": 0.99}, []),
        ({"min_regions": 4}, [1]),
        ({"min_regions": 2}, [5, 3, 1]),
        ({"min_people": 300_000_000}, [4, 3]),
        ({"echo": True}, [5]),
        ({"echo": False, "provider": "meta"}, [4, 3, 2, 1]),
        ({"has_statement": True}, [3, 1]),
        ({"has_statement": False}, [5, 4, 2]),
        ({"search": "0003"}, [3]),
        ({"search": "oregon"}, [3]),
        ({"search": "Zap zap"}, [1]),
        ({"search": "meta", "state": "resolved"}, [4, 3]),
    ],
)
def test_incidents_can_be_chosen_by_all_that_is_known_of_them(
    several: World, asked: dict[str, object], found: list[int]
):
    assert sorted(numbers(**asked), reverse=True) == found


def test_what_was_withdrawn_was_not_said(several: World):
    Statement.objects.filter(incident__ref="OUT-2026-0003").update(withdrawn_at=at("12:00"))
    snapshots.forget()
    assert numbers(has_statement=True) == [1]
    assert sorted(numbers(has_statement=False)) == [2, 3, 4, 5]
    assert numbers(search="oregon") == []


def test_what_was_said_of_a_merged_incident_was_said_of_the_one_that_tells_it(several: World):
    ours = Incident.objects.get(ref="OUT-2026-0002")
    into = {"merged_at": at("19:50"), "service": several.instagram}
    Incident.objects.filter(ref="OUT-2026-0003").update(merged_into=ours, **into)
    snapshots.forget()
    assert sorted(numbers(has_statement=True)) == [1, 2, 3]
    assert sorted(numbers(search="oregon")) == [2, 3]
    assert sorted(numbers(has_statement=False)) == [4, 5]


def test_the_people_of_an_incident_are_the_same_in_the_database_and_in_the_answer(several: World):
    for incident in status.incidents().results:
        least = incident.people_reached
        refs = {found.ref for found in status.incidents(min_people=least).results} if least else {incident.ref}
        assert incident.ref in refs
        assert incident.ref not in {found.ref for found in status.incidents(min_people=least + 1).results}


def test_nobody_is_counted_twice_where_regions_nest_and_the_world_is_nobody(several: World):
    people = {incident.ref[-1]: incident.people_reached for incident in status.incidents().results}
    assert people["3"] == status.region("US").population
    assert people["5"] == status.region("BR-RJ").population


@pytest.mark.parametrize("ordering", status.ORDERINGS)
def test_pages_lead_there_and_back_in_every_order(several: World, ordering: str):
    whole = numbers(ordering=ordering)
    values = [_value(incident, ordering) for incident in status.incidents(ordering=ordering).results]
    assert all(one >= next if ordering[0] == "-" else one <= next for one, next in pairwise(values))
    walked, pages, cursor = [], [], None
    while True:
        page = status.incidents(ordering=ordering, limit=2, cursor=cursor)
        pages.append(page)
        walked += [int(found.ref[-1]) for found in page.results]
        cursor = page.next
        if cursor is None:
            break
    assert walked == whole
    assert status.incidents(ordering=ordering, limit=2, cursor=pages[-1].previous).results == pages[-2].results
    assert status.incidents(ordering=ordering, limit=2, cursor=pages[1].previous).results == pages[0].results


def _value(incident: object, ordering: str) -> object:
    return getattr(incident, ordering.removeprefix("-"))


def test_a_cursor_goes_on_in_the_order_that_it_was_given_out_for_only(several: World):
    cursor = status.incidents(ordering="onset_at", limit=2).next
    with pytest.raises(status.CursorError, match="another order"):
        status.incidents(ordering="-onset_at", limit=2, cursor=cursor)


def test_a_filter_or_a_value_that_there_is_not_is_an_error_and_not_left_out(several: World):
    with pytest.raises(ValueError, match="no such filter: servce"):
        chosen({"servce": "whatsapp"})
    with pytest.raises(ValueError, match="min_people"):
        chosen({"min_people": "many"})


def test_every_filter_at_once_takes_as_many_queries_for_many_incidents_as_for_few(
    several: World, django_assert_max_num_queries
):
    asked = {
        "provider": "meta",
        "category": "social",
        "region": "US",
        "review": "automatic",
        "state": "resolved",
        "since": at("00:00"),
        "until": at("23:00"),
        "min_confidence": 0.5,
        "min_regions": 1,
        "min_people": 1,
        "echo": False,
        "has_statement": True,
        "search": "router",
    }
    numbers(**asked)
    snapshots.forget()
    with django_assert_max_num_queries(20) as few:
        assert numbers(**asked) == [3]
    for number in range(40):
        onset = at("01:00") + timedelta(minutes=number)
        more = open_incident(several.facebook, ref=f"OUT-2026-1{number:02}3", onset_at=onset, resolved_at=at("10:00"))
        take_down(more, several.regions["US"], restored_at=at("10:00"))
        say(more, "A router failed again.", said_at=at("08:40"))
    snapshots.forget()
    with django_assert_max_num_queries(20) as many:
        assert len(numbers(**asked)) == 41
    assert len(few) == len(many)
