"""The scene in the tables, for every test that looks at a page. Django is set up later than this file is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings


@pytest.fixture(autouse=True)
def plain_static_names(settings: Settings) -> None:
    """Static files under their own names: hashed ones exist only after collectstatic."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is made anew with the minute: it does not end within a test."""
    from reports import clock

    now = clock.now()
    for ask_the_time in ("now", "at_hand"):
        monkeypatch.setattr(clock, ask_the_time, lambda: now)


@pytest.fixture
def outage(db: None) -> Iterator[str]:
    """The ref of an incident that is going on."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    yield scene.lay(clock.now())
    snapshots.forget()


@pytest.fixture
def quiet_day(db: None) -> Iterator[None]:
    """The catalogue and ordinary reports; nothing is down."""
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import scene

    scene.lay(clock.now(), quiet=True)
    yield
    snapshots.forget()
