"""Where networks belong: lists that are read strictly, looked up exactly, and what follows for reports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from outagemap import environment
from reports.intake import inbox, origin, quarantine, shapes, standby
from reports.intake.drain import drain
from reports.intake.guard import Pseudonyms
from reports.intake.submission import Post, submit_many
from reports.models import CrowdShape, InboxBlock, Quarantine, Report, ReportCount
from tests.intake.making import Catalogue
from tests.site import ROOT

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOSTED = "203.0"
ABROAD = "198.51"
CROWD = "198.18"


# --- The lists -------------------------------------------------------------------------------------------------------


def network(bits: int) -> st.SearchStrategy[IPv4Network | IPv6Network]:
    """Networks that often lie within each other: few first bits, of any length."""
    kind = IPv4Network if bits == 32 else IPv6Network
    return st.tuples(st.integers(0, 31), st.integers(0, 7), st.integers(1, bits)).map(
        lambda drawn: kind((drawn[0] << bits - 5 | drawn[1], drawn[2]), strict=False)
    )


@given(
    st.dictionaries(network(32) | network(128), st.sampled_from(["GB", "DE", "US"]), max_size=12),
    st.lists(st.integers(0, 31), min_size=1, max_size=8),
    st.integers(-1, 8),
)
def test_the_most_exact_network_wins_as_in_a_plain_search(
    countries: dict[IPv4Network | IPv6Network, str], heads: list[int], tail: int
) -> None:
    table = origin.network_countries(f"{one},{country}" for one, country in countries.items())
    for head in heads:
        for bits in (32, 128):
            address = ip_address(((head << bits - 5) + tail % 2 ** (bits - 5)).to_bytes(bits // 8, "big"))
            around = [one for one in countries if one.version == address.version and address in one]
            expected = countries[max(around, key=lambda one: one.prefixlen)] if around else ""
            assert table.of(address.packed) == expected


def test_comments_and_empty_lines_are_left_out() -> None:
    lines = ["# rented machines\n", "\n", " 203.0.113.0/24  # one of them\n", "2001:db8::/32\n", "192.0.2.7\n"]
    table = origin.hosting_networks(lines)
    inside = ("203.0.113.255", "2001:db8:ffff::1", "192.0.2.7")
    outside = ("203.0.114.0", "203.0.112.255", "2001:db9::", "192.0.2.8", "0.0.0.0", "::", "255.255.255.255")
    assert all(table.of(ip_address(one).packed) for one in inside)
    assert not any(table.of(ip_address(one).packed) for one in outside)
    assert not origin.hosting_networks([]).of(IPv4Address("192.0.2.7").packed)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("203.0.113.0/33,GB", "expected a prefix length up to 32"),
        ("203.0.113.0/,GB", "expected a prefix length"),
        ("203.0.113.1/24,GB", "bits behind the prefix are set"),
        ("203.0.113/24,GB", "expected a network such as"),
        ("example.org,GB", "expected a network such as"),
        ("203.0.113.0/24", "expected network,country"),
        ("203.0.113.0/24,gb", "expected network,country"),
        ("203.0.113.0/24,GBR", "expected network,country"),
        ("203.0.113.0/24,GB,DE", "expected network,country"),
        ("10.0.0.0/8,DE", "another country before"),
    ],
)
def test_an_odd_line_is_named(line: str, expected: str) -> None:
    with pytest.raises(origin.Odd, match="line 3") as found:
        origin.network_countries(["10.0.0.0/8,GB", "", line])
    assert expected in str(found.value)


def test_an_odd_line_stops_the_start(tmp_path: Path) -> None:
    odd = tmp_path / "hosting.txt"
    odd.write_text("203.0.113.0/24\nnot a network\n")
    surroundings = {**os.environ, "HOSTING_NETWORKS": str(odd), "DATA_DIR": str(tmp_path), "SECRET_KEY": "x" * 50}
    started = subprocess.run(
        [sys.executable, "-c", "import outagemap.asgi"],
        env=surroundings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 1
    assert f"HOSTING_NETWORKS: {odd}: line 2: 'not a network'" in started.stderr


def test_a_file_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOSTING_NETWORKS", str(tmp_path / "nowhere"))
    with pytest.raises(environment.ImproperlyConfigured, match="HOSTING_NETWORKS"):
        environment.file("HOSTING_NETWORKS")
    monkeypatch.setenv("HOSTING_NETWORKS", "")
    assert environment.file("HOSTING_NETWORKS") is None


@pytest.fixture
def lists(tmp_path: Path, settings: Any) -> Iterator[None]:
    settings.HOSTING_NETWORKS = tmp_path / "hosting.txt"
    settings.NETWORK_COUNTRIES = tmp_path / "countries.csv"
    settings.HOSTING_NETWORKS.write_text(f"{HOSTED}.0.0/16\n2001:db8:bad::/48\n")
    settings.NETWORK_COUNTRIES.write_text(f"{HOSTED}.0.0/16,GB\n{CROWD}.0.0/16,GB\n{ABROAD}.0.0/16,DE\n")
    origin.lists.cache_clear()
    yield
    origin.lists.cache_clear()


def test_bits_say_where_a_report_comes_from(lists: None) -> None:
    assert origin.of("198.18.1.1", "GB-ENG") == 0
    assert origin.of("203.0.1.1", "GB-ENG") == origin.HOSTING
    assert origin.of("203.0.1.1", "DE-BE") == origin.HOSTING | origin.MISPLACED
    assert origin.of("::ffff:203.0.1.1", "GB") == origin.HOSTING
    assert origin.of("198.51.1.1", "GB~LON") == origin.MISPLACED
    assert origin.of("2001:db8:bad:1::1", "GB") == origin.HOSTING
    # Neither of an unknown network nor of the whole world can anybody say where it should be.
    assert origin.of("192.0.2.1", "GB") == origin.of("198.51.1.1", "001") == origin.of("::", "GB") == 0


def test_without_lists_nothing_is_looked_up() -> None:
    assert origin.lists() == (None, None)
    assert origin.of("203.0.1.1", "DE") == 0


# --- On the way into the counts --------------------------------------------------------------------------------------


def entry(known: Catalogue, number: int, *, origin: int = 0) -> inbox.Entry:
    return inbox.Entry(
        inbox.report_id(NOON), known.whatsapp.id, known.england.id, 0, None, Pseudonyms(number, number), origin=origin
    )


def old(block: bytes) -> bytes:
    """The block as it was written before records had an origin."""
    records = inbox.unpack(block)
    names = [name for name in inbox.RECORD.names or () if name != "origin"]
    narrow = np.zeros(len(records), dtype=np.dtype([(name, inbox.RECORD[name]) for name in names]))
    for name in names:
        narrow[name] = records[name]
    assert narrow.dtype.itemsize == 61
    content = narrow.tobytes()
    return b"OMB1" + len(records).to_bytes(4, "little") + crc32(content).to_bytes(4, "little") + content


def test_what_was_accepted_before_an_upgrade_is_drained_with_what_came_after_it(known: Catalogue) -> None:
    before = inbox.pack([entry(known, 1), entry(known, 2)])
    after = inbox.pack([entry(known, 3, origin=origin.HOSTING)])
    for block, reports in ((old(before), 2), (after, 1)):
        first = inbox.report_id(NOON)
        InboxBlock.objects.create(id=first, reports=reports, block=block, written_at=NOON)
    assert inbox.unpack(after)["origin"].tolist() == [origin.HOSTING]
    assert inbox.unpack(old(before))["origin"].tolist() == [0, 0]
    assert drain(now=NOON).reports == 3
    assert sorted(Report.objects.values_list("person", flat=True)) == [1, 2, 3]
    assert CrowdShape.objects.get().hosting == 1


def test_an_old_block_that_the_broker_held_comes_home_in_the_new_layout(known: Catalogue) -> None:
    held = standby.unpack(standby.pack(standby.Held(old(inbox.pack([entry(known, 1)])), {}, attempted=False)))
    again = inbox.unpack(inbox.repacked(inbox.unpack(held.block)))
    assert again.dtype == inbox.RECORD
    assert again["person"].tolist() == [1]


# --- What follows ----------------------------------------------------------------------------------------------------


def crowd(reports: int, *, block: str = CROWD, seed: int = 1, **more: str) -> list[Post]:
    """People at random times, nearly everybody from a network of their own."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, 600, reports))
    data = {"service": "whatsapp", "region": "GB-ENG", **more}
    return [
        Post(data, f"{block}.{rng.integers(1, 250)}.{i % 250 + 1}", NOON + timedelta(seconds=float(at[i])))
        for i in range(reports)
    ]


def send(posts: Iterable[Post]) -> None:
    submit_many(sorted(posts, key=lambda one: one.received_at))
    while drain(now=NOON + timedelta(hours=1)).blocks:
        pass


def reasons() -> Counter[str]:
    return Counter(Report.objects.values_list("reason", flat=True))


@pytest.mark.parametrize(("block", "shape"), [(HOSTED, "hosting"), (ABROAD, "misplaced")])
@pytest.mark.parametrize("kind", ["down", "working"])
def test_a_crowd_of_many_networks_that_belong_elsewhere_is_set_aside(
    known: Catalogue, lists: None, block: str, shape: str, kind: str
) -> None:
    send(crowd(400, block=block, kind=kind))
    assert reasons()[shape] >= 395
    set_aside = Quarantine.objects.get()
    assert (set_aside.shape, set_aside.kind, set_aside.region.code) == (shape, kind == "working", "GB")
    assert set_aside.figures[shape] == 1.0


def test_those_who_are_at_home_are_counted_beside_it(known: Catalogue, lists: None) -> None:
    send(crowd(300, seed=1) + crowd(500, block=ABROAD, seed=2))
    found = reasons()
    assert found["misplaced"] >= 490
    assert found[""] >= 290


def test_some_people_behind_a_vpn_are_counted(known: Catalogue, lists: None) -> None:
    send(crowd(300, seed=1) + crowd(60, block=HOSTED, seed=2) + crowd(60, block=ABROAD, seed=3))
    assert not Quarantine.objects.exists()
    assert reasons()[""] >= 410


def test_few_reports_have_no_shape(known: Catalogue, lists: None) -> None:
    send(crowd(shapes.LEAST - 2, block=HOSTED))
    assert not Quarantine.objects.exists()


def test_a_brigade_of_few_hosting_networks_is_set_aside_whole(known: Catalogue, lists: None) -> None:
    data = {"service": "whatsapp", "region": "GB-ENG"}
    rng = np.random.default_rng(4)
    send(
        Post(data, f"{HOSTED}.{i % 3}.{i // 3 + 1}", NOON + timedelta(seconds=float(rng.uniform(0, 600))))
        for i in range(300)
    )
    found = reasons()
    assert found["concentrated"] >= 280
    # The first of each network too, which a brigade without a list would have counted.
    assert found["hosting"] + found["concentrated"] == 300
    assert found[""] == 0


def test_the_desk_gives_them_back(known: Catalogue, lists: None, admin_user: User) -> None:
    send(crowd(200, block=ABROAD))
    held = reasons()["misplaced"]
    before = sum(ReportCount.objects.values_list("reports", flat=True))
    row = Quarantine.objects.get()
    assert quarantine.release(row.pk, by=admin_user, now=NOON) == held > 190
    assert sum(ReportCount.objects.values_list("reports", flat=True)) == before + held
    assert reasons()["misplaced"] == 0
