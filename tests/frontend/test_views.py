"""Every page answers, says what is the case, and costs nothing when nothing changed."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.frontend import scene

PAGES = (
    "/",
    "/services/",
    "/services/whatsapp/",
    "/services/whatsapp/GB/",
    "/services/whatsapp/GB~LON/",
    "/services/facebook/",
    "/providers/meta/",
    "/incidents/",
    f"/incidents/{scene.REF}/",
    f"/incidents/{scene.PAST_REF}/",
    "/search/?q=whats",
    "/methodology/",
    "/privacy/",
    "/status/",
)


@pytest.mark.parametrize("address", PAGES)
def test_every_page_answers_without_inline_code(client: Client, outage: str, address: str) -> None:
    response = client.get(address, follow=True)
    assert response.status_code == 200
    html = response.content.decode()
    assert html.count("<h1") == 1
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:", html)
    for attributes in re.findall(r"<script([^>]*)>", html):
        assert "src=" in attributes or 'type="application/json"' in attributes
    assert "Set-Cookie" not in response.headers
