"""The names and types that programs outside the repository rely on: every call has them, whatever else it has.

What is answered to many reports at once is tested in ``test_batch.py``, which needs rows that other threads can see.
"""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest

from tests.status.making import World, at, count, note, staggered

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
STATES = {"normal", "down", "recovering", "restored", "unknown"}


def instant(value: Any) -> bool:
    return isinstance(value, str) and bool(WHEN.fullmatch(value))


def maybe(holds: Any) -> Any:
    return lambda value: value is None or fits(value, holds)


def listed(holds: Any) -> Any:
    return lambda value: isinstance(value, list) and all(fits(each, holds) for each in value)


def one_of(*values: str) -> Any:
    return lambda value: value in values


def fits(value: Any, holds: Any) -> bool:
    if holds is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if holds is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, holds) if isinstance(holds, type) else bool(holds(value))


SERVICE = {
    "slug": str,
    "name": str,
    "provider": str,
    "category": str,
    "state": one_of(*STATES),
    "since": maybe(instant),
    "regions_down": int,
    "reports_last_hour": int,
    "baseline_last_hour": float,
    "incident": maybe(str),
}
COUNTS = {
    "start": instant,
    "step": int,
    "reports": listed(int),
    "working": listed(int),
    "expected": listed(float),
    "upper": listed(float),
}
MAP_REGION = {
    "state": one_of(*STATES - {"normal"}),
    "since": maybe(instant),
    "reports": int,
    "expected": float,
    "ratio": maybe(float),
}
REGION = {"code": str, "name": str, "parent": maybe(str), "kind": str, "population": maybe(int)}
INCIDENT = {
    "ref": str,
    "service": str,
    "provider": str,
    "group": maybe(str),
    "state": one_of("open", "recovering", "resolved"),
    "review": one_of("automatic", "confirmed", "rejected", "merged"),
    "confidence": float,
    "onset_at": instant,
    "detected_at": instant,
    "acknowledged_at": maybe(instant),
    "peak_at": maybe(instant),
    "first_restored_at": maybe(instant),
    "resolved_at": maybe(instant),
    "duration_s": maybe(int),
    "reports": int,
    "working": int,
    "currently_affected_regions": listed(str),
    "previously_affected_regions": listed(str),
    "siblings": listed(dict),
    "echo_of": maybe(str),
    "evidence": maybe(dict),
}
REGIONAL = {
    "region": str,
    "state": one_of(*STATES - {"normal"}),
    "onset_at": instant,
    "detected_at": instant,
    "peak_at": maybe(instant),
    "peak_reports": int,
    "recovering_at": maybe(instant),
    "restored_at": maybe(instant),
    "restored_low": maybe(instant),
    "restored_high": maybe(instant),
    "declared_at": maybe(instant),
    "basis": str,
    "relapses": listed(dict),
    "reports": int,
    "working": int,
    "networks": int,
    "evidence": maybe(dict),
}
LINE = {"at": instant, "kind": str, "region": maybe(str), "text": str, "source": dict}
ACCEPTED = {
    "id": str,
    "service": str,
    "region": str,
    "kind": one_of("down", "working"),
    "problem": maybe(str),
    "received_at": instant,
    "receipt": str,
}


def held(answer: Any, contract: dict[str, Any]) -> None:
    """Fails unless every name of the contract is there, with a value of its kind."""
    assert isinstance(answer, dict)
    wrong = {name: answer.get(name, "missing") for name in contract if name not in answer}
    wrong |= {
        name: answer[name] for name, holds in contract.items() if name in answer and not fits(answer[name], holds)
    }
    assert wrong == {}


@pytest.fixture
def outage(world: World) -> World:
    incident = staggered(world)
    note(incident, "resolved", when=at("19:58"))
    count(world.whatsapp, world.regions["GB-ENG"], at("18:30"), 40)
    return world


@pytest.mark.parametrize(("path", "contract"), [("services/", SERVICE), ("regions/", REGION), ("incidents/", INCIDENT)])
def test_a_list_has_pages_of_what_was_promised(outage: World, get: Any, path: str, contract: dict[str, Any]):
    whole = get(path).json()
    first = get(path, limit=1).json()
    assert {"results", "next", "previous"} <= set(first)
    assert len(first["results"]) == 1 < len(whole["results"])
    assert first["next"].startswith("http://testserver/api/v1/")
    assert first["previous"] is None
    for each in whole["results"]:
        held(each, contract)


@pytest.mark.parametrize(
    ("path", "contract"),
    [
        ("services/whatsapp/", SERVICE),
        ("services/facebook/", SERVICE),
        ("services/whatsapp/counts/", COUNTS),
        ("regions/GB-ENG/", REGION),
        ("regions/001/", REGION),
        ("regions/locate/?lat=51.5&lon=-0.12", REGION),
        ("incidents/OUT-2026-0001/", INCIDENT),
        ("incidents/OUT-2026-0002/", INCIDENT),
    ],
)
def test_one_of_them_has_the_same(outage: World, get: Any, path: str, contract: dict[str, Any]):
    held(get(path).json(), contract)


def test_the_lists_of_counts_are_equally_long(outage: World, get: Any):
    answer = get("services/whatsapp/counts/", region="001", step=60).json()
    assert {len(answer[name]) for name in ("reports", "working", "expected", "upper")} == {1440}


def test_a_map_has_the_regions_that_are_not_normal(outage: World, get: Any):
    answer = get("services/whatsapp/map/").json()
    assert instant(answer["at"])
    assert isinstance(answer["version"], str)
    assert "GB-ENG" in answer["regions"]
    for region in answer["regions"].values():
        held(region, MAP_REGION)


def test_an_incident_has_its_regions_and_its_timeline(outage: World, get: Any):
    regions = get("incidents/OUT-2026-0001/regions/").json()["results"]
    assert {region["state"] for region in regions} == {"down", "recovering", "restored", "unknown"}
    for region in regions:
        held(region, REGIONAL)
    lines = get("incidents/OUT-2026-0001/timeline/").json()["results"]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    for line in lines:
        held(line, LINE)
        assert {"type", "url", "evidence"} <= set(line["source"])


@pytest.mark.parametrize(
    ("form", "accept", "media_type"),
    [
        ("json", "*/*", "application/json"),
        ("md", "*/*", "text/markdown"),
        ("html", "*/*", "text/html"),
        (None, "application/json", "application/json"),
        (None, "text/markdown", "text/markdown"),
        (None, "text/html", "text/html"),
    ],
)
def test_an_article_comes_in_three_forms(outage: World, get: Any, form: str | None, accept: str, media_type: str):
    query = {"format": form} if form else {}
    response = get("incidents/OUT-2026-0001/article/", headers={"Accept": accept}, **query)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(media_type)


def test_the_file_of_an_incident_has_counts_and_expectations_by_minute(outage: World, get: Any):
    response = get("incidents/OUT-2026-0001/export.csv")
    rows = list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))
    assert {"minute", "region", "reports", "working", "networks", "expected", "upper"} <= set(rows[0])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", row["minute"]) for row in rows)
    assert any(int(row["reports"]) == 40 for row in rows if row["region"] == "GB-ENG")


def test_a_report_is_accepted_with_a_receipt_and_the_same_one_again_gets_the_same_answer(outage: World, client: Any):
    report = {
        "service": "whatsapp",
        "region": "GB-ENG",
        "kind": "down",
        "problem": "messages",
        "id": "0b8e9a52-3f7c-4d5e-9a41-6c2f8d1e7b30",
    }
    answers = [client.post("/api/v1/reports/", report, content_type="application/json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    held(answers[0].json(), ACCEPTED)
    assert answers[0].json() == answers[1].json()


def test_a_region_that_there_is_not_is_named_with_the_nearest(outage: World, client: Any):
    body = {"service": "whatsapp", "region": "UK-ENG"}
    response = client.post("/api/v1/reports/", body, content_type="application/json")
    assert response.status_code == 400
    assert "GB-ENG" in response.json()["region"][0]


@pytest.mark.parametrize("path", ["services/", "incidents/OUT-2026-0001/", "services/whatsapp/map/", "regions/"])
def test_reads_are_keyless_and_open_and_can_be_kept(outage: World, client: Any, path: str):
    response = client.get(f"/api/v1/{path}", headers={"Origin": "https://elsewhere.example"})
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert re.fullmatch(r'"[^"]+"', response.headers["ETag"])
    assert "max-age=" in response.headers["Cache-Control"]
    assert not response.cookies


@pytest.mark.parametrize("path", ["services/", "services/whatsapp/", "incidents/", "regions/GB/", "calibration/"])
def test_head_and_a_browsers_first_question_are_answered(outage: World, client: Any, path: str):
    got = client.get(f"/api/v1/{path}", headers={"Accept-Encoding": "gzip"})
    head = client.head(f"/api/v1/{path}", headers={"Accept-Encoding": "gzip"})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Cache-Control", "Vary", "Content-Type", "Content-Encoding", "Content-Length"):
        assert head.headers.get(name) == got.headers.get(name), name
    asked = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "if-none-match",
    }
    preflight = client.options(f"/api/v1/{path}", headers=asked)
    assert preflight.status_code == 204
    assert "GET" in preflight.headers["Access-Control-Allow-Methods"]
    assert "If-None-Match" in preflight.headers["Access-Control-Allow-Headers"]
    assert int(preflight.headers["Access-Control-Max-Age"]) > 0
    # A key is for servers: a page of another origin may send none.
    assert "Authorization" not in preflight.headers["Access-Control-Allow-Headers"]
