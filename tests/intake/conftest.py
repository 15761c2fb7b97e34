"""The small catalogue as fixtures. Models are imported late: pytest reads this file before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.intake.making import Catalogue


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What a process remembers of the tables belongs to the test before."""
    from reports.intake import catalogue, guard

    catalogue._known, guard._kept = None, {}
    yield
    catalogue._known, guard._kept = None, {}


@pytest.fixture
def known(db: None) -> Catalogue:
    from tests.intake.making import make_catalogue

    return make_catalogue()


@pytest.fixture
def committed(transactional_db: None) -> Catalogue:
    """The same, seen by other processes and threads too."""
    from tests.intake.making import make_catalogue

    return make_catalogue()
