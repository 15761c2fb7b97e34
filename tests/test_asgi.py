"""Which part of the site answers which request."""

import asyncio
import json

import pytest


def answer(application, path, method="GET", body=b"", headers=()):
    """The status, headers and body that the application answers."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("192.0.2.1", 40000),
        "server": ("localhost", 8000),
    }
    sent = []

    async def talk():
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if waiting:
                return waiting.pop()
            # The client stays until it has its answer.
            await asyncio.sleep(60)

        async def send(message):
            sent.append(message)

        await application(scope, receive, send)

    asyncio.run(talk())
    start, *parts = sent
    found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], found, b"".join(part.get("body", b"") for part in parts)


@pytest.fixture(scope="module")
def application(collected_static):
    from outagemap.asgi import application

    return application


def test_a_report_never_meets_django(application, db, monkeypatch):
    import outagemap.asgi

    async def refuse(*args):
        raise AssertionError("Django was asked")

    monkeypatch.setattr(outagemap.asgi, "django_app", refuse)
    status, headers, body = answer(
        application, "/api/v1/reports/", "POST", b"{", [(b"content-type", b"application/json")]
    )
    assert status == 400
    assert "detail" in json.loads(body)
    assert headers["access-control-allow-origin"] == "*"


def test_a_static_file_comes_with_the_content_policy_and_may_be_kept_for_ever_under_its_hash(application, data_dir):
    (hashed,) = (data_dir / "static" / "frontend").glob("site.*.css")
    status, headers, _ = answer(application, f"/static/frontend/{hashed.name}")
    assert status == 200
    assert "immutable" in headers["cache-control"]
    assert headers["content-security-policy"].startswith("default-src 'self'")
    status, headers, _ = answer(application, "/static/frontend/site.css")
    assert status == 200
    assert "immutable" not in headers["cache-control"]


@pytest.mark.parametrize("path", ["/static/../secret-key", "/static/%2e%2e/secret-key", "/static/collected-from/../x"])
def test_nothing_outside_the_static_files_is_served(application, path):
    assert answer(application, path)[0] == 404


def test_the_rest_goes_to_django(application):
    status, headers, body = answer(application, "/healthz")
    assert (status, body) == (200, b"ok\n")
    assert headers["content-security-policy"].startswith("default-src 'self'")


def test_the_server_is_told_that_start_and_end_are_complete(application):
    messages = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
    sent = []

    async def receive():
        return messages.pop()

    async def send(message):
        sent.append(message["type"])

    asyncio.run(application({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
