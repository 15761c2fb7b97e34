"""The desk's door from the outside: second factor, recovery codes, too many attempts, roles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.test import Client

pytestmark = pytest.mark.django_db

PASSWORD = "a-long-password"


@pytest.fixture
def owner() -> User:
    from django.contrib.auth.models import User

    return User.objects.create_superuser("owner", password=PASSWORD)


def sign_in(client: Client, *, code: str = "", password: str = PASSWORD, **headers: Any) -> Any:
    given = {"username": "owner", "password": password, "code": code, "next": "/admin/"}
    return client.post("/admin/login/", given, **headers)


def present_code(user: User) -> str:
    """What the authenticator shows; as if half a minute had passed since the last code, which works but once."""
    from django_otp.oath import TOTP
    from django_otp.plugins.otp_totp.models import TOTPDevice

    device = TOTPDevice.objects.get(user=user)
    TOTPDevice.objects.filter(pk=device.pk).update(last_t=-1, throttling_failure_count=0)
    return f"{TOTP(device.bin_key, device.step, device.t0, device.digits).token():06d}"


def set_up(client: Client, user: User) -> list[str]:
    """Signs in, sets the second factor up, signs out: the recovery codes."""
    assert sign_in(client).status_code == 302
    shown = client.get("/admin/two-factor/")
    assert b"<svg" in shown.content
    done = client.post("/admin/two-factor/", {"act": "confirm", "code": present_code(user)})
    codes = re.findall(r"<li><code>(\w+)</code>", done.content.decode())
    assert len(codes) == 8
    assert client.get("/admin/").status_code == 200
    client.logout()
    return codes


def test_without_a_second_factor_the_password_is_enough(client: Client, owner: User) -> None:
    assert sign_in(client).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_who_has_a_second_factor_is_asked_for_it(client: Client, owner: User) -> None:
    set_up(client, owner)
    assert "code is missing or wrong" in sign_in(client).content.decode()
    assert client.get("/admin/").status_code == 302
    assert sign_in(client, code=present_code(owner)).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_a_code_works_once(client: Client, owner: User) -> None:
    set_up(client, owner)
    code = present_code(owner)
    assert sign_in(client, code=code).status_code == 302
    client.logout()
    assert sign_in(client, code=code).status_code == 200


def test_a_recovery_code_lets_in_once(client: Client, owner: User) -> None:
    codes = set_up(client, owner)
    assert sign_in(client, code=codes[0]).status_code == 302
    client.logout()
    assert sign_in(client, code=codes[0]).status_code == 200


def test_a_session_from_before_the_second_factor_gets_no_further(client: Client, owner: User) -> None:
    from django.test import Client as Browser

    other = Browser()
    assert sign_in(other).status_code == 302
    set_up(client, owner)
    assert other.get("/admin/").status_code == 302
    assert other.get("/admin/two-factor/").status_code == 403


def test_it_is_taken_away_with_a_code_only(client: Client, owner: User) -> None:
    from django_otp import user_has_device

    set_up(client, owner)
    sign_in(client, code=present_code(owner))
    client.post("/admin/two-factor/", {"act": "remove", "code": "000000"})
    assert user_has_device(owner)
    client.post("/admin/two-factor/", {"act": "remove", "code": present_code(owner)})
    assert not user_has_device(owner)


def test_where_it_is_required_nobody_gets_further_than_to_set_it_up(client: Client, owner: User, settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    sign_in(client)
    assert client.get("/admin/reports/incident/").status_code == 302
    assert client.get("/admin/login/")["Location"] == "/admin/two-factor/"
    client.post("/admin/two-factor/", {"act": "confirm", "code": present_code_of_new(client, owner)})
    assert client.get("/admin/reports/incident/").status_code == 200


def present_code_of_new(client: Client, user: User) -> str:
    client.get("/admin/two-factor/")
    return present_code(user)


def test_a_visitor_is_shown_no_key(client: Client) -> None:
    assert client.get("/admin/two-factor/")["Location"].startswith("/admin/login/")


def test_a_network_that_fails_too_often_is_turned_away_and_no_other(client: Client, owner: User, settings: Any) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert sign_in(client, password="wrong").status_code == 200
    refused = sign_in(client, password="wrong")
    assert refused.status_code == 429
    assert refused["Retry-After"] == "900"
    assert "Try again in 15 minutes" in refused.content.decode()
    assert sign_in(client).status_code == 429
    assert sign_in(client, REMOTE_ADDR="198.51.100.7").status_code == 302


def test_no_address_is_kept_of_who_failed(client: Client, owner: User) -> None:
    from axes.models import AccessAttempt

    sign_in(client, password="wrong", REMOTE_ADDR="198.51.100.7")
    attempt = AccessAttempt.objects.get()
    assert attempt.ip_address.startswith("fd")
    assert "198.51.100.7" not in str(vars(attempt))
    assert "wrong" not in str(vars(attempt))


def test_a_forged_proxy_header_is_no_way_round(client: Client, owner: User, settings: Any) -> None:
    for number in range(settings.AXES_FAILURE_LIMIT):
        answer = sign_in(client, password="wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (
            "duty",
            ("change_incident", "add_statement", "view_evidence", "change_quarantine"),
            ("add_service", "add_apikey", "view_apikey"),
        ),
        ("catalogue", ("add_service", "change_region", "view_incident"), ("change_incident", "add_apikey")),
        ("owner", ("change_incident", "add_service", "add_apikey"), ()),
    ],
)
def test_a_role_may_what_it_is_for(role: str, may: tuple[str, ...], may_not: tuple[str, ...]) -> None:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command

    call_command("make_roles", verbosity=0)
    call_command("make_roles", verbosity=0)
    user = User.objects.create_user("somebody", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    assert all(user.has_perm(f"reports.{name}") for name in may)
    assert not any(user.has_perm(f"reports.{name}") for name in may_not)
    assert user.has_perm("auth.change_user") == (role == "owner")


@pytest.mark.parametrize("role", ["duty", "owner"])
def test_what_one_did_leads_only_where_one_may_look(client: Client, role: str) -> None:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command

    call_command("make_roles", verbosity=0)
    user = User.objects.create_user("owner", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    sign_in(client)
    client.get("/admin/two-factor/")
    client.post("/admin/two-factor/", {"act": "confirm", "code": present_code(user)})
    for address in ("/admin/", "/admin/reports/incident/duty/"):
        page = client.get(address).content.decode()
        links = set(re.findall(r'href="(/admin/[^"#?]*)"', page)) - {"/admin/logout/"}
        assert (f"/admin/auth/user/{user.pk}/change/" in links) == (role == "owner" and address == "/admin/")
        assert [link for link in sorted(links) if client.get(link).status_code >= 400] == []
    first = client.get("/admin/").content.decode()
    assert 'class="changelink"' in first
    assert "owner" in first[first.index("My actions") :]


# --- how long one stays signed in ---

SEEN, SINCE = "outagemap.seen", "outagemap.since"


def pass_time(client: Client, **noted: float) -> None:
    """As if so many seconds had passed since what the session notes."""
    session = client.session
    for name, seconds in noted.items():
        session[{"seen": SEEN, "since": SINCE}[name]] -= seconds
    session.save()


def test_who_does_nothing_for_a_while_is_signed_out(client: Client, owner: User, settings: Any) -> None:
    from django.contrib.sessions.models import Session

    sign_in(client)
    assert client.get("/admin/").status_code == 200
    idle = settings.ADMIN_IDLE.total_seconds()
    pass_time(client, seen=idle - 5)
    assert client.get("/admin/").status_code == 200
    # That was an act: the time begins anew.
    pass_time(client, seen=idle - 5)
    assert client.get("/admin/").status_code == 200
    pass_time(client, seen=idle + 5)
    answer = client.get("/admin/reports/service/")
    assert answer["Location"] == "/admin/login/?next=/admin/reports/service/"
    assert not Session.objects.exists()


def test_a_page_that_asks_by_itself_keeps_nobody_signed_in(client: Client, owner: User, settings: Any) -> None:
    sign_in(client)
    client.get("/admin/reports/incident/duty/")
    for _ in range(3):
        pass_time(client, seen=settings.ADMIN_IDLE.total_seconds() / 3 + 5)
        answer = client.get("/admin/reports/incident/duty/changes.json")
    assert answer.status_code == 302


def test_a_session_ends_after_a_duty_however_busy(client: Client, owner: User, settings: Any) -> None:
    sign_in(client)
    client.get("/admin/")
    pass_time(client, since=settings.SESSION_COOKIE_AGE - 5)
    assert client.get("/admin/").status_code == 200
    pass_time(client, since=10)
    assert client.get("/admin/").status_code == 302


def test_that_somebody_is_there_is_not_written_down_at_every_click(client: Client, owner: User) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    sign_in(client)
    client.get("/admin/")
    with CaptureQueriesContext(connection) as asked:
        client.get("/admin/")
    assert not [query for query in asked.captured_queries if query["sql"].startswith("UPDATE")]


def test_the_cookies_of_the_desk_are_for_the_desk_alone_and_no_script(client: Client, owner: User) -> None:
    sign_in(client)
    client.get("/admin/")
    for name in ("sessionid", "csrftoken"):
        cookie = client.cookies[name]
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/admin/", True, "Lax")
    # The browser forgets the session when it is closed.
    assert client.cookies["sessionid"]["max-age"] == ""


def test_a_session_is_another_one_after_signing_in(client: Client, owner: User) -> None:
    client.get("/admin/login/")
    sign_in(client)
    before = client.session.session_key
    client.post("/admin/logout/")
    sign_in(client)
    assert client.session.session_key != before


def test_no_page_of_the_desk_is_kept_by_a_browser_or_a_proxy(client: Client, owner: User) -> None:
    sign_in(client)
    for address in ("", "two-factor/", "reports/incident/duty/", "reports/incident/duty/changes.json", "auth/user/"):
        answer = client.get(f"/admin/{address}")
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"], address
