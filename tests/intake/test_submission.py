"""What may be sent, what is wrong with the rest, and what is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as slow
from hypothesis import strategies as st

from reports.intake import catalogue, inbox, submission
from reports.intake.submission import Invalid, Post, read_receipt, submit, submit_many, validate
from reports.models import AcceptedId, InboxBlock, Kind, Service
from tests.intake.making import Catalogue

NOON = datetime(2026, 3, 4, 12, 0, 30, 123456, tzinfo=UTC)
GOOD = {"service": "whatsapp", "region": "GB-ENG"}


def errors(**data: object) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as caught:
        validate(data)
    return caught.value.errors


def test_the_shortest_report_is_a_service_and_a_region(known: Catalogue):
    found = validate(GOOD)
    assert (found.service_id, found.service) == (known.whatsapp.id, "whatsapp")
    assert (found.region_id, found.region) == (known.england.id, "GB-ENG")
    assert (found.kind, found.problem_id, found.problem, found.client_id) == (Kind.DOWN, None, None, None)


def test_everything_may_be_said(known: Catalogue):
    id = uuid4()
    found = validate({**GOOD, "kind": "working", "problem": "messages", "id": str(id), "colour": "blue"})
    assert (found.kind, found.problem_id, found.problem, found.client_id) == (
        Kind.WORKING,
        known.messages.id,
        "messages",
        id,
    )


@pytest.mark.parametrize("service", ["whatsapp", "WhatsApp", " WHATSAPP ", "Whats App", "whats app"])
def test_a_service_may_be_meant_by_slug_name_or_alias(known: Catalogue, service: str):
    assert validate({**GOOD, "service": service}).service == "whatsapp"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("gb-eng", "GB-ENG"), (" GB-SCT", "GB-SCT"), ("GB-LND", "GB~LON"), ("GB", "GB"), ("001", "001")],
)
def test_a_region_of_any_level_may_be_meant_in_any_case_or_by_an_alias(known: Catalogue, sent: str, meant: str):
    assert validate({**GOOD, "region": sent}).region == meant


def test_a_service_may_be_reported_from_where_it_is_not_offered(known: Catalogue):
    assert validate({"service": "lloyds-bank", "region": "001"}).service == "lloyds-bank"


def test_a_form_leaves_fields_empty(known: Catalogue):
    found = validate({**GOOD, "kind": "", "problem": " ", "id": ""})
    assert (found.kind, found.problem, found.client_id) == (Kind.DOWN, None, None)


def test_missing_null_and_blank_fields_are_told_apart(known: Catalogue):
    assert errors() == {"service": ["This field is required."], "region": ["This field is required."]}
    assert errors(service=None, region=" ") == {
        "service": ["This field may not be null."],
        "region": ["This field may not be blank."],
    }


def test_an_unknown_service_is_answered_with_the_nearest(known: Catalogue):
    assert errors(service="whatsap", region="GB-ENG") == {
        "service": ['Unknown service "whatsap". Did you mean whatsapp (WhatsApp)?']
    }
    assert errors(service="zzzz", region="GB-ENG") == {
        "service": ['Unknown service "zzzz". All services: /api/v1/services/']
    }


def test_an_unknown_region_is_answered_with_the_nearest(known: Catalogue):
    (message,) = errors(service="whatsapp", region="GB-XX")["region"]
    assert message.startswith('Unknown region "GB-XX". Did you mean GB')
    assert "GB-SCT (Scotland)" in errors(service="whatsapp", region="Scotlnd")["region"][0]


def test_a_retired_service_takes_no_reports(known: Catalogue):
    Service.objects.filter(slug="instagram").update(retired_at=timezone.now())
    assert errors(service="instagram", region="GB") == {"service": ['Service "instagram" is retired.']}
    assert "instagram" not in errors(service="instagrm", region="GB")["service"][0]


def test_a_problem_belongs_to_the_category_of_the_service(known: Catalogue):
    assert errors(**GOOD, problem="payments") == {
        "problem": ['Unknown problem "payments" of whatsapp. Expected one of: messages, login.']
    }
    assert validate({"service": "lloyds-bank", "region": "GB", "problem": "payments"}).problem == "payments"


def test_a_kind_is_down_or_working(known: Catalogue):
    assert errors(**GOOD, kind="slow") == {"kind": ['"slow" is not a valid choice. Expected "down" or "working".']}


@pytest.mark.parametrize("id", ["7", "not-a-uuid", "g" * 36])
def test_an_id_is_a_uuid(known: Catalogue, id: str):
    assert errors(**GOOD, id=id) == {"id": ["Must be a valid UUID."]}


def test_the_nil_id_is_refused(known: Catalogue):
    assert errors(**GOOD, id=str(UUID(int=0))) == {"id": ["Must be a UUID of its own for each report."]}


@pytest.mark.parametrize("value", [1, 1.5, True, ["whatsapp"], {"slug": "whatsapp"}, b"whatsapp"])
def test_values_of_other_types_are_refused(known: Catalogue, value: object):
    for field in ("service", "region", "kind", "problem", "id"):
        assert errors(**{**GOOD, field: value})[field] == ["Not a valid string."]


@pytest.mark.parametrize("value", ["a\x00b", "a\nb", "\ud800", "\u202eppastahw", "a\u200bb"])
def test_invisible_characters_are_refused(known: Catalogue, value: str):
    for field in ("service", "region", "kind", "problem", "id"):
        assert errors(**{**GOOD, field: value})[field] == ["Control characters are not allowed."]


def test_a_text_has_a_length(known: Catalogue):
    assert errors(**GOOD | {"service": "a" * 101})["service"] == ["Ensure this field has no more than 100 characters."]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=120),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@slow(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["service", "region", "kind", "problem", "id", "other"]), anything, max_size=6)
    | st.fixed_dictionaries({"service": st.just("whatsapp"), "region": st.text(max_size=12)})
)
def test_whatever_is_sent_is_a_report_or_an_error_that_json_can_carry(known: Catalogue, data: dict[str, Any]):
    try:
        validate(data)
    except Invalid as invalid:
        told = invalid.errors
    else:
        told = {"service": []}
    assert told
    assert set(told) <= {"service", "region", "kind", "problem", "id"}
    json.dumps(told).encode()


# --- The catalogue in the process ------------------------------------------------------------------------------------


def test_a_change_of_the_catalogue_is_seen_after_a_few_seconds(known: Catalogue, monkeypatch: pytest.MonkeyPatch):
    validate(GOOD)
    Service.objects.filter(slug="whatsapp").update(slug="whatsapp-messenger", name="Messenger of old")
    assert validate(GOOD).service == "whatsapp"
    monkeypatch.setattr(catalogue, "_checked_at", catalogue._checked_at - catalogue.REFRESH_SECONDS)
    assert "service" in errors(**GOOD)
    assert validate({**GOOD, "service": "whatsapp-messenger"}).service_id == known.whatsapp.id


def test_an_unchanged_catalogue_is_not_read_again(known: Catalogue):
    first = catalogue.read()
    assert catalogue.read() is first


# --- Accepting -------------------------------------------------------------------------------------------------------


def test_an_accepted_report_is_in_the_inbox_and_answered_as_promised(known: Catalogue):
    accepted = submit({**GOOD, "problem": "messages"}, address="192.0.2.1", received_at=NOON)
    assert accepted.as_json() == {
        "id": str(accepted.id),
        "service": "whatsapp",
        "region": "GB-ENG",
        "kind": "down",
        "problem": "messages",
        "received_at": "2026-03-04T12:00:30.123Z",
        "receipt": accepted.receipt,
    }
    assert accepted.id.version == 7
    assert InboxBlock.objects.get().reports == 1


def test_an_invalid_report_leaves_nothing(known: Catalogue):
    with pytest.raises(Invalid):
        submit({"service": "whatsapp"}, address="192.0.2.1", received_at=NOON)
    assert not InboxBlock.objects.exists()


def test_the_same_id_again_gets_the_same_answer_and_writes_nothing(known: Catalogue):
    data = {**GOOD, "id": str(uuid4())}
    first = submit(data, address="192.0.2.1", received_at=NOON)
    again = submit(
        {**data, "service": "instagram", "kind": "working"},
        address="198.51.100.7",
        received_at=NOON + timedelta(hours=3),
    )
    assert again == first
    assert InboxBlock.objects.count() == AcceptedId.objects.count() == 1


def test_no_address_is_stored(known: Catalogue):
    submit(GOOD, address="198.51.100.77", received_at=NOON, client="Firefox")
    block = bytes(InboxBlock.objects.get().block)
    for trace in (b"198.51", bytes([198, 51, 100]), bytes([100, 51, 198]), b"Firefox"):
        assert trace not in block


def test_an_answer_does_not_precede_the_commit(committed: Catalogue):
    with transaction.atomic(), pytest.raises(RuntimeError):
        submit(GOOD, address="192.0.2.1", received_at=NOON)
    assert not connection.in_atomic_block


def test_without_a_database_a_report_is_to_be_sent_again(known: Catalogue, monkeypatch: pytest.MonkeyPatch):
    def refuse(entries: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(inbox, "write", refuse)
    with pytest.raises(inbox.Unavailable):
        submit(GOOD, address="192.0.2.1", received_at=NOON)


def test_many_reports_are_accepted_as_blocks(known: Catalogue):
    posts = (Post(GOOD, f"192.0.2.{i}", NOON + timedelta(seconds=i)) for i in range(7))
    assert submit_many(posts) == 7
    assert InboxBlock.objects.get().reports == 7


def test_a_receipt_says_what_was_accepted_and_cannot_be_forged(known: Catalogue):
    accepted = submit({**GOOD, "region": "GB~LON"}, address="192.0.2.1", received_at=NOON)
    receipt = read_receipt(accepted.receipt)
    assert receipt is not None
    assert (receipt.id, receipt.service, receipt.region, receipt.kind, receipt.received_at) == (
        accepted.id,
        "whatsapp",
        "GB~LON",
        "down",
        accepted.received_at,
    )
    assert read_receipt(accepted.receipt.replace("down", "working")) is None


@given(st.text(max_size=80))
def test_rubbish_is_no_receipt(token: str):
    assert read_receipt(token) is None


@given(st.text(max_size=60))
def test_a_receipt_is_signed_as_django_would(text: str):
    assert submission._signed(text) == submission._SIGNER.sign(text)
