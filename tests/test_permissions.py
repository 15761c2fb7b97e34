"""Who is answered what: every address of the desk and every call of the API, asked from the outside by everybody.

The addresses come from the URL resolver and the actions from the admin's registry: one that is new fails here until
somebody has written down who may use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from django.db.models import Model
    from django.test import Client

pytestmark = pytest.mark.django_db

# Who signs in, each by a letter: staff without a role, and the three roles that `manage.py make_roles` makes.
STAFF = {"N": "", "D": "duty", "C": "catalogue", "O": "owner"}
OUTSIDE = ("anonymous", "key")
EVERYBODY = "NDCO"

# Of each table of the desk: who may look, add, change, delete.
MODELS = {
    "auth_group": ("O", "O", "O", "O"),
    "auth_user": ("O", "O", "O", "O"),
    "axes_accessattempt": ("O", "", "O", "O"),
    "axes_accessfailurelog": ("O", "", "O", "O"),
    "axes_accesslog": ("O", "", "O", "O"),
    "otp_static_staticdevice": ("O", "O", "O", "O"),
    "otp_totp_totpdevice": ("O", "O", "O", "O"),
    "reports_act": ("DCO", "", "", ""),
    "reports_apikey": ("O", "O", "O", ""),
    "reports_ban": ("DCO", "", "", ""),
    "reports_baseline": ("DCO", "", "", ""),
    "reports_category": ("DCO", "CO", "CO", ""),
    "reports_delivery": ("DCO", "", "", ""),
    "reports_evidence": ("DCO", "", "", ""),
    "reports_heard": ("DCO", "", "", ""),
    "reports_incident": ("DCO", "", "", ""),
    "reports_provider": ("DCO", "CO", "CO", ""),
    "reports_quarantine": ("DCO", "", "", ""),
    "reports_region": ("DCO", "", "", ""),
    "reports_report": ("DCO", "", "", ""),
    "reports_service": ("DCO", "CO", "CO", ""),
    "reports_statement": ("DCO", "", "", ""),
    "reports_statusfeed": ("DCO", "CO", "CO", ""),
    "reports_subscription": ("DCO", "", "", ""),
    "reports_timelineentry": ("DCO", "", "", ""),
    "reports_whatif": ("DCO", "DO", "", ""),
}
# What is sent to the page of one of these is not taken, whoever sends it: there are acts for that.
LOOKED_AT = (
    "reports_heard_change",
    "reports_incident_change",
    "reports_quarantine_change",
    "reports_report_changelist",
    "reports_whatif_change",
)
# A report has no page, not for an owner either: it is counted, not read.
NO_PAGE = ("reports_report_change", "reports_report_history")
# Acts are sent, never fetched; who may.
ACTS = {
    "reports_heard_attach": "DO",
    "reports_heard_dismiss": "DO",
    "reports_incident_confirm": "DO",
    "reports_incident_merge": "DO",
    "reports_incident_override": "DO",
    "reports_incident_reject": "DO",
    "reports_incident_reopen": "DO",
    "reports_incident_split": "DO",
    "reports_incident_statement": "DO",
    "reports_incident_undo": "DO",
    "reports_incident_undo_rejection": "DO",
    "reports_report_keep": "O",
    "reports_whatif_again": "DO",
    "reports_whatif_cancel": "DO",
}
# Pages that are looked at only.
READ = {"reports_incident_duty": "DCO", "reports_incident_duty_changes": "DCO"}
# The page of a region by its code leads to the region.
LEADS_ON = {"reports_region_of": "DCO"}
# Pages of the desk itself: what staff is answered who fetches one, or sends to one.
PAGES = {
    "app_list": (200, 200),
    "autocomplete": (200, 405),
    "index": (200, 200),
    "jsi18n": (200, 405),
    "login": (302, 200),
    "logout": (405, 200),
    "password_change": (200, 200),
    "password_change_done": (200, 405),
    "two_factor": (200, 200),
    # No table of ours has a page of its own there.
    "view_on_site": (404, 404),
}
# Those of them that only some may see, and what the others are answered.
NARROWER = {"app_list": ("DCO", 404, 404), "autocomplete": ("DCO", 403, 405)}
# Further pages of single rows; the key of somebody's second factor is shown to nobody.
OF_ONE_ROW = {
    "auth_user_password_change": "O",
    "otp_totp_totpdevice_config": "",
    "otp_totp_totpdevice_qrcode": "",
    "reports_network_shares": "DCO",
    "reports_statusfeed_try": "CO",
}
# What is done with several rows of a list.
ACTIONS = {
    "auth_group.delete_selected": "O",
    "auth_user.delete_selected": "O",
    "axes_accessattempt.cleanup_expired_attempts": "O",
    "axes_accessattempt.delete_selected": "O",
    "axes_accessfailurelog.delete_selected": "O",
    "axes_accesslog.delete_selected": "O",
    "otp_static_staticdevice.delete_selected": "O",
    "otp_totp_totpdevice.delete_selected": "O",
    "reports_act.export": "DCO",
    "reports_apikey.revoke": "O",
    "reports_ban.lift": "DO",
    "reports_delivery.send_again": "O",
    "reports_incident.confirm_selected": "DO",
    "reports_quarantine.release": "DO",
    "reports_subscription.remove": "O",
}
# Calls of the API, which everybody may make alike: what a right one is answered, by its method. Any other method: 405.
API = {
    "calibration": {"GET": 200},
    "counts": {"GET": 200},
    "incident": {"GET": 200},
    "incident-article": {"GET": 200},
    "incident-export": {"GET": 200},
    "incident-problems": {"GET": 200},
    "incident-regions": {"GET": 200},
    "incident-shapes": {"GET": 200},
    "incident-timeline": {"GET": 200},
    "incidents": {"GET": 200},
    "locate": {"GET": 200},
    "map": {"GET": 200},
    "region": {"GET": 200},
    "provider": {"GET": 200},
    "providers": {"GET": 200},
    "regions": {"GET": 200},
    "reports": {"POST": 202},
    # But for this one, which wants a key: then 202.
    "reports-batch": {"POST": 401},
    "schema": {"GET": 200},
    "service": {"GET": 200},
    "services": {"GET": 200},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TAKEN = frozenset({200, 302, 400})
"""What somebody is answered who may send something, and sends nothing: the form again, mostly."""


@dataclass(frozen=True)
class Address:
    """One pattern of the resolver: its name, and an address that fits it."""

    name: str
    path: str


def patterns(namespace: str) -> Iterator[tuple[str, str]]:
    """Name and route of each pattern in a namespace; one without a name goes by its route."""
    from django.urls import get_resolver
    from django.urls.resolvers import URLResolver

    def walk(resolver: Any) -> Iterator[tuple[str, str]]:
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern)
            else:
                yield str(pattern.name), str(pattern.pattern)

    for each in get_resolver().url_patterns:
        if isinstance(each, URLResolver) and each.namespace == namespace:
            yield from walk(each)


def slug(model: type[Model]) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


# --- the tables hold everything ---------------------------------------------------------------------------------------


def test_every_address_of_the_desk_has_an_expectation() -> None:
    of_models = {f"{model}_{kind}" for model in MODELS for kind in ("changelist", "add", "change", "delete", "history")}
    expected = of_models | set(ACTS) | set(READ) | set(LEADS_ON) | set(PAGES) | set(OF_ONE_ROW)
    found = {name for name, _ in patterns("admin")} - {"None"}
    assert found - expected == set(), "say in this file who may use it"
    assert expected - found == set(), "there is no such address any more"
    # Without a name are only the short address of each row, and what leads nowhere.
    nameless = {route for name, route in patterns("admin") if name == "None"}
    assert nameless == {"<path:object_id>/", "(?P<url>.*)$"}


def test_every_action_of_the_desk_has_an_expectation() -> None:
    assert set(actions()) == set(ACTIONS)


def test_every_call_of_the_api_has_an_expectation() -> None:
    assert {name for name, _ in patterns("api")} - {"None"} == set(API)


def actions() -> Iterator[str]:
    from django.contrib import admin

    # The tables are registered with the addresses.
    import outagemap.urls  # noqa: F401

    for model, desk in admin.site._registry.items():
        if desk.actions is None:
            continue
        for _act, name, _words in desk._get_base_actions():
            # Django offers it everywhere, and takes it away again where nobody may delete.
            if name != "delete_selected" or MODELS[slug(model)][3]:
                yield f"{slug(model)}.{name}"


# --- the desk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", OUTSIDE)
def test_the_desk_sends_everybody_to_the_sign_in_who_has_not_signed_in(client: Client, who: str) -> None:
    rows = one_of_each()
    headers = {"Authorization": f"Api-Key {key()}"} if who == "key" else {}
    wrong = []
    for address in addresses(rows):
        for method in METHODS:
            answer = client.generic(method, address.path, headers=headers)
            if address.name == "login":
                right = answer.status_code == (200 if method in ("GET", "POST", "PUT") else 405)
            else:
                # Who signs out without having signed in is led to the first page, and from there to the sign-in.
                to = "/admin/" if address.name == "logout" else "/admin/login/"
                right = answer.status_code == 302 and answer["Location"].startswith(to)
            if not right:
                wrong.append((method, address.path, answer.status_code))
            assert not any(cookie.value for name, cookie in client.cookies.items() if name == "sessionid")
    assert not wrong, "\n".join(map(str, wrong))
    assert unchanged(rows)


@pytest.mark.parametrize("letter", STAFF)
def test_staff_is_answered_what_its_role_allows(client: Client, letter: str) -> None:
    rows = one_of_each()
    sign_in(client, letter)
    wrong = []
    # Signing out and deleting come last.
    for address in sorted(addresses(rows), key=lambda one: (one.name == "logout", one.name.endswith("_delete"))):
        if address.name == "autocomplete":
            address = Address(address.name, f"{address.path}?{AUTOCOMPLETE}")
        for method, expected in zip(("GET", "POST"), answers(address.name, letter), strict=True):
            status = client.generic(method, address.path).status_code
            if status not in expected:
                wrong.append((method, address.name, address.path, status, sorted(expected)))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("letter", STAFF)
def test_an_action_is_offered_to_and_done_for_its_role_only(client: Client, letter: str) -> None:
    from django.contrib.admin.models import LogEntry

    rows = one_of_each()
    sign_in(client, letter)
    wrong = []
    for name, may in ACTIONS.items():
        model, _, action = name.partition(".")
        address = next(a.path for a in addresses(rows) if a.name == f"{model}_changelist")
        page = client.get(address)
        offered = page.status_code == 200 and f'<option value="{action}">' in page.content.decode()
        if offered != (letter in may):
            wrong.append((name, "offered" if offered else "not offered"))
        if letter not in may:
            client.post(address, {"action": action, "_selected_action": [rows[model].pk], "post": "yes"})
    assert not wrong, "\n".join(map(str, wrong))
    if letter != "O":
        assert LogEntry.objects.count() == 0 or letter == "D"
        assert unchanged({model: row for model, row in rows.items() if model != "reports_incident" or letter != "D"})


AUTOCOMPLETE = "app_label=reports&model_name=service&field_name=provider&term=x"


def answers(name: str, letter: str) -> tuple[frozenset[int], frozenset[int]]:
    """What this member of staff must be answered who fetches the address, and who sends to it."""
    refused = frozenset({403})
    if name in PAGES:
        fetched, sent = PAGES[name]
        may, *instead = NARROWER.get(name, (EVERYBODY, fetched, sent))
        fetched, sent = (fetched, sent) if letter in may else instead
        return frozenset({fetched}), frozenset({sent})
    if name in ACTS:
        return frozenset({405}), TAKEN if letter in ACTS[name] else refused
    if name in NO_PAGE:
        return frozenset({404}), frozenset({404})
    if name in LEADS_ON:
        return (frozenset({302}), frozenset({302})) if letter in LEADS_ON[name] else (refused, refused)
    if name in READ:
        return (frozenset({200}), frozenset({405})) if letter in READ[name] else (refused, refused)
    if name in OF_ONE_ROW:
        return (frozenset({200}), TAKEN) if letter in OF_ONE_ROW[name] else (refused, refused)
    if name == "short":
        return frozenset({302}), frozenset({302})
    if name == "nowhere":
        return frozenset({404}), frozenset({404})
    model, _, kind = name.rpartition("_")
    look, add, change, delete = MODELS[model]
    may_fetch, may_send = {
        "changelist": (look, look),
        "history": (look, look),
        "add": (add, add),
        "change": (look, change),
        "delete": (delete, delete),
    }[kind]
    shown = frozenset({200}) if letter in may_fetch else refused
    if name in LOOKED_AT:
        return shown, frozenset({405})
    return shown, TAKEN if letter in may_send else refused


def addresses(rows: dict[str, Model]) -> list[Address]:
    """Every address of the desk, that of a row with one that is there."""
    from django.contrib.contenttypes.models import ContentType
    from django.urls import reverse

    found = [Address("nowhere", "/admin/no-such-page/")]
    for name, route in patterns("admin"):
        given: dict[str, Any] = {}
        if name == "None":
            continue
        if name == "app_list":
            given = {"app_label": "reports"}
        elif name == "view_on_site":
            row = rows["reports_service"]
            given = {"content_type_id": ContentType.objects.get_for_model(row).pk, "object_id": row.pk}
        elif wanted := re.search(r"<(?:\w+:)?(\w+)>", route):
            model = next(m for m in sorted(MODELS, key=len, reverse=True) if name.startswith(f"{m}_"))
            given = {wanted[1]: rows[model].code if wanted[1] == "code" else rows[model].pk}
        found.append(Address(name, reverse(f"admin:{name}", kwargs=given)))
    # Each row has a short address too.
    of_rows = [one.path for one in found if one.name.removesuffix("_change") in MODELS]
    return [*found, *(Address("short", path.removesuffix("change/")) for path in of_rows)]


def sign_in(client: Client, letter: str) -> None:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command

    call_command("make_roles", verbosity=0)
    user = User.objects.create_user("somebody", password="a-long-password", is_staff=True)
    if STAFF[letter]:
        user.groups.add(Group.objects.get(name=STAFF[letter]))
    client.force_login(user)


def key() -> str:
    from reports import clock
    from reports.intake import keys
    from reports.models import Scope

    return keys.issue("partner", owner="a@example.org", now=clock.now(), scopes=[Scope.REPORTS_WRITE])[1]


def unchanged(rows: dict[str, Model]) -> bool:
    """Whether every row is there and as it was."""
    from django.contrib.auth.models import User

    return all(
        type(row)._default_manager.filter(pk=row.pk).exists()
        and (isinstance(row, User) or _values(row) == _values(type(row)._default_manager.get(pk=row.pk)))
        for row in rows.values()
    )


def _values(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def one_of_each() -> dict[str, Model]:
    """A row of every table of the desk, as the database has it."""
    from axes.models import AccessAttempt, AccessFailureLog, AccessLog
    from django.contrib.auth.models import Group, User
    from django_otp.plugins.otp_static.models import StaticDevice
    from django_otp.plugins.otp_totp.models import TOTPDevice

    from reports import clock, models, partitions
    from reports.intake import keys
    from tests.incidents.world import build_world

    now = clock.now()
    world = build_world()
    user = User.objects.create_user("target", password="a-long-password")
    service = models.Service.objects.get(slug="whatsapp")
    region = models.Region.objects.get(code="GB")
    incident = models.Incident.objects.create(
        ref="OUT-2026-0001", key="x", service=service, onset_at=now, detected_at=now, confidence=0.5
    )
    evidence = models.Evidence.objects.create(
        incident=incident,
        region=region,
        decision="opened",
        decided_at=now,
        observed=1,
        expected=1.0,
        log10_p=-9.0,
        threshold=-7.0,
        window_minutes=5,
        window_end_at=now,
        level="region",
        rule="cell",
    )
    wish = models.Subscription.objects.create(
        id=uuid4(),
        group=uuid4(),
        channel="mail",
        target="a@example.org",
        target_digest="x",
        wish="outages",
        service=service,
        region=region,
        severity="minor",
        created_at=now,
        confirmed_at=now,
    )
    partitions.keep(now, 30)
    update = {"began_at": now, "said_at": now, "heard_at": now}
    # Nobody's name: a page that is tried there is not found at once.
    feed = models.StatusFeed.objects.create(
        provider=service.provider, url="https://status.invalid/incidents.json", format="statuspage"
    )
    report = models.Report.objects.create(
        id=partitions.lowest_id(now),
        received_at=now,
        service=service,
        region=region,
        kind=0,
        person=1,
        network=2,
        counted=True,
    )
    flow = {"service": service, "region": region, "kind": 0, "shape": "regular", "reports": 5}
    attempt = {"username": "x", "ip_address": "fd00::1", "user_agent": "x", "path_info": "/"}
    rows: list[Model] = [
        Group.objects.create(name="target"),
        user,
        AccessAttempt.objects.create(**attempt, get_data="", post_data="", failures_since_start=1),
        AccessFailureLog.objects.create(**attempt),
        AccessLog.objects.create(**attempt),
        StaticDevice.objects.create(user=user, name="x"),
        TOTPDevice.objects.create(user=user, name="x"),
        models.Act.objects.create(incident=incident, kind="confirmed", at=now, by=user, revision=0),
        models.Ban.objects.create(
            service=service,
            region=region,
            kind=0,
            network=2,
            began_at=now,
            until_at=now + timedelta(hours=1),
            why="x",
            banned_by=user,
        ),
        feed,
        models.Heard.objects.create(feed=feed, thread="t", key="k", text="x", meaning="update", **update),
        report,
        keys.issue("target", owner="b@example.org", now=now, scopes=[models.Scope.REPORTS_WRITE])[0],
        models.Baseline.objects.create(version="b", fitted_at=now, history_from=now, history_until=now, fit=b""),
        models.Category.objects.get(),
        models.Delivery.objects.create(subscription=wish, event="e", created_at=now, next_attempt_at=now, dead_at=now),
        evidence,
        incident,
        service.provider,
        models.Quarantine.objects.create(**flow, began_at=now - timedelta(minutes=5), last_at=now),
        region,
        service,
        models.Statement.objects.create(
            incident=incident, meaning="update", text="x", said_at=now, entered_at=now, entered_by=user
        ),
        wish,
        models.TimelineEntry.objects.create(
            incident=incident, kind="region_down", at=now, recorded_at=now, region=region, evidence=evidence
        ),
        models.WhatIf.objects.create(asked_at=now, asked_by=user, settings={}, days=1),
    ]
    assert world.services
    found = {slug(type(row)): type(row)._default_manager.get(pk=row.pk) for row in rows}
    assert set(found) == set(MODELS)
    return found


# --- the API ----------------------------------------------------------------------------------------------------------

CALLERS = (*OUTSIDE, *STAFF)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", CALLERS)
def test_a_call_of_the_api_answers_everybody_alike_but_the_one_that_wants_a_key(client: Client, who: str) -> None:
    from django.urls import reverse

    from tests.status.making import make_world, open_incident, watch

    world = make_world()
    watch()
    incident = open_incident(world.whatsapp)
    headers = {"Authorization": f"Api-Key {key()}"} if who == "key" else {}
    if who in STAFF:
        sign_in(client, who)
    given = {"slug": "whatsapp", "code": "GB-ENG", "ref": incident.ref}
    wrong = []
    for name, route in patterns("api"):
        if name == "None":
            continue
        wanted = re.findall(r"<(?:\w+:)?(\w+)>", route)
        own = given | ({"slug": "meta"} if name == "provider" else {})
        path = reverse(f"api:{name}", kwargs={each: own[each] for each in wanted})
        for method in METHODS:
            expected = API[name].get(method, 405)
            if (name, method, who) == ("reports-batch", "POST", "key"):
                expected = 202
            query = {"lat": "51.5", "lon": "-0.1"} if name == "locate" else {}
            status = client.generic(
                method,
                path,
                json.dumps(body(name)),
                content_type="application/json",
                headers=headers,
                query_params=query,
            ).status_code
            if status != expected:
                wrong.append((method, path, status, expected))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_call_is_not_found_by_anybody(client: Client, method: str) -> None:
    assert client.generic(method, "/api/v1/secrets/").status_code == 404
    assert client.generic(method, "/api/v1/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_revoked_or_may_not_report_opens_nothing(client: Client) -> None:
    from django.urls import reverse

    from reports import clock
    from reports.intake import keys
    from reports.models import ApiKey
    from tests.status.making import make_world

    make_world()
    token = key()
    keys.revoke(ApiKey.objects.get().pk, now=clock.now())
    keys.forget()
    powerless = keys.issue("reader", owner="c@example.org", now=clock.now(), scopes=[])[1]
    for wrong, status in ((token, 401), (powerless, 403), ("om_nonsense", 401), ("", 401)):
        answer = client.post(
            reverse("api:reports-batch"),
            json.dumps(body("reports-batch")),
            content_type="application/json",
            headers={"Authorization": f"Api-Key {wrong}"},
        )
        assert answer.status_code == status, wrong


def body(name: str) -> Any:
    report = {"service": "whatsapp", "region": "GB-ENG", "id": str(uuid4())}
    return [report] if name == "reports-batch" else report
