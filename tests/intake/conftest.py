"""The small catalogue as fixtures. Models are imported late: pytest reads this file before Django is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.intake.making import Catalogue


@pytest.fixture
def known(db: None) -> Catalogue:
    from tests.intake.making import make_catalogue

    return make_catalogue()


@pytest.fixture
def committed(transactional_db: None) -> Catalogue:
    """The same, seen by other processes and threads too."""
    from tests.intake.making import make_catalogue

    return make_catalogue()
