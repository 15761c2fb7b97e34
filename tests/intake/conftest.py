"""The small catalogue as fixtures. Models are imported late: pytest reads this file before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import redis

    from tests.intake.making import Catalogue


@pytest.fixture
def known(db: None) -> Catalogue:
    from tests.intake.making import make_catalogue

    return make_catalogue()


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """In place of pytest-django's, which takes ten times as long to clear away what these tests never touch."""
    from django.apps import apps
    from django.db import connection

    tables = ", ".join(model._meta.db_table for model in apps.get_app_config("reports").get_models())
    with django_db_blocker.unblock():
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {tables}")
        connection.close()


@pytest.fixture
def committed(transactional_db: None) -> Catalogue:
    """The same catalogue, seen by other processes and threads too."""
    from tests.intake.making import make_catalogue

    return make_catalogue()


@pytest.fixture
def standing_by(broker: str, settings: Any) -> Iterator[redis.Redis]:
    """The stand-by is on, and holds nothing before and after."""
    from reports.intake import standby

    settings.STANDBY = "fsync"
    client = standby.client()

    def clear() -> None:
        for key in client.scan_iter(match="{outagemap:standby}*"):
            client.delete(key)

    clear()
    yield client
    clear()
