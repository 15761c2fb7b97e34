"""The small world as fixtures. Models are imported late: pytest reads this file before Django is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.status.making import World


@pytest.fixture
def world(db: None) -> World:
    from tests.status.making import make_world

    return make_world()
