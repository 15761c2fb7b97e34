"""What an administrator sets aside by a network, and gives back: unseen by who sends, and never counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Thread

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from reports import partitions
from reports.intake import bans, quarantine
from reports.intake.drain import drain
from reports.intake.submission import Post, submit_many
from reports.models import Ban, InboxBlock, Quarantine, Region, Report, ReportCount, Service
from tests.intake.making import Catalogue
from tests.intake.test_kills import drain_all, victims

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 5, tzinfo=UTC)


@pytest.fixture
def duty(db: None) -> User:
    return User.objects.create_user("duty")


def post(network: int, host: int, at: datetime, *, block: str = "203.0", region: str = "GB-ENG", **more: str) -> Post:
    return Post({"service": "whatsapp", "region": region, **more}, f"{block}.{network}.{host}", at)


def crowd(reports: int, *, seed: int, since: datetime = NOON, **more: str) -> list[Post]:
    rng = np.random.default_rng(seed)
    return [
        post(int(rng.integers(1, 250)), i % 250 + 1, since + timedelta(seconds=s), block="198.18", **more)
        for i, s in enumerate(rng.uniform(0, 600, reports).tolist())
    ]


def sent(posts: Iterable[Post], *, drained: datetime = NOON + timedelta(hours=1)) -> None:
    submit_many(sorted(posts, key=lambda one: one.received_at))
    while drain(now=drained).blocks:
        pass


def network_of(known: Catalogue, number: int, at: datetime = NOON) -> int:
    """The pseudonym of a network, learned as the desk learns it: from a report. Its service is nobody else's."""
    before = set(Report.objects.values_list("id", flat=True))
    sent([Post({"service": "instagram", "region": "GB-ENG"}, f"203.0.{number}.250", at)])
    return Report.objects.exclude(id__in=before).values_list("network", flat=True).get()


def banned(
    known: Catalogue, network: int, by: User, *, at: datetime = NOON, hours: float = 6, region: str = "GB"
) -> Ban:
    return quarantine.ban(
        service_id=known.whatsapp.id,
        region_id=Region.objects.get(code=region).id,
        kind=0,
        network=network,
        seen_at=at,
        lasting=timedelta(hours=hours),
        why="a script",
        by=by,
        now=at,
    )


def reasons(service: Service) -> Counter[str]:
    return Counter(Report.objects.filter(service=service).values_list("reason", flat=True))


def count_rows(service: Service) -> list[tuple[object, ...]]:
    rows = ReportCount.objects.filter(service=service).order_by("minute", "region_id", "problem_key")
    return list(rows.values_list("minute", "region_id", "problem_key", "reports", "networks", "service_networks"))


def counted(service: Service) -> int:
    return sum(ReportCount.objects.filter(service=service).values_list("reports", flat=True))


def test_what_a_banned_network_sends_is_kept_and_not_counted_and_others_are(known: Catalogue, duty: User):
    ban = banned(known, network_of(known, 7), duty)
    minute = timedelta(minutes=1)
    sent([*(post(7, host, NOON + host * minute) for host in range(1, 6)), post(8, 1, NOON + minute)])
    assert reasons(known.whatsapp) == {"banned": 5, "": 1}
    assert count_rows(known.whatsapp) == [(NOON + minute, known.england.id, 0, 1, 1, 1)]
    ban.refresh_from_db()
    assert ban.reports == 5


def test_a_ban_concerns_its_service_its_region_and_its_kind_and_nothing_else(known: Catalogue, duty: User):
    banned(known, network_of(known, 7), duty, region="GB-SCT")
    submit_many([Post({"service": "instagram", "region": "GB-SCT"}, "203.0.7.9", NOON)])
    sent([post(7, 1, NOON), post(7, 2, NOON, region="GB-SCT"), post(7, 3, NOON, region="GB-SCT", kind="working")])
    assert reasons(known.whatsapp) == {"": 2, "banned": 1}
    assert reasons(known.instagram) == {"": 2}


def test_who_is_banned_gets_the_same_answer_as_anybody(known: Catalogue, duty: User, client: Client):
    said = {"service": "whatsapp", "region": "GB-ENG"}

    def answer(address: str) -> tuple[int, set[str], set[str]]:
        answered = client.post("/api/v1/reports/", said, content_type="application/json", REMOTE_ADDR=address)
        return answered.status_code, set(answered.json()), set(answered.headers)

    now = datetime.now(UTC)
    if now.hour == 23 and now.minute > 57:
        pytest.skip("the name would change in between")
    banned(known, network_of(known, 7, now), duty, at=now)
    assert answer("203.0.7.1") == answer("203.0.8.1")
    while drain(now=now).blocks:
        pass
    assert reasons(known.whatsapp) == {"banned": 1, "": 1}


def test_what_was_counted_before_a_ban_stays_counted_and_what_comes_after_it_counts_again(known: Catalogue, duty: User):
    network = network_of(known, 7)
    sent([post(7, 1, NOON - timedelta(milliseconds=1))])
    before = count_rows(known.whatsapp)
    banned(known, network, duty, hours=1)
    assert count_rows(known.whatsapp) == before
    hour = timedelta(hours=1)
    # Late out of the inbox, and still from before the ban: when it came decides, not when it is drained.
    sent([post(7, 2, NOON - timedelta(milliseconds=1)), post(7, 3, NOON), post(7, 4, NOON + hour - hour / 3_600_000)])
    sent([post(7, 5, NOON + hour)], drained=NOON + 2 * hour)
    assert reasons(known.whatsapp) == {"": 3, "banned": 2}


def test_a_ban_ends_with_the_name_at_midnight(known: Catalogue, duty: User):
    evening = MIDNIGHT - timedelta(minutes=10)
    ban = banned(known, network_of(known, 7, evening), duty, at=evening, hours=24)
    assert ban.until_at == MIDNIGHT
    moment = timedelta(milliseconds=1)
    sent([post(7, 1, MIDNIGHT - moment), post(7, 2, MIDNIGHT + moment)], drained=MIDNIGHT)
    assert reasons(known.whatsapp) == {"banned": 1, "": 1}
    with pytest.raises(ValidationError, match="got another one"):
        quarantine.ban(
            service_id=known.whatsapp.id,
            region_id=known.england.id,
            kind=0,
            network=7,
            seen_at=evening,
            lasting=timedelta(hours=1),
            why="too late",
            by=duty,
            now=MIDNIGHT,
        )


def test_a_ban_weighs_the_same_however_the_reports_are_batched(known: Catalogue, duty: User):
    banned(known, network_of(known, 7), duty)
    posts = [*crowd(60, seed=1), *(post(7, host, NOON + timedelta(seconds=7 * host)) for host in range(1, 31))]
    for one in sorted(posts, key=lambda one: one.received_at):
        sent([one])
    one_by_one = reasons(known.whatsapp), count_rows(known.whatsapp)
    for model in (Report, ReportCount):
        model.objects.filter(service=known.whatsapp).delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM reports_seen; DELETE FROM reports_crowdshape")
    sent(posts)
    assert (reasons(known.whatsapp), count_rows(known.whatsapp)) == one_by_one
    assert one_by_one[0]["banned"] + one_by_one[0]["damped"] == 30


def test_a_banned_network_throws_no_suspicion_on_its_flow(known: Catalogue, duty: User):
    for number in range(1, 6):
        banned(known, network_of(known, number), duty)
    brigade = [post(n, h, NOON + timedelta(seconds=2.5 * h + n / 3)) for n in range(1, 6) for h in range(1, 200)]
    sent([*crowd(100, seed=2), *brigade])
    assert not Quarantine.objects.exists()
    honest = Report.objects.filter(service=known.whatsapp, reason="").count()
    assert honest == 100


def test_a_lifted_ban_leaves_the_counts_as_if_it_had_never_been(known: Catalogue, duty: User):
    def said() -> list[Post]:
        mine = [
            post(7, host, NOON + timedelta(minutes=host), region=region, **more)
            for host, region, more in (
                (1, "GB-ENG", {}),
                (2, "GB-ENG", {"problem": "messages"}),
                (3, "GB-SCT", {}),
                (3, "GB-SCT", {}),
                *((host, "GB-ENG", {}) for host in range(4, 30)),
            )
        ]
        return [post(7, 40, NOON - timedelta(minutes=5)), *mine, *crowd(300, seed=3)]

    # The same day on two services: on one of them the network is banned for a while.
    submit_many(
        Post({**one.data, "service": "instagram"}, one.address, one.received_at)
        for one in sorted(said(), key=lambda one: one.received_at)
    )
    sent([Post({"service": "lloyds-bank", "region": "GB-ENG"}, "203.0.7.250", NOON)])
    network = Report.objects.filter(service=known.lloyds).values_list("network", flat=True)[0]
    ban = banned(known, network, duty)
    sent(said())
    missing = counted(known.instagram) - counted(known.whatsapp)
    assert missing > 8
    assert quarantine.lift(ban.pk, by=duty, now=NOON + timedelta(hours=2)) == missing
    assert [row[:4] for row in count_rows(known.whatsapp)] == [row[:4] for row in count_rows(known.instagram)]
    assert sum(row[5] for row in count_rows(known.whatsapp)) == sum(row[5] for row in count_rows(known.instagram))  # type: ignore[misc]
    assert reasons(known.whatsapp) == reasons(known.instagram)
    # Twice changes nothing.
    after = count_rows(known.whatsapp)
    assert quarantine.lift(ban.pk, by=duty, now=NOON + timedelta(hours=3)) == 0
    assert count_rows(known.whatsapp) == after
    ban.refresh_from_db()
    assert (ban.lifted_by, ban.lifted_at) == (duty, NOON + timedelta(hours=2))
    # It is over: what comes now counts.
    sent([post(7, 99, NOON + timedelta(hours=3))], drained=NOON + timedelta(hours=4))
    assert counted(known.whatsapp) == counted(known.instagram) + 1


def test_no_report_falls_under_two_bans(known: Catalogue, duty: User):
    network = network_of(known, 7)
    first = banned(known, network, duty, region="GB")
    for region in ("GB", "GB-ENG", "001"):
        with pytest.raises(ValidationError, match="banned there already"):
            banned(known, network, duty, region=region)
    quarantine.lift(first.pk, by=duty, now=NOON)
    banned(known, network, duty, region="001")


def test_a_partner_is_not_banned_but_loses_its_key(known: Catalogue, duty: User):
    with pytest.raises(ValidationError, match="revoke its key"):
        banned(known, -5, duty)


def test_the_name_of_a_banned_network_is_forgotten_with_its_last_report(known: Catalogue, duty: User):
    ban = banned(known, network_of(known, 7), duty)
    sent([post(7, 1, NOON)])
    for days, kept in ((3, True), (4, False)):
        partitions.keep(NOON + timedelta(days=days), 3)
        ban.refresh_from_db()
        assert (ban.network is not None) == kept == Report.objects.exists()
    assert quarantine.lift(ban.pk, by=duty, now=NOON + timedelta(days=4)) == 0


# --- exactly once ----------------------------------------------------------------------------------------------------


def test_bans_that_come_and_go_beside_the_drain_lose_nothing_and_count_nothing_twice(committed: Catalogue):
    duty = User.objects.create_user("duty-beside")
    network = {number: network_of(committed, number) for number in range(1, 31)}
    rng = np.random.default_rng(5)
    posts = [
        post(n, h, NOON + timedelta(seconds=float(s)))
        for n in network
        for h, s in enumerate(rng.uniform(0, 1200, 8), start=1)
    ]
    for one in sorted(posts, key=lambda one: one.received_at):
        submit_many([one])

    def drain_slowly() -> None:
        while drain(now=NOON + timedelta(hours=1), max_blocks=3).blocks or InboxBlock.objects.exists():
            pass
        connection.close()

    worker = Thread(target=drain_slowly)
    worker.start()
    made = [banned(committed, name, duty) for name in network.values()]
    for ban in made[::2]:
        quarantine.lift(ban.pk, by=duty, now=NOON)
    worker.join()
    assert sum(Ban.objects.values_list("reports", flat=True)) > 0
    for ban in made:
        quarantine.lift(ban.pk, by=duty, now=NOON)
    assert reasons(committed.whatsapp) == {"": len(posts)}
    assert counted(committed.whatsapp) == len(posts)
    Ban.objects.all().delete()
    duty.delete()


def test_a_drain_that_is_killed_beside_a_ban_counts_and_sets_aside_once(committed: Catalogue):
    duty = User.objects.create_user("duty-killed")
    now = datetime.now(UTC)
    if now.hour == 23 and now.minute > 55:
        pytest.skip("the name would change in between")
    ban = banned(committed, network_of(committed, 7, now), duty, at=now)
    rng = np.random.default_rng(6)
    seconds = np.sort(rng.uniform(0, 60, 300)).tolist()
    for i, s in enumerate(seconds):
        at = now + timedelta(seconds=s)
        submit_many([post(7, i % 250, at) if i % 60 == 0 else post(i % 200, i % 250, at, block="198.18")])
    with victims("drain") as drains:
        for after in rng.uniform(0.0, 0.1, 12).tolist():
            drains.run_and_kill(after)
    drain_all()
    ban.refresh_from_db()
    found = reasons(committed.whatsapp)
    assert found == {"": 295, "banned": 5}
    assert ban.reports == 5
    assert counted(committed.whatsapp) == 295
    assert quarantine.lift(ban.pk, by=duty, now=now) == 5
    assert counted(committed.whatsapp) == 300
    Ban.objects.all().delete()
    duty.delete()


def test_a_name_at_the_desk_is_short_and_no_two_networks_of_a_day_are_likely_to_share_it():
    rng = np.random.default_rng(8)
    names = {bans.label(int(n)) for n in rng.integers(0, 2**63 - 1, 10_000)}
    assert len(names) == 10_000
    assert all(len(name) == 9 for name in names)
