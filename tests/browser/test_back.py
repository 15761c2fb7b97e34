"""Is it back for you? Asked in a real browser of whoever said here that a service is down."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser_fixtures import show_new_day, watch_page

KEY = "outagemap.back"
SAID = re.compile(r"You said at \d\d:\d\d that WhatsApp is down in England\. Is it back for you\?")
# How far what stands on the page moved by itself, as browsers measure it.
SHIFTS = """() => new Promise((found) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const one of list.getEntries()) sum += one.value; })
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => found(sum), 300);
})"""
OLDER = """([key, age]) => {
  const list = JSON.parse(localStorage.getItem(key) ?? "[]");
  for (const one of list) {
    one.told -= age;
    if (one.no) one.no -= age;
  }
  localStorage.setItem(key, JSON.stringify(list));
}"""


@pytest.fixture
def scene(transactional_db: None, live_site: str) -> Iterator[None]:
    """The outage, committed, so that the server sees it."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now())
    show_new_day(live_site)
    yield
    snapshots.forget()


def stored(kind: str) -> list[tuple[bool, str]]:
    """Whether each report of a kind counts, and if not, why, once everything accepted is drained."""
    from reports import clock
    from reports.intake.drain import drain
    from reports.models import Kind, Report

    while drain(now=clock.now()).blocks:
        pass
    return list(Report.objects.filter(kind=Kind[kind.upper()]).order_by("id").values_list("counted", "reason"))


def say_down(page: Page) -> None:
    """Reports WhatsApp as down in England, as anybody would."""
    page.goto("/services/whatsapp/GB-ENG/")
    page.get_by_role("button", name="It is down for me").click()
    page.get_by_role("button", name="Sending and receiving messages").click()
    page.get_by_text("Counted: WhatsApp is down for you.").wait_for()


def remembered(page: Page) -> list[dict[str, Any]]:
    """What the browser keeps."""
    found: list[dict[str, Any]] = json.loads(page.evaluate(f"localStorage.getItem('{KEY}')") or "[]")
    return found


def let_pass(page: Page, minutes: float) -> None:
    """Makes everything that is remembered older."""
    page.evaluate(OLDER, [KEY, minutes * 60_000])


def test_whoever_said_down_is_asked_on_return_and_one_tap_counts(scene: None, browser_page: Page) -> None:
    page = browser_page
    say_down(page)
    (kept,) = remembered(page)
    assert (kept["service"], kept["region"], kept["place"]) == ("whatsapp", "GB-ENG", "England")
    assert kept["receipt"].count(".") == 1
    # Not at once, and not about another service.
    page.reload()
    question = page.locator("section.back")
    expect(question).to_be_hidden()
    let_pass(page, 3)
    page.goto("/services/facebook/")
    expect(question).to_be_hidden()
    for address in ("/services/whatsapp/", "/", "/incidents/OUT-2026-0007/", "/services/whatsapp/GB-ENG/"):
        page.goto(address)
        expect(page.locator("section.back [data-question=said]")).to_have_text(SAID)
        assert page.evaluate(SHIFTS) < 0.001, address
    height = question.bounding_box()["height"]
    with page.expect_response("**/api/v1/reports/") as answer:
        page.get_by_role("button", name="Yes, it works again").click()
    assert (answer.value.status, answer.value.json()["kind"]) == (202, "working")
    expect(page.locator("[data-back-said]")).to_have_text("Counted: WhatsApp works again for you. Thank you.")
    assert question.bounding_box()["height"] == height
    assert answer.value.json()["region"] == "GB-ENG"
    assert stored("working") == stored("down") == [(True, "")]
    # Answered: nobody asks again.
    assert remembered(page) == []
    page.reload()
    expect(question).to_be_hidden()


def test_who_says_no_is_asked_again_later_and_counts_as_the_rule_allows(scene: None, browser_page: Page) -> None:
    page = browser_page
    # The server keeps the catalogue for five seconds, and that of the test before has other numbers: a person's two
    # reports must not be told apart by that.
    for wait in (6000, 500):
        page.request.post("/api/v1/reports/", data={"service": "facebook", "region": "FR", "kind": "working"})
        page.wait_for_timeout(wait)
    say_down(page)
    assert stored("down") == [(True, "")]
    let_pass(page, 3)
    page.reload()
    page.get_by_role("button", name="No, still down").click()
    page.get_by_text("WhatsApp is still down for you. We ask again later.").wait_for()
    # Within the hour it is kept, and not counted.
    assert stored("down") == [(True, ""), (False, "repeated")]
    page.reload()
    question = page.locator("section.back")
    expect(question).to_be_hidden()
    let_pass(page, 14)
    page.reload()
    expect(question).to_be_hidden()
    let_pass(page, 1)
    page.reload()
    expect(question).to_be_visible()
    # A day later it is another outage's matter.
    let_pass(page, 24 * 60)
    page.reload()
    expect(question).to_be_hidden()


def test_who_does_not_want_to_be_asked_is_not(scene: None, browser_page: Page) -> None:
    page = browser_page
    say_down(page)
    let_pass(page, 3)
    page.goto("/")
    page.get_by_role("button", name="Do not ask again").click()
    page.get_by_text("You will not be asked about this again.").wait_for()
    assert remembered(page) == []
    page.reload()
    expect(page.locator("section.back")).to_be_hidden()


def test_the_question_says_what_we_see_and_nothing_moves(scene: None, browser_page: Page) -> None:
    from reports.models import Incident, Region, RegionalOutage

    page = browser_page
    incident, england = Incident.objects.get(ref="OUT-2026-0007"), Region.objects.get(code="GB-ENG")
    RegionalOutage.objects.create(
        incident=incident,
        region=england,
        region_code="GB-ENG",
        region_name="England",
        onset_at=incident.onset_at,
        detected_at=incident.detected_at,
        recovering_at=incident.detected_at,
    )
    say_down(page)
    let_pass(page, 3)
    page.goto("/services/whatsapp/GB-ENG/")
    falling = page.get_by_text("Reports from England are falling. Is WhatsApp back for you?")
    expect(falling).to_be_visible()
    expect(page.locator("section.back")).to_have_attribute("data-state", "recovering")
    assert page.evaluate(SHIFTS) < 0.001


def test_an_answer_that_could_not_be_sent_is_sent_again_as_the_same(
    scene: None, browser: Browser, live_site: str
) -> None:
    with browser.new_context(base_url=live_site, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        say_down(page)
        let_pass(page, 3)
        page.reload()
        bodies: list[Any] = []
        page.on(
            "request", lambda asked: bodies.append(asked.post_data_json) if "/api/v1/reports/" in asked.url else None
        )
        page.route("**/api/v1/reports/", lambda route: route.fulfill(status=503, body="{}"), times=1)
        page.get_by_role("button", name="Yes, it works again").click()
        page.get_by_text("Your answer could not be sent just now.").wait_for()
        page.get_by_role("button", name="Yes, it works again").click()
        page.get_by_text("Counted: WhatsApp works again for you.").wait_for()
        assert bodies[0] == bodies[1]


def test_without_javascript_the_receipt_has_a_link_that_asks(scene: None, browser: Browser, live_site: str) -> None:
    with browser.new_context(base_url=live_site, java_script_enabled=False, locale="en-GB") as context:
        page = context.new_page()
        page.goto("/services/whatsapp/GB-ENG/")
        page.get_by_role("button", name="It is down for me").click()
        page.get_by_role("link", name="Tell us when it works again").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Is WhatsApp back for you?"
        assert "down in England" in page.inner_text("main")
        asked = page.url
        for _ in range(2):
            page.goto(asked)
            page.get_by_role("button", name="Yes, it works again").click()
            assert page.get_by_role("heading", level=1).inner_text() == "Counted: WhatsApp works for you."
        assert stored("working") == [(True, "")]


def test_notifications_are_asked_for_on_a_click_only_and_a_refusal_is_no_end(
    scene: None, browser: Browser, live_site: str
) -> None:
    with browser.new_context(base_url=live_site) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        page.add_init_script(
            """globalThis.asked = 0;
            Notification.requestPermission = () => { globalThis.asked += 1; return Promise.resolve("denied"); };"""
        )
        say_down(page)
        assert page.evaluate("asked") == 0
        page.get_by_role("button", name="Tell me when it is back here").last.click()
        page.get_by_text("Your browser allows no notification from here.").wait_for()
        assert page.evaluate("asked") == 1
        assert [one["service"] for one in remembered(page)] == ["whatsapp"]
        assert not complaints


BACK_AGAIN = {
    "title": "WhatsApp seems to be back in England.",
    "body": "Is it back for you?",
    "since": "2026-11-22T19:40:00+00:00",
    "sinceText": "Since {time}.",
    "yes": "Yes, it works again",
    "no": "No, still down",
    "tag": "back-whatsapp-GB-ENG",
    "url": "/services/whatsapp/GB-ENG/",
    "service": "whatsapp",
    "region": "GB-ENG",
    "ids": {"working": "8a0c1f0e-4a6e-4d0e-9a51-3c1b6d0f7a11", "down": "8a0c1f0e-4a6e-4d0e-9a51-3c1b6d0f7a12"},
    "language": "en",
}
"""A message as the site sends it."""


def delivered(context: BrowserContext, page: Page, message: Any, site: str, *, times: int = 1) -> list[Any]:
    """Hands ``message`` to the worker by the browser's own tools, as no push service is at hand; what is shown then."""
    tools = context.new_cdp_session(page)
    registrations: list[Any] = []
    tools.on("ServiceWorker.workerRegistrationUpdated", lambda event: registrations.extend(event["registrations"]))
    tools.send("ServiceWorker.enable")
    page.wait_for_timeout(300)
    sent = {"origin": site, "registrationId": registrations[0]["registrationId"], "data": json.dumps(message)}
    found: list[Any] = []
    # Chromium drops a notification that is asked for between its being written down and its being shown. What is
    # delivered again takes the place of the first.
    for _ in range(6):
        for _ in range(times):
            tools.send("ServiceWorker.deliverPushMessage", sent)
        found = page.evaluate(
            """async () => {
              const registration = await navigator.serviceWorker.ready;
              for (let i = 0; i < 12; i++) {
                await new Promise((done) => setTimeout(done, 500));
                const found = await registration.getNotifications();
                if (found.length) return found.map((one) => ({ title: one.title, body: one.body, tag: one.tag,
                  actions: (one.actions ?? []).map((each) => [each.action, each.title]) }));
              }
              return [];
            }"""
        )
        if found:
            break
    assert found, "nothing was shown"
    return found


def test_the_service_worker_is_at_the_root_and_shows_what_is_pushed(
    scene: None, browser: Browser, live_site: str
) -> None:
    with browser.new_context(base_url=live_site, permissions=["notifications"]) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        page.goto("/services/whatsapp/GB-ENG/")
        scope = page.evaluate(
            """async () => {
              await navigator.serviceWorker.register("/sw.js", { scope: "/" });
              return (await navigator.serviceWorker.ready).scope;
            }"""
        )
        assert scope == f"{live_site}/"
        shown = delivered(context, page, BACK_AGAIN, live_site, times=2)
        assert len(shown) == 1
        assert shown[0]["title"] == BACK_AGAIN["title"]
        assert shown[0]["body"].endswith("Is it back for you?")
        # It keeps nothing, and stands between nobody and the site.
        assert page.evaluate("caches.keys()") == []
        assert not complaints
