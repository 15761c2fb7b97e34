"""/embed/SLUG/, a card for other people's pages, and /developers/."""

import re

import pytest
from django.test import Client


def test_a_card_may_be_framed_by_anybody_and_no_other_page_by_anyone(client: Client, outage: str) -> None:
    card = client.get("/embed/whatsapp/")
    assert card.status_code == 200
    assert "frame-ancestors *" in card.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in card.headers
    for address in ("/", "/services/whatsapp/", f"/incidents/{outage}/", "/developers/", "/api/v1/services/"):
        response = client.get(address)
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"], address
        assert response.headers["X-Frame-Options"] == "DENY", address


def test_a_card_says_the_state_without_a_script_and_without_a_cookie(client: Client, outage: str) -> None:
    card = client.get("/embed/whatsapp/")
    html = card.content.decode()
    assert re.search(r"Down in \d+ regions", html)
    assert 'href="/services/whatsapp/"' in html
    assert re.findall(r"<script[^>]*src=\"([^\"]+)\"", html) == ["/static/frontend/embed.js"]
    # Who runs scripts is not reloaded under their hands.
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in html
    assert not card.cookies
    assert len(html) < 4000


def test_a_card_of_a_region_speaks_of_the_region(client: Client, outage: str) -> None:
    html = client.get("/embed/whatsapp/?region=in&theme=dark").content.decode()
    assert "WhatsApp, India" in html
    assert 'href="/services/whatsapp/IN/"' in html
    assert 'class="theme-dark"' in html
    assert 'class="theme-auto"' in client.get("/embed/whatsapp/?theme=<x>").content.decode()


@pytest.mark.parametrize("address", ["/embed/myspace/", "/embed/whatsapp/?region=Utopia"])
def test_there_is_no_card_of_nothing(client: Client, quiet_day: None, address: str) -> None:
    assert client.get(address).status_code == 404


def test_the_page_for_developers_has_examples_of_a_service_that_work(client: Client, outage: str) -> None:
    html = client.get("/developers/").content.decode()
    assert "[![WhatsApp](http://testserver/badges/whatsapp.svg)](http://testserver/services/whatsapp/)" in html
    addresses = set(re.findall(r'(?:href|src)="(/(?:services|providers|badges|embed|incidents|api)[^"#?]*)"', html))
    assert len(addresses) > 8
    for address in addresses:
        assert client.get(address).status_code == 200, address
    assert "/badges/signal.svg" in client.get("/developers/?service=signal").content.decode()


@pytest.mark.parametrize(
    ("page", "feeds"),
    [
        ("/", ["/incidents.atom"]),
        ("/services/whatsapp/", ["/services/whatsapp/history.atom"]),
        ("/services/whatsapp/IN/", ["/services/whatsapp/IN/history.atom"]),
        ("/providers/meta/", ["/providers/meta/history.atom"]),
    ],
)
def test_a_page_names_its_feeds(client: Client, quiet_day: None, page: str, feeds: list[str]) -> None:
    html = client.get(page).content.decode()
    found = re.findall(r'<link rel="alternate" type="application/atom\+xml" href="([^"]+)"', html)
    assert found == feeds
