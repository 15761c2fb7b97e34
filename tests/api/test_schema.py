"""The OpenAPI document, and the page that shows it."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

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


def test_every_call_has_prose_and_every_parameter_a_description():
    for name, operation in operations():
        assert operation["summary"], name
        assert operation["description"], name
        for parameter in operation.get("parameters", []):
            # The values of a choice say what it is about.
            told = parameter.get("description") or "enum" in str(parameter["schema"]) or "$ref" in parameter["schema"]
            assert told, f"{name}: {parameter['name']}"
        assert all(response["description"] for response in operation["responses"].values()), name


def test_examples_have_the_shape_that_they_are_examples_of():
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    document, checked = schema(), 0
    for _, operation in operations():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (content for body in bodies for content in body.get("content", {}).values()):
            for example in content.get("examples", {}).values():
                shape = {**content["schema"], "components": document["components"]}
                Draft202012Validator(shape).validate(example["value"])
                checked += 1
    assert checked > 10


def test_the_page_has_no_inline_script_or_style(client, db, uncollected):
    response = client.get(reverse("api-docs"))
    page = response.content.decode()
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page)
    assert "/api/v1/schema/" in page
    assert "//" not in re.sub(r"<!--.*?-->", "", page).replace("http://testserver", "").replace("</", "")
