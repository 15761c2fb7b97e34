"""Every page under axe-core, the rules of WCAG 2.2 A and AA and its best practices, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page

REF = "OUT-2026-0007"
EVERY_REGION = f"/incidents/{REF}/?all=1"
PAGES = (
    "/",
    "/services/",
    "/services/whatsapp/",
    "/services/whatsapp/GB/",
    "/services/facebook/",
    "/providers/meta/",
    "/incidents/",
    "/incidents/?state=resolved",
    f"/incidents/{REF}/",
    f"/incidents/{REF}/article/",
    EVERY_REGION,
    "/search/?q=x",
    "/search/?q=nothing-of-that-name",
    "/methodology/",
    "/privacy/",
    "/status/",
    "/no-such-page/",
    "/developers/",
    "/embed/whatsapp/",
    "/embed/whatsapp/?region=GB-ENG&theme=dark",
    "/ar/services/whatsapp/",
    "/alerts/",
    "/alerts/?service=whatsapp&service=zoom&country=GB&channel=webhook",
    "/ar/alerts/?service=whatsapp",
    "/alerts/no-such-link/",
    "/services/whatsapp/ask/?region=001&kind=working&back=1",
)
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES_OF_COLOUR = ["color-contrast", "link-in-text-block"]


@pytest.fixture
def scene(transactional_db: None) -> Iterator[None]:
    """The outage, committed, so that the server sees it."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now())
    yield
    snapshots.forget()


def _of_a_receipt() -> tuple[str, ...]:
    """Where somebody lands who reported without a script, and where they are asked again."""
    from reports import clock
    from reports.intake.submission import submit

    said = {"service": "whatsapp", "region": "GB-ENG", "kind": "down"}
    token = submit(said, address="192.0.2.7", received_at=clock.now()).receipt
    return f"/services/whatsapp/reported/?receipt={token}", f"/services/whatsapp/back/?receipt={token}"


def violations(page: Page, rules: Sequence[str] = RULES, *, within: Sequence[str] = ("html",)) -> list[str]:
    """What axe-core finds in these parts of the page by rules of these tags or names: the rule, what it asks for, and
    the first elements that break it."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate(
        # Naming each element that breaks nothing would take most of the time.
        """([within, rules]) => axe.run(
          {include: within.map((one) => [one])}, {runOnly: rules, resultTypes: ["violations"]}
        )""",
        [within, rules],
    )
    return [
        f"{broken['id']}: {broken['help']}: {[node['html'][:160] for node in broken['nodes'][:3]]}"
        for broken in found["violations"]
    ]


def darken(page: Page) -> None:
    """Has the page in the dark scheme: the same elements in other colours, once they have turned to them."""
    page.emulate_media(color_scheme="dark")
    page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_breaks_a_rule_of_axe_light_or_dark(scene: None, browser: Browser, live_site: str, width: int) -> None:
    complaints: list[str] = []
    with browser.new_context(
        base_url=live_site, viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        for address in (*PAGES, *_of_a_receipt()):
            page.emulate_media(color_scheme="light")
            page.goto(address)
            # What is folded away is read too.
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            complaints += [f"{address} {each}" for each in violations(page)]
            if address == EVERY_REGION:
                # Its rows are those of the page before, four hundred times.
                continue
            darken(page)
            complaints += [f"{address} dark: {each}" for each in violations(page, RULES_OF_COLOUR)]
    assert not complaints, "\n".join(complaints)


def test_axe_sees_a_page_that_breaks_its_rules(browser_page: Page) -> None:
    browser_page.goto("/privacy/")
    browser_page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button>')")
    assert any(each.startswith("button-name") for each in violations(browser_page))


def test_axe_sees_what_cannot_be_read_in_the_dark(browser_page: Page) -> None:
    browser_page.goto("/privacy/")
    browser_page.evaluate(
        """() => {
          const said = document.createElement("p");
          said.textContent = "Too dark to read";
          said.style.color = "#333333";
          document.querySelector("main").append(said);
        }"""
    )
    assert not violations(browser_page, RULES_OF_COLOUR)
    darken(browser_page)
    assert [each.split(":")[0] for each in violations(browser_page, RULES_OF_COLOUR)] == ["color-contrast"]
