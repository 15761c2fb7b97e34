"""What every response carries, and what visitors are spared: cookies, and threads for middleware."""

import asyncio
import threading

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.utils.module_loading import import_string

from reports.status import snapshots


def stack(view):
    """The site's middleware around one view."""
    chain = view
    for path in reversed(settings.MIDDLEWARE):
        chain = import_string(path)(chain)
    return chain


@pytest.mark.parametrize("path", ["/healthz", "/admin/login/", "/no/such/page/"])
def test_every_response_carries_the_content_policy(db, client, path):
    response = client.get(path)
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"


def test_a_visitor_gets_no_cookie_even_when_one_comes_along(db, client):
    client.cookies["sessionid"] = "anything"
    for path in ("/healthz", "/no/such/page/"):
        assert not client.get(path).cookies


def test_a_request_of_a_visitor_meets_no_thread_on_its_way():
    seen = []

    async def view(request):
        seen.append(threading.current_thread())
        assert not hasattr(request, "session")
        assert not hasattr(request, "user")
        return HttpResponse("text " * 200)

    async def go():
        before = threading.active_count()
        response = await stack(view)(AsyncRequestFactory().get("/", headers={"accept-encoding": "gzip"}))
        return before, threading.active_count(), response

    before, after, response = asyncio.run(go())
    assert seen == [threading.main_thread()]
    assert before == after
    assert response.headers["Content-Encoding"] == "gzip"
    assert "Cookie" not in response.headers["Vary"]


def test_the_admin_knows_its_user(db):
    found = []

    def view(request):
        found.append(request.user)
        assert request.session is not None
        return HttpResponse()

    stack(view)(RequestFactory().get("/admin/"))
    assert isinstance(found[0], AnonymousUser) or found[0].is_anonymous


def test_signing_in_to_the_admin_without_its_token_is_refused(db):
    get_user_model().objects.create_superuser("chief", password="long enough")
    strict = Client(enforce_csrf_checks=True)
    credentials = {"username": "chief", "password": "long enough"}
    assert strict.post("/admin/login/", credentials).status_code == 403
    token = strict.get("/admin/login/").context["csrf_token"]
    answer = strict.post("/admin/login/?next=/admin/", {**credentials, "csrfmiddlewaretoken": str(token)})
    assert answer.status_code == 302
    assert answer.cookies["sessionid"]["path"] == "/admin/"
    assert strict.get("/admin/").status_code == 200


@pytest.fixture
def plain_static_names(settings):
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.mark.parametrize("path", ["/", "/status/", "/admin/login/", "/api/v1/services/", "/incidents/"])
def test_while_the_database_is_away_people_and_programs_are_told_to_come_again(
    db, client, path, monkeypatch, plain_static_names
):
    def away(*_arguments, **_more):
        raise OperationalError("connection refused: host=secret") from psycopg.OperationalError()

    snapshots.forget()
    client.cookies["sessionid"] = "anything"
    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", away)
        response = client.get(path)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.headers["Cache-Control"] == "no-store"
    assert b"secret" not in response.content
    assert response.headers["Content-Security-Policy"]
    if path.startswith("/api/"):
        assert list(response.json()) == ["detail"]
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    else:
        assert b"Our database does not answer" in response.content


def test_a_fault_of_our_own_is_no_absence_of_the_database(db, client, monkeypatch):
    snapshots.forget()
    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            client.get("/")


def test_what_is_made_for_one_reader_is_compressed_as_they_can_read_it_and_the_admin_with_blurred_length(db, client):
    text = "again and again " * 200

    def view(_request):
        return HttpResponse(text, headers={"ETag": '"whole"'})

    for path, taken, encoding in (("/", "gzip, br", "br"), ("/", "gzip", "gzip"), ("/admin/", "gzip, br", "gzip")):
        response = stack(view)(RequestFactory().get(path, headers={"accept-encoding": taken}))
        assert response.headers["Content-Encoding"] == encoding
        assert "Accept-Encoding" in response.headers["Vary"]
        assert response.headers["ETag"] == 'W/"whole"'
        assert int(response.headers["Content-Length"]) == len(response.content) < 200
    assert stack(view)(RequestFactory().get("/")).content.decode() == text
