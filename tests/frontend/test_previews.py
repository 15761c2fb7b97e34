"""The pictures beside a link: real PNGs of the right size, with words that fit, drawn once."""

from __future__ import annotations

import re
import struct

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from frontend import previews
from tests.frontend import scene

PICTURES = ("/preview.png", "/services/whatsapp/preview.png", f"/incidents/{scene.REF}/preview.png")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What draws leaves the machine to whoever else needs it, and beside these tests others do."""
    monkeypatch.setattr(previews, "MOST_SECONDS", 600)


def dimensions(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_each_picture_is_a_png_that_messengers_show_whole(client: Client, outage: str) -> None:
    seen = set()
    for address in PICTURES:
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "image/png"
        assert "max-age" in answer.headers["Cache-Control"]
        assert dimensions(answer.content) == (1200, 630)
        # The largest that every messenger takes.
        assert len(answer.content) < 300_000
        seen.add(answer.content)
    assert len(seen) == len(PICTURES)
    assert client.get("/services/nothing/preview.png").status_code == 404
    assert client.get("/incidents/OUT-2020-0001/preview.png").status_code == 404


def test_a_page_names_a_picture_that_is_there(client: Client, outage: str) -> None:
    pages = ("/", "/services/whatsapp/", "/services/whatsapp/GB/", f"/incidents/{scene.REF}/", "/providers/meta/")
    for address in pages:
        html = client.get(address, headers={"host": "localhost"}).content.decode()
        found = re.search(r'property="og:image" content="http://localhost(/[^"]+\.png)"', html)
        assert found, address
        assert client.get(found[1]).status_code == 200
        for name in ("og:title", "og:description", "og:url", "og:image:alt"):
            assert re.search(rf'property="{name}" content="[^"<]+"', html), (address, name)
        assert 'name="twitter:card" content="summary_large_image"' in html


def test_a_picture_shows_the_states_and_is_drawn_once_for_each_content(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    real = previews._drawn

    def count(svg: str) -> bytes:
        drawn.append(svg)
        return real(svg)

    monkeypatch.setattr(previews, "_drawn", count)
    monkeypatch.setattr(previews, "_pictures", previews.Shelf(most_bytes=10**7))

    def picture(state: str) -> bytes:
        return previews.picture(title="A & B <is> down.", note="Now", states={"FR-IDF": state})

    assert picture("down") == picture("down")
    assert len(drawn) == 1
    assert len({picture(state) for state in ("down", "recovering", "restored", "unknown")}) == 4


def test_where_the_machine_is_too_busy_to_draw_the_messenger_is_to_come_again(
    client: Client, outage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "_pictures", previews.Shelf(most_bytes=10**7))
    monkeypatch.setattr(previews, "MOST_SECONDS", 0.001)
    refused = client.get("/preview.png")
    assert (refused.status_code, refused.headers["Cache-Control"]) == (503, "no-store")
    assert int(refused.headers["Retry-After"]) > 0
    monkeypatch.setattr(previews, "MOST_SECONDS", 600)
    assert client.get("/preview.png").status_code == 200


def test_the_letters_come_from_the_package_not_from_the_machine() -> None:
    def written(text: str) -> bytes:
        return previews._drawn(
            '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="60">'
            f'<text y="40" font-size="30" font-family="Source Serif Pro">{text}</text></svg>'
        )

    assert len({written(text) for text in ("", "Outage", "São Paulo", "Łódź", "Île")}) == 5


@given(st.text(st.sampled_from("abc WMil.ÄÖ,0-"), max_size=400))
def test_any_title_fits(title: str) -> None:
    size, lines = previews.fitted(title)
    assert dict(previews.SIZES)[size] >= len(lines)
    longest = max(map(len, title.split()), default=0)
    for line in lines:
        if longest < 20:
            assert previews.breadth(line) * size <= previews.TEXT_WIDTH + size
    if len(title) < 60 and longest < 20:
        assert " ".join(lines) == " ".join(title.split())
