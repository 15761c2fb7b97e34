"""The small world, a status page of our own, and a feed that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.incidents.conftest import duty, lived_in, no_engine_held, world  # noqa: F401

if TYPE_CHECKING:
    from django.test import Client

    from reports.models import Incident, StatusFeed
    from tests.hearing.page import StatusPage
    from tests.incidents.world import World


@pytest.fixture
def page(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusPage]:
    """A status page on this machine, whose certificate is trusted here, on a site that may ask private addresses."""
    from reports.audience import outgoing
    from tests.hearing.page import StatusPage

    served = StatusPage(tmp_path)
    settings.ALLOW_PRIVATE_TARGETS = True
    monkeypatch.setenv("SSL_CERT_FILE", str(served.certificate))
    outgoing._tls.cache_clear()
    yield served
    served.close()
    outgoing._tls.cache_clear()


@pytest.fixture
def feed(world: World, page: StatusPage) -> StatusFeed:  # noqa: F811
    """Meta's page in Statuspage's shape; Meta runs two services here."""
    from reports.models import Provider, StatusFeed

    return StatusFeed.objects.create(
        provider=Provider.objects.get(slug="meta"),
        url=page.origin + "/api/v2/incidents.json",
        format=StatusFeed.Format.STATUSPAGE,
        enabled=True,
    )


@pytest.fixture
def incident(world: World) -> Incident:  # noqa: F811
    """WhatsApp has been down in England since minute 10, and we know since minute 12."""
    from tests.test_admin import make_incident

    return make_incident(world, "OUT-2026-0007", "whatsapp", codes=("GB-ENG",))


@pytest.fixture
def desk(client: Client, db: None) -> Client:
    """An owner at the desk."""
    from django.contrib.auth.models import User

    client.force_login(User.objects.create_superuser("owner", password="a-long-password"))
    return client
