"""The desk in a real browser: signed in, an incident judged, wide and narrow, without a complaint of the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from reports.models import Incident

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def incident(transactional_db: None) -> Incident:
    """WhatsApp has been down in England and São Paulo for an hour."""
    from django.contrib.auth.models import User

    from reports.incidents import watch
    from reports.models import Incident
    from tests.incidents.world import build_world, settle

    watch.forget()
    world = settle(build_world())
    world.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    world.outage("whatsapp", "BR-SP", start=12, end=80, rate=8, votes=2)
    watch.watch(now=world.at(75.2))
    watch.forget()
    User.objects.create_superuser("owner", password="a-long-password")
    return Incident.objects.get()


def test_an_incident_is_judged_at_the_desk(browser_page: Page, incident: Incident) -> None:
    page = browser_page
    page.goto("/admin/reports/incident/")
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill("a-long-password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=incident.ref).click()
    chart = page.locator("img.chart.in-light")
    assert chart.evaluate("image => (image.loading = 'eager', image.decode()).then(() => image.naturalWidth > 0)")

    page.get_by_text("Add what the provider said").click()
    page.get_by_label("What was said").fill("We know that messages do not arrive.")
    page.get_by_label("Where (address)").fill("https://status.example.com/1")
    page.get_by_role("button", name="Add the statement").click()
    page.get_by_text("The provider acknowledged it: “We know that messages do not arrive.”").wait_for()

    # On a telephone nothing is wider than the screen; tables scroll within themselves.
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Confirm the outage").click()
    page.get_by_text("Confirmed by an administrator.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto("/admin/reports/incident/")
    assert page.get_by_role("link", name=incident.ref).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_incident_is_split_merged_again_and_each_taken_back(browser_page: Page, incident: Incident) -> None:
    from reports.models import Incident

    page = browser_page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/admin/reports/incident/{incident.pk}/change/")
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill("a-long-password")
    page.get_by_role("button", name="Log in").click()

    # By the keyboard alone.
    page.get_by_text("Split regions off").focus()
    page.keyboard.press("Enter")
    page.get_by_label("São Paulo (BR-SP)").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Split off").focus()
    page.keyboard.press("Enter")
    page.get_by_text(f"Regions of {incident.ref} are an incident of their own.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    part = Incident.objects.get(split_from=incident)

    page.goto(f"/admin/reports/incident/{part.pk}/change/")
    page.get_by_text("Merge it into another incident").click()
    page.get_by_label("Is part of").select_option(incident.ref)
    page.get_by_role("button", name="Merge", exact=True).click()
    page.get_by_text(f"{part.ref} is merged.").wait_for()
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_text(f"Taken back: {part.ref} stands as if that had not been done.").wait_for()

    page.goto(f"/admin/reports/incident/{incident.pk}/change/")
    page.get_by_role("button", name="Undo: Split").click()
    page.get_by_text("An administrator took the split back").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert {row.region_code for row in incident.regions.all()} >= {"GB-ENG", "BR-SP"}
    page.goto(f"/incidents/{part.ref}/")
    page.get_by_text("is part of another one").wait_for()


def test_a_what_if_is_asked_followed_and_read(browser_page: Page, incident: Incident) -> None:
    from reports.incidents import what_if
    from reports.models import WhatIf

    page = browser_page
    page.goto("/admin/reports/whatif/add/")
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill("a-long-password")
    page.get_by_role("button", name="Log in").click()
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("Reports in a region").fill("90")
    page.get_by_label("Reports in a country").fill("190")
    page.get_by_label("Days").fill("1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Waiting for a worker.").wait_for()
    # The worker's part; the page asks again by itself.
    what_if.work(WhatIf.objects.get().pk, now=lambda: incident.detected_at, seconds=lambda: 0.0)
    page.get_by_role("heading", name="Opened either way").wait_for(timeout=15_000)
    page.get_by_role("link", name=incident.ref).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
