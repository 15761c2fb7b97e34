"""The pages in a real browser, against the real server: reporting, the slider, search, and nothing that complains.

`browser_page` fails a test on any console error, breach of the content policy, or request to another host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser_fixtures import watch_page

REF = "OUT-2026-0007"
PAGES = (
    "/",
    "/services/",
    "/services/whatsapp/",
    "/services/whatsapp/GB/",
    "/providers/meta/",
    "/incidents/",
    f"/incidents/{REF}/",
    f"/incidents/{REF}/article/",
    "/search/?q=x",
    "/methodology/",
    "/privacy/",
    "/status/",
)


@pytest.fixture
def scene(transactional_db: None) -> Iterator[None]:
    """The outage, committed, so that the server sees it."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now())
    yield
    snapshots.forget()


def inbox() -> int:
    """How many reports have been accepted."""
    from reports.models import InboxBlock

    return sum(InboxBlock.objects.values_list("reports", flat=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_complains_or_scrolls_sideways_on_a_telephone(
    scene: None, browser: Browser, live_site: str, scheme: Literal["light", "dark"]
) -> None:
    with browser.new_context(
        base_url=live_site, viewport={"width": 390, "height": 844}, color_scheme=scheme, timezone_id="Asia/Kolkata"
    ) as context:
        for address in PAGES:
            page = context.new_page()
            complaints = watch_page(page, live_site)
            page.goto(address)
            page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
            assert not complaints, (address, complaints)
            page.close()
        assert context.cookies() == []


def test_a_report_is_two_taps_and_counts_once(scene: None, browser_page: Page) -> None:
    browser_page.goto("/services/whatsapp/")
    browser_page.select_option("#country", "FR")
    browser_page.wait_for_selector("#region option[value='FR-IDF']", state="attached")
    browser_page.select_option("#region", "FR-IDF")
    browser_page.get_by_role("button", name="It is down for me").click()
    with browser_page.expect_response("**/api/v1/reports/") as answer:
        browser_page.get_by_role("button", name="Sending and receiving messages").click()
    assert answer.value.status == 202
    assert answer.value.json()["region"] == "FR-IDF"
    assert answer.value.json()["problem"] == "messages"
    browser_page.get_by_text("Counted: WhatsApp is down for you.").wait_for()
    assert inbox() == 1
    # The thanks do not break the form on a telephone.
    browser_page.set_viewport_size({"width": 390, "height": 844})
    for each in browser_page.locator("form[data-report] :visible").all():
        box = each.bounding_box()
        assert box is None or box["x"] + box["width"] <= 390
    # The choice is kept in the browser.
    browser_page.reload()
    assert browser_page.input_value("#country") == "FR"
    expect(browser_page.locator("#region")).to_have_value("FR-IDF")


def test_it_works_for_me_is_one_tap(scene: None, browser_page: Page) -> None:
    browser_page.goto("/services/whatsapp/GB~LON/")
    with browser_page.expect_response("**/api/v1/reports/") as answer:
        browser_page.get_by_role("button", name="It works for me").click()
    assert (answer.value.json()["kind"], answer.value.json()["region"]) == ("working", "GB~LON")
    browser_page.get_by_text("Counted: WhatsApp works for you.").wait_for()


def test_the_browser_remembers_where_its_reader_is(scene: None, browser_page: Page) -> None:
    browser_page.goto("/services/whatsapp/")
    browser_page.select_option("#country", "FR")
    browser_page.wait_for_selector("#region option[value='FR-IDF']", state="attached")
    browser_page.select_option("#region", "FR-IDF")
    browser_page.get_by_role("button", name="It works for me").click()
    browser_page.get_by_text("Counted: WhatsApp works for you.").wait_for()
    browser_page.goto("/services/instagram/")
    expect(browser_page.locator("#country")).to_have_value("FR")
    expect(browser_page.locator("#region")).to_have_value("FR-IDF")
    assert browser_page.context.cookies() == []


def test_who_does_not_say_what_fails_is_counted_all_the_same(scene: None, browser_page: Page) -> None:
    browser_page.goto("/services/whatsapp/")
    browser_page.get_by_role("button", name="It is down for me").click()
    browser_page.get_by_text("you are counted either way").wait_for()
    browser_page.goto("/")
    for _ in range(50):
        if inbox():
            break
        browser_page.wait_for_timeout(100)
    assert inbox() == 1


def test_a_lost_connection_offers_to_try_again_with_the_same_report(
    scene: None, browser: Browser, live_site: str
) -> None:
    bodies: list[str | None] = []

    def refuse_once(route: Route) -> None:
        bodies.append(route.request.post_data)
        if len(bodies) == 1:
            route.fulfill(status=503, json={"detail": "busy"})
        else:
            route.continue_()

    with browser.new_context(base_url=live_site) as context:
        page = context.new_page()
        page.route("**/api/v1/reports/", refuse_once)
        page.goto("/services/whatsapp/")
        page.get_by_role("button", name="It works for me").click()
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("Counted: WhatsApp works for you.").wait_for()
    assert bodies[0] == bodies[1]
    assert inbox() == 1


def test_a_report_without_javascript(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, java_script_enabled=False, locale="en-GB") as context:
        page = context.new_page()
        page.goto("/services/whatsapp/")
        assert page.input_value("#country") == "GB"
        page.select_option("#region", "GB-SCT")
        page.get_by_text("Sending and receiving messages").first.click()
        page.get_by_role("button", name="It is down for me").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Counted: WhatsApp is down for you."
        assert "Scotland" in page.inner_text("main")
        assert inbox() == 1
        # Another country: its parts are one press away.
        page.goto("/services/whatsapp/")
        page.select_option("#country", "BR")
        page.get_by_role("button", name="Show what is so there, and the parts of that country").click()
        assert page.locator("#region option[value='BR-SP']").count() == 1


def test_suggestions_lead_to_a_service(scene: None, browser_page: Page) -> None:
    browser_page.goto("/")
    field = browser_page.get_by_role("combobox", name="Search a service")
    field.press_sequentially("whats")
    browser_page.get_by_role("option", name="WhatsApp").wait_for()
    field.press("ArrowDown")
    assert field.get_attribute("aria-activedescendant") == "suggestion-0"
    field.press("Enter")
    browser_page.wait_for_url("**/services/whatsapp/")


def test_a_page_in_sight_follows_the_present(scene: None, browser_page: Page) -> None:
    from django.utils import timezone

    from reports.models import Incident, TimelineEntry

    browser_page.goto("/")
    assert "Instagram" in browser_page.inner_text("h1")
    sibling = Incident.objects.get(ref="OUT-2026-0008")
    Incident.objects.filter(pk=sibling.pk).update(resolved_at=timezone.now())
    TimelineEntry.objects.create(
        incident=sibling, at=timezone.now(), recorded_at=timezone.now(), kind="resolved", facts={}
    )
    browser_page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(browser_page.locator("h1")).to_have_text("WhatsApp is down right now.", timeout=20_000)


def test_times_are_the_readers_with_utc_beside(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, timezone_id="Asia/Kolkata", locale="en-IN") as context:
        page = context.new_page()
        page.goto(f"/incidents/{REF}/")
        page.wait_for_selector("time[data-upgraded]")
        assert re.search(r"\d\d:\d\d \((.+, )?\d\d:\d\d UTC\)", page.inner_text("h1"))


def test_a_visitor_is_asked_for_proof_under_suspicion_only_and_never_sees_a_riddle(
    scene: None, browser: Browser, live_site: str
) -> None:
    from reports.intake.flood import PERSON_SOFT
    from tests.intake.test_flood import forget_counts

    forget_counts()
    with browser.new_context(base_url=live_site, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        asked: list[int] = []
        page.on("response", lambda answer: asked.append(answer.status) if "/api/v1/reports/" in answer.url else None)
        page.goto("/services/whatsapp/")
        answer = page.locator("[data-answer]")
        page.get_by_role("button", name="It works for me").click()
        expect(answer).to_contain_text("Counted: WhatsApp works for you.")
        assert asked == [202]
        # Somebody behind the same address, with the same browser, sends a lot.
        page.evaluate(
            """async (times) => {
              const body = JSON.stringify({ service: "whatsapp", region: "GB" });
              const headers = { "Content-Type": "application/json" };
              for (let i = 0; i < times; i++) await fetch("/api/v1/reports/", { method: "POST", headers, body });
            }""",
            PERSON_SOFT - 1,
        )
        before, height = inbox(), page.locator(".report").bounding_box()["height"]
        said = page.evaluate_handle(
            """() => {
              const said = [];
              const look = () => said.push(document.querySelector("[data-answer]").textContent);
              const options = { childList: true, characterData: true, subtree: true };
              new MutationObserver(look).observe(document.querySelector("[data-answer]"), options);
              return said;
            }"""
        )
        page.get_by_role("button", name="It works for me").click()
        expect(answer).to_contain_text("Counted: WhatsApp works for you.", timeout=30_000)
        assert asked[-2:] == [403, 202]
        assert inbox() == before + 1
        assert any("Checking that you are not a program" in text for text in said.json_value())
        assert abs(page.locator(".report").bounding_box()["height"] - height) < 30
        assert context.cookies() == []
    forget_counts()


def test_the_check_can_be_stopped_and_begun_again(scene: None, browser: Browser, live_site: str) -> None:
    import json

    from reports.intake import proof
    from tests.intake.test_flood import forget_counts

    forget_counts()
    # Ten times as hard as any: there is time to stop it.
    hard = {"code": "proof_needed", "detail": "", "challenge": proof.challenge(1, hashes=1) | {"maxNumber": 10**7}}
    hard["challenge"]["challenge"] = "0" * 64
    with browser.new_context(base_url=live_site) as context:
        page = context.new_page()
        page.goto("/services/whatsapp/")
        page.route("**/api/v1/reports/", lambda route: route.fulfill(status=403, body=json.dumps(hard)), times=1)
        page.get_by_role("button", name="It works for me").click()
        page.get_by_role("button", name="Stop").click()
        answer = page.locator("[data-answer]")
        expect(answer).to_contain_text("Stopped. Your report was not sent.")
        page.get_by_role("button", name="Try again").click()
        expect(answer).to_contain_text("Counted: WhatsApp works for you.")
