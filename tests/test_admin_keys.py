"""The keys of partners at the desk: shown once, revocable, and traced."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.test_admin import desk, log, owner, staff  # noqa: F401

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

ADD, LIST = "/admin/reports/apikey/add/", "/admin/reports/apikey/"
GIVEN = {
    "name": "Example monitoring",
    "owner": "ops@example.org",
    "scopes": "reports:write",
    "rate_per_minute": "600",
    "expires_at_0": "2099-01-01",
    "expires_at_1": "00:00:00",
}


def made(client: Client, **given: Any) -> Any:
    return client.post(ADD, {**GIVEN, **given})


def token_in(response: Any) -> str:
    found = re.search(r'<code id="token">(.+?)</code>', response.content.decode())
    assert found
    return found[1]


def test_a_new_key_is_shown_once_and_only_its_fingerprint_is_kept(desk: Client) -> None:  # noqa: F811
    from django.contrib.admin.models import LogEntry
    from django.contrib.sessions.models import Session

    from reports.models import ApiKey

    response = made(desk)
    token = token_in(response)
    assert "no-store" in response["Cache-Control"]
    key = ApiKey.objects.get()
    assert (key.name, key.scopes, key.rate_per_minute, key.expires_at.year) == (
        "Example monitoring",
        ["reports:write"],
        600,
        2099,
    )
    assert token.startswith(f"{key.prefix}.")
    secret = token.partition(".")[2]
    page = desk.get(f"{LIST}{key.pk}/change/").content.decode()
    assert key.prefix in page
    rows = [*ApiKey.objects.values(), *LogEntry.objects.values(), *(s.get_decoded() for s in Session.objects.all())]
    kept = page + desk.get(LIST).content.decode() + str(rows) + str(desk.cookies)
    assert secret not in kept
    assert key.digest not in page
    assert LogEntry.objects.get().object_repr == str(key)


@pytest.mark.parametrize(
    "given",
    [{"name": ""}, {"scopes": "everything"}, {"scopes": []}, {"rate_per_minute": "0"}, {"expires_at_0": "soon"}],
)
def test_a_key_is_made_only_of_what_makes_sense(desk: Client, given: dict[str, Any]) -> None:  # noqa: F811
    from reports.models import ApiKey

    assert made(desk, **given).status_code == 200
    assert not ApiKey.objects.exists()


def test_a_key_is_changed_without_getting_another_token(desk: Client) -> None:  # noqa: F811
    from reports.models import ApiKey

    made(desk)
    before = ApiKey.objects.get()
    response = desk.post(f"{LIST}{before.pk}/change/", {**GIVEN, "rate_per_minute": "700"})
    assert response.status_code == 302
    after = ApiKey.objects.get()
    assert (after.rate_per_minute, after.digest, after.prefix) == (700, before.digest, before.prefix)


@pytest.mark.django_db(transaction=True)
def test_a_revoked_key_opens_nothing_any_more_and_stays_in_the_list(desk: Client) -> None:  # noqa: F811
    from reports.intake import keys
    from reports.models import ApiKey

    token = token_in(made(desk))
    assert asyncio.run(keys.holder(token)) is not None
    key = ApiKey.objects.get()
    for said in ("1 revoked", "0 revoked"):
        response = desk.post(LIST, {"action": "revoke", "_selected_action": [key.pk]}, follow=True)
        assert said in response.content.decode()
    keys.forget()
    assert asyncio.run(keys.holder(token)) is None
    assert log()[1:] == ["Revoked."]
    assert key.prefix in desk.get(LIST).content.decode()
    assert desk.post(f"{LIST}{key.pk}/change/", GIVEN).status_code == 403
    assert desk.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403


def test_only_who_may_can_make_or_revoke_keys(client: Client) -> None:
    from reports.models import ApiKey

    staff(client, "view_apikey")
    assert client.get(LIST).status_code == 200
    assert made(client).status_code == 403
    assert not ApiKey.objects.exists()
    assert 'value="revoke"' not in client.get(LIST).content.decode()
    assert made(client).status_code == 403
