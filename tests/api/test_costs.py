"""What a read costs the database: a few queries, however much there is to read; none when nothing changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reports.models import Incident, Region, Service
from reports.status import catalogue, snapshots
from tests.status.making import World, at, note, open_incident, say, speak, staggered, take_down

# The most queries that a process may take which knows nothing yet: the version, the catalogue, and what is asked for.
CALLS = {
    "services/": 15,
    "services/?region=GB&state=down": 15,
    "services/?search=whats": 15,
    "services/whatsapp/": 16,
    "services/whatsapp/?region=GB": 16,
    "services/whatsapp/counts/": 10,
    "services/whatsapp/map/": 15,
    "services/whatsapp/map/?at=2026-04-03T19:00:00Z": 15,
    "regions/": 8,
    "regions/GB/": 8,
    "incidents/": 20,
    "incidents/?min_people=1&has_statement=true&search=aware&ordering=-peak_reports": 20,
    "incidents/OUT-2026-0001/": 20,
    "incidents/OUT-2026-0001/regions/": 20,
    "incidents/OUT-2026-0001/regions.geojson": 15,
    "incidents/OUT-2026-0001/timeline/": 20,
    "incidents/OUT-2026-0001/problems/": 15,
    "incidents/OUT-2026-0001/article/": 60,
    "calibration/": 10,
}


def asked(ask: Callable[[], Any]) -> list[str]:
    """What the database was asked, without the numbers in it."""
    with CaptureQueriesContext(connection) as queries:
        assert ask().status_code == 200
    return [re.sub(r"\d+(, )?", "", query["sql"])[:400] for query in queries]


@pytest.fixture
def few(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    staggered(world)
    return world


def test_reads_take_as_many_queries_for_300_as_for_3_and_none_the_second_time(
    few: World, get: Any, subtests: pytest.Subtests
):
    _grow(few, 3)
    cold = {}
    for path, most in CALLS.items():
        with subtests.test(path):
            cold[path] = _cold(get, path)
            assert len(cold[path]) <= most
            assert asked(partial(get, path)) == []
            tag = get(path).headers["ETag"]
            with CaptureQueriesContext(connection) as queries:
                assert get(path, headers={"If-None-Match": tag}).status_code == 304
            assert len(queries) == 0
    _grow(few, 300)
    for path, before in cold.items():
        with subtests.test(f"{path}, much more of it"):
            many = _cold(get, path)
            assert len(many) == len(before), [query for query in many if query not in before]


def _cold(get: Any, path: str) -> list[str]:
    """The queries of a process that knows nothing yet."""
    snapshots.forget()
    return asked(lambda: get(path))


def _grow(world: World, number: int) -> None:
    """So many further services with an incident each, and so many further regions and facts in the first incident."""
    links = [link for link in catalogue.links() if link.kind == "subdivision" and link.code not in world.regions]
    there = set(Region.objects.values_list("code", flat=True))
    fresh = [link for link in links if link.code not in there][:number]
    regions = Region.objects.bulk_create(
        Region(code=link.code, name=link.english, kind=link.kind, parent=world.regions["001"], population=1000)
        for link in fresh
    )
    ours = Incident.objects.get(ref="OUT-2026-0001")
    for place, region in enumerate(regions):
        take_down(ours, region, onset_at=at("18:05"))
        evidence = speak(ours, region, decided_at=at("18:06"))
        when = at("18:06") + timedelta(seconds=place)
        note(ours, "region_down", when=when, region=region, evidence=evidence)
        service = Service.objects.create(
            slug=f"s{number}-{place}",
            name=f"S{number} {place}",
            provider=world.facebook.provider,
            category=world.facebook.category,
        )
        other = open_incident(service, ref=f"OUT-{number}-{place:04}")
        take_down(other, region)
        say(other, "We are aware.", said_at=at("19:00"))


@pytest.mark.parametrize(
    "path", ["services/nothing/", "regions/XX/", "incidents/OUT-1999-0001/", "services/?state=odd"]
)
def test_an_error_takes_few_queries(few: World, get: Any, path: str):
    get(path)
    snapshots.forget()
    with CaptureQueriesContext(connection) as queries:
        assert get(path).status_code in (400, 404)
    assert len(queries) <= 15


def test_the_file_of_an_incident_takes_a_number_of_queries_that_does_not_depend_on_its_regions(few: World, get: Any):
    path = "incidents/OUT-2026-0001/export.csv"

    def read() -> int:
        snapshots.forget()
        with CaptureQueriesContext(connection) as queries:
            assert len(b"".join(get(path).streaming_content)) > 100
        return len(queries)

    read()
    before = read()
    _grow(few, 100)
    assert read() <= before + 1
