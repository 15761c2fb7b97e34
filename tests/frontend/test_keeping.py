"""Pages that are made once: what they cost, what they may depend on, and what goes out while the database is away."""

from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from typing import Any
from uuid import uuid4

import brotli
import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import Client, RequestFactory

from frontend.keeping import keep
from reports import clock
from reports.models import DetectorState
from reports.status import snapshots
from tests.frontend import scene

PAGES = (
    "/",
    "/services/",
    "/services/whatsapp/",
    "/services/whatsapp/GB/",
    "/services/whatsapp/?part=live",
    "/providers/meta/",
    "/incidents/",
    "/incidents/?state=resolved",
    f"/incidents/{scene.REF}/",
    f"/incidents/{scene.REF}/map.svg",
    "/map.svg",
    "/methodology/",
    "/privacy/",
)


def ask(view: Any, address: str = "/", **headers: str) -> HttpResponse:
    request = RequestFactory().get(address, headers=headers)
    answer = view(request)
    assert isinstance(answer, HttpResponse)
    return answer


def test_reading_a_page_again_asks_the_database_nothing(
    client: Client, outage: str, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in PAGES:
        assert client.get(address).status_code == 200, address
        with django_assert_num_queries(0):
            again = client.get(address)
            assert client.get(address, headers={"If-None-Match": again.headers["ETag"]}).status_code == 304, address


def test_a_kept_page_is_made_anew_when_something_changed(client: Client, outage: str) -> None:
    before = client.get("/").content
    assert b"Our counting is" not in before
    DetectorState.objects.update(minute=clock.now() - timedelta(hours=1), mark=uuid4())
    snapshots._looked_at = 0.0
    assert b"Our counting is" in client.get("/").content


def test_every_encoding_is_the_same_page_under_a_tag_of_its_own(db: None) -> None:
    view = keep()(lambda _request: HttpResponse("<p>again and again</p>" * 100))
    plain, zipped, tight = (ask(view, accept_encoding=taken) for taken in ("", "gzip", "gzip, deflate, br"))
    assert plain.content == gzip.decompress(zipped.content) == brotli.decompress(tight.content)
    assert len(tight.content) < len(zipped.content) < len(plain.content) / 10
    assert len({each.headers["ETag"] for each in (plain, zipped, tight)}) == 3
    assert all(each.headers["Vary"] == "Accept-Encoding" for each in (plain, zipped, tight))
    tag = tight.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unchanged = ask(view, accept_encoding="br", if_none_match=known)
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
    assert ask(view, accept_encoding="br", if_none_match=plain.headers["ETag"]).status_code == 200


def test_a_page_is_given_nothing_that_its_name_does_not_tell(db: None) -> None:
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse("page")

    headers = {"accept_language": "de-AT,de;q=0.9", "cookie": "a=b", "if_none_match": '"x"', "range": "bytes=0-1"}
    assert ask(keep("t")(view), "/?t=1&evil=2&part=live", **headers).content == b"page"
    assert seen[0].GET.dict() == {"t": "1", "part": "live"}
    assert not seen[0].COOKIES
    assert not set(seen[0].headers) & {"Accept-Language", "Cookie", "If-None-Match", "Range"}
    ask(keep(by_country=True)(view), "/", **headers)
    assert seen[1].headers["Accept-Language"] == "und-AT"


def test_pages_are_told_apart_by_what_they_may_depend_on(db: None) -> None:
    made: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        made.append(request.get_full_path())
        return HttpResponse(request.get_full_path() + request.headers.get("Accept-Language", ""))

    kept = keep("t", by_country=True)(view)
    assert ask(kept, "/a/", accept_language="en-GB,en").content == b"/a/und-GB"
    # The same for everybody in the country, in whatever words their browser says it.
    assert ask(kept, "/a/", accept_language="cy-GB;q=0.4").content == b"/a/und-GB"
    assert ask(kept, "/a/?utm_source=x", accept_language="en-GB").content == b"/a/und-GB"
    assert len(made) == 1
    for address, language in (("/a/", "fr-FR"), ("/a/?t=1", "en-GB"), ("/b/", "en-GB"), ("/a/?part=live", "en-GB")):
        ask(kept, address, accept_language=language)
    assert len(made) == 5
    # A query that is too long is answered, and not kept.
    for _ in range(2):
        ask(kept, f"/a/?t={'9' * 300}")
    assert len(made) == 7


def test_redirects_and_refusals_are_not_kept(db: None) -> None:
    made: list[int] = []

    def moved(_request: HttpRequest) -> HttpResponse:
        made.append(1)
        return HttpResponseRedirect("/elsewhere/")

    def missing(_request: HttpRequest) -> HttpResponse:
        made.append(2)
        raise Http404

    for _ in range(2):
        assert ask(keep()(moved)).status_code == 302
        with pytest.raises(Http404):
            ask(keep()(missing))
    assert made == [1, 2, 1, 2]


def test_what_lies_ready_is_answered_in_the_event_loop(
    client: Client, outage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frontend.views.present import home

    client.get("/")
    request = RequestFactory().get("/", headers={"host": "testserver"})

    async def in_the_loop() -> HttpResponse | None:
        # A query here would raise: Django allows none in a coroutine.
        return home.at_hand(request)

    found = asyncio.run(in_the_loop())
    assert found is not None
    assert found.content == client.get("/").content
    snapshots.forget()
    assert asyncio.run(in_the_loop()) is None


def test_while_the_database_is_away_the_last_page_goes_out_and_says_so(
    client: Client, outage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = client.get("/services/whatsapp/").content.decode()

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    snapshots._looked_at = 0.0
    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", away)
        answer = client.get("/services/whatsapp/")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        said = answer.content.decode()
        assert "Our database does not answer right now: this page is as it was at" in said
        assert said.partition("<h1>")[2] == before.partition("<h1>")[2]
        # What asks for a part has an older whole, and says so itself; what was never made cannot be shown.
        assert client.get("/services/whatsapp/?part=live").status_code == 503
        assert client.get("/services/telegram/").status_code == 503
        patch.setattr("reports.intake.coalescer.database_is_away", lambda: True)
        assert client.get("/services/whatsapp/").content.decode() == said
        assert client.get("/services/telegram/").status_code == 503
    snapshots._missed_at = -10.0
    assert "does not answer" not in client.get("/services/whatsapp/").content.decode()
