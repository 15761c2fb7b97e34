"""Every script of ours is one that a browser takes: it parses, and what it imports is there under that name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser_fixtures import watch_page

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("frontend", "reports") for path in (ROOT / folder).glob("static/**/*.js"))
# A module that lacks a name which another one imports is a SyntaxError of the importing one.
TAKE = """(address) => import(address).then(() => "", (error) => `${error.name}: ${error.message}`)"""


def served(source: Path, static: Path) -> str:
    """Under which address the site gives out a script: its name with the hash of its content."""
    within = source.as_posix().split("/static/", 1)[1]
    return f"/static/{json.loads((static / 'staticfiles.json').read_text())['paths'][within]}"


def test_every_script_parses_and_finds_what_it_imports(
    browser: Browser, live_site: str, transactional_db: None, collected_static: Path
) -> None:
    assert len(SOURCES) > 20
    with browser.new_context(base_url=live_site) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        found = {}
        for source in SOURCES:
            # Under the policy of the site, on a page without the parts that scripts look for: then they do nothing.
            page.goto("/privacy/")
            if error := page.evaluate(TAKE, served(source, collected_static)):
                found[source.name] = error
        assert not found
        assert not complaints
        worker = page.evaluate(
            "navigator.serviceWorker.register('/sw.js').then((one) => one.scope, (error) => error.message)"
        )
        assert worker == f"{live_site}/", worker


@pytest.mark.parametrize(
    ("content", "name"),
    [("export const broken = ;", "SyntaxError"), ("import { nothing } from './{times}'; nothing();", "SyntaxError")],
)
def test_a_broken_script_would_be_found(
    browser: Browser, live_site: str, transactional_db: None, collected_static: Path, content: str, name: str
) -> None:
    times = served(ROOT / "frontend/static/frontend/times.js", collected_static).rsplit("/", 1)[1]
    with browser.new_context(base_url=live_site) as context:
        page = context.new_page()
        page.route(
            "**/static/frontend/broken.js",
            lambda route: route.fulfill(content_type="text/javascript", body=content.replace("{times}", times)),
        )
        page.goto("/privacy/")
        assert page.evaluate(TAKE, "/static/frontend/broken.js").startswith(name)
