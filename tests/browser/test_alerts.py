"""Being told of outages, from the form to the end of it: a real browser, a real SMTP server, a push service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.fixtures import Settings

from tests.audience.conftest import push_service
from tests.audience.service import Browser as Keys
from tests.audience.service import PushService
from tests.audience.test_mail import Mailbox, html, plain, serving
from tests.browser.test_accessibility import violations
from tests.browser.test_back import BACK_AGAIN, delivered, stored
from tests.browser_fixtures import _answers, free_port, show_new_day, watch_page

__all__ = ["push_service"]

TO = "ada@example.org"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A server that takes mail from everybody."""
    box = Mailbox()
    with serving(box, open_to_all=True) as box.port:
        yield box


@pytest.fixture
def site(
    transactional_db: None,
    collected_static: Path,
    data_dir: Path,
    mailbox: Mailbox,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The site behind a server that sends mail, with the outage; messages are sent by this process."""
    from reports import clock
    from reports.status import snapshots
    from tests.conftest import start_process, stop_process, wait_until
    from tests.frontend import scene

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{mailbox.port}")
    monkeypatch.setenv("EMAIL_FROM", "alerts@example.net")
    monkeypatch.setenv("SITE_URL", address)
    monkeypatch.setenv("ALLOW_PRIVATE_TARGETS", "1")
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_FROM = "127.0.0.1", mailbox.port, "alerts@example.net"
    settings.SITE_URL = address
    scene.lay(clock.now())
    log = data_dir / f"web-{port}.log"
    command = ["granian", "--interface", "asgi", "--port", str(port), "outagemap.asgi:application"]
    process = start_process(command, log)
    try:
        wait_until(lambda: _answers(f"{address}/healthz", process, log), "the site answers", seconds=90)
        show_new_day(address)
        yield address
    finally:
        stop_process(process)
        snapshots.forget()


def tell() -> None:
    """What the worker does every ten seconds."""
    from reports.status import snapshots
    from reports.tasks import tell

    snapshots.forget()
    tell()


def looked_at(page: Page) -> None:
    """The page breaks no rule and is no wider than its window."""
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_from_the_form_to_the_end_by_mail(
    site: str, browser: Browser, mailbox: Mailbox, width: int, scheme: Any
) -> None:
    with browser.new_context(
        base_url=site,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        timezone_id="Europe/Berlin",
        locale="en-GB",
    ) as context:
        page = context.new_page()
        complaints = watch_page(page, site)
        page.goto("/services/whatsapp/")
        page.get_by_role("link", name="Tell me about outages").click()
        looked_at(page)
        # Another one of the same provider is at hand, and any other is found by its name.
        page.locator("label", has_text="Instagram").click()
        page.get_by_label("Find another one").fill("no such service")
        expect(page.get_by_text("Nothing of that name.")).to_be_visible()
        page.get_by_label("Find another one").fill("telegr")
        page.locator("label:visible", has_text="Telegram").click()
        page.get_by_label("Find another one").fill("")
        page.get_by_label("Where").select_option("BR")
        page.get_by_label("E-mail address, or address of the webhook").fill("not an address")
        page.get_by_role("button", name="Ask for it").click()
        expect(page.get_by_role("alert")).to_have_text("That is no e-mail address that we can write to.")
        looked_at(page)
        # What was chosen is still chosen.
        assert page.locator("input[name=service]:checked").count() == 3
        page.get_by_label("E-mail address, or address of the webhook").fill(TO)
        page.get_by_role("button", name="Ask for it").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox.")
        looked_at(page)

        tell()
        (question,) = mailbox.received
        assert "outages of Instagram, Telegram and WhatsApp in Brazil?" in question["Subject"]
        link = re.search(rf"{site}(/alerts/\S+)", plain(question))
        assert link is not None
        page.goto(link[1])
        expect(page.get_by_role("heading", level=1)).to_have_text("Shall we tell you?")
        looked_at(page)
        tell()
        assert len(mailbox.received) == 1, "looking at the link is no yes"
        page.get_by_role("button", name="Yes, tell me").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("You will be told.")
        looked_at(page)

        tell()
        told = [message for message in mailbox.received[1:] if str(message["Subject"]).startswith("WhatsApp")]
        (about,) = told
        assert "UTC)" in plain(about), "times are the reader's, with UTC beside"
        assert "still work: " in plain(about)
        vote = re.search(rf'href="({site}/services/whatsapp/ask/[^"]*)"', html(about))
        assert vote is not None
        for before in ([], [(True, "")]):
            page.goto(vote[1].replace("&amp;", "&"))
            looked_at(page)
            assert stored("working") == before, "a link says nothing, a button does"
            page.get_by_role("button", name=re.compile("works")).click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Counted: WhatsApp works for you.")
        # Once a person, as for every report.
        assert stored("working") == [(True, ""), (False, "repeated")]

        page.goto(path_of_site(about, site))
        looked_at(page)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Messages are paused.")
        looked_at(page)
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("Messages go on.")).to_be_visible()
        page.locator(".alerts-lines li", has_text="Telegram").get_by_role("button", name="End").click()
        expect(page.locator(".alerts-lines li")).to_have_count(2)
        page.get_by_role("link", name="Be told of more").click()
        looked_at(page)
        page.get_by_label("Find one").fill("signal")
        page.locator("label:visible", has_text="Signal").first.click()
        page.get_by_role("button", name="Tell me of these too").click()
        expect(page.locator(".alerts-lines li")).to_have_count(3)
        # As a mail program ends it, without a page.
        answer = page.request.post(
            path_of_site(about, site),
            form={"List-Unsubscribe": "One-Click"},
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status == 200
        page.goto(path_of_site(about, site))
        expect(page.get_by_role("heading", level=1)).to_have_text("This link has ended.")
        looked_at(page)
        # The page of a link that has ended is a 404, of which the browser complains.
        assert [each for each in complaints if "404" not in each and "400" not in each] == []


def path_of_site(message: Any, site: str) -> str:
    """Where the message's one-click link leads."""
    found = re.fullmatch(rf"<{site}(/.*)>", message["List-Unsubscribe"])
    assert found is not None
    return found[1]


def test_without_javascript_it_is_asked_for_confirmed_and_ended_too(
    site: str, browser: Browser, mailbox: Mailbox
) -> None:
    with browser.new_context(
        base_url=site, java_script_enabled=False, locale="de-DE", viewport={"width": 390, "height": 844}
    ) as context:
        page = context.new_page()
        page.goto("/de/alerts/?service=whatsapp&country=GB")
        page.locator("select[name=region]").select_option("GB-ENG")
        page.locator("input[name=target]").fill(TO)
        page.locator("form.alerts-form button:not([formmethod])").click()
        tell()
        page.goto(path_of_site(mailbox.received[0], site))
        assert page.evaluate("document.documentElement.lang") == "de"
        page.locator("button[value=confirm]").click()
        page.locator("button[value=stop]").click()
        from reports.models import Subscription

        assert not Subscription.objects.exists()


# --- In this browser --------------------------------------------------------------------------------------------------

# There is no push service that a test may ask: the browser is given the subscription that one would have made. All else
# is the browser's own.
SUBSCRIBED = """(subscription) => {
  PushManager.prototype.subscribe = async function () { return { toJSON: () => subscription }; };
}"""
# A click on a notification, as far as a page can bring one about: the event is ours, what comes of it is the worker's.
CLICKED = """async (action) => {
  const [notification] = await self.registration.getNotifications();
  const opened = [];
  self.clients.openWindow = async (url) => { opened.push(url); return null; };
  const event = new NotificationEvent("notificationclick", { notification, action });
  const waited = [];
  Object.defineProperty(event, "waitUntil", { value: (promise) => waited.push(promise) });
  self.dispatchEvent(event);
  await Promise.all(waited);
  return { opened, left: (await self.registration.getNotifications()).length };
}"""


def test_this_browser_is_told_votes_by_a_button_and_ends_it(
    site: str, browser: Browser, push_service: PushService
) -> None:
    from reports.models import Subscription

    keys = Keys()
    with browser.new_context(base_url=site, permissions=["notifications"], locale="en-GB") as context:
        page = context.new_page()
        complaints = watch_page(page, site)
        page.add_init_script(f"({SUBSCRIBED})({json.dumps(keys.subscription(push_service.origin + '/browser'))})")
        page.goto("/alerts/?service=whatsapp")
        page.get_by_label("Where").select_option("BR")
        page.get_by_label("How").select_option("push")
        expect(page.locator("#target")).to_be_hidden()
        looked_at(page)
        page.get_by_role("button", name="Ask for it").click()
        page.wait_for_url("**/alerts/*:*/")
        expect(page.get_by_role("heading", level=1)).to_have_text("You are told of outages.")
        looked_at(page)
        manage = page.url
        kept = Subscription.objects.get()
        assert (kept.channel, kept.service.slug, kept.region.code) == ("push", "whatsapp", "BR")

        tell()
        (received,) = push_service.received
        message = keys.read(received.body)
        (shown,) = delivered(context, page, message, site)
        assert "WhatsApp" in shown["title"]
        assert "Brazil" in shown["title"]
        assert {action for action, _title in shown["actions"]} == {"down", "working"}
        worker = context.service_workers[0]
        # The notification itself opens the incident; its buttons vote, once however often they are sent.
        assert worker.evaluate(CLICKED, "") == {"opened": [f"{site}{message['url']}"], "left": 0}
        assert "/incidents/OUT-" in message["url"]
        for _ in range(2):
            delivered(context, page, message, site)
            assert worker.evaluate(CLICKED, "working") == {"opened": [], "left": 0}
        assert stored("working") == [(True, "")]
        # Where the vote does not arrive, the page that asks opens.
        delivered(context, page, message | {"service": "nobody"}, site)
        assert worker.evaluate(CLICKED, "down")["opened"] == [f"{site}{message['ask']}"]
        assert stored("down") == []

        # The form leads back to what this browser is told of.
        page.goto("/alerts/")
        page.get_by_role("link", name="What this browser is told of").click()
        assert page.url == manage
        page.get_by_role("button", name="Stop these messages").click()
        assert not Subscription.objects.exists()
        assert [each for each in complaints if "400" not in each] == []


def test_buttons_of_it_is_back_vote_and_a_stray_message_does_nothing(site: str, browser: Browser) -> None:
    with browser.new_context(base_url=site, permissions=["notifications"]) as context:
        page = context.new_page()
        page.goto("/services/whatsapp/GB-ENG/")
        page.evaluate(
            """async () => {
              await navigator.serviceWorker.register("/sw.js", { scope: "/" });
              await navigator.serviceWorker.ready;
            }"""
        )
        (shown,) = delivered(context, page, BACK_AGAIN, site)
        assert shown["actions"] == [["working", "Yes, it works again"], ["down", "No, still down"]]
        worker = context.service_workers[0]
        assert worker.evaluate(CLICKED, "down") == {"opened": [], "left": 0}
        assert stored("down") == [(True, "")]
        delivered(context, page, BACK_AGAIN, site)
        assert worker.evaluate(CLICKED, "") == {"opened": [f"{site}/services/whatsapp/GB-ENG/#back"], "left": 0}
        # A message that would lead elsewhere leads nowhere.
        delivered(context, page, BACK_AGAIN | {"url": "https://evil.example/"}, site)
        assert worker.evaluate(CLICKED, "")["opened"] == []
