"""Who sent how much, at the desk, and the ban of a network from there to its end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.test_admin import desk, log, owner, staff  # noqa: F401

if TYPE_CHECKING:
    from django.test import Client

    from reports.intake.submission import Post
    from tests.intake.making import Catalogue

pytestmark = pytest.mark.django_db

PAGE = "/admin/reports/ban/networks/"
SECOND = timedelta(seconds=1)


@pytest.fixture
def known() -> Catalogue:
    from tests.intake.making import make_catalogue

    return make_catalogue()


@pytest.fixture
def noon() -> datetime:
    """Late enough for an hour of the same day before it, and early enough for a ban of an hour after it."""
    now = datetime.now(UTC)
    return now.replace(hour=min(max(now.hour, 2), 21), minute=30, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def site_clock(noon: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from reports import clock

    monkeypatch.setattr(clock, "now", lambda: noon + timedelta(hours=1))


def post(network: int, host: int, at: datetime, **more: str) -> Post:
    from reports.intake.submission import Post

    return Post({"service": "whatsapp", "region": "GB-ENG", **more}, f"203.0.{network}.{host}", at)


def sent(posts: list[Post]) -> None:
    from reports.intake.drain import drain
    from reports.intake.submission import submit_many

    submit_many(sorted(posts, key=lambda one: one.received_at))
    while drain(now=posts[0].received_at + timedelta(hours=1)).blocks:
        pass


def brigade_in_a_crowd(noon: datetime) -> list[Post]:
    import numpy as np

    at = [noon + float(s) * SECOND for s in np.random.default_rng(1).uniform(0, 600, 90)]
    crowd = [post(n, 1, at[n], region="GB-SCT") for n in range(60)]
    return [*crowd, *(post(200, h, at[60 + h], problem="messages", kind="working") for h in range(1, 30))]


def window(noon: datetime, **more: str) -> dict[str, str]:
    given = {"service": "whatsapp", "region": "GB", "kind": ""}
    return given | {"from": noon.isoformat(), "to": (noon + timedelta(minutes=20)).isoformat()} | more


def text(response: Any) -> str:
    page = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(page.split())


def test_the_page_tells_each_networks_share_and_how_a_crowd_is_spread(
    desk: Client,  # noqa: F811
    known: Catalogue,
    noon: datetime,
) -> None:
    sent(brigade_in_a_crowd(noon))
    sent([post(n, 1, noon - timedelta(days=1) + n * SECOND) for n in range(12)])
    page = text(desk.get(PAGE, window(noon)))
    # 60 networks of one report and one of 29: 89² / (60 + 29²).
    assert "Spread like a crowd: 8.8 effective networks; 7.5 are asked of 89 reports." in page
    assert "The same hours of the day before 12 12 12 12 12.0 6.0 8 %" in page
    assert "29 32.6 % 29 " in page
    assert "working 29" in page
    assert "Sending and receiving 29" in page
    # Of the votes all come from one network.
    assert "Not counted: set aside: from too few networks" in page
    only = text(desk.get(PAGE, window(noon, kind="working", region="gb-eng")))
    assert "No crowd is spread like this: 1.0 effective networks" in only
    assert "Networks (1)" in only


def test_no_page_about_networks_shows_an_address_or_a_whole_pseudonym_of_a_person(
    desk: Client,  # noqa: F811
    known: Catalogue,
    noon: datetime,
) -> None:
    from reports.models import Report

    sent(brigade_in_a_crowd(noon))
    page = desk.get(PAGE, window(noon)).content.decode()
    assert "203.0." not in page
    assert not any(str(person) in page for person in Report.objects.values_list("person", flat=True))


def test_a_network_is_banned_from_the_page_and_the_ban_lifted(
    desk: Client,  # noqa: F811
    known: Catalogue,
    noon: datetime,
) -> None:
    from django.contrib.admin.models import LogEntry

    from reports.intake import bans
    from reports.models import Ban, Report, ReportCount

    sent(brigade_in_a_crowd(noon))
    before = sum(ReportCount.objects.values_list("reports", flat=True))
    network = Report.objects.filter(region=known.england).values_list("network", flat=True)[0]
    query = desk.get(PAGE, window(noon)).context["here"]
    response = desk.post(query, {"network": [network], "hours": "1", "why": "one script"}, follow=True)
    assert "1 ban is in force." in text(response)
    assert "banned until" in text(response)
    ban = Ban.objects.get()
    assert (ban.network, ban.kind, ban.region.code, ban.why) == (network, 1, "GB", "one script")
    assert f"Banned {bans.label(network)}" in LogEntry.objects.get().get_change_message()
    # Nothing that was counted is taken back.
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == before

    sent([post(200, 100 + h, ban.began_at + h * 10 * SECOND, kind="working") for h in range(8)])
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == before
    again = desk.post(query, {"network": [network], "hours": "1", "why": "again"})
    assert again.status_code == 400
    page = text(desk.get("/admin/reports/ban/"))
    assert "in force" in page
    assert bans.label(network) in page
    aside = Report.objects.filter(reason="banned").count()
    assert aside > 0
    given = {"action": "lift", "_selected_action": [ban.pk]}
    word = "report is" if aside == 1 else "reports are"
    assert f"{aside} {word} counted after all." in text(desk.post("/admin/reports/ban/", given, follow=True))
    assert "0 reports are counted after all." in text(desk.post("/admin/reports/ban/", given, follow=True))
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == before + aside
    assert desk.get(f"/admin/reports/ban/{ban.pk}/change/").status_code == 200


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"why": ""}, "This field is required."),
        ({"network": []}, "Choose the networks in the table."),
        ({"network": ["77"]}, "77 is not one of the available choices"),
        ({"network": ["abc"]}, "abc is not one of the available choices"),
        ({"hours": "9999"}, "9999 is not one of the available choices"),
    ],
)
def test_a_ban_that_makes_no_sense_is_not_made(
    desk: Client,  # noqa: F811
    known: Catalogue,
    noon: datetime,
    given: dict[str, Any],
    said: str,
) -> None:
    from reports.models import Ban, Report

    sent([post(7, 1, noon)])
    network = Report.objects.values_list("network", flat=True)[0]
    query = desk.get(PAGE, window(noon)).context["here"]
    response = desk.post(query, {"network": [network], "hours": "1", "why": "a script", **given})
    assert response.status_code == 400
    assert said in text(response)
    assert not Ban.objects.exists()


def test_a_network_of_yesterday_is_offered_no_ban(
    desk: Client,  # noqa: F811
    known: Catalogue,
    noon: datetime,
) -> None:
    yesterday = noon - timedelta(days=1)
    sent([post(7, 1, yesterday)])
    response = desk.get(PAGE, window(yesterday))
    assert "has another name since midnight UTC" in text(response)
    assert 'name="network"' not in response.content.decode()


@pytest.mark.parametrize(
    "odd",
    [
        {"region": "XX"},
        {"region": "GB\x00"},
        {"service": "nothing"},
        {"kind": "sideways"},
        {"from": "yesterday"},
        {"from": "2999-01-01T00:00"},
        {"to": "0001-01-01T00:00"},
        {"from": ""},
        {"service": "x" * 5000},
    ],
)
def test_an_odd_window_is_explained(
    desk: Client,  # noqa: F811
    known: Catalogue,
    noon: datetime,
    odd: dict[str, str],
) -> None:
    assert desk.get(PAGE, window(noon, **odd)).status_code == 400


def test_a_window_at_the_edge_of_time_is_no_fault(desk: Client, known: Catalogue, noon: datetime) -> None:  # noqa: F811
    for start, end in (("0001-01-01T00:00", "0001-01-01T02:00"), ("9999-12-31T00:00", "9999-12-31T23:59")):
        assert desk.get(PAGE, window(noon, **{"from": start, "to": end})).status_code in (200, 400)


def test_a_long_window_is_cut_and_says_so(desk: Client, known: Catalogue, noon: datetime) -> None:  # noqa: F811
    page = text(desk.get(PAGE, window(noon, to=(noon + timedelta(days=9)).isoformat())))
    assert "Only the first 24 hours" in page


def test_who_may_only_look_bans_and_lifts_nothing(client: Client, known: Catalogue, noon: datetime) -> None:
    from reports.models import Ban, Report

    staff(client, "view_ban")
    sent([post(7, 1, noon)])
    response = client.get(PAGE, window(noon))
    assert "Ban the chosen networks" not in text(response)
    network = Report.objects.values_list("network", flat=True)[0]
    given = {"network": [network], "hours": "1", "why": "a script"}
    assert client.post(response.context["here"], given).status_code == 403
    assert not Ban.objects.exists()
    assert "Lift: count" not in client.get("/admin/reports/ban/").content.decode()


def test_who_may_not_look_sees_nothing(client: Client, known: Catalogue, noon: datetime) -> None:
    assert client.get(PAGE).status_code == 302
    staff(client)
    assert client.get(PAGE, window(noon)).status_code == 403


def test_the_page_of_a_quarantine_tells_its_networks(desk: Client, known: Catalogue, noon: datetime) -> None:  # noqa: F811
    from reports.models import Quarantine

    sent([post(n, h, noon + (n * 37 + h * 11) % 600 * SECOND) for n in range(5) for h in range(1, 60)])
    row = Quarantine.objects.get()
    page = text(desk.get(f"/admin/reports/quarantine/{row.pk}/change/"))
    assert f"Held: {row.reports} reports are kept and not counted." in page
    assert "Networks (5)" in page
    assert "set aside: from too few networks" in page
    assert "No crowd is spread like this" in page
    for odd in ("999999", "x", "1'--"):
        assert desk.get(f"/admin/reports/quarantine/{odd}/change/").status_code == 404
    assert desk.post(f"/admin/reports/quarantine/{row.pk}/change/").status_code == 405


def test_the_role_of_duty_may_ban_and_lift(client: Client, known: Catalogue) -> None:
    from django.contrib.auth.models import Group
    from django.core.management import call_command

    call_command("make_roles", verbosity=0)
    names = set(Group.objects.get(name="duty").permissions.values_list("codename", flat=True))
    assert {"view_ban", "add_ban", "change_ban"} <= names
    assert "add_ban" not in Group.objects.get(name="catalogue").permissions.values_list("codename", flat=True)
