"""The page of an article: its parts, and that every citation leads to a place that is there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from reports.status import snapshots
from tests.frontend.scene import PAST_REF, REF


class Document(HTMLParser):
    """Ids, links and headings of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))


def page(client: Client, address: str = f"/incidents/{REF}/article/") -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def test_every_citation_leads_to_its_note_and_every_note_to_a_place_that_is_there(outage: str, client: Client) -> None:
    found = Document(page(client))
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    pages: dict[str, Document] = {}
    notes = [link for link in found.links if re.match(r"/(incidents|services|providers|methodology)/", link)]
    assert any("#why" in link for link in notes)
    for link in notes:
        address, _, anchor = link.partition("#")
        if address not in pages:
            pages[address] = Document(page(client, address))
        assert not anchor or anchor in pages[address].ids, link
    assert all(client.get(link).status_code == 200 for link in found.links if link.startswith("/api/"))


def test_headings_are_in_order_and_sections_in_that_of_a_newspaper(outage: str, client: Client) -> None:
    text = page(client)
    found = Document(text)
    assert found.headings[0] == 1
    assert set(found.headings[1:]) == {2}
    keys = ["beginning", "detection", "failed", "spread", "siblings", "statements", "restoration", "setbacks"]
    keys += ["duration", "unknown", "meanwhile", "notes"]
    assert [each for each in found.ids if each in keys] == keys
    assert "so far" in text


def test_programs_find_who_wrote_what_when(outage: str, client: Client) -> None:
    text = page(client)
    written = re.findall(r'<script type="application/ld\+json">(.*?)</script>', text)[0]
    assert not set("<>&") & set(written)
    data = json.loads(written)
    assert data["@type"] == "NewsArticle"
    assert data["identifier"] == REF
    assert data["url"] == f"http://testserver/incidents/{REF}/article/"
    assert f'<link rel="canonical" href="{data["url"]}">' in text


def test_the_map_is_of_the_moment_when_most_was_down_and_is_drawn_by_the_server(outage: str, client: Client) -> None:
    address = re.findall(r'<img class="map-static" src="([^"]+)"', page(client))[0].replace("&amp;", "&")
    response = client.get(address)
    assert response.headers["Content-Type"].startswith("image/svg+xml")
    assert "?t=" in address


def test_incidents_lead_to_their_articles(outage: str, client: Client) -> None:
    assert f"/incidents/{REF}/article/" in Document(page(client, f"/incidents/{REF}/")).links
    listed = Document(page(client, "/incidents/")).links
    assert f"/incidents/{PAST_REF}/article/" in listed
    assert f"/incidents/{REF}/article/" not in listed


def test_an_unknown_article_is_not_found(outage: str, client: Client) -> None:
    assert client.get("/incidents/OUT-2026-9999/article/").status_code == 404


def test_an_article_costs_no_query_while_nothing_changes(
    outage: str, client: Client, django_assert_num_queries
) -> None:
    snapshots.forget()
    tag = client.get(f"/incidents/{REF}/article/").headers["ETag"]
    with django_assert_num_queries(0):
        again = client.get(f"/incidents/{REF}/article/", headers={"If-None-Match": tag})
    assert again.status_code == 304


@pytest.mark.parametrize("ref", [REF, PAST_REF])
def test_no_sentence_is_broken(outage: str, client: Client, ref: str) -> None:
    text = re.sub(r"<(script|sup)\b.*?</\1>|<[^>]+>", "", page(client, f"/incidents/{ref}/article/"), flags=re.DOTALL)
    assert not re.search(r"[{}]|None|  of |\b1 (regions|countries|minutes|hours|reports)\b|,,|\.\.|\bthe the\b", text)
