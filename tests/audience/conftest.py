"""The small world of the API's tests, for what else programs read; and a push service that this process trusts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import uncollected, world

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

    from tests.audience.service import PushService

__all__ = ["uncollected", "world"]


@pytest.fixture
def push_service(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushService]:
    from reports.audience import outgoing
    from tests.audience.service import PushService

    service = PushService(tmp_path)
    settings.ALLOW_PRIVATE_TARGETS = True
    monkeypatch.setenv("SSL_CERT_FILE", str(service.certificate))
    outgoing._tls.cache_clear()
    yield service
    service.close()
    outgoing._tls.cache_clear()
