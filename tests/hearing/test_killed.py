"""A worker that is killed while it takes a page in: everything is said, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from reports.hearing import listen
from reports.models import Heard, Provider, Statement, StatusFeed, TimelineEntry, Word
from tests.conftest import environment_for_children, wait_until
from tests.hearing.page import StatusPage, incidents, update
from tests.hearing.page import incident as told
from tests.test_admin import make_incident

if TYPE_CHECKING:
    from tests.incidents.world import World

# It stands still within the transaction of the third statement, where the test kills it.
WORKER = """
import os, time, django
os.environ["DJANGO_SETTINGS_MODULE"] = "outagemap.settings"
django.setup()
from datetime import timedelta
from reports.hearing import kept, listen
from tests.incidents.world import START
real, made = kept.add_statement, []
def slow(*given, **more):
    made.append(real(*given, **more))
    if len(made) == 3:
        print("third", flush=True)
        time.sleep(120)
    return made[-1]
kept.add_statement = slow
listen.listen(now=lambda: START + timedelta(minutes=40), seconds=60)
"""


def test_a_worker_killed_in_the_middle_says_nothing_twice_and_leaves_nothing_out(
    transactional_db: None, world: World, page: StatusPage
) -> None:
    make_incident(world, "OUT-2026-0007", "whatsapp")
    feed = StatusFeed.objects.create(
        provider=Provider.objects.get(slug="meta"), url=page.origin + "/x", format="statuspage", enabled=True
    )
    updates = [update(f"u{i}", "identified", f"Word {i}.", world.at(20 + i)) for i in range(6)]
    page.says("/x", incidents(told(*updates, components=("WhatsApp",))))
    environment = environment_for_children() | {
        "ALLOW_PRIVATE_TARGETS": "1",
        "SSL_CERT_FILE": str(page.certificate),
        "PYTHONPATH": ".",
    }
    worker = subprocess.Popen([sys.executable, "-c", WORKER], env=environment, stdout=subprocess.PIPE)
    try:
        wait_until(lambda: Statement.objects.count() == 2, "two statements are made", seconds=120)
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"third\n"
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    assert (Heard.objects.count(), Statement.objects.count()) == (6, 2)
    feed.refresh_from_db()
    assert (feed.asked_at, feed.etag) == (world.at(40), "")
    # What was read is not lost even if the page says it no longer, and what is asked again is not said again.
    page.says("/x", incidents())
    assert listen.listen(now=lambda: world.at(41), seconds=60) == listen.Round(taken=listen.Taken(attached=4))
    page.says("/x", incidents(told(*updates, components=("WhatsApp",))))
    assert listen.listen(now=lambda: world.at(43), seconds=60).asked == 1
    texts = list(Statement.objects.order_by("said_at").values_list("text", flat=True))
    assert texts == [f"Messages are delayed: Word {i}." for i in range(6)]
    assert TimelineEntry.objects.filter(kind="statement").count() == Word.objects.count() == 6
