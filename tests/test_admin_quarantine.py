"""The desk gives back what was set aside, for whoever may, and notes who did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from reports.models import CrowdShape, Quarantine, Region
from tests.intake.making import make_catalogue

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
PAGE = "/admin/reports/quarantine/"


@pytest.fixture
def held(db: None) -> Quarantine:
    known = make_catalogue()
    country = Region.objects.get(code="GB")
    CrowdShape.objects.create(
        service=known.whatsapp, region=country, kind=0, at=NOON, reports=1000, squares=200_000, variations=900,
        pairs=0, same=0, last_pause=1,
    )  # fmt: skip
    return Quarantine.objects.create(
        service=known.whatsapp,
        region=country,
        kind=0,
        shape="concentrated",
        began_at=NOON,
        last_at=NOON + timedelta(minutes=20),
        reports=985,
        figures={"reports": 1000.0, "networks": 5.0, "networks_needed": 22.4},
    )


def release(client: Client, row: Quarantine) -> int:
    return client.post(PAGE, {"action": "release", "_selected_action": [row.pk]}, follow=True).status_code


def test_the_desk_shows_why_reports_were_set_aside(admin_client: Client, held: Quarantine) -> None:
    html = admin_client.get(PAGE).content.decode()
    assert "from too few networks" in html
    assert "5.0 effective networks; a crowd: 22.4 or more" in html
    assert "Release: count these reports after all" in html


def test_a_release_is_noted_with_who_did_it(admin_client: Client, admin_user: User, held: Quarantine) -> None:
    assert release(admin_client, held) == 200
    held.refresh_from_db()
    assert held.released_by == admin_user
    assert CrowdShape.objects.get().exempt_until is not None
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (admin_user, str(held.pk))
    assert "Released" in entry.change_message


def test_who_may_only_look_releases_nothing(client: Client, held: Quarantine) -> None:
    viewer = User.objects.create_user("viewer", password="a-long-password", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_quarantine"))
    client.force_login(viewer)
    assert "Release: count these" not in client.get(PAGE).content.decode()
    release(client, held)
    held.refresh_from_db()
    assert held.released_at is None
    assert client.get("/admin/reports/quarantine/add/").status_code == 403
