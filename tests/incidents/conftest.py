"""The small world of ``world.py``, in the test database. Django is imported late: see ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from tests.incidents.world import World


@pytest.fixture
def no_engine_held() -> Iterator[None]:
    """No test goes on with the engine of another one."""
    from reports.incidents import watch

    watch.forget()
    yield
    watch.forget()


@pytest.fixture
def world(db: None, no_engine_held: None) -> World:
    """The catalogue, without a count."""
    from tests.incidents.world import build_world

    return build_world()


@pytest.fixture
def lived_in(world: World) -> World:
    """The world after an ordinary week, with a fit of them; its first cycle was at ``START``."""
    from tests.incidents.world import settle

    return settle(world)


@pytest.fixture
def committed_world(transactional_db: None, no_engine_held: None) -> World:
    """The same as ``lived_in`` with every row committed, for tests with several connections."""
    from tests.incidents.world import build_world, settle

    return settle(build_world())


@pytest.fixture
def duty(db: None) -> User:
    """An administrator on duty."""
    from django.contrib.auth.models import User

    return User.objects.create_user("duty", password="a-long-password")
