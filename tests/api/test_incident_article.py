"""GET /api/v1/incidents/REF/article/"""

import gzip
import json
import re

import pytest

from reports.models import Incident
from reports.status import snapshots
from tests.status.making import World, at, learn, open_incident, staggered, take_down, watch

PATH = "incidents/OUT-2026-0001/article/"


@pytest.fixture
def outage(world: World) -> World:
    watch(baseline=learn())
    staggered(world)
    return world


def test_the_article_comes_as_json_with_values_and_notes(outage: World, get):
    answer = get(PATH)
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert body["ref"] == "OUT-2026-0001"
    assert body["over"] is False
    assert body["as_of"] == "2026-04-03T20:00:00Z"
    assert body["url"] == "http://testserver/incidents/OUT-2026-0001/article/"
    assert [section["key"] for section in body["sections"]][:3] == ["beginning", "detection", "failed"]
    opening = body["sections"][1]["paragraphs"][0]["sentences"][0]
    assert opening["text"] == "We decided at 18:06 UTC that this was an outage, 4 minutes after it began."
    instant = next(span for span in opening["spans"] if span["kind"] == "instant")
    assert instant["value"] == "2026-04-03T18:06:00Z"
    note = body["notes"][instant["notes"][0] - 1]
    assert note["evidence"]["observed"] == 412
    assert note["page"] == "http://testserver/incidents/OUT-2026-0001/#why"


def spans(body):
    paragraphs = [*body["lead"], *(p for section in body["sections"] for p in section["paragraphs"])]
    return [span for p in paragraphs for sentence in p["sentences"] for span in sentence["spans"]]


def test_every_note_leads_to_data_that_is_there_and_has_the_figures(outage: World, get, client):
    body = get(PATH).json()
    for note in body["notes"]:
        assert note["data"], note
        answer = client.get(note["data"])
        assert answer.status_code == 200, note
        if note["kind"] == "counts":
            series = answer.json()
            cited = [span for span in spans(body) if note["number"] in span["notes"]]
            assert sum(series["reports"]) in [span["value"] for span in cited if span["kind"] == "count"]
            usual = [span["value"] for span in cited if span["kind"] == "number"]
            assert usual == [pytest.approx(sum(series["expected"]), abs=0.002)]
    assert {note["kind"] for note in body["notes"]} >= {
        "evidence",
        "region",
        "problems",
        "statement",
        "counts",
        "export",
    }


def test_the_figures_are_those_of_the_incident_and_its_regions(outage: World, get):
    body, incident = get(PATH).json(), get("incidents/OUT-2026-0001/").json()
    values = [span["value"] for span in spans(body)]
    for name in ("reports", "working", "onset_at", "detected_at", "peak_at", "peak_reports", "acknowledged_at"):
        assert incident[name] in values, name
    for name in ("observed", "expected", "networks"):
        assert incident["evidence"][name] in values, name
    for sibling in incident["siblings"]:
        assert {sibling["observed"], sibling["expected"]} <= set(values)
    problems = get("incidents/OUT-2026-0001/problems/").json()
    assert problems["said"] in values
    assert problems["problems"][0]["share"] in values
    back = [row for row in get("incidents/OUT-2026-0001/regions/").json()["results"] if row["restored_at"]]
    for name in ("restored_at", "restored_low", "restored_high"):
        assert all(row[name] in values for row in back)


def test_markdown_and_html_are_asked_for_by_name_or_by_accept(outage: World, get, client):
    written = get(PATH, format="md")
    assert written.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert written.content.decode().startswith("# WhatsApp is coming back after an outage in 4 regions of Brazil")
    assert "[^1]: OUT-2026-0001: what is kept" in written.content.decode()
    assert get(PATH, headers={"Accept": "text/markdown"}).content == written.content
    page = get(PATH, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.content == get(PATH, format="html").content
    assert get(PATH, headers={"Accept": "*/*"}).headers["Content-Type"] == "application/json"
    # A name outweighs what a browser says that it takes.
    assert get(PATH, format="json", headers={"Accept": "text/html"}).headers["Content-Type"] == "application/json"
    assert {"Accept", "Accept-Encoding"} <= set(re.split(r",\s*", page.headers["Vary"]))


def test_the_three_forms_tell_the_same(outage: World, get):
    body = get(PATH, format="json").json()
    sentences = [
        sentence["text"]
        for paragraphs in (body["lead"], *(section["paragraphs"] for section in body["sections"]))
        for paragraph in paragraphs
        for sentence in paragraph["sentences"]
    ]
    written = re.sub(r"\[\^\d+\]|\\", "", get(PATH, format="md").content.decode())
    page = re.sub(r"<sup.*?</sup>|<[^>]+>", "", get(PATH, format="html").content.decode().replace("<q ", "“<q "))
    for sentence in sentences:
        assert sentence in written
        assert sentence.replace("”", "") in page.replace("”", "")


@pytest.mark.parametrize("form", ["json", "md", "html"])
def test_what_did_not_change_costs_a_304_and_no_query(outage: World, get, form, django_assert_num_queries):
    first = get(PATH, format=form)
    with django_assert_num_queries(0):
        again = get(PATH, format=form, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    zipped = get(PATH, format=form, headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["ETag"] != first.headers["ETag"]
    assert gzip.decompress(zipped.content) == first.content


def test_an_act_makes_another_version(outage: World, get):
    before = get(PATH).json()["version"]
    Incident.objects.filter(ref="OUT-2026-0001").update(confirmed_at=at("19:59"))
    snapshots.forget()
    assert get(PATH).json()["version"] != before


def test_an_unknown_form_or_ref_is_named(outage: World, get):
    answer = get(PATH, format="pdf")
    assert answer.status_code == 400
    assert list(answer.json()) == ["format"]
    answer = get(PATH, headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert "text/markdown" in answer.json()["detail"]
    for form in ("json", "md", "html"):
        answer = get("incidents/OUT-2026-0999/article/", format=form)
        assert answer.status_code == 404
        assert json.loads(answer.content) == {"detail": "No incident found."}


def test_the_page_is_read_from_any_origin_and_has_no_script(outage: World, get):
    page = get(PATH, format="html")
    assert page.headers["Access-Control-Allow-Origin"] == "*"
    assert "<script" not in page.content.decode()


def test_problems_of_an_incident_are_shares_of_what_was_said(outage: World, get):
    assert get("incidents/OUT-2026-0001/problems/").json() == {
        "said": 190,
        "silent": 87,
        "problems": [
            {"problem": "messages", "label": "Messages", "reports": 160, "share": 0.842105},
            {"problem": "login", "label": "Signing in", "reports": 30, "share": 0.157895},
        ],
    }
    over = open_incident(outage.facebook, ref="OUT-2026-0003", onset_at=at("08:00"), resolved_at=at("10:00"))
    take_down(over, outage.regions["US"], restored_at=at("10:00"))
    snapshots.forget()
    assert get("incidents/OUT-2026-0003/problems/").json() == {"said": 0, "silent": 0, "problems": []}
    assert get("incidents/OUT-2026-0999/problems/").status_code == 404
