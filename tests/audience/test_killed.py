"""A worker that is killed while it sends: the message arrives all the same, and reads as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from reports.audience import deliveries, push, returns
from reports.models import Delivery, Subscription
from reports.status import snapshots
from tests.audience.service import Browser, PushService
from tests.conftest import environment_for_children, wait_until
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
