"""The card for other people's pages, and what is copied from /developers/, in a browser."""

from typing import Any

import pytest


@pytest.mark.browser
def test_a_snippet_is_copied(browser_page: Any) -> None:
    from reports import clock
    from tests.frontend import scene

    scene.lay(clock.now())
    browser_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    browser_page.goto("/developers/")
    browser_page.get_by_role("button", name="Copy the Markdown of the badge").click()
    browser_page.get_by_text("Copied.").wait_for()
    assert "/badges/" in browser_page.evaluate("navigator.clipboard.readText()")
    frame = browser_page.frame_locator("iframe")
    frame.get_by_text("reports in the last hour").wait_for()


@pytest.mark.browser
def test_an_open_card_brings_itself_up_to_date_without_loading_anew(browser_page: Any) -> None:
    from reports import clock
    from tests.frontend import scene

    scene.lay(clock.now())
    browser_page.clock.install()
    browser_page.goto("/embed/whatsapp/")
    browser_page.evaluate("document.body.dataset.same = 'yes'; document.querySelector('.verdict').textContent = 'old'")
    with browser_page.expect_response("**/embed/whatsapp/"):
        browser_page.clock.fast_forward(61_000)
    browser_page.get_by_text("Down in").wait_for()
    assert browser_page.evaluate("document.body.dataset.same") == "yes"
