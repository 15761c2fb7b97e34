"""What a visit costs: bytes over the wire, paint, shifts, and what an open page asks for afterwards.

The site serves what a start would: hashed, compressed files. A browser on a telephone counts the bytes.
"""

from __future__ import annotations

import gzip
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import brotli
import pytest
from playwright.sync_api import Browser, Page

from tests.browser_fixtures import free_port, watch_page
from tests.conftest import environment_for_children, stop_process, wait_until
from tests.frontend import scene

pytestmark = pytest.mark.alone

KB = 1000
SHIFT = 0.02
PAINT_MS = 1000
PAGES = (
    "/",
    "/services/",
    "/services/whatsapp/",
    "/services/whatsapp/GB/",
    "/providers/meta/",
    "/incidents/",
    f"/incidents/{scene.REF}/",
    "/methodology/",
)
PAINTS = """() => new Promise((resolve) => {
  const out = { largest: 0, shift: 0 };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) out.largest = entry.startTime;
  }).observe({ type: "largest-contentful-paint", buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) out.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(out), 300);
})"""


@pytest.fixture(scope="module")
def compressed_static(collected_static: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collected files with what a start compresses beside them."""
    folder = tmp_path_factory.mktemp("compressed") / "static"
    shutil.copytree(collected_static, folder)
    for path in [*folder.glob("frontend/**/*"), *folder.glob("leaflet/*")]:
        if path.is_file() and path.suffix in {".js", ".css", ".json", ".svg"}:
            content = path.read_bytes()
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, 9))
            path.with_name(f"{path.name}.br").write_bytes(brotli.compress(content, quality=9))
    return folder


@pytest.fixture
def site(transactional_db: None, compressed_static: Path, data_dir: Path) -> Iterator[str]:
    """The scene on a server of its own."""
    import sys
    import urllib.request

    from reports import clock

    scene.lay(clock.now())
    port = free_port()
    program = str(Path(sys.executable).with_name("granian"))
    with (data_dir / "weights.log").open("ab") as log:
        process = subprocess.Popen(
            [program, "--interface", "asgi", "--port", str(port), "outagemap.asgi:application"],
            env=environment_for_children() | {"STATIC_ROOT": str(compressed_static)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/services/whatsapp/", timeout=20) as found:
                return bool(found.status == 200)
        except OSError:
            return False

    try:
        wait_until(answers, "the site answers", seconds=60)
        yield address
    finally:
        stop_process(process)


class Wire:
    """What went over the wire: bytes by address, and the answers that came from the browser's cache."""

    def __init__(self, page: Page) -> None:
        self.bytes: dict[str, float] = {}
        self.codes: dict[str, int] = {}
        self.asked: list[str] = []
        self._urls: dict[str, str] = {}
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.on("Network.requestWillBeSent", self._sent)
        devtools.on("Network.responseReceived", self._received)
        devtools.on("Network.loadingFinished", self._finished)

    def _sent(self, event: dict[str, Any]) -> None:
        self._urls[event["requestId"]] = event["request"]["url"]
        self.asked.append(event["request"]["url"])

    def _received(self, event: dict[str, Any]) -> None:
        self.codes[event["response"]["url"]] = event["response"]["status"]

    def _finished(self, event: dict[str, Any]) -> None:
        url = self._urls.get(event["requestId"], "")
        self.bytes[url] = self.bytes.get(url, 0) + event["encodedDataLength"]

    def total(self, *, of_map: bool | None = None) -> float:
        return sum(
            size
            for url, size in self.bytes.items()
            if of_map is None or of_map == ("/static/frontend/regions/" in url or "/leaflet" in url)
        )


def settle(page: Page, map_too: bool) -> None:
    if map_too and page.locator(".map-frame").count():
        page.locator(".map-frame").first.scroll_into_view_if_needed()
        page.wait_for_selector("[data-ready]", state="attached")
    page.wait_for_load_state("networkidle")


def test_a_first_visit_is_light_and_a_second_one_comes_from_the_cache(site: str, browser: Browser) -> None:
    with browser.new_context(base_url=site, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        wire = Wire(page)
        page.goto("/services/whatsapp/")
        settle(page, map_too=False)
        assert 5 * KB < wire.total(of_map=False) < 100 * KB, wire.bytes
        # Nothing of the map before anybody comes near it.
        assert wire.total(of_map=True) == 0 or page.locator("[data-ready]").count()
        settle(page, map_too=True)
        assert wire.total() < 350 * KB, wire.bytes
        first = wire.total()
        page.close()
        page = context.new_page()
        again = Wire(page)
        page.goto("/services/whatsapp/")
        settle(page, map_too=True)
        assert again.total() < 25 * KB < first, again.bytes


def test_pages_paint_at_once_and_nothing_jumps(site: str, browser: Browser) -> None:
    for width, height in ((390, 844), (1280, 900)):
        for address in PAGES:
            with browser.new_context(base_url=site, viewport={"width": width, "height": height}) as context:
                page = context.new_page()
                page.goto(address)
                settle(page, map_too=False)
                found = page.evaluate(PAINTS)
                assert found["shift"] < SHIFT, (address, width, found)
                if os.getloadavg()[0] < 2 * (os.cpu_count() or 1):
                    # Beside other work it tells about that.
                    assert 0 < found["largest"] < PAINT_MS, (address, width, found)


def test_an_open_page_asks_for_little_and_a_hidden_one_for_nothing(site: str, browser: Browser) -> None:
    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        # Two minutes pass in a moment: the page asks by its own clock.
        page.clock.install()
        page.goto("/services/whatsapp/")
        page.wait_for_load_state("networkidle")
        wire = Wire(page)

        def live() -> list[str]:
            return [url for url in wire.asked if "part=live" in url]

        for number in (1, 2):
            with page.expect_response("**part=live**"):
                page.clock.run_for(16_000)
            assert len(live()) >= number
        page.wait_for_timeout(300)
        sizes = [size for url, size in wire.bytes.items() if "part=live" in url]
        assert sizes
        assert 304 in {code for url, code in wire.codes.items() if "part=live" in url}
        page.evaluate(
            "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        before = len(live())
        page.clock.run_for(120_000)
        page.wait_for_timeout(300)
        assert len(live()) == before


def test_a_lost_connection_is_told_with_the_age_of_what_is_seen(site: str, browser: Browser) -> None:
    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        page.clock.install()
        page.goto("/services/whatsapp/")
        note = page.locator("[data-connection]")
        assert note.is_hidden()
        context.set_offline(True)
        page.clock.run_for(240_000)
        page.wait_for_timeout(200)
        page.clock.run_for(60_000)
        note.wait_for(state="visible")
        assert "what you see is of" in note.inner_text()
        assert "minutes ago" in note.inner_text()
        context.set_offline(False)
        page.clock.run_for(61_000)
        note.wait_for(state="hidden")


def test_a_copy_on_a_plain_file_server_is_a_whole_site(site: str, browser: Browser, tmp_path: Path) -> None:
    from frontend import snapshot
    from reports import clock
    from reports.models import Service

    few = ["whatsapp", "facebook", "instagram", "netflix"]
    Service.objects.exclude(slug__in=few).update(retired_at=clock.now())
    writing = threading.Thread(target=_write_copy, args=(snapshot, tmp_path, clock.now()))
    writing.start()
    writing.join()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "below").symlink_to(tmp_path / "current")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        with browser.new_context(base_url=base) as context:
            page = context.new_page()
            complaints = watch_page(page, base)
            broken: list[str] = []
            page.on("response", lambda answer: broken.append(answer.url) if answer.status >= 400 else None)
            page.goto("/deep/below/")
            page.get_by_text("A copy from").wait_for()
            page.locator("[data-copied-age]", has_text="ago").wait_for()
            page.get_by_role("link", name="WhatsApp").first.click()
            page.get_by_role("heading", level=1).wait_for()
            assert "/deep/below/" in page.url
            assert page.locator("img.map-static").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
            page.get_by_role("link", name="Incidents", exact=True).click()
            page.wait_for_load_state("networkidle")
            page.goto(f"/deep/below/incidents/{scene.REF}/")
            page.wait_for_load_state("networkidle")
            assert not broken
            assert not complaints
        server.shutdown()


def _write_copy(snapshot: Any, folder: Path, now: Any) -> None:
    # In a thread of its own: the browser's event loop runs in the test's.
    from django.db import connection

    try:
        snapshot.write(folder, now=now)
    finally:
        connection.close()
