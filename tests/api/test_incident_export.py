"""GET /api/v1/incidents/REF/export.csv"""

import csv

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from tests.status.making import World, staggered


def test_the_export_is_a_csv_file_that_is_streamed(world: World, get):
    staggered(world)
    response = get("incidents/OUT-2026-0001/export.csv")
    assert response.streaming
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="OUT-2026-0001.csv"'
    rows = list(csv.DictReader(response.getvalue().decode().splitlines()))
    assert list(rows[0]) == [
        "minute",
        "region",
        "reports",
        "working",
        "networks",
        "service_networks",
        "expected",
        "upper",
        "baseline_version",
    ]
    assert sum(int(row["reports"]) for row in rows if row["region"] == "GB-ENG") == 190


@pytest.mark.parametrize("accept", ["text/csv", "*/*", "application/json", "text/html"])
def test_the_export_asks_for_no_particular_header(world: World, get, accept: str):
    staggered(world)
    response = get("incidents/OUT-2026-0001/export.csv", headers={"Accept": accept})
    assert response.status_code == 200


def test_an_event_loop_sends_it_piece_by_piece(world: World):
    staggered(world)

    async def read() -> list[bytes]:
        response = await AsyncClient().get("/api/v1/incidents/OUT-2026-0001/export.csv")
        return [part async for part in response.streaming_content]  # type: ignore[attr-defined]

    header, *pieces = async_to_sync(read)()
    assert header.startswith(b"minute,region")
    # 248 minutes, an hour at a time.
    assert len(pieces) == 5
