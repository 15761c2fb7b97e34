"""A worker that is killed while it sends: every message arrives all the same, and reads as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from reports.audience import deliveries, push, returns
from reports.models import Channel, Delivery, Incident, Subscription, Wish
from reports.status import snapshots
from tests.audience.service import Browser, PushService
from tests.audience.test_mail import Mailbox, serving
from tests.conftest import environment_for_children, start_process, wait_until
from tests.status import making
from tests.status.making import NOW, at

SENDER = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "outagemap.settings"
django.setup()
from datetime import UTC, datetime
from reports.audience import deliveries, returns
from tests.status.making import NOW
deliveries.send_due(compose=lambda one: returns.message(one, site=NOW), now=lambda: datetime.now(UTC))
"""


def test_a_worker_killed_mid_send_loses_nothing_and_what_is_sent_again_replaces_the_first(
    transactional_db: None, push_service: PushService
) -> None:
    world = making.make_world()
    outage = making.take_down(making.open_incident(world.whatsapp), world.regions["GB-ENG"])
    making.watch()
    browser, real = Browser(), datetime.now(UTC)
    endpoint, keys = push.read(browser.subscription(push_service.origin + "/one"))
    assert returns.subscribe(
        endpoint=endpoint, keys=keys, service="whatsapp", region="GB-ENG", language="en", now=real, site=NOW
    )
    outage.recovering_at = at("19:30")
    outage.save()
    snapshots.forget()
    assert returns.find(now=real, site=NOW) == 1
    push_service.seconds["/one"] = 60
    environment = environment_for_children() | {
        "ALLOW_PRIVATE_TARGETS": "1",
        "SSL_CERT_FILE": str(push_service.certificate),
        "PYTHONPATH": ".",
    }
    worker = subprocess.Popen([sys.executable, "-c", SENDER], env=environment)
    try:
        wait_until(lambda: len(push_service.received) == 1, "the message is on its way", seconds=120)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    claimed = Delivery.objects.get()
    assert (claimed.attempts, claimed.delivered_at) == (1, None)
    push_service.seconds.clear()

    def send(after: timedelta) -> deliveries.Sent:
        return deliveries.send_due(
            compose=lambda one: returns.message(one, site=NOW), now=lambda: claimed.next_attempt_at + after
        )

    # Not before the dead worker's time is over; then once; then never again.
    assert send(-timedelta(seconds=1)) == deliveries.Sent()
    assert send(timedelta(0)) == deliveries.Sent(delivered=1)
    assert send(timedelta(hours=1)) == deliveries.Sent()
    assert returns.find(now=datetime.now(UTC), site=NOW) == 0
    first, second = push_service.received
    assert first.headers["topic"] == second.headers["topic"]
    assert browser.read(first.body) == browser.read(second.body)
    assert json.dumps(browser.read(first.body)["tag"])
    assert not Subscription.objects.exists()


# --- Alerts, by the real task in a real Celery worker -----------------------------------------------------------------

HOOKS, MAILBOXES = 160, 80
KILLS = 5
WORKER = ["celery", "-A", "outagemap", "worker", "--pool", "solo", "--queues", "tell", "--without-gossip"]
WORKER += ["--without-mingle", "--loglevel", "INFO"]


def subscribed(world: making.World, service: PushService, now: datetime) -> None:
    """Confirmed subscriptions of so many receivers, each of its own."""
    targets = [(Channel.WEBHOOK, f"{service.origin}/{number}") for number in range(HOOKS)]
    targets += [(Channel.MAIL, f"reader-{number}@example.org") for number in range(MAILBOXES)]
    rows = []
    for number, (channel, target) in enumerate(targets):
        id = uuid4()
        rows.append(
            Subscription(
                id=id,
                group=id,
                channel=channel,
                target=target,
                target_digest=f"{number:032}",
                wish=Wish.OUTAGES,
                service=world.whatsapp,
                region=world.regions["001"],
                severity="minor",
                created_at=now,
                confirmed_at=now,
            )
        )
    Subscription.objects.bulk_create(rows)


def test_workers_killed_again_and_again_while_they_alert_leave_nobody_out_and_repeat_only_what_was_on_its_way(
    transactional_db: None,
    push_service: PushService,
    broker: str,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    from reports.tasks import tell

    redis.from_url(broker).flushdb()
    world, box = making.make_world(), Mailbox()
    with serving(box, open_to_all=True) as port:
        monkeypatch.setenv("ALLOW_PRIVATE_TARGETS", "1")
        monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{port}")
        monkeypatch.setenv("EMAIL_FROM", "alerts@example.net")
        monkeypatch.setenv("SITE_URL", "https://outages.example")
        subscribed(world, push_service, datetime.now(UTC))
        incident = making.open_incident(world.whatsapp, onset_at=datetime.now(UTC) - timedelta(hours=1))
        making.speak(incident, None, decided_at=datetime.now(UTC) - timedelta(minutes=50))
        making.take_down(incident, world.regions["GB-ENG"])
        for number in range(HOOKS):
            # As far away as receivers are.
            push_service.seconds[f"/{number}"] = 0.05 + number % 7 / 10
        box.seconds = 0.1

        def arrived() -> int:
            return len(push_service.received) + len(box.received)

        def told() -> int:
            return Delivery.objects.filter(delivered_at__isnull=False).count()

        def run(done: Callable[[], bool]) -> int:
            """A worker that is killed as soon as it is ``done``; how many messages were under way by then."""
            log = data_dir / f"worker-{uuid4()}.log"
            worker = start_process(WORKER, log)
            try:
                wait_until(lambda: b" ready." in log.read_bytes(), "the worker is ready", seconds=90)
                end = time.monotonic() + 180
                while not done() and time.monotonic() < end:
                    # As the beat does every ten seconds.
                    tell.apply_async()
                    pause = time.monotonic() + 10
                    while not done() and time.monotonic() < pause:
                        time.sleep(0.02)
                assert done(), log.read_text()
            finally:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
            claimed = {"attempts__gt": 0, "next_attempt_at__gt": datetime.now(UTC)}
            under_way = Delivery.objects.filter(delivered_at=None, **claimed)
            found = under_way.count()
            assert found <= deliveries.TOGETHER
            # Two minutes pass.
            under_way.update(next_attempt_at=datetime.now(UTC))
            return found

        everybody = HOOKS + MAILBOXES
        shares = [everybody * kill // (KILLS + 1) for kill in range(1, KILLS + 1)]
        under_way = [run(lambda share=share: arrived() >= share) for share in shares]  # type: ignore[misc]
        run(lambda: told() == everybody)
        # The end of it, with one more kill.
        first = arrived()
        Delivery.objects.update(created_at=datetime.now(UTC) - timedelta(hours=1))
        Incident.objects.filter(pk=incident.pk).update(resolved_at=datetime.now(UTC))
        under_way.append(run(lambda: arrived() >= first + everybody // 2))
        run(lambda: told() == 2 * everybody)

    names: dict[str, list[str]] = {}
    for each in push_service.received:
        names.setdefault(each.path, []).append(each.headers["webhook-id"])
    for message in box.received:
        names.setdefault(str(message["To"]), []).append(str(message["Message-ID"]))
    assert len(names) == everybody, "nobody was left out"
    assert {len(set(own)) for own in names.values()} == {2}, "two messages each, whatever was repeated"
    repeated = sum(len(own) - len(set(own)) for own in names.values())
    # Once each, but for what lay between sending and noting it when a worker was killed.
    assert repeated <= sum(under_way)
    kinds = Counter(json.loads(each.body)["type"] for each in push_service.received)
    assert set(kinds) == {"incident.opened", "incident.resolved"}
    found = f"{everybody} receivers, {len(under_way)} kills, {sum(under_way)} under way, {repeated} repeated"
    record_property("alerts", found)
