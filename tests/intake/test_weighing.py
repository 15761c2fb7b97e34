"""What reports weigh: damping, and what a brigade looks like beside a crowd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from reports.intake import guard, inbox, quarantine, shapes
from reports.intake.drain import drain
from reports.intake.submission import Post, submit_many
from reports.intake.weighing import FULL, damped_total, ranks
from reports.models import Kind, Quarantine, Report, ReportCount
from tests.intake.making import Catalogue

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
CROWD, BRIGADE = "198.18", "203.0"


def post(network: int, host: int, seconds: float, *, block: str = CROWD, region: str = "GB-ENG", **more: str) -> Post:
    data = {"service": "whatsapp", "region": region, **more}
    return Post(data, f"{block}.{network}.{host}", NOON + timedelta(seconds=seconds))


def send(posts: Iterable[Post]) -> None:
    submit_many(sorted(posts, key=lambda one: one.received_at))


def drained() -> None:
    while drain(now=NOON + timedelta(hours=1)).blocks:
        pass


def reasons() -> Counter[str]:
    return Counter(Report.objects.values_list("reason", flat=True))


def counted(kind: int = 0) -> int:
    return sum(ReportCount.objects.filter(kind=kind).values_list("reports", flat=True))


def crowd(reports: int, *, seed: int = 1, seconds: float = 600, **more: str) -> list[Post]:
    """People at random times, nearly everybody from a network of their own."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, seconds, reports))
    return [post(int(rng.integers(1, 250)), i % 250 + 1, float(at[i]), **more) for i in range(reports)]


def brigade(networks: int, each: int, *, seed: int = 2, seconds: float = 600, **more: str) -> list[Post]:
    rng = np.random.default_rng(seed)
    pairs = [(network, host) for network in range(networks) for host in range(1, each + 1)]
    at = rng.uniform(0, seconds, len(pairs))
    return [post(n, host, float(at[i]), block=BRIGADE, **more) for i, (n, host) in enumerate(pairs)]


def test_a_network_counts_ever_less_and_never_nothing(known: Catalogue):
    assert damped_total(np.array([0, 1, FULL])).tolist() == [0, 1, FULL]
    send(crowd(400) + brigade(1, 100, seconds=500))
    drained()
    heavy = Report.objects.filter(counted=True, reason="").values_list("network", flat=True)
    most = Counter(heavy).most_common(1)[0][1]
    assert most == int(damped_total(np.array([100]))[0])
    assert reasons()["damped"] == 100 - most


def test_damping_is_the_same_however_the_reports_are_batched(known: Catalogue):
    for one in sorted(brigade(1, 60, seconds=500), key=lambda one: one.received_at):
        submit_many([one])
        drained()
    assert counted() <= int(damped_total(np.array([60]))[0])
    assert counted() >= shapes.FREE


def test_five_networks_are_no_crowd(known: Catalogue):
    send(brigade(5, 200))
    drained()
    assert reasons()["concentrated"] >= 900
    # What was counted before their shape showed, and the first of each network.
    assert counted() <= 5 * FULL + shapes.LEAST
    (set_aside,) = Quarantine.objects.all()
    assert set_aside.shape == "concentrated"
    assert set_aside.reports == reasons()["concentrated"]
    assert set_aside.figures["networks"] < set_aside.figures["networks_needed"]
    assert set_aside.region.code == "GB"


def test_a_brigade_hides_no_crowd(known: Catalogue):
    send(crowd(300) + brigade(5, 200))
    drained()
    honest = Report.objects.filter(reason="").count()
    assert honest >= 290
    assert reasons()["concentrated"] >= 700


def test_a_crowd_alone_is_left_alone(known: Catalogue):
    send(crowd(2000))
    drained()
    assert not Quarantine.objects.exists()
    assert counted() >= 0.9 * 2000


def test_votes_of_a_few_networks_are_set_aside_too(known: Catalogue):
    send(brigade(5, 60, kind="working"))
    drained()
    assert counted(kind=1) <= 5 * FULL + shapes.LEAST
    assert Quarantine.objects.get().kind == 1


def clocked(networks: int, pause: float, *, seconds: float, **more: str) -> list[Post]:
    """Bots that send one after another with the same pause, in turn from each network."""
    times = np.arange(0, seconds, pause).tolist()
    return [post(i % networks, i // networks + 1, at, block=BRIGADE, **more) for i, at in enumerate(times)]


@pytest.mark.parametrize("batch", [10, 25])
def test_a_machine_is_found_out_as_its_reports_come_in(known: Catalogue, batch: int):
    posts = clocked(20, 3.0, seconds=600)
    for first in range(0, 200, batch):
        submit_many(posts[first : first + batch])
        drained()
    # All but what is free to each network, and to the whole flow before it has a shape.
    assert reasons() == {"regular": 200 - 20 * shapes.FREE, "": 20 * shapes.FREE}
    assert counted() == 20 * shapes.FREE
    assert Quarantine.objects.get().shape == "regular"


def test_a_machine_is_found_out_after_a_quiet_hour_too(known: Catalogue):
    send(crowd(20, seconds=3600))
    drained()
    after = [
        Post(one.data, one.address, one.received_at + timedelta(hours=1)) for one in clocked(30, 3.0, seconds=1200)
    ]
    for first in range(0, 400, 20):
        send(after[first : first + 20])
        drained()
    assert reasons()["regular"] == 400 - 30 * shapes.FREE


@pytest.mark.parametrize("seed", range(4))
def test_a_crowd_whose_rate_leaps_is_not_regular(known: Catalogue, seed: int):
    leap = [Post(one.data, one.address, one.received_at + timedelta(hours=1)) for one in crowd(600, seed=seed)]
    send([*crowd(20, seed=seed + 10, seconds=3600), *leap])
    drained()
    assert not reasons()["regular"]


@pytest.mark.parametrize("kind", [Kind.DOWN, Kind.WORKING])
@pytest.mark.parametrize(("networks", "pause", "region"), [(30, 3.0, "GB-ENG"), (40, 1.5, "GB-SCT")])
def test_people_beside_a_machine_are_counted(known: Catalogue, kind: Kind, networks: int, pause: float, region: str):
    """It outnumbers them ten to one, and was found out before they come. One in five is behind a carrier of seven."""
    rng = np.random.default_rng(6)
    at = np.sort(rng.uniform(600, 2400, round(180 / pause))).tolist()
    people = [post(i if i % 5 else 240 + i // 5 % 7, i + 1, one, kind=kind.label) for i, one in enumerate(at)]
    posts = people + clocked(networks, pause, seconds=2400, region=region, kind=kind.label)
    for first in range(0, 2400, 60):
        minute = NOON + timedelta(seconds=first), NOON + timedelta(seconds=first + 60)
        send(one for one in posts if minute[0] <= one.received_at < minute[1])
        drained()
    keys = guard.read_secrets(NOON)
    theirs = {guard.pseudonyms(f"{BRIGADE}.{n}.1", client="", keys=keys).network for n in range(networks)}
    honest = Report.objects.exclude(network__in=theirs)
    assert honest.count() == len(people)
    assert honest.filter(counted=True).count() >= 0.9 * len(people)
    # Whoever has a network of their own is, without exception.
    sizes = Counter(honest.values_list("network", flat=True))
    assert honest.filter(counted=True).count() == sum(min(size, shapes.FREE) for size in sizes.values())
    bots = Report.objects.filter(network__in=theirs)
    assert bots.filter(counted=True).count() == networks * shapes.FREE
    assert set(bots.filter(counted=False).values_list("reason", flat=True)) == {"regular"}
    assert counted(kind) == Report.objects.filter(counted=True).count()


def in_full(sizes: Iterable[int]) -> int:
    """What so many reports of each network count by the rule."""
    return sum(int(total) for total in damped_total(np.array(list(sizes), dtype=np.int64)))


def matches_the_reports(kind: int = 0) -> bool:
    return counted(kind) == Report.objects.filter(kind=kind, counted=True, reason="").count()


def test_what_is_released_is_counted_once_and_its_flow_left_alone(known: Catalogue, admin_user: User):
    send(brigade(5, 40))
    drained()
    held, before = reasons()["concentrated"], counted()
    (set_aside,) = Quarantine.objects.all()
    given_back = quarantine.release(set_aside.pk, by=admin_user, now=NOON)
    # As if it had never been set aside.
    assert before + given_back == counted() == in_full([40] * 5)
    assert reasons() == {"": counted(), "damped": 200 - counted()}
    assert 0 < given_back < held
    assert quarantine.release(set_aside.pk, by=admin_user, now=NOON) == 0
    send(post(9, host, 700 + host, block=BRIGADE) for host in range(1, 6))
    drained()
    assert reasons()["concentrated"] == 0
    assert counted() == before + given_back + 5
    assert matches_the_reports()


@pytest.mark.parametrize("each", [60, 200])
def test_one_network_counts_by_the_rule_after_a_release_too(known: Catalogue, admin_user: User, each: int):
    send(brigade(1, each))
    drained()
    for row in Quarantine.objects.all():
        quarantine.release(row.pk, by=admin_user, now=NOON)
    assert counted() == in_full([each])
    assert set(reasons()) == {"", "damped"}
    assert matches_the_reports()


def test_a_release_begins_a_new_window_where_the_guard_did_and_damps_regions_together(
    known: Catalogue, admin_user: User
):
    later = [
        Post(one.data | {"region": "GB-SCT"}, one.address, one.received_at + timedelta(minutes=75))
        for one in brigade(2, 50, seed=3)
    ]
    here = [post(n, host, 601 + host, block=BRIGADE) for n in range(2) for host in range(31, 61)]
    send(brigade(2, 30, region="GB-SCT") + here + later)
    drained()
    for row in Quarantine.objects.all():
        quarantine.release(row.pk, by=admin_user, now=NOON)
    # Windows: those of the first hour with 60 of each network, those of the second with 50.
    assert counted() == in_full([60, 60, 50, 50])
    assert matches_the_reports()


def test_what_came_late_out_of_the_inbox_is_released_too_and_gets_no_more(known: Catalogue, admin_user: User):
    posts = sorted(brigade(2, 100), key=lambda one: one.received_at)
    for part in (posts[120:], posts[:120]):
        send(part)
        drained()
    (set_aside,) = Quarantine.objects.all()
    assert set_aside.reports == reasons()["concentrated"]
    quarantine.release(set_aside.pk, by=admin_user, now=NOON)
    assert set(reasons()) == {"", "damped"}
    assert counted() == in_full([100, 100])
    assert matches_the_reports()


def test_releases_and_a_lifted_ban_together_give_back_no_more_than_the_rule(known: Catalogue, admin_user: User):
    first = brigade(3, 40)
    send(first)
    drained()
    keys = guard.read_secrets(NOON)
    network = guard.pseudonyms(f"{BRIGADE}.1.1", client="", keys=keys).network
    ban = quarantine.ban(
        service_id=known.whatsapp.id,
        region_id=known.england.id,
        kind=0,
        network=network,
        seen_at=NOON,
        lasting=timedelta(hours=6),
        why="a script",
        by=admin_user,
        now=NOON + timedelta(seconds=600),
    )
    send(post(n, host, 600 + 2 * host + n / 10, block=BRIGADE) for n in range(3) for host in range(41, 81))
    drained()
    for row in Quarantine.objects.all():
        quarantine.release(row.pk, by=admin_user, now=NOON)
    quarantine.lift(ban.pk, by=admin_user, now=NOON)
    assert counted() == in_full([80] * 3)
    assert set(reasons()) == {"", "damped"}
    assert matches_the_reports()


def test_a_network_is_new_to_a_service_once_wherever_it_reports(known: Catalogue):
    send([post(1, 1, 0, region="GB-ENG"), post(1, 2, 1, region="GB-SCT"), post(2, 1, 2, region="GB-SCT")])
    drained()
    found = ReportCount.objects.order_by("region__code").values_list("region__code", "networks", "service_networks")
    assert list(found) == [("GB-ENG", 1, 1), ("GB-SCT", 2, 1)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300)), max_size=60), st.integers(1, 59))
def test_ranks_are_those_of_a_plain_loop_whatever_the_batches(sent: list[tuple[int, int]], cut: int):
    minute = 60_000
    sent.sort(key=lambda one: one[1])
    expected, state = [], dict[int, tuple[int, int]]()
    for key, at in sent:
        since, n = state.get(key, (-(10**15), 0))
        state[key] = (since, n + 1) if abs(at * minute - since) < 60 * minute else (at * minute, 1)
        expected.append(state[key][1])
    found: list[int] = []
    remembered = dict[int, tuple[int, int]]()
    for part in (sent[:cut], sent[cut:]):
        if part:
            keys, minutes = (np.array(column, dtype=np.int64) for column in zip(*part, strict=True))
            last, already = (
                np.array([remembered.get(k, (-(10**15), 0))[i] for k in keys.tolist()], dtype=np.int64) for i in (0, 1)
            )
            ranked = ranks(keys, minutes * minute, last, already)
            found += ranked.rank.tolist()
            for k, since, rank in zip(keys.tolist(), ranked.since.tolist(), ranked.rank.tolist(), strict=True):
                remembered[k] = (since, rank)
    assert found == expected


def test_a_partner_makes_nobody_elses_reports_suspicious_and_counts_little_alone(known: Catalogue):
    carriers = [
        post(i % 30, i // 30 + 1, float(at)) for i, at in enumerate(np.random.default_rng(4).uniform(0, 600, 150))
    ]
    send(carriers)
    secrets = guard.read_secrets(NOON)
    rng = np.random.default_rng(5)
    inbox.write(
        [
            inbox.Entry(
                inbox.report_id(NOON + timedelta(seconds=float(rng.uniform(0, 600)))),
                known.whatsapp.id,
                known.england.id,
                0,
                None,
                guard.partner_pseudonyms(1, person=b"%d" % i, network=b"", keys=secrets),
            )
            for i in range(900)
        ]
    )
    drained()
    assert reasons() == {
        "": 150 + int(damped_total(np.array([900]))[0]),
        "damped": 900 - int(damped_total(np.array([900]))[0]),
    }
    assert not Quarantine.objects.exists()
    assert sum(ReportCount.objects.values_list("service_networks", flat=True)) == 31
