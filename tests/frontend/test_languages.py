"""Which language a page speaks, how links keep it, and how figures are written in it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import get_script_prefix, reverse
from django.utils import translation

from frontend import languages, places, words
from reports import formats, status

pytestmark = pytest.mark.django_db

OTHERS = ("es", "pt", "hi", "de", "ar")


def test_an_address_without_a_language_speaks_the_readers(client: Client) -> None:
    for wanted, spoken in (
        ("", "en"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("fr,es-419;q=0.8,en;q=0.7", "es"),
        ("pt-PT", "pt"),
        ("zh-CN,ja;q=0.8", "en"),
        ("*", "en"),
        ("en;q=0.3,ar;q=0.9", "ar"),
        (";;q=,,\x00", "en"),
    ):
        answer = client.get("/privacy/", headers={"accept-language": wanted})
        assert (answer.headers["Content-Language"], f'<html lang="{spoken}"' in answer.content.decode()) == (
            spoken,
            True,
        )
        assert "Accept-Language" in answer.headers["Vary"]


@pytest.mark.parametrize("language", ["en", *OTHERS])
def test_an_address_with_a_language_speaks_it_whatever_the_browser_asks_for(client: Client, language: str) -> None:
    answer = client.get(f"/{language}/privacy/", headers={"accept-language": "de" if language != "de" else "es"})
    html = answer.content.decode()
    assert answer.headers["Content-Language"] == language
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in html
    assert "Accept-Language" not in answer.headers.get("Vary", "")
    assert not answer.cookies


def test_every_link_and_form_of_a_page_keeps_the_language_and_the_api_has_none(client: Client, outage: str) -> None:
    for path in (
        "/",
        "/services/",
        "/services/whatsapp/",
        "/services/whatsapp/GB/",
        "/incidents/",
        f"/incidents/{outage}/",
    ):
        html = client.get(f"/ar{path}").content.decode()
        html = re.sub(r'<link rel="(alternate|canonical)".*|<a [^>]*hreflang=.*', "", html)
        for address in re.findall(r'(?:href|action|src|data-[a-z-]+)="(/[^"]*)"', html):
            assert address.startswith("/ar/") != bool(languages.PLAIN.match(address)), f"{address} on {path}"


def test_what_programs_read_is_english_and_has_one_address(client: Client) -> None:
    german = {"accept-language": "de"}
    for address in ("/api/v1/services/nothing/", "/api/v1/regions/?kind=country", "/readyz"):
        answer = client.get(address, headers=german)
        assert answer.content == client.get(address).content
        assert "Accept-Language" not in answer.headers.get("Vary", "")
    assert "Germany" in client.get("/api/v1/regions/DE/", headers=german).content.decode()
    moved = client.post("/de/api/v1/reports/?a=1", "{}", content_type="application/json")
    assert (moved.status_code, moved.headers["Location"]) == (308, "/api/v1/reports/?a=1")
    assert client.get("/de").headers["Location"] == "/de/"
    assert client.get("/de//api/v1/").status_code == 404


def test_the_choice_of_language_keeps_page_and_query(client: Client) -> None:
    html = client.get("/es/incidents/?state=open").content.decode()
    for code, name in settings.LANGUAGES:
        link = f'<a href="/{code}/incidents/?state=open" hreflang="{code}" lang="{code}"'
        assert link + (' aria-current="true"' if code == "es" else "") + f">{name}</a>" in html
        assert f'<link rel="alternate" hreflang="{code}" href="http://testserver/{code}/incidents/?state=open">' in html
    assert '<link rel="alternate" hreflang="x-default" href="http://testserver/incidents/?state=open">' in html
    assert '<link rel="canonical" href="http://testserver/es/incidents/">' in html


def test_a_report_from_a_page_in_arabic_leads_to_a_receipt_in_arabic(client: Client, outage: str) -> None:
    answer = client.post("/ar/services/whatsapp/report/", {"country": "GB", "kind": "down"})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/ar/services/whatsapp/reported/?receipt=")
    refused = client.post("/ar/services/whatsapp/report/", {"country": "GB"})
    assert (refused.status_code, refused.headers["Content-Language"]) == (400, "ar")
    assert 'hreflang="de"' in refused.content.decode()
    assert 'href="/de/"' in refused.content.decode()


def test_what_is_not_found_is_said_in_the_readers_language(client: Client) -> None:
    for address in ("/ar/nothing/", "/ar/services/no-such-service/"):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Content-Language"]) == (404, "ar")
        assert '<html lang="ar" dir="rtl">' in answer.content.decode()


def test_a_missing_slash_is_added_under_the_language(client: Client) -> None:
    assert client.get("/de/services").headers["Location"] == "/de/services/"


def test_a_request_leaves_no_language_behind(client: Client) -> None:
    client.get("/de/privacy/")
    assert (get_script_prefix(), translation.get_language(), reverse("privacy")) == ("/", "en", "/privacy/")


def test_requests_at_the_same_time_do_not_hear_each_others_language(rf: RequestFactory) -> None:
    async def page(_request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.001)
        # A view of the ordinary kind runs in a thread.
        return await sync_to_async(lambda: HttpResponse(f"{translation.get_language()} {reverse('privacy')}"))()

    middleware = languages.Languages(page)

    async def ask(language: str) -> tuple[str, str]:
        answer = await middleware(rf.get(f"/{language}/privacy/"))  # type: ignore[misc]
        return language, answer.content.decode()

    async def ask_all() -> list[tuple[str, str]]:
        return await asyncio.gather(*(ask(language) for language in ("de", "ar", "es", "en") * 6))

    for language, said in asyncio.run(ask_all()):
        assert said == f"{language} /{language}/privacy/"


def test_the_same_words_at_two_addresses_are_kept_apart() -> None:
    found = set()
    client = Client()
    for address, wanted in (("/de/", ""), ("/", "de"), ("/", "en"), ("/ar/", "")):
        answer = client.get(f"{address}status/", headers={"accept-language": wanted})
        found.add(answer.content)
    assert len(found) == 4


@pytest.mark.parametrize(
    ("language", "large", "small", "day", "people", "names"),
    [
        ("en", "1,234,567", "3.5", "3 Apr 2024, 18:02", "310 million", "A, B and C"),
        ("de", "1.234.567", "3,5", "3. Apr. 2024, 18:02", "310 Millionen", "A, B und C"),
        ("es", "1.234.567", "3,5", "3 abr 2024, 18:02", "310 millones", "A, B y C"),
        ("pt", "1.234.567", "3,5", "3 de abr. de 2024 18:02", "310 milhões", "A, B e C"),
        ("hi", "12,34,567", "3.5", "3 अप्रैल 2024, 18:02", "31 करोड़", "A, B, और C"),
        ("ar", "1,234,567", "3.5", "3 أبريل 2024، 18:02", "310 مليون", "A وB وC"),
    ],
)
def test_figures_are_written_as_each_language_writes_them(
    language: str, large: str, small: str, day: str, people: str, names: str
) -> None:
    with translation.override(language):
        assert words.count(1_234_567) == large
        assert words.count(3.49) == small
        assert formats.day_and_hour(datetime(2024, 4, 3, 18, 2, tzinfo=UTC), year=True) == day
        assert words.people(312_000_000) == people
        assert formats.listed(["A", "B", "C"]) == names


def test_regions_have_their_names_in_each_language_and_the_api_keeps_the_english_ones() -> None:
    bavaria, germany, england = (status.region(code) for code in ("DE-BY", "DE", "GB-ENG"))
    assert bavaria
    assert germany
    assert england
    assert (bavaria.name, germany.name, england.name) == ("Bavaria", "Germany", "England")
    with translation.override("es"):
        assert (bavaria.name, germany.name, england.name) == ("Baviera", "Alemania", "Inglaterra")
        assert [link.name for link in places.countries()][:2] == ["Afganistán", "Albania"]
    with translation.override("ar"):
        assert (bavaria.name, germany.name, england.name) == ("بافاريا", "ألمانيا", "إنجلترا")


def test_no_two_regions_of_a_country_are_called_the_same_in_any_language() -> None:
    for language in OTHERS:
        with translation.override(language):
            called = [(link.code[:2], link.name) for link in status.regions() if link.kind == "subdivision"]
        assert len(called) == len(set(called)), language


def test_drawings_keep_the_decimal_point_of_svg(client: Client, outage: str) -> None:
    for address in (f"/incidents/{outage}/map.svg", f"/incidents/{outage}/chart.svg", f"/incidents/{outage}/"):
        html = client.get(f"/de{address}").content.decode()
        attributes = r'\s(?:x|y|x1|y1|width|height|r|viewBox|patternTransform|d)="[^"]*\d,\d'
        assert not re.search(attributes, html), address


def test_the_map_gets_names_in_the_language_of_the_page(client: Client, outage: str) -> None:
    page = client.get(f"/de/incidents/{outage}/").content.decode()
    source = re.search(r'data-names="([^"]+)"', page)
    assert source
    assert source[1] == "/de/regions/names.json"
    assert client.get(source[1]).json()["DE-BY"] == ["Bayern"]
    assert "regions-meta" in client.get(f"/incidents/{outage}/").content.decode()
