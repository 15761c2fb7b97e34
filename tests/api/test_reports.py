"""/api/v1/reports/ where Django itself is asked; the way that carries the load is tested in tests/intake."""

from uuid import uuid4

import pytest

from reports.models import InboxBlock
from tests.status.making import make_world


def test_reading_reports_is_not_offered(client, db):
    response = client.get("/api/v1/reports/")
    assert (response.status_code, response.json()) == (405, {"detail": 'Method "GET" not allowed.'})
    assert response.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.django_db(transaction=True)
def test_a_report_is_accepted_and_on_disk(client):
    make_world()
    sent = {"service": "whatsapp", "region": "gb-eng", "problem": "messages", "id": str(uuid4())}
    response = client.post("/api/v1/reports/", sent, content_type="application/json")
    assert response.status_code == 202
    answer = response.json()
    assert (answer["service"], answer["region"], answer["kind"]) == ("whatsapp", "GB-ENG", "down")
    assert InboxBlock.objects.count() == 1
    again = client.post("/api/v1/reports/", sent, content_type="application/json").json()
    assert again["id"] == answer["id"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("body", "field"),
    [('{"service": "whatsapp", "region": "XX"}', "region"), ("[]", "non_field_errors"), ("{", "detail")],
)
def test_what_is_no_report_is_refused(client, body: str, field: str):
    make_world()
    response = client.post("/api/v1/reports/", body, content_type="application/json")
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_a_browser_may_post_from_any_origin(client, db):
    response = client.options("/api/v1/reports/")
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
