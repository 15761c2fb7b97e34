"""The page of an incident in a real browser: player, modes, links, one's own region, the list, and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from frontend.keeping import DELTA
from tests.browser_fixtures import watch_page

REF = "OUT-2026-0007"
ADDRESS = f"/incidents/{REF}/"


@pytest.fixture
def scene(transactional_db: None) -> Iterator[None]:
    """The outage, committed, so that the server sees it."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now())
    yield
    snapshots.forget()


def ready(page: Page, query: str = "") -> None:
    page.goto(ADDRESS + query)
    page.wait_for_selector("[data-incident-map][data-ready]")


def tally(page: Page, state: str) -> int:
    return int(page.locator(f"[data-count={state}]").inner_text())


def test_the_incident_without_javascript(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(ADDRESS)
        image = page.locator("noscript img.map-static, img.map-static:visible").first
        assert image.evaluate("image => image.complete && image.naturalWidth > 0")
        restored = tally(page, "restored")
        assert restored > 30
        page.get_by_role("link", name="← Earlier").click()
        page.get_by_role("link", name="← Earlier").click()
        assert "t=" in page.url
        assert tally(page, "restored") < restored
        early = page.url
        # Another mode keeps the time.
        page.get_by_role("radio", name="Time until it was back").check(force=True)
        page.locator("[data-modes] button").click()
        assert "mode=restore" in page.url
        assert page.url.split("t=")[1][:16] == early.split("t=")[1][:16]
        assert "mode=restore" in (page.locator("img.map-static:visible").first.get_attribute("src") or "")
        page.get_by_role("link", name="Latest").click()
        assert tally(page, "restored") == restored
        # A country opens, and its rows come with a link.
        page.locator("#country-GB summary").first.click()
        page.get_by_role("link", name="10 regions").locator("visible=true").click()
        assert page.locator("#country-GB tr[data-region]").count() == 10
        page.get_by_label("Find a region").fill("bavaria")
        page.locator("[data-order-form] button").click()
        assert page.locator("tr[data-region]").count() == 1
        # One's own region.
        page.select_option("#mine-country", "IN")
        page.locator("[data-pick] button").click()
        assert page.locator("#mine-heading").inner_text().startswith("India:")
        page.goto(f"{ADDRESS}?all=1")
        assert page.locator("tr[data-region]").count() == 50


def test_the_slider_by_keyboard_moves_map_list_and_address(scene: None, browser_page: Page) -> None:
    ready(browser_page, "?open=GB")
    slider = browser_page.get_by_role("slider", name="Time")
    browser_page.locator("#country-GB").scroll_into_view_if_needed()
    rows = browser_page.locator("#country-GB tr[data-region]")
    expect(rows).to_have_count(10)
    slider.focus()
    restored = tally(browser_page, "restored")
    assert restored > 30
    browser_page.keyboard.press("Home")
    expect(browser_page.locator("[data-count=normal]")).to_have_text("50")
    assert re.match(r"\d\d:\d\d UTC, 0 down", slider.get_attribute("aria-valuetext") or "")
    for _ in range(30):
        browser_page.keyboard.press("ArrowRight")
    expect(browser_page).to_have_url(re.compile(r"[?&]t="))
    down = tally(browser_page, "down")
    assert down > 40
    # What is in sight of the list follows.
    browser_page.locator("#country-GB").scroll_into_view_if_needed()
    expect(browser_page.locator("#country-GB tr[data-state=down]")).not_to_have_count(0)
    browser_page.locator("#country-GB > summary").scroll_into_view_if_needed()
    expect(browser_page.locator("#country-GB > summary [data-back]")).to_have_text(re.compile("^[01] of 10 back"))
    shared = browser_page.url
    slider.focus()
    browser_page.keyboard.press("End")
    expect(browser_page.locator("[data-count=restored]")).to_have_text(str(restored))
    assert "t=" not in browser_page.url
    # A link keeps the time.
    browser_page.goto(shared)
    expect(browser_page.locator("[data-count=down]")).to_have_text(str(down))


def test_play_runs_to_the_end_and_can_be_paused(scene: None, browser_page: Page) -> None:
    ready(browser_page)
    play = browser_page.locator("[data-play]")
    assert play.get_attribute("aria-pressed") == "false"
    play.focus()
    browser_page.keyboard.press("Space")
    assert play.get_attribute("aria-pressed") == "true"
    expect(browser_page.locator("input[type=range]")).to_have_value(re.compile(r"^([6-9]|\d\d)$"))
    browser_page.locator("input[type=range]").focus()
    browser_page.keyboard.press("Space")
    assert play.get_attribute("aria-pressed") == "false"
    here = browser_page.input_value("input[type=range]")
    browser_page.wait_for_timeout(500)
    assert browser_page.input_value("input[type=range]") == here


def test_modes_by_keyboard_and_what_each_needs(scene: None, browser_page: Page) -> None:
    asked: list[str] = []
    browser_page.on("request", lambda request: asked.append(request.url))
    ready(browser_page)
    assert not [url for url in asked if "rates.json" in url]
    browser_page.get_by_role("radio", name="State").focus()
    browser_page.keyboard.press("ArrowRight")
    expect(browser_page).to_have_url(re.compile("mode=rate"))
    expect(browser_page.get_by_text("30 times and more")).to_be_visible()
    assert len([url for url in asked if "rates.json" in url]) == 1
    slider = browser_page.get_by_role("slider", name="Time")
    slider.focus()
    browser_page.keyboard.press("Home")
    fills = browser_page.evaluate("new Set([...document.querySelectorAll('[data-for-mode=rate] li')]).size")
    assert fills == 6
    browser_page.get_by_role("radio", name="Reports against the usual").focus()
    browser_page.keyboard.press("ArrowRight")
    expect(browser_page).to_have_url(re.compile("mode=restore"))
    # The slider does not apply, and the page says so.
    expect(browser_page.locator("input[type=range]")).to_be_disabled()
    expect(browser_page.get_by_text("the time below it changes nothing")).to_be_visible()
    expect(browser_page.locator(".for-all")).to_have_text("The whole course")
    browser_page.get_by_role("radio", name="State").check(force=True)
    expect(slider).to_be_enabled()
    assert "mode=" not in browser_page.url


def test_a_shared_link_brings_back_time_mode_region_and_view(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        ready(page, "?mode=rate&region=DE-BY")
        slider = page.get_by_role("slider", name="Time")
        slider.focus()
        page.keyboard.press("Home")
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        clock = page.locator("[data-clock]").inner_text()
        page.locator(".leaflet-container").focus()
        page.keyboard.press("Equal")
        expect(page).to_have_url(re.compile(r"z=\d"))
        page.get_by_role("button", name="Copy link to this moment").click()
        expect(page.locator("[data-copied]")).to_have_text("The link is copied.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert all(part in copied for part in ("t=", "mode=rate", "region=DE-BY", "c=", "z="))
        other = context.new_page()
        other.goto(copied)
        other.wait_for_selector("[data-incident-map][data-ready]")
        assert other.locator("[data-clock]").inner_text() == clock
        assert other.get_by_role("radio", name="Reports against the usual").is_checked()
        expect(other.locator("#mine-heading")).to_contain_text("Bavaria: ")
        # The view stays the shared one, to the rounding of the address.
        other.locator(".leaflet-container").focus()
        other.keyboard.press("Equal")
        expect(other).not_to_have_url(copied)
        zooms = [float(re.search(r"z=([\d.]+)", url)[1]) for url in (copied, other.url)]
        assert zooms[1] > zooms[0]
        assert not complaints


def test_a_link_at_the_latest_time_names_it(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        ready(page)
        page.get_by_role("button", name="Copy link to this moment").click()
        expect(page.locator("[data-copied]")).not_to_be_empty()
        assert "t=" in page.evaluate("navigator.clipboard.readText()")
        assert "t=" not in page.url


def test_ones_own_region_is_remembered_and_a_link_wins(scene: None, browser_page: Page) -> None:
    ready(browser_page)
    expect(browser_page.locator("#mine-heading")).to_have_text("And where you are?")
    browser_page.select_option("#mine-country", "GB")
    browser_page.wait_for_selector("#mine-region option[value='GB~LON']", state="attached")
    browser_page.select_option("#mine-region", "GB~LON")
    browser_page.locator("[data-pick] button").click()
    expect(browser_page.locator("#mine-heading")).to_contain_text("London: back since")
    assert browser_page.locator("#mine .chart-plot").count() == 1
    assert "region=" not in browser_page.url
    browser_page.reload()
    expect(browser_page.locator("#mine-heading")).to_contain_text("London: back since")
    # Who gets a link is shown what it is about.
    browser_page.goto(f"{ADDRESS}?region=IN-GJ")
    expect(browser_page.locator("#mine-heading")).to_contain_text("Gujarat: down since")
    browser_page.wait_for_selector("[data-incident-map][data-ready]")
    expect(browser_page.locator("#mine-heading")).to_contain_text("Gujarat: down since")
    browser_page.get_by_text("Another region").click()
    assert browser_page.input_value("#mine-country") == "IN"


def test_a_country_opens_and_a_region_of_it_is_shown_on_the_map(scene: None, browser_page: Page) -> None:
    ready(browser_page)
    assert browser_page.locator("tr[data-region]").count() == 0
    browser_page.locator("#country-DE > summary").click()
    browser_page.get_by_role("button", name="Bavaria").click()
    assert browser_page.locator("tr[data-region='DE-BY'][data-selected]").count() == 1
    assert "region=DE-BY" in browser_page.url
    # The middle of the map is now in Bavaria, and the pointer is told so.
    browser_page.locator("div.map").hover()
    expect(browser_page.locator(".map-tip b")).to_have_text("Bavaria")
    # The evidence begins with a sentence.
    browser_page.locator("#why-DE-BY > summary").click()
    expect(browser_page.locator("#why-DE-BY")).to_contain_text("We say that Bavaria is back since")


def test_the_list_is_searched_and_sorted_in_place(scene: None, browser_page: Page) -> None:
    ready(browser_page)
    browser_page.get_by_label("Find a region").press_sequentially("tamil")
    expect(browser_page.locator("tr[data-region]")).to_have_count(1)
    expect(browser_page.locator("tr[data-region] th")).to_contain_text("Tamil Nadu")
    assert "q=tamil" in browser_page.url
    browser_page.get_by_label("Find a region").fill("")
    expect(browser_page.locator(".group")).to_have_count(5)
    browser_page.get_by_label("Sort by").select_option("name")
    expect(browser_page.locator(".group-name").first).to_have_text("Brazil")
    # Within a country its table has buttons for other orders.
    browser_page.locator("#country-IN > summary").click()
    browser_page.locator("#country-IN").get_by_role("button", name="People").click()
    browser_page.locator("#country-IN").get_by_role("button", name="People").click()
    assert browser_page.locator("#country-IN tbody tr th button").first.inner_text() == "Tamil Nadu"


def test_a_small_map_sets_the_slider(scene: None, browser_page: Page) -> None:
    ready(browser_page)
    links = browser_page.locator("[data-moment]")
    links.nth(1).scroll_into_view_if_needed()
    images = browser_page.locator(".moments img")
    expect(images).to_have_count(links.count())
    browser_page.wait_for_function("[...document.querySelectorAll('.moments img')].every((i) => i.naturalWidth > 0)")
    links.nth(1).click()
    assert links.nth(1).get_attribute("aria-current") == "true"
    shown = browser_page.locator("[data-clock]").inner_text()
    assert re.search(r"\d\d:\d\d", links.nth(1).inner_text())[0] in shown
    assert "t=" in browser_page.url


def test_a_living_incident_follows_with_little(scene: None, browser_page: Page) -> None:
    from django.utils import timezone

    from reports.models import Incident, RegionalOutage, TimelineEntry

    ready(browser_page)
    restored = tally(browser_page, "restored")
    loaded: list[str] = []
    news: list[Response] = []
    browser_page.on(
        "response", lambda answer: news.append(answer) if "part=live" in answer.url and answer.status == 200 else None
    )
    browser_page.on("request", lambda request: loaded.append(request.url) if "history.json" in request.url else None)
    outage = RegionalOutage.objects.filter(incident__ref=REF, restored_at=None, region_code__startswith="BR").first()
    now = timezone.now() - timedelta(minutes=2)
    RegionalOutage.objects.filter(pk=outage.pk).update(restored_at=now, declared_at=now, basis="votes", unknown_at=None)
    TimelineEntry.objects.create(
        incident=Incident.objects.get(ref=REF),
        region_id=outage.region_id,
        at=now,
        recorded_at=timezone.now(),
        kind="region_restored",
        facts={
            "restored_at": now.isoformat(),
            "low": now.isoformat(),
            "high": now.isoformat(),
            "declared_at": now.isoformat(),
            "basis": "votes",
            "working": 3,
        },
    )
    browser_page.wait_for_timeout(1100)
    browser_page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(browser_page.locator("[data-count=restored]")).to_have_text(str(restored + 1), timeout=90_000)
    assert len(loaded) >= 1
    assert all("since=" in url for url in loaded)
    # The page itself was the first version, and what came is what changed of it.
    assert news
    assert all("since=" in answer.url for answer in news)
    assert {answer.headers["content-type"] for answer in news} == {DELTA}
    shown = browser_page.locator("[data-live=head]").inner_text()
    browser_page.reload()
    ready(browser_page)
    assert browser_page.locator("[data-live=head]").inner_text() == shown
