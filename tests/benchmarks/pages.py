"""What a visitor's browser has to fetch and how soon it shows something: headless Chromium, cold cache, real server."""

from __future__ import annotations

import statistics
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.core.management import call_command

from tests.benchmarks.server import running_server
from tests.browser_fixtures import chromium_path, launch_options
from tests.frontend import scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROUNDS = 5
MAP_READY = "[data-ready]"


def run() -> dict[str, Any]:
    """Bytes over the wire and milliseconds to paint of the home, a service's and an incident's page."""
    from playwright.sync_api import sync_playwright

    call_command("load_catalogue", verbosity=0)
    ref = scene.lay(datetime.now(UTC).replace(second=0, microsecond=0))
    path = chromium_path()
    if path is None:
        return {"skipped": "no Chromium on this machine"}
    figures: dict[str, Any] = {}
    with (
        running_server() as (port, _),
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as downloads,
        playwright.chromium.launch(executable_path=path, args=launch_options(), downloads_path=downloads) as browser,
    ):
        for name, page in [("home", "/"), ("service", "/services/whatsapp/"), ("incident", f"/incidents/{ref}/")]:
            figures |= _visited(browser, name, f"http://127.0.0.1:{port}{page}")
    return figures


def _visited(browser: Browser, name: str, url: str) -> dict[str, Any]:
    visits = [_visit(browser, url) for _ in range(ROUNDS)]
    middle = {key: statistics.median(visit[key] for visit in visits) for key in visits[0]}
    return {
        f"{name}: KB over the wire before its map can be used": round(middle["bytes"] / 1000, 1),
        f"{name}: KB of these without the map's files": round(middle["page_bytes"] / 1000, 1),
        f"{name}: ms to first paint": round(middle["first_paint"]),
        f"{name}: ms to largest paint": round(middle["largest_paint"]),
        f"{name}: ms until its map can be used": round(middle["map_ready"]),
        f"{name}: layout shift": round(middle["shift"], 4),
    }


def _visit(browser: Browser, url: str) -> dict[str, float]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        addresses: dict[str, str] = {}
        sizes: dict[str, float] = {}
        devtools.on("Network.requestWillBeSent", lambda e: addresses.update({e["requestId"]: e["request"]["url"]}))
        devtools.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
        page.goto(url)
        page.wait_for_selector(MAP_READY, state="attached")
        ready = page.evaluate("performance.now()")
        page.wait_for_timeout(300)
        paints = page.evaluate(
            """() => new Promise((resolve) => {
              const out = { largest: 0, shift: 0 };
              new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) out.largest = entry.startTime;
              }).observe({ type: "largest-contentful-paint", buffered: true });
              new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) if (!entry.hadRecentInput) out.shift += entry.value;
              }).observe({ type: "layout-shift", buffered: true });
              const first = performance.getEntriesByName("first-contentful-paint")[0].startTime;
              setTimeout(() => resolve({ ...out, first }), 200);
            })"""
        )
        of_map = {request for request, address in addresses.items() if "/regions/" in address or "leaflet" in address}
        return {
            "bytes": sum(sizes.values()),
            "page_bytes": sum(size for request, size in sizes.items() if request not in of_map),
            "first_paint": paints["first"],
            "largest_paint": paints["largest"],
            "map_ready": ready,
            "shift": paints["shift"],
        }
