"""The desk's pages about networks, regions and retention in a real browser: by axe-core, on a telephone, with maps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_accessibility import RULES_OF_COLOUR, darken, violations
from tests.browser_fixtures import watch_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from reports.models import Service

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def service(transactional_db: None) -> Service:
    """A brigade of five networks on WhatsApp within the last hour, set aside; the whole tree of regions; an owner."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from reports import clock
    from reports.intake.drain import drain
    from reports.intake.submission import Post, submit_many
    from reports.models import Service

    call_command("load_catalogue", verbosity=0)
    User.objects.create_superuser("owner", password="a-long-password")
    began = clock.now() - timedelta(minutes=30)
    said = {"service": "whatsapp", "region": "GB-SCT"}
    submit_many(
        Post(said, f"203.0.{n % 5}.{n // 5 + 1}", began + timedelta(seconds=3 * n + n * n % 3)) for n in range(200)
    )
    while drain(now=clock.now()).blocks:
        pass
    return Service.objects.get(slug="whatsapp")


def pages(service: Service) -> dict[str, str]:
    from reports import clock
    from reports.admin import networks
    from reports.models import Quarantine, Region

    now = clock.now()
    britain = Region.objects.get(code="GB")
    return {
        "networks": networks.address(service="whatsapp", region="GB", start=now - timedelta(hours=1), end=now),
        "form": "/admin/reports/ban/networks/",
        "quarantine": f"/admin/reports/quarantine/{Quarantine.objects.get().pk}/change/",
        "retention": "/admin/reports/report/",
        "region": f"/admin/reports/region/{britain.pk}/change/",
        "service": f"/admin/reports/service/{service.pk}/change/",
    }


def signed_in(context: BrowserContext, site: str) -> None:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username="owner"))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site}])


@pytest.fixture
def desk_page(browser: Browser, live_site: str, service: Service) -> Iterator[Page]:
    with browser.new_context(base_url=live_site, viewport={"width": 1280, "height": 900}) as context:
        signed_in(context, live_site)
        page = context.new_page()
        complaints = watch_page(page, live_site)
        yield page
    assert not complaints, "\n".join(complaints)


# What is ours of each page; the rest is Django's.
OURS = {"region": "[data-region-map], .incident-desk", "service": "[data-country-map]"}


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_of_the_desk_breaks_a_rule_of_axe_or_is_wider_than_a_telephone(
    browser: Browser, live_site: str, service: Service, width: int
) -> None:
    complaints: list[str] = []
    with browser.new_context(
        base_url=live_site, viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce"
    ) as context:
        signed_in(context, live_site)
        page = context.new_page()
        complaints += watch_page(page, live_site)
        for name, address in pages(service).items():
            page.emulate_media(color_scheme="light")
            page.goto(address)
            if name in OURS:
                # It begins when it comes into view.
                page.locator("[data-region-map], [data-country-map]").scroll_into_view_if_needed()
                page.locator("[data-ready]").wait_for()
            where = OURS.get(name, "#content-main").split(", ")
            complaints += [f"{name}: {each}" for each in violations(page, within=where)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                complaints.append(f"{name}: wider than {width}")
            darken(page)
            complaints += [f"{name} dark: {each}" for each in violations(page, RULES_OF_COLOUR, within=where)]
    assert not complaints, "\n".join(complaints)


def test_a_network_is_banned_by_hand(desk_page: Page, service: Service) -> None:
    from reports.models import Ban

    page = desk_page
    page.goto(pages(service)["quarantine"])
    page.get_by_text("No crowd is spread like this").wait_for()
    page.get_by_role("checkbox").first.check()
    page.get_by_label("Why").fill("the same script from five networks")
    page.get_by_role("button", name="Ban", exact=True).click()
    page.get_by_text("1 ban is in force.").wait_for()
    assert page.get_by_text("banned until").count() == 1
    assert Ban.objects.get().why == "the same script from five networks"


def test_a_region_is_found_by_a_click_on_the_map(desk_page: Page, service: Service) -> None:
    page = desk_page
    page.goto(pages(service)["region"])
    page.locator("[data-region-map][data-ready]").wait_for()
    page.get_by_role("heading", name="Reported here in the last 24 hours").wait_for()
    assert page.get_by_role("row", name="WhatsApp").is_visible()
    box = page.locator("[data-region-map] .leaflet-container").bounding_box()
    assert box is not None
    # The drawing of Great Britain is framed: its middle is land, and somewhere below it is another region.
    page.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.75)
    page.wait_for_url("**/admin/reports/region/*/change/")
    page.get_by_role("heading", name="Beside it").wait_for()


def test_a_country_of_a_service_is_chosen_on_the_map(desk_page: Page, service: Service) -> None:
    page = desk_page
    page.goto(pages(service)["service"])
    page.locator("[data-country-map][data-ready]").wait_for()
    field = page.locator("#id_countries")
    assert field.input_value() == ""
    box = page.locator("[data-country-map] .leaflet-container").bounding_box()
    assert box is not None
    page.locator("[data-country-map]").scroll_into_view_if_needed()
    box = page.locator("[data-country-map] .leaflet-container").bounding_box()
    assert box is not None
    # Somewhere in the middle of Africa, and then the same once more.
    place = box["x"] + box["width"] * 0.53, box["y"] + box["height"] * 0.62
    page.mouse.click(*place)
    chosen = field.input_value()
    assert len(chosen) == 2
    page.mouse.move(place[0], place[1] - 60)
    page.mouse.click(*place)
    assert field.input_value() == ""
    page.mouse.click(*place)
    # Saving is tests/test_admin_catalogue.py's: the server behind this page knows content types of a day before.
    assert field.input_value() == chosen


def test_retention_is_told(desk_page: Page, service: Service) -> None:
    page = desk_page
    page.goto("/admin/reports/report/")
    page.get_by_role("button", name="Run it now").wait_for()
    page.get_by_role("heading", name="Secrets of pseudonyms in force (1)").or_(
        page.get_by_role("heading", name="Secrets of pseudonyms in force (2)")
    ).wait_for()
