"""Who reports: addresses behind proxies, pseudonyms, and secrets that do not outlive their use."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address, ip_network
from threading import Barrier, Thread
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from reports.intake import guard
from reports.intake.guard import Secrets, client_address, pseudonyms
from reports.models import Salt, Seen

KEYS = Secrets(today=b"t" * 32, yesterday=None)
PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48")]


def test_the_counting_window_is_an_hour():
    assert timedelta(minutes=60) == guard.COUNTING_WINDOW


@given(st.lists(st.text(max_size=60), max_size=4))
def test_a_forged_header_changes_nothing_without_a_proxy(forged: list[str]):
    assert client_address("203.0.113.9", forged, trusted=[]) == "203.0.113.9"
    assert client_address("203.0.113.9", forged, trusted=PROXIES) == "203.0.113.9"


@given(st.lists(st.text(max_size=60), max_size=4))
def test_a_forged_header_changes_nothing_behind_a_proxy(forged: list[str]):
    seen = ",".join([*forged, " 203.0.113.9"])
    assert client_address("10.0.0.1", [seen], trusted=PROXIES) == "203.0.113.9"
    assert client_address("10.0.0.1", [*forged, "203.0.113.9, 10.7.7.7"], trusted=PROXIES) == "203.0.113.9"


_ADDRESS = st.ip_addresses().map(str)
_HOP = (
    _ADDRESS
    | st.builds("[{}]:{}".format, st.ip_addresses(v=6), st.integers(0, 99999))
    | st.builds("{}:{}".format, st.ip_addresses(v=4), st.integers(0, 99999))
    | st.builds("::ffff:{}".format, st.ip_addresses(v=4))
    | st.binary(max_size=20).map(lambda raw: raw.decode("latin-1"))
)


@given(_ADDRESS | st.text(max_size=20), st.lists(st.lists(_HOP, max_size=4).map(",".join), max_size=3), st.booleans())
def test_whatever_headers_say_an_address_is_found_and_it_is_one(peer: str, forwarded: list[str], behind: bool):
    everybody = [ip_network("0.0.0.0/0"), ip_network("::/0")] if behind else []
    found = client_address(peer, forwarded, trusted=everybody)
    assert str(ip_address(found)) == found
    assert pseudonyms(found, client="", keys=Secrets(b"today", None)).person


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([], "10.0.0.1"),
        (["203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::5]:443"], "2001:db8::5"),
        (["2001:db8::5%eth0"], "2001:db8::5"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9, 10.2.2.2, 2001:db8:ffff::1"], "203.0.113.9"),
        (["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
        (["203.0.113.9, unknown"], "10.0.0.1"),
        (["203.0.113.9, unknown, 10.2.2.2"], "10.2.2.2"),
        ([""], "10.0.0.1"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(forwarded: list[str], address: str):
    assert client_address("10.0.0.1", forwarded, trusted=PROXIES) == address


@pytest.mark.parametrize("peer", ["", "unix:", "nonsense", "1.2.3"])
def test_a_peer_without_an_address_is_nobody_and_vouches_for_nobody(peer: str):
    assert client_address(peer, ["203.0.113.9"], trusted=PROXIES) == guard.NOBODY


def test_both_servers_give_the_same_client(settings: Any):
    settings.TRUSTED_PROXIES = tuple(PROXIES)
    request = RequestFactory().get(
        "/",
        REMOTE_ADDR="10.0.0.1",
        headers={"User-Agent": "Firefox", "Accept-Language": "de", "X-Forwarded-For": "1.1.1.1, 203.0.113.9"},
    )
    scope = {
        "client": ("10.0.0.1", 4711),
        "headers": [
            (b"user-agent", b"Firefox"),
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"accept-language", b"de"),
            (b"x-forwarded-for", b"203.0.113.9"),
        ],
    }
    assert guard.request_client(request) == guard.scope_client(scope) == ("203.0.113.9", "Firefox\nde")


@pytest.mark.parametrize(
    ("one", "other", "same_person", "same_network"),
    [
        ("192.0.2.1", "192.0.2.1", True, True),
        ("192.0.2.1", "192.0.2.254", False, True),
        ("192.0.2.1", "192.0.3.1", False, False),
        ("192.0.2.1", "::ffff:192.0.2.1", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False, True),
        ("2001:db8:1:2::1", "2001:db8:2:2::1", False, False),
    ],
)
def test_who_is_a_person_and_what_is_a_network(one: str, other: str, same_person: bool, same_network: bool):
    first, second = (pseudonyms(address, client="", keys=KEYS) for address in (one, other))
    assert (first.person == second.person) is same_person
    assert (first.network == second.network) is same_network


def test_a_pseudonym_is_another_with_another_browser_or_secret_but_the_network_stays():
    first = pseudonyms("192.0.2.1", client="Firefox", keys=KEYS)
    second = pseudonyms("192.0.2.1", client="Safari", keys=KEYS)
    assert first.person != second.person
    assert first.network == second.network
    tomorrow = pseudonyms("192.0.2.1", client="Firefox", keys=Secrets(b"u" * 32, b"t" * 32))
    assert tomorrow.person != first.person
    assert (tomorrow.person_before, tomorrow.network_before) == (first.person, first.network)


@given(st.ip_addresses(), st.text(max_size=30))
def test_pseudonyms_fit_a_bigint(address: Any, client: str):
    who = pseudonyms(str(address), client=client, keys=Secrets(b"a", b"b"))
    for value in (who.person, who.network, who.person_before, who.network_before):
        assert -(2**63) <= value < 2**63


def test_an_error_shows_no_address():
    with pytest.raises(ValueError) as caught:
        pseudonyms("192.0.2.1.5", client="", keys=KEYS)
    assert "192" not in str(caught.value)
    assert caught.value.__cause__ is None


# --- Secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "days"),
    [
        (datetime(2026, 3, 5, 0, 0, tzinfo=UTC), (date(2026, 3, 5), date(2026, 3, 4))),
        (datetime(2026, 3, 5, 0, 59, 59, 999999, tzinfo=UTC), (date(2026, 3, 5), date(2026, 3, 4))),
        (datetime(2026, 3, 5, 1, 0, tzinfo=UTC), (date(2026, 3, 5), None)),
        (datetime(2026, 3, 5, 23, 59, tzinfo=UTC), (date(2026, 3, 5), None)),
        # The day is the UTC day, wherever the instant was written down and whatever summer time does there.
        (datetime.fromisoformat("2026-03-29T01:30:00+01:00"), (date(2026, 3, 29), date(2026, 3, 28))),
        (datetime.fromisoformat("2026-10-24T22:30:00-03:00"), (date(2026, 10, 25), None)),
    ],
)
def test_the_first_hour_of_a_day_reaches_into_the_day_before(at: datetime, days: tuple[date, date | None]):
    assert guard.days_of(at) == days


def test_a_day_has_one_secret_however_often_it_is_asked_for(db: None):
    at = datetime(2026, 3, 5, 0, 30, tzinfo=UTC)
    assert guard.known_secrets(at) is None
    keys = guard.read_secrets(at)
    assert keys == guard.known_secrets(at) == guard.read_secrets(at)
    assert keys.yesterday
    assert keys.today != keys.yesterday
    assert len(keys.today) == 32
    assert Salt.objects.count() == 2
    assert guard.read_secrets(at + timedelta(hours=1)) == Secrets(keys.today, None)


def test_processes_that_ask_at_once_get_the_same_secret(transactional_db: None):
    from django.db import connection

    at = datetime(2026, 3, 5, 12, tzinfo=UTC)
    together, found = Barrier(6), []

    def ask() -> None:
        together.wait()
        found.append(guard.read_secrets(at))
        connection.close()

    threads = [Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_secret_is_destroyed_when_the_window_has_left_its_day(db: None):
    midnight = datetime(2026, 3, 5, tzinfo=UTC)
    guard.read_secrets(midnight)
    for _ in range(2):
        guard.forget(midnight + timedelta(minutes=60))
        assert Salt.objects.count() == 2
    for _ in range(2):
        guard.forget(midnight + timedelta(minutes=75))
        assert list(Salt.objects.values_list("day", flat=True)) == [midnight.date()]


def test_a_process_keeps_no_secret_either_that_the_window_has_left_behind(db: None):
    midnight = datetime(2026, 3, 5, tzinfo=UTC)
    guard.read_secrets(midnight)
    at = midnight + timedelta(minutes=65)
    assert guard.known_secrets(at) is not None
    # A report that took long to arrive may still be told by it.
    assert len(guard._kept) == 2
    assert guard.known_secrets(at + timedelta(minutes=5)) is not None
    assert list(guard._kept) == [midnight.date()]


def test_who_was_seen_is_forgotten_after_the_window(db: None):
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    for key, minutes in enumerate((5, 60, 69, 71, 500)):
        Seen.objects.create(key=key, counted_at=now - timedelta(minutes=minutes))
    for _ in range(2):
        guard.forget(now)
        assert set(Seen.objects.values_list("key", flat=True)) == {0, 1, 2}


@given(st.ip_addresses(), st.binary(max_size=9), st.binary(max_size=9), st.booleans())
def test_a_partners_network_is_told_from_a_visitors_by_its_sign(address: Any, person: bytes, network: bytes, two: bool):
    keys = Secrets(b"today", b"yesterday" if two else None)
    visitor = pseudonyms(str(address), client="", keys=keys)
    partner = guard.partner_pseudonyms(7, person=person, network=network, keys=keys)
    assert visitor.network >= 0 > partner.network >= -(2**63)
    assert (visitor.network_before > 0) == (partner.network_before < 0) == two
    assert partner != guard.partner_pseudonyms(8, person=person, network=network, keys=keys)
