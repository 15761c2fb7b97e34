"""The article in a real browser: from a figure to its evidence and back, without JavaScript too, and on paper."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.frontend.scene import REF

ADDRESS = f"/incidents/{REF}/article/"


@pytest.fixture
def scene(transactional_db: None) -> Iterator[None]:
    """The outage, committed, so that the server sees it."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now())
    yield
    snapshots.forget()


def evidence_id() -> int:
    """Of the evidence on which the incident was opened."""
    from reports import status

    found = status.incident(REF)
    assert found is not None
    assert found.evidence is not None
    return found.evidence.id


def test_a_figure_leads_to_its_note_the_note_to_the_evidence_and_back(scene: None, browser_page: Page) -> None:
    browser_page.goto(ADDRESS)
    figure = browser_page.locator("#detection a.cited", has_text=" reports").first
    told = figure.inner_text()
    figure.click()
    note = browser_page.locator(".notes li:target")
    expect(note).to_contain_text(f"Evidence {evidence_id()}: {told} within 8 minutes")
    note.get_by_role("link", name="Back to where note").click()
    expect(browser_page.locator(":target")).to_be_in_viewport()
    figure.click()
    note.get_by_role("link", name="On its page").click()
    browser_page.wait_for_url(f"**/incidents/{REF}/#why")
    evidence = browser_page.locator("#why")
    evidence.locator("summary").click()
    expect(evidence).to_contain_text(f"{told} within 8 minutes")


def test_times_are_in_the_readers_zone_with_utc_beside(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, timezone_id="Asia/Kolkata") as context:
        page = context.new_page()
        page.goto(ADDRESS)
        expect(page.locator(".article-lead time").first).to_contain_text("UTC)")


def test_it_is_whole_without_javascript_and_on_paper(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(ADDRESS)
        expect(page.locator(".article-lead")).to_contain_text("WhatsApp")
        expect(page.get_by_role("img", name="Map of the regions")).to_be_visible()
        expect(page.get_by_role("button", name="Print")).to_be_hidden()
        assert page.locator(".map-static").evaluate("image => image.complete && image.naturalWidth > 0")
        page.emulate_media(media="print")
        expect(page.locator(".notes li").first).to_be_visible()
        expect(page.locator(".article-tools")).to_be_hidden()
        expect(page.locator(".site-header")).to_be_hidden()


def test_the_text_can_be_copied(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(ADDRESS)
        page.get_by_role("button", name="Copy the text").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith(f"# {page.locator('h1').inner_text()}")
        assert "[^1]: " in copied
