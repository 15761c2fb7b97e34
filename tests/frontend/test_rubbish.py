"""Addresses that nobody meant: whatever stands in a query, a page answers, and never with a fault of ours."""

from __future__ import annotations

import pytest
from django.test import Client

RUBBISH = (
    "\x00",
    "9" * 30,
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "2024-02-30",
    "nan",
    "<script>",
    "a" * 5000,
    "\u0661\u0662",
    "\u00b2",
    "gb-eng",
    "ZZ",
)
ASKED = {
    "/": ("here", "country", "region", "part"),
    "/services/": ("part",),
    "/services/whatsapp/": ("here", "country", "region", "problem", "part"),
    "/services/whatsapp/GB-ENG/": ("problem", "part"),
    "/services/whatsapp/map.svg": ("theme",),
    "/services/whatsapp/back/": ("receipt",),
    "/services/whatsapp/back.json": ("region",),
    "/services/whatsapp/reported/": ("receipt", "kind"),
    "/incidents/": ("state", "service", "review", "region", "since", "cursor"),
    "/incidents/{ref}/": ("t", "mode", "region", "country", "sort", "q", "open", "all", "part"),
    "/incidents/{ref}/map.svg": ("t", "mode", "region", "theme"),
    "/incidents/{ref}/moments.svg": ("t", "theme"),
    "/incidents/{ref}/chart.svg": ("region", "theme"),
    "/incidents/{ref}/history.json": ("v",),
    "/incidents/{ref}/rates.json": ("v", "region"),
    "/incidents/{ref}/article/": ("t",),
    "/search/": ("q",),
    "/search/suggestions.json": ("q",),
    "/regions.json": ("country",),
    "/embed/whatsapp/": ("region", "theme"),
    "/developers/": ("service",),
    "/alerts/": ("service", "country", "region", "severity", "channel", "target", "for", "time_zone"),
    "/services/whatsapp/ask/": ("region", "kind", "back"),
}


@pytest.mark.parametrize("address", ASKED)
def test_rubbish_in_a_query_is_no_fault_of_ours(client: Client, outage: str, address: str) -> None:
    client.raise_request_exception = False
    for name in ASKED[address]:
        for text in RUBBISH:
            code = client.get(address.format(ref=outage), {name: text}).status_code
            assert code < 500, (address, name, text[:40], code)


def test_rubbish_in_place_of_a_name_is_a_page_that_helps(client: Client, outage: str) -> None:
    client.raise_request_exception = False
    for text in ("%00", "%F0%9F%A6%8A", "'", "a" * 2000, "%3Cscript%3E"):
        for address in (f"/services/whatsapp/{text}/", f"/services/{text}/", f"/incidents/{text}/", f"/{text}/"):
            answer = client.get(address)
            assert answer.status_code == 404, address[:60]
            assert "<h1>" in answer.content.decode(), address[:60]
