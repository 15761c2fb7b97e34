"""The small world, and a client that reads JSON and holds every answer against the published schema."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import brotli
import pytest

if TYPE_CHECKING:
    from tests.status.making import World

Get = Callable[..., Any]


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world of ``tests.status.making``, in which it is ``NOW`` and detection has seen every minute."""
    from reports import clock
    from tests.status.making import NOW, make_world, watch

    monkeypatch.setattr(clock, "now", lambda: NOW)
    made = make_world()
    watch()
    return made


@pytest.fixture
def uncollected(settings: Any) -> None:
    """Pages find their static files though nobody collected any."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def get(client: Any) -> Get:
    """Asks a call by its path below ``/api/v1/``; a JSON answer has to fit what the schema promises for it."""

    def ask(path: str, *, headers: dict[str, str] | None = None, **query: Any) -> Any:
        response = client.get(f"/api/v1/{path}", query, headers=headers or {})
        if response.headers.get("Content-Type", "").startswith("application/json") and not response.streaming:
            held_against_schema(response)
        return response

    return ask


def held_against_schema(response: Any) -> None:
    """Fails unless the answer has the shape that the schema gives for this call and status."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    document = schema()
    route = response.resolver_match.route if response.resolver_match else ""
    path = "/" + route.replace("<slug:", "{").replace("<str:", "{").replace(">", "}")
    if path not in document["paths"]:
        return
    responses = document["paths"][path][response.request["REQUEST_METHOD"].lower()]["responses"]
    promised = responses[str(response.status_code)]["content"]["application/json"]["schema"]
    opened = {"gzip": gzip.decompress, "br": brotli.decompress}.get(response.headers.get("Content-Encoding", ""), bytes)
    content = opened(response.content)
    Draft202012Validator({**promised, "components": document["components"]}).validate(json.loads(content))


@cache
def schema() -> dict[str, Any]:
    """The OpenAPI document."""
    from drf_spectacular.generators import SchemaGenerator

    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document
