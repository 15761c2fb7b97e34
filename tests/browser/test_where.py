"""Where the reader is: remembered in their browser only, told first, changed with a tap, and nothing jumps for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Geolocation, Page, expect

from tests.browser_fixtures import watch_page

SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def scene(transactional_db: None) -> Iterator[None]:
    """The outage, committed, so that the server sees it."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now())
    yield
    snapshots.forget()


def remembers(context: BrowserContext, country: str, region: str = "") -> None:
    context.add_init_script(
        f'localStorage.setItem(\'outagemap.region\', \'{{"country": "{country}", "region": "{region}"}}\')'
    )


def test_the_remembered_region_is_told_first_and_guessed_ones_are_called_so(
    scene: None, browser: Browser, live_site: str
) -> None:
    with browser.new_context(base_url=live_site, locale="en-FR") as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        page.goto("/services/whatsapp/")
        expect(page.locator("h1")).to_contain_text("Too few reports from France")
        expect(page.locator(".here-line")).to_contain_text("a guess by your browser’s language")
        remembers(context, "IN", "IN-GJ")
        for address in ("/services/whatsapp/", "/"):
            page.goto(address)
            expect(page.locator("[data-live=verdict]")).to_contain_text("Gujarat, where you said you are")
        expect(page.locator(".here-said")).to_contain_text("In Gujarat, WhatsApp is down.")
        # Asking again a little later keeps to it.
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_load_state("networkidle")
        expect(page.locator(".here-said")).to_contain_text("In Gujarat, WhatsApp is down.")
        assert context.cookies() == []
        assert not complaints, complaints


def test_another_region_can_be_chosen_on_the_page_of_a_service(scene: None, browser_page: Page) -> None:
    browser_page.goto("/services/whatsapp/")
    expect(browser_page.locator("[data-live=verdict]")).to_contain_text("WhatsApp is down in India")
    browser_page.select_option("#country", "GB")
    expect(browser_page.locator("h1")).to_contain_text("WhatsApp is back in the United Kingdom")
    expect(browser_page.locator("#region option[value='GB~LON']")).to_be_attached()
    browser_page.select_option("#region", "GB~LON")
    expect(browser_page.locator("h1")).to_contain_text("WhatsApp is back in London")
    # On another page, and in another tab, it is known.
    other = browser_page.context.new_page()
    other.goto("/services/instagram/")
    expect(other.locator("#region")).to_have_value("GB~LON")
    other.select_option("#country", "001")
    expect(browser_page.locator("#country")).to_have_value("GB")
    assert other.evaluate("localStorage.getItem('outagemap.region')") is None


def test_on_the_home_page_the_question_is_put_away_until_it_is_asked(scene: None, browser_page: Page) -> None:
    browser_page.goto("/")
    expect(browser_page.locator("#country")).to_be_hidden()
    browser_page.get_by_text("Where are you?").click()
    browser_page.select_option("#country", "IN")
    expect(browser_page.locator(".here-said")).to_contain_text("In India, WhatsApp is down.")
    browser_page.get_by_role("button", name="Show what is so there").click()
    expect(browser_page.locator("#country")).to_be_hidden()
    assert browser_page.url.endswith("/")


def test_the_device_is_asked_only_on_request_and_its_answer_rounded(
    scene: None, browser: Browser, live_site: str
) -> None:
    place: Geolocation = {"latitude": 51.50735, "longitude": -0.12776}
    with browser.new_context(base_url=live_site, geolocation=place, permissions=["geolocation"]) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto("/services/whatsapp/")
        page.wait_for_load_state("networkidle")
        assert not [url for url in asked if "locate" in url]
        page.get_by_role("button", name="Find it by my device").click()
        expect(page.locator("[data-located]")).to_have_text("London")
        assert [url.partition("?")[2] for url in asked if "locate" in url] == ["lat=51.5&lon=-0.1"]
        expect(page.locator("#region")).to_have_value("GB~LON")
        expect(page.locator("h1")).to_contain_text("WhatsApp is back in London")
        assert not complaints, complaints


def test_without_a_script_the_form_asks_for_the_answer(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/services/whatsapp/")
        page.select_option("#country", "IN")
        page.get_by_role("button", name="Show what is so there").click()
        expect(page.locator("h1")).to_contain_text("WhatsApp is down in")
        page.select_option("#region", "IN-GJ")
        page.get_by_role("button", name="Show what is so there").click()
        expect(page.locator("h1")).to_contain_text("WhatsApp is down in Gujarat")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_jumps_when_the_answer_for_the_remembered_region_comes(
    scene: None, browser: Browser, live_site: str, width: int
) -> None:
    with browser.new_context(
        base_url=live_site, locale="en-FR", viewport={"width": width, "height": 900}, timezone_id="Asia/Kolkata"
    ) as context:
        context.add_init_script(SHIFTS)
        remembers(context, "IN", "IN-GJ")
        for address in ("/services/whatsapp/", "/services/netflix/", "/"):
            page = context.new_page()
            page.goto(address)
            expect(page.locator("[data-live=verdict]")).to_contain_text("Gujarat")
            page.wait_for_timeout(600)
            assert page.evaluate("window.shifted") < 0.02, (address, page.evaluate("window.shifted"))
            page.close()
