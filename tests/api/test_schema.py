"""The OpenAPI document, and the page that shows it."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from reports.api.schema import PROSE
from reports.intake import guard, weighing
from tests.api.conftest import schema


def test_the_schema_is_valid_and_raises_no_warning(capsys: pytest.CaptureFixture[str]):
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())
    assert "Warning" not in capsys.readouterr().err


def test_the_document_is_served_as_json_and_as_yaml(client, db):
    response = client.get("/api/v1/schema/")
    assert response.headers["Content-Type"].startswith("application/json")
    document = response.json()
    assert document["openapi"].startswith("3.1")
    assert "Silence is never" in document["info"]["description"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/api/v1/schema/?format=yaml").content.startswith(b"openapi: 3.1")


def operations() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in schema()["paths"].items()
        for method, operation in item.items()
    ]


def test_every_call_that_is_mounted_is_described():
    from reports.api.urls import urlpatterns

    mounted = {re.sub(r"<\w+:(\w+)>", r"{\1}", str(url.pattern)) for url in urlpatterns if url.name}
    described = {path.removeprefix("/api/v1/") for path in schema()["paths"]}
    assert described == mounted - {"schema/"}


def contents() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every body that is sent or answered: whose, its description, and what it is under its media type."""
    return [
        (f"{name} {status} {media_type}", body, content)
        for name, operation in operations()
        for status, body in [("request", operation.get("requestBody", {})), *operation["responses"].items()]
        for media_type, content in body.get("content", {}).items()
    ]


def test_every_answer_has_an_example_errors_too():
    assert [name for name, _, content in contents() if not content.get("examples")] == []


def test_every_field_is_described():
    schemas = schema()["components"]["schemas"]
    plain = [
        f"{name}.{field}"
        for name, shape in schemas.items()
        for field, described in shape.get("properties", {}).items()
        if not described.get("description")
    ]
    assert plain == []


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("CountsShape.step", "Seconds"),
        ("IncidentShape.duration_s", "seconds"),
        ("EvidenceShape.window_minutes", "minutes"),
        ("EvidenceShape.log10_p", "Base-10 logarithm"),
        ("IncidentShape.confidence", "0 to 1"),
        ("GeometryShape.coordinates", "degrees"),
        ("IncidentShape.resolved_at", "UTC"),
    ],
)
def test_figures_say_what_they_are_counted_in(field: str, unit: str):
    shape, name = field.split(".")
    assert unit in schema()["components"]["schemas"][shape]["properties"][name]["description"]


def test_every_read_says_what_happens_when_too_much_is_asked_or_the_database_is_away():
    for name, operation in operations():
        if not name.startswith("GET"):
            continue
        responses = operation["responses"]
        assert {"400", "429", "503"} <= set(responses), name
        assert "Retry-After" in responses["429"]["headers"], name
        assert "Retry-After" in responses["503"]["headers"], name


def test_the_document_tells_what_stays_and_for_how_long():
    told = client_document()["info"]["description"]
    assert "goes on for a year at least" in " ".join(told.split())
    assert "RFC 9745" in told
    assert "RFC 8594" in told


def client_document() -> dict[str, Any]:
    document: dict[str, Any] = Client().get("/api/v1/schema/").json()
    return document


def test_the_document_tells_by_which_rule_the_figures_are_counted():
    minutes = int(guard.COUNTING_WINDOW.total_seconds() // 60)
    said = " ".join(PROSE.split())
    assert f"of one person, service and kind, the first in {minutes} minutes" in said
    assert f"those beyond the first {weighing.FULL} count ever less" in said
    assert "/methodology/#counting" in said


def test_the_document_is_made_once_and_then_costs_nothing(client: Client, monkeypatch: pytest.MonkeyPatch):
    from drf_spectacular.generators import SchemaGenerator

    first = client.get("/api/v1/schema/")
    assert first.headers["Cache-Control"].startswith("public, max-age=3600")
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    again = client.get("/api/v1/schema/", {"lang": "de"}, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_call_has_prose_and_every_parameter_a_description():
    for name, operation in operations():
        assert operation["summary"], name
        assert operation["description"], name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{name}: {parameter['name']}"
        assert all(response["description"] for response in operation["responses"].values()), name


def test_examples_have_the_shape_that_they_are_examples_of():
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    document, checked = schema(), 0
    for _, _, content in contents():
        for example in content.get("examples", {}).values():
            shape = {**content["schema"], "components": document["components"]}
            Draft202012Validator(shape).validate(example["value"])
            checked += 1
    assert checked > 70


def test_examples_have_every_field_that_is_always_there():
    """An example that leaves a field out tells nobody what is in it."""
    document = schema()
    for name, _, content in contents():
        shape = content["schema"].get("$ref", "").rpartition("/")[2]
        required = set(document["components"]["schemas"].get(shape, {}).get("required", []))
        for example in content["examples"].values():
            if isinstance(example["value"], dict):
                assert required <= set(example["value"]), name


def test_the_page_has_no_inline_script_or_style(client, db, uncollected):
    response = client.get(reverse("api-docs"))
    page = response.content.decode()
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page)
    assert "/api/v1/schema/" in page
    assert "//" not in re.sub(r"<!--.*?-->", "", page).replace("http://testserver", "").replace("</", "")
