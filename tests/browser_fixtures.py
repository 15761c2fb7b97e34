"""The real site behind a real server, and a real browser in front of it, which forgives nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_OPTIONS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: from the first of them on Playwright's event loop runs in this thread, and a test that
    starts a loop of its own would find one running. Where several processes share the tests (pytest-xdist), each takes
    whole files in this order: files in ``tests/browser/`` hold browser tests only, and no others do."""
    for item in items:
        if in_browser(item) != (item.path.parent.name == "browser"):
            raise pytest.UsageError(f"{item.nodeid}: tests in a browser belong into tests/browser/, and only they do")
    items.sort(key=in_browser)


def in_browser(item: pytest.Item) -> bool:
    """Whether the test needs the browser."""
    return "browser" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def collected_static(data_dir: Path) -> Path:
    """The folder with the collected static files, as a start would make it."""
    from django.conf import settings
    from django.test import override_settings

    from outagemap import static

    storages = settings.STORAGES | {"staticfiles": {"BACKEND": "outagemap.static.HashedStaticFiles"}}
    # Compressing takes ten seconds and changes nothing that a browser on this machine could notice.
    with override_settings(STORAGES=storages, SERVESTATIC_USE_BROTLI=False, SERVESTATIC_USE_GZIP=False):
        static.collect_if_stale()
    return data_dir / "static"


@pytest.fixture(scope="session")
def live_site(django_db_setup: None, collected_static: Path, data_dir: Path) -> Iterator[str]:
    """The address of the site, served by its own server from the test database; no worker runs.

    It sees committed rows only: use it with `transactional_db`.
    """
    from tests.conftest import start_process, stop_process, wait_until

    port = free_port()
    log = data_dir / "web.log"
    command = ["granian", "--interface", "asgi", "--port", str(port), "outagemap.asgi:application"]
    process = start_process(command, log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(f"{address}/healthz", process, log), "the site answers", seconds=60)
        yield address
    finally:
        stop_process(process)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium with an empty profile; skips where there is none, unless REQUIRE_BROWSER is set."""
    from playwright.sync_api import expect, sync_playwright

    path = chromium_path()
    if path is None:
        reason = "no Chromium on this machine: install one (apt-get install chromium) to run the browser tests"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Playwright's loop runs in this thread, so Django would take every later query for one made inside a coroutine.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    # What is expected comes in the end, on a busy machine as well; what must be quick is measured by tests of its own.
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=launch_options())
        yield chromium
        chromium.close()


@pytest.fixture
def browser_page(browser: Browser, live_site: str, transactional_db: None) -> Iterator[Page]:
    """A fresh page of the live site: paths may be relative. Any console error, uncaught exception, violation of the
    content policy or request to another host fails the test."""
    with browser.new_context(base_url=live_site, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        yield page
    assert not complaints, "\n".join(complaints)


def show_new_day(site: str) -> None:
    """Has the live site look at rows that were written behind its back: it looks once a second, and who asks while it
    looks may get what it knew. One test's day is not another's, so both would be mixed."""
    time.sleep(1.1)
    with urllib.request.urlopen(f"{site}/api/v1/incidents/", timeout=60) as answer:
        answer.read()


def watch_page(page: Page, site: str) -> list[str]:
    """A list that fills with whatever goes wrong on the page. For pages of a context of one's own."""
    complaints: list[str] = []

    def on_request(url: str) -> None:
        if not url.startswith((site, "data:", "blob:", "about:")):
            complaints.append(f"request to another host: {url}")

    # Chromium reports violations of the content policy as console errors.
    page.on("console", lambda line: complaints.append(f"console: {line.text}") if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on("request", lambda request: on_request(request.url))
    return complaints


def chromium_path() -> str | None:
    """Where this machine's Chromium is, if it has one."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def launch_options() -> list[str]:
    """What Chromium is started with: it asks nobody outside, and root gets no sandbox because root cannot have one."""
    return [*CHROMIUM_OPTIONS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        pytest.fail(f"the server ended:\n{log.read_text()}")
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
