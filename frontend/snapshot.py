"""A copy of the site as it is now, in a folder that any web server can show: for the hour in which this one cannot.

`DIRECTORY/current` is a link to the newest copy; a new one is made beside it and takes its place in one step. A file
that did not change is not written again, but linked. Every page says from when it is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import resolve, reverse
from django.utils.translation import override

from frontend.detached import detached, relative
from reports import clock, status
from reports.status.answers import HomeStatus

CURRENT = "current"
DRAWINGS = "/copied/"
# A minute passes between two copies; pages for which there is no time keep their former copy.
MOST_SECONDS = 30.0
MOST_INCIDENTS = 30
# A service of which no outage is seen is copied every so many minutes, each in its turn: 250 of them take five seconds.
QUIET_EVERY = 10


class BusyError(Exception):
    """Another process is making a copy in this folder."""


@dataclass
class Written:
    """What became of the pages and files of a copy."""

    pages: int = 0
    left: int = 0
    """Pages that keep their former copy: their turn has not come, or time was up."""
    files: int = 0
    unchanged: int = 0
    seconds: float = 0.0


@dataclass
class _Copy:
    folder: Path
    former: Path | None
    now: datetime
    pages: tuple[str, ...]
    made: Written = field(default_factory=Written)
    _files: dict[str, str | None] = field(default_factory=dict)

    def write(self, path: str, content: bytes) -> None:
        """Writes one file of the copy, or links it to that of the former one, if it is the same."""
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        before = self.former / path.lstrip("/") if self.former else None
        self.made.files += 1
        if before and before.is_file() and before.read_bytes() == content:
            os.link(before, target)
            self.made.unchanged += 1
        else:
            target.write_bytes(content)

    def page(self, path: str) -> None:
        """Renders one page and cuts it loose."""
        html = _rendered(path).decode()
        note = render_to_string("frontend/_copied.html", {"now": self.now})
        head, separator, rest = detached(
            html,
            path=path,
            pages=self.pages,
            file_of=self.file_of,
            note=note,
            instead=render_to_string("frontend/_not_here.html"),
        ).partition("</head>")
        script = self.file_of(static("frontend/copied.js"))
        if script:
            head += f'<script type="module" src="{relative(script, path)}"></script>'
        self.write(f"{path}index.html", (head + separator + rest).encode())
        self.made.pages += 1

    def may_wait(self, path: str) -> bool:
        """Whether the former copy of a quiet page does until its turn comes."""
        turn = int.from_bytes(blake2b(path.encode(), digest_size=4).digest(), "big") + clock.minute_of(self.now)
        return bool(turn % QUIET_EVERY and self.former and (self.former / path.lstrip("/") / "index.html").is_file())

    def keep(self, path: str) -> None:
        """Takes a page over from the former copy, and what it shows with it."""
        before = self.former / path.lstrip("/") / "index.html" if self.former else None
        if before and before.is_file():
            self.write(f"{path}index.html", before.read_bytes())
        self.made.left += 1

    def file_of(self, address: str) -> str | None:
        """The path of the file that holds what an address gives; made on first use."""
        if address not in self._files:
            self._files[address] = self._made_file(address)
        return self._files[address]

    def _made_file(self, address: str) -> str | None:
        parts = urlsplit(address)
        if parts.netloc:
            return None
        if parts.path.startswith(settings.STATIC_URL):
            content = _static_file(unquote(parts.path.removeprefix(settings.STATIC_URL)))
            path = parts.path
        else:
            content = _rendered(address)
            # Under the name of its content: services of which no outage is seen share one map. The site itself serves
            # it under this name, too.
            path = f"{DRAWINGS}{blake2b(content, digest_size=8).hexdigest()}{Path(parts.path).suffix}"
        if content is None:
            return None
        if not (self.folder / path.lstrip("/")).exists():
            self.write(path, content)
        return path


def write(directory: Path, *, now: datetime, seconds: float = MOST_SECONDS) -> Written:
    """Makes a copy and puts it in the place of the former one. Raises `BusyError` where another one is being made.

    What matters most comes first; after ``seconds`` the rest keeps its former copy.
    """
    directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with _alone(directory), override(settings.LANGUAGE_CODE):
        link = directory / CURRENT
        former = link.resolve() if link.is_dir() else None
        folder = directory / f"copy-{now:%Y%m%dT%H%M%S}-{time.time_ns() % 10**9:09d}"
        first, rest = _pages(now)
        copy = _Copy(folder, former, now, (*first, *rest))
        try:
            for number, path in enumerate(copy.pages):
                if number >= len(first) and (time.monotonic() - began > seconds or copy.may_wait(path)):
                    copy.keep(path)
                else:
                    copy.page(path)
            if copy.made.left and former:
                _keep_files(copy, former)
            _replace(link, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _tidy(directory, folder, former)
    copy.made.seconds = time.monotonic() - began
    return copy.made


def file(path: str) -> bytes | None:
    """What the newest copy holds for a path of the site, or ``None``; asks no database."""
    if settings.SNAPSHOT_DIR is None:
        return None
    root = (settings.SNAPSHOT_DIR / CURRENT).resolve()
    found = (root / path.lstrip("/")).resolve()
    if path.endswith("/"):
        found /= "index.html"
    return found.read_bytes() if found.is_relative_to(root) and found.is_file() else None


def _pages(now: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths to copy: those that must be there, and those that would be good to have, best first."""
    home: HomeStatus = status.home(now=now)
    down = [found.link for found in home.down]
    # What came back must not go on saying that it is down.
    offered = {found.link for found in status.services(now=now)}
    down += [each.service for each in home.recently_resolved if each.service in offered and each.service not in down]
    told = [*(found.incident for found in home.down if found.incident)]
    told += [each.ref for each in status.incidents(limit=MOST_INCIDENTS).results if each.ref not in told]
    first = [
        reverse("home"),
        reverse("services"),
        *(reverse("service", args=[link.slug]) for link in down),
        reverse("incidents"),
        *(reverse("incident", args=[ref]) for ref in told),
        reverse("methodology"),
        reverse("privacy"),
    ]
    rest = list(dict.fromkeys(reverse("provider", args=[link.provider]) for link in down))
    rest += [reverse("service", args=[link.slug]) for link in sorted(offered, key=lambda link: link.slug)]
    return tuple(first), tuple(path for path in dict.fromkeys(rest) if path not in first)


def _rendered(address: str) -> bytes:
    """What the site answers to an address; past the cache, which belongs to those who read."""
    parts = urlsplit(address)
    request = HttpRequest()
    request.method, request.path, request.path_info = "GET", parts.path, parts.path
    request.GET = QueryDict(parts.query)
    name = next((name for name in settings.ALLOWED_HOSTS if not name.startswith(("*", "."))), "localhost")
    request.META = {"SERVER_NAME": name, "SERVER_PORT": "80", "QUERY_STRING": parts.query}
    match = resolve(parts.path)
    view = getattr(match.func, "view", match.func)
    response = view(request, *match.args, **match.kwargs)
    if response.status_code != 200 or not isinstance(response, HttpResponse):
        raise Http404(f"{address} answers {response.status_code}")
    return response.content


def _static_file(name: str) -> bytes | None:
    collected = Path(settings.STATIC_ROOT) / name
    found = collected if collected.is_file() else finders.find(name)
    return Path(found).read_bytes() if found else None


def _keep_files(copy: _Copy, former: Path) -> None:
    # What the pages taken over show. Names tell the content of static files, and the address of drawings.
    for folder in ("static", DRAWINGS.strip("/")):
        for path in (former / folder).rglob("*"):
            name = str(path.relative_to(former))
            if path.is_file() and not (copy.folder / name).exists():
                copy.write(name, path.read_bytes())


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError from None
        yield


def _replace(link: Path, folder: Path) -> None:
    made = link.with_name(f"{CURRENT}.new")
    made.unlink(missing_ok=True)
    made.symlink_to(folder.name, target_is_directory=True)
    made.replace(link)


def _tidy(directory: Path, *used: Path | None) -> None:
    # The former one stays for those who are reading it. Also goes what a process that was killed left behind.
    kept = {path.name for path in used if path}
    for path in directory.glob("copy-*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
