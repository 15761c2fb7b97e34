"""/api/v1/reports/batch/ where Django itself is asked; the way that carries the load is tested in tests/intake."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from reports.intake import keys
from reports.models import InboxBlock
from tests.api.conftest import held_against_schema, schema
from tests.status.making import make_world

PATH = "/api/v1/reports/batch/"


@pytest.fixture
def token(transactional_db, broker) -> str:
    make_world()
    return keys.issue("tests", owner="tests", now=datetime.now(UTC))[1]


def items(count: int) -> list[dict[str, str]]:
    return [{"service": "whatsapp", "region": "GB-ENG", "id": str(uuid4())} for _ in range(count)]


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_a_batch_is_accepted_and_on_disk(client, token: str, content_type: str):
    sent = [*items(3), {"region": "XX"}]
    body = json.dumps(sent) if content_type == "application/json" else "\n".join(map(json.dumps, sent))
    response = client.post(PATH, body, content_type=content_type, headers={"Authorization": f"Api-Key {token}"})
    held_against_schema(response)
    assert response.status_code == 202
    answer = response.json()
    assert (answer["accepted"], answer["duplicates"]) == (3, 0)
    assert [one["index"] for one in answer["rejected"]] == [3]
    assert InboxBlock.objects.get().reports == 3


def test_errors_have_the_shape_that_is_promised(client, token: str):
    authorised = {"Authorization": f"Api-Key {token}"}
    for body, content_type, headers, status in (
        ("[]", "application/json", {}, 401),
        ("{}", "application/json", authorised, 400),
        ("a,b", "text/csv", authorised, 415),
        (json.dumps(items(10_001)), "application/json", authorised, 413),
    ):
        response = client.post(PATH, body, content_type=content_type, headers=headers)
        assert response.status_code == status
        held_against_schema(response)
    assert client.post(PATH, "[]", content_type="application/json")["WWW-Authenticate"].startswith("Api-Key")


def test_the_description_names_the_key_and_both_ways_to_send():
    call = schema()["paths"][PATH]["post"]
    assert call["security"] == [{"ApiKey": []}]
    assert schema()["components"]["securitySchemes"]["ApiKey"]["in"] == "header"
    assert set(call["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}
    answers = {header for answer in call["responses"].values() for header in answer.get("headers", {})}
    assert answers == {"Retry-After", "WWW-Authenticate"}
