"""The copy of the site: whole, closed in itself, replaced in one step, and what the site falls back on."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from pytest_django.fixtures import Settings

from frontend import snapshot, tasks
from frontend.detached import detached, relative
from reports import clock
from reports.models import Service
from reports.status import snapshots
from tests.frontend import scene


class _Addresses(HTMLParser):
    """Every address in a page that a browser may follow or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in {"href", "src", "srcset", "action"} and value]


def addresses(html: str) -> _Addresses:
    parser = _Addresses()
    parser.feed(html)
    return parser


@pytest.fixture
def outage(outage: str) -> str:
    """The scene, with a handful of services: a copy of all of them takes seconds."""
    few = ["whatsapp", "facebook", "instagram", "netflix", "telegram", "1and1"]
    Service.objects.exclude(slug__in=few).update(retired_at=clock.now())
    snapshots.forget()
    return outage


def test_no_page_of_a_copy_points_to_anything_that_is_not_in_it(outage: str, tmp_path: Path) -> None:
    made = snapshot.write(tmp_path, now=clock.now())
    current = tmp_path / "current"
    pages = set(current.rglob("*.html"))
    assert made.pages == len(pages) > 10
    assert made.left == 0
    for wanted in (
        "",
        "services/",
        "incidents/",
        "methodology/",
        "privacy/",
        "providers/meta/",
        f"incidents/{outage}/",
    ):
        assert current / wanted / "index.html" in pages
    for page in pages:
        html = page.read_text()
        base = f"http://copy/any/where/{page.parent.relative_to(current).as_posix()}/".replace("/./", "/")
        found = addresses(html)
        assert not {"form", "noscript", "input"} & set(found.tags), page
        for address in found.found:
            target = urlsplit(urljoin(base, address))
            if target.netloc != "copy":
                continue
            assert target.path.startswith("/any/where/"), (page, address)
            file = current / target.path.removeprefix("/any/where/")
            assert (file / "index.html" if target.path.endswith("/") else file).is_file(), (page, address)
        assert html.count("data-copied-at") == 1, page
        assert html.count("<h1") == 1, page


def test_a_copy_shows_the_map_as_a_picture_and_says_why_nothing_can_be_sent(outage: str, tmp_path: Path) -> None:
    snapshot.write(tmp_path, now=clock.now())
    html = (tmp_path / "current/services/whatsapp/index.html").read_text()
    assert "nothing can be reported" in html
    picture = re.search(r'<img class="map-static" src="(\.\./\.\./copied/[0-9a-f]+\.svg)"', html)
    assert picture
    assert "#d55e00" in (tmp_path / "current/services/whatsapp" / picture[1]).read_text()
    assert "WhatsApp is down in" in html
    assert "A copy from" in html


def test_a_copy_takes_the_place_of_the_former_in_one_step_and_writes_only_what_changed(
    outage: str, tmp_path: Path
) -> None:
    first = snapshot.write(tmp_path, now=clock.now())
    before = (tmp_path / "current").resolve()
    style = next(before.glob("static/frontend/site*.css")).stat().st_ino
    second = snapshot.write(tmp_path, now=clock.now() + timedelta(minutes=1))
    after = (tmp_path / "current").resolve()
    assert after != before
    assert before.is_dir()
    assert next(after.glob("static/frontend/site*.css")).stat().st_ino == style
    assert first.unchanged == 0
    assert second.unchanged > 10
    third = snapshot.write(tmp_path, now=clock.now() + timedelta(minutes=1))
    assert third.files == second.files
    # Two copies, and not one more.
    assert len(list(tmp_path.glob("copy-*"))) == 2
    assert not before.exists()


def test_when_time_is_up_what_matters_is_new_and_the_rest_stays_as_it_was(outage: str, tmp_path: Path) -> None:
    snapshot.write(tmp_path, now=clock.now() - timedelta(hours=3))
    made = snapshot.write(tmp_path, now=clock.now(), seconds=0.0)
    assert made.left >= 2
    assert made.pages + made.left == len(list((tmp_path / "current").rglob("*.html")))
    when = {
        name: re.search(r'data-copied-at="([^"]+)"', (tmp_path / "current" / name / "index.html").read_text())[1]  # type: ignore[index]
        for name in ("", "services/whatsapp", f"incidents/{outage}", "services/netflix")
    }
    assert when[""] == when["services/whatsapp"] == when[f"incidents/{outage}"] > when["services/netflix"]
    assert (tmp_path / "current/services/netflix/index.html").is_file()


def test_a_quiet_service_is_copied_in_its_turn(outage: str, tmp_path: Path) -> None:
    now = clock.now()
    snapshot.write(tmp_path, now=now)
    turns = [
        snapshot.write(tmp_path, now=now + timedelta(minutes=minute)).left for minute in range(snapshot.QUIET_EVERY)
    ]
    quiet = max(turns)
    assert quiet >= 2
    # Each once in the round.
    assert sum(quiet + 1 - left for left in turns) >= quiet


def test_a_copy_that_fails_leaves_the_former_in_place(
    outage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot.write(tmp_path, now=clock.now())
    before = (tmp_path / "current").resolve()
    monkeypatch.setattr(snapshot, "_replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        snapshot.write(tmp_path, now=clock.now())
    assert (tmp_path / "current").resolve() == before
    assert list(tmp_path.glob("copy-*")) == [before]


def test_two_do_not_copy_into_one_folder_at_once(outage: str, tmp_path: Path) -> None:
    with snapshot._alone(tmp_path), pytest.raises(CommandError, match="another copy is being made"):
        call_command("snapshot", str(tmp_path))
    call_command("snapshot", str(tmp_path))
    assert os.path.islink(tmp_path / "current")


def test_after_a_restart_without_a_database_the_copy_on_the_disk_is_shown(
    client: Client, outage: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SNAPSHOT_DIR = tmp_path
    tasks.copy_site()
    snapshots.forget()

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", away)
        for when_known in (False, True):
            if when_known:
                patch.setattr("reports.intake.coalescer.database_is_away", lambda: True)
            for address in ("/", "/services/whatsapp/", f"/incidents/{scene.REF}/"):
                answer = client.get(address)
                assert answer.status_code == 200, address
                html = answer.content.decode()
                assert "A copy from" in html
                assert answer.headers["Cache-Control"] == "no-store"
                # The copy's pages lie where the site's do, so what they show is found.
                for source in addresses(html).found:
                    if "copied/" in source:
                        shown = client.get(urljoin(address, source))
                        assert (shown.status_code, shown.headers["Content-Type"][:9]) == (200, "image/svg")
            assert client.get("/services/never-copied/").status_code == 503
            assert client.get("/services/whatsapp/?part=live").status_code == 503
    settings.SNAPSHOT_DIR = None
    tasks.copy_site()
    assert snapshot.file("/") is None


@pytest.mark.parametrize("path", ["/../secret", "/copied/../../secret", "/nothing/", "/copied/", "/"])
def test_nothing_outside_the_copy_can_be_asked_for(tmp_path: Path, settings: Settings, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "copy-1").mkdir()
    (tmp_path / "current").symlink_to("copy-1")
    settings.SNAPSHOT_DIR = tmp_path
    assert snapshot.file(path) is None


def test_a_page_cut_loose_keeps_its_words_and_loses_what_needs_a_server() -> None:
    html = """<!doctype html><html><head><link rel="stylesheet" href="/static/a.css"><link rel="alternate" href="/feed">
<meta property="og:image" content="http://site/x.png"><script type="module" src="/static/refresh.1.js"></script>
<script type="module" src="/static/times.2.js"></script></head><body>
<main data-refresh="10"><h1>A &amp; B &lt;C&#8364;</h1>
<form method="post" action="/r"><form-ish><input name="x"></form><div class="map script-only"><div>gone</div></div>
<noscript><img src="/m.svg?theme=dark&amp;t=1" alt="Map"></noscript><svg viewBox="0 0 1 1"><path d="M0 0"/></svg>
<a href="/in/">in</a> <a class="b" href="/out/">out</a> <a href="?t=1">then</a> <a href="#x">here</a>
<a href="https://example.org/">away</a></main></body></html>"""
    asked: list[str] = []

    def file_of(address: str) -> str | None:
        asked.append(address)
        return "/files/f.x"

    found = detached(
        html, path="/a/b/", pages=["/in/", "/a/b/"], file_of=file_of, note="<p>NOTE</p>", instead="<p>NO</p>"
    )
    assert asked == ["/static/a.css", "/static/times.2.js", "/m.svg?theme=dark&t=1"]
    assert "<main><p>NOTE</p><h1>A &amp; B &lt;C&#8364;</h1>" in found
    assert "<p>NO</p>" in found
    for gone in ("form", "gone", "refresh", "noscript", "og:image", "alternate", "/out/", "?t=1"):
        assert gone not in found, gone
    for kept in (
        '<img src="../../files/f.x" alt="Map">',
        '<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>',
        '<a href="../../in/">in</a> <span class="b">out</span> <span>then</span> <a href="#x">here</a>',
        '<a href="https://example.org/">away</a>',
    ):
        assert kept in found, kept


@pytest.mark.parametrize(
    ("target", "page", "way"),
    [
        ("/", "/", "./"),
        ("/", "/a/b/", "../../"),
        ("/a/", "/", "a/"),
        ("/a/x.svg", "/a/", "x.svg"),
        ("/a/", "/a/", "./"),
    ],
)
def test_the_way_from_one_page_to_another(target: str, page: str, way: str) -> None:
    assert relative(target, page) == way
