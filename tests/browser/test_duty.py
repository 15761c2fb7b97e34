"""The page of duty in a real browser: judged from the card, kept fresh, read by axe-core, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGE = "/admin/reports/incident/duty/"
CHANGES = "/incident/duty/changes.json"
PASSWORD = "a-long-password"


@pytest.fixture
def scene(transactional_db: None) -> Iterator[None]:
    """WhatsApp and what fell with it are down; an administrator is on duty."""
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command

    from reports import clock
    from reports.models import Incident
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now())
    Incident.objects.update(confirmed_at=None)
    call_command("make_roles", verbosity=0)
    User.objects.create_user("night", password=PASSWORD, is_staff=True).groups.add(Group.objects.get(name="duty"))
    yield
    snapshots.forget()


def sign_in(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill("night")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    # Who is on duty lands where incidents wait.
    page.get_by_role("heading", name="On duty").wait_for()


def test_incidents_are_judged_from_their_cards(browser_page: Page, scene: None, live_site: str) -> None:
    from reports.models import Incident
    from tests.browser_fixtures import show_new_day
    from tests.frontend.scene import REF, SIBLING_REF

    show_new_day(live_site)
    page = browser_page
    sign_in(page)
    card = page.locator(f"#{REF}")
    card.scroll_into_view_if_needed()
    for image in ("img.chart.in-light", "img.map.in-light"):
        drawn = "image => (image.loading = 'eager', image.decode()).then(() => image.naturalWidth > 0)"
        assert card.locator(image).evaluate(drawn)
    # From card to card by keyboard, but not out of a line that is being typed.
    page.locator("article[data-incident]").first.focus()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == page.locator("article[data-incident]").nth(1).get_attribute(
        "id"
    )

    card.get_by_role("button", name=f"Confirm {REF}").click()
    page.get_by_text(f"{REF} is confirmed.").first.wait_for()
    page.goto(PAGE)
    assert page.locator(f"#{REF}").count() == 0

    page.set_viewport_size({"width": 390, "height": 844})
    other = page.locator(f"#{SIBLING_REF}")
    other.locator("summary", has_text="Reject").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    other.get_by_label("Why it is no outage (public)").press_sequentially("jk")
    assert page.evaluate("document.activeElement.value") == "jk"
    other.get_by_label("Why it is no outage (public)").fill("")
    other.get_by_role("button", name="The reports are about another service.").click()
    page.get_by_text(f"{SIBLING_REF} is rejected.").first.wait_for()
    second = Incident.objects.get(ref=SIBLING_REF)
    assert second.rejected_reason == "The reports are about another service."


def test_what_is_new_is_offered_and_moves_no_card(browser_page: Page, scene: None) -> None:
    from reports.models import Incident, Service

    page = browser_page
    # So that nobody waits twelve seconds: the page's own clock runs as the test says.
    page.clock.install()
    sign_in(page)
    shown = page.locator("article[data-incident]").count()
    assert shown
    known = Incident.objects.filter(resolved_at=None).first()
    assert known is not None
    known.timeline.create(kind="region_unknown", at=known.detected_at, recorded_at=known.detected_at)
    service = Service.objects.get(slug="facebook")
    Incident.objects.create(
        ref="OUT-2026-0999",
        key="new",
        service=service,
        onset_at=known.onset_at,
        detected_at=known.detected_at,
        confidence=0.3,
    )
    page.clock.run_for(13_000)
    news = page.get_by_role("status")
    news.get_by_text("1 new incident, 1 changed").wait_for()
    assert page.locator("article[data-incident]").count() == shown
    # Asked again, with the tag of what is known already: nothing is said twice.
    with page.expect_response(lambda answer: answer.url.endswith("changes.json")) as again:
        page.clock.run_for(13_000)
    assert again.value.status == 304
    news.get_by_role("link", name="show them").click()
    page.locator("#OUT-2026-0999").wait_for()
    assert news.text_content() == ""


def test_a_hidden_page_asks_nothing_and_one_that_is_signed_out_says_so(browser_page: Page, scene: None) -> None:
    from django.contrib.sessions.models import Session

    page = browser_page
    page.clock.install()
    sign_in(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith(CHANGES) else None)
    show = "hidden => (Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true}),"
    show += " document.dispatchEvent(new Event('visibilitychange')))"
    page.evaluate(show, True)
    page.clock.run_for(120_000)
    assert asked == []
    Session.objects.all().delete()
    page.evaluate(show, False)
    page.get_by_role("link", name="sign in again").wait_for()
    assert [url for url in asked if "login" not in url] == asked[:1]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_breaks_no_rule_of_axe(scene: None, browser: Browser, live_site: str, width: int) -> None:
    from tests.browser.test_accessibility import darken, violations
    from tests.browser_fixtures import watch_page

    with browser.new_context(
        base_url=live_site, viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        sign_in(page)
        assert page.locator("article[data-incident]").count()
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        complaints += violations(page)
        # Its charts and maps are other images in the dark.
        darken(page)
        complaints += violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not complaints, "\n".join(complaints)


def test_the_desks_door_violates_no_policy(browser_page: Page, scene: None) -> None:
    """Signing in, setting a second factor up, its codes, signing out: whatever the browser complains of fails this."""
    from django_otp.oath import TOTP
    from django_otp.plugins.otp_totp.models import TOTPDevice

    page = browser_page
    page.goto("/admin/login/")
    page.get_by_label("Username").fill("night")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Please enter the correct username").wait_for()
    sign_in(page)
    for cookie in page.context.cookies():
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/admin/"), cookie["name"]
    page.goto("/admin/two-factor/")
    assert page.locator("main svg").first.evaluate("drawing => drawing.getBoundingClientRect().width > 100")
    device = TOTPDevice.objects.get()
    token = TOTP(device.bin_key, device.step, device.t0, device.digits).token()
    page.get_by_label("Code").fill(f"{token:06d}")
    page.get_by_role("button", name="Set it up").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    page.goto("/admin/password_change/")
    page.goto("/admin/reports/whatif/add/")
    page.goto("/admin/")
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("Thanks for spending").wait_for()
