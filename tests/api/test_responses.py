"""What every call has in common: validators, caches, compression, other origins, errors."""

import gzip

import brotli
import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from reports import clock
from reports.intake import coalescer
from reports.models import RegionalOutage
from reports.status import snapshots
from tests.status.making import World, staggered, watch

CALLS = [
    "services/",
    "services/whatsapp/",
    "services/whatsapp/counts/",
    "services/whatsapp/map/",
    "regions/",
    "regions/GB/",
    "incidents/",
    "incidents/OUT-2026-0001/",
    "incidents/OUT-2026-0001/regions/",
    "incidents/OUT-2026-0001/regions.geojson",
    "incidents/OUT-2026-0001/timeline/",
    "incidents/OUT-2026-0001/problems/",
    "incidents/OUT-2026-0001/article/",
    "incidents/OUT-2026-0001/article/?format=md",
    "incidents/OUT-2026-0001/article/?format=html",
    "calibration/",
]


@pytest.mark.parametrize("path", CALLS)
def test_nothing_new_costs_neither_a_body_nor_a_query(world: World, get, django_assert_num_queries, path: str):
    staggered(world)
    first = get(path)
    assert first.status_code == 200
    tag = first.headers["ETag"]
    assert tag.startswith('"')
    # A slow first answer takes longer than the second for which the site does not look again; this one is quick.
    get(path)
    with django_assert_num_queries(0):
        again = get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == tag
    assert again.headers["Cache-Control"].startswith("public, max-age=")
    assert again.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", CALLS)
def test_a_body_is_compressed_once_and_keeps_a_strong_validator(world: World, get, path: str):
    staggered(world)
    plain, zipped = get(path), get(path, headers={"Accept-Encoding": "gzip"})
    if len(plain.content) < 200:
        assert "Content-Encoding" not in zipped.headers
        return
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.content) == plain.content
    assert zipped.headers["ETag"] != plain.headers["ETag"]
    assert not zipped.headers["ETag"].startswith("W/")
    assert "Accept-Encoding" in zipped.headers["Vary"]
    again = get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": zipped.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", CALLS)
def test_a_browser_gets_brotli_with_a_validator_of_its_own(world: World, get, path: str):
    staggered(world)
    plain, small = get(path), get(path, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    if len(plain.content) < 200:
        return
    assert small.headers["Content-Encoding"] == "br"
    assert brotli.decompress(small.content) == plain.content
    assert small.headers["ETag"].endswith('-br"')
    assert not small.headers["ETag"].startswith("W/")
    again = get(path, headers={"Accept-Encoding": "br", "If-None-Match": small.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_kept_answer_is_given_out_without_asking_its_view(world: World, get, client, monkeypatch):
    from reports.api import views

    monkeypatch.setattr(clock, "at_hand", clock.now)
    first = get("incidents/", state="open", headers={"Accept-Encoding": "gzip"})

    def ask(*_: object) -> None:
        pytest.fail("the view was asked")

    monkeypatch.setattr(views.IncidentsView, "get", ask)
    kept = get("incidents/", state="open", headers={"Accept-Encoding": "gzip"})
    assert (kept.status_code, kept.content) == (200, first.content)
    dated = {"Date", "Content-Length"}
    assert {name: kept.headers[name] for name in kept.headers if name not in dated} == {
        name: first.headers[name] for name in first.headers if name not in dated
    }
    known = {"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]}
    assert get("incidents/", state="open", headers=known).status_code == 304
    assert client.head("/api/v1/incidents/?state=open").status_code == 200
    # Another question is another answer.
    with pytest.raises(BaseException, match="the view was asked"):
        get("incidents/", state="resolved")
    # Nor is it given to who wants none of its form.
    assert client.get("/api/v1/incidents/?state=open", headers={"Accept": "application/xml"}).status_code == 406
    snapshots._looked_at = 0.0
    with pytest.raises(BaseException, match="the view was asked"):
        get("incidents/", state="open")


def test_the_validator_stays_when_time_passed_and_nothing_happened(world: World, get):
    before = get("services/facebook/").headers["ETag"]
    watch()
    snapshots.forget()
    assert get("services/facebook/").headers["ETag"] == before


def test_the_validator_changes_with_the_content(world: World, get):
    staggered(world)
    before = get("services/whatsapp/").headers["ETag"]
    RegionalOutage.objects.filter(region_code="GB-ENG").update(recovering_at="2026-04-03T19:59Z")
    watch()
    snapshots.forget()
    after = get("services/whatsapp/", headers={"If-None-Match": before})
    assert after.status_code == 200
    assert after.headers["ETag"] != before


def test_head_has_the_headers_without_the_body(world: World, client, get):
    head = client.head("/api/v1/services/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == get("services/").headers["ETag"]


def test_a_browser_of_any_origin_may_ask(world: World, client):
    response = client.options(
        "/api/v1/services/",
        headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Headers": "if-none-match"},
    )
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "If-None-Match" in response.headers["Access-Control-Allow-Headers"]
    assert "ETag" in client.get("/api/v1/services/").headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_writing_is_not_offered(world: World, client, method: str):
    response = getattr(client, method)("/api/v1/services/")
    assert response.status_code == 405
    assert response.json() == {"detail": f'Method "{method.upper()}" not allowed.'}
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_call_is_not_found_in_the_shape_of_the_others(world: World, client, method: str):
    response = getattr(client, method)("/api/v1/nothing/here/")
    assert response.status_code == 404
    assert list(response.json()) == ["detail"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "no-store"


def test_an_address_without_its_slash_leads_to_the_one_with_it(world: World, client, uncollected):
    response = client.get("/api/v1/services")
    assert (response.status_code, response.headers["Location"]) == (301, "/api/v1/services/")


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/nothing/", "/api/v1/services/whatsapp/nothing/"])
def test_an_unknown_call_is_told_so_in_the_shape_of_the_other_errors(client, db, path):
    response = client.get(path)
    assert response.status_code == 404
    assert list(response.json()) == ["detail"]


@pytest.mark.parametrize("path", ["incidents/a%0Ab/", "incidents/a%0Ab/export.csv", "services/%0A/counts/", "nothing/"])
def test_an_address_nobody_knows_is_answered_as_json_whatever_is_in_it(client, db, path: str):
    response = client.get(f"/api/v1/{path}", follow=True)
    assert (response.status_code, list(response.json())) == (404, ["detail"])


@pytest.mark.parametrize("path", CALLS)
def test_while_the_database_is_away_the_last_answer_is_given_with_its_age(
    world: World, get, monkeypatch: pytest.MonkeyPatch, path: str
):
    staggered(world)
    before = get(path)

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    snapshots._looked_at = 0.0
    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", away)
        then = get(path)
        assert (then.status_code, then.content) == (200, before.content)
        assert int(then.headers["Age"]) >= 0
        assert then.headers["Cache-Control"] == "no-cache"
        patch.setattr(coalescer, "database_is_away", lambda: True)
        assert get(path).content == before.content
    assert "Age" not in before.headers


def test_a_form_that_there_is_not_is_refused_by_the_name_of_the_parameter(world: World, get):
    response = get("services/", format="xml")
    assert (response.status_code, response.json()) == (400, {"format": ["Expected json, or nothing."]})
    assert get("services/", format="json").status_code == 200


@pytest.mark.parametrize("path", ["services/", "regions/"])
@pytest.mark.parametrize("search", ["!!!", "--", "¿?"])
def test_a_search_for_no_letter_is_refused(world: World, get, path: str, search: str):
    response = get(path, search=search)
    assert (response.status_code, list(response.json())) == (400, ["search"])


@pytest.mark.parametrize("made_up", ['["n","x","y"]', '["n","2026-04-03T18:00:00+00:00",1]', "[]", "1", ""])
def test_a_cursor_that_somebody_made_up_is_refused(world: World, get, made_up: str):
    from base64 import urlsafe_b64encode

    staggered(world)
    cursor = urlsafe_b64encode(b"123456" + made_up.encode()).decode()
    response = get("incidents/OUT-2026-0001/timeline/", cursor=cursor)
    assert (response.status_code, list(response.json())) == (400, ["cursor"])
