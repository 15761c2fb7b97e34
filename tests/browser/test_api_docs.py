"""The page with the calls, in a browser that forgives no inline script or style."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_the_calls_can_be_read_opened_and_tried(browser_page: Page):
    browser_page.goto("/api/docs/")
    operation = browser_page.locator("#operations-regions-regions_one")
    operation.wait_for()
    described = browser_page.request.get("/api/v1/schema/?format=json").json()
    calls = [way for path in described["paths"].values() for way in path if way in ("get", "post")]
    assert browser_page.locator(".opblock").count() == len(calls) >= 15
    operation.locator("button.opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("input[placeholder=code]").fill("GB-ENG")
    operation.get_by_role("button", name="Execute").click()
    operation.locator(".live-responses-table").wait_for()
    assert "England" in operation.locator(".live-responses-table").inner_text()
