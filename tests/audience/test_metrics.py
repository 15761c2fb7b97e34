"""/metrics: read with Prometheus' own parser, and checked by promtool."""

import os
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.contrib.auth.models import User
from prometheus_client.parser import text_string_to_metric_families

from reports.audience import tally
from reports.incidents import joining
from reports.models import Incident
from reports.status import snapshots
from tests.conftest import environment_for_children
from tests.status.making import NOW, World, at, open_incident, say, staggered, watch


@pytest.fixture(autouse=True)
def no_counters(broker: str) -> None:
    import redis

    tally.bring()
    redis.from_url(broker).delete(tally.COUNTS, tally.LATEST)


def families(text: str):
    return {family.name: family for family in text_string_to_metric_families(text)}


def read(client):
    response = client.get("/metrics")
    assert response.status_code == 200
    return families(response.content.decode())


def values(family):
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_every_service_has_its_state_and_what_depends_on_it(world: World, client):
    staggered(world)
    found = read(client)
    state = values(found["outagemap_service_state"])
    assert {labels[1] for labels, value in state.items() if labels[0] == "whatsapp" and value} == {"down"}
    assert {labels[1] for labels, value in state.items() if labels[0] == "facebook" and value} == {"normal"}
    assert values(found["outagemap_service_regions_down"])[("whatsapp",)] == 1
    assert values(found["outagemap_service_people_affected"])[("whatsapp",)] > 50_000_000
    assert values(found["outagemap_incident_confidence"])[("whatsapp",)] == 0.98


def test_no_series_is_told_twice_though_an_incident_was_split(world: World, client):
    incident = staggered(world)
    part = joining.split(incident.pk, regions=["GB-ENG"], by=User.objects.create_user("duty"), at=NOW)
    Incident.objects.filter(pk=part.pk).update(confidence=0.99)
    say(incident, "We know.", said_at=at("18:30"))
    tally.answered(202, "api")
    tally.answered(429, "form")
    snapshots.forget()
    told = [
        (sample.name, *sorted(sample.labels.items()))
        for family in text_string_to_metric_families(client.get("/metrics").content.decode())
        for sample in family.samples
    ]
    assert {series for series, times in Counter(told).items() if times > 1} == set()
    assert values(read(client)["outagemap_incident_confidence"])[("whatsapp",)] == 0.99


def test_the_crowds_lead_over_each_provider_is_told(world: World, client):
    row = open_incident(world.whatsapp)
    say(row, "We know.", said_at=row.detected_at + timedelta(minutes=7))
    snapshots.forget()
    found = read(client)
    assert values(found["outagemap_provider_lead_seconds"]) == {("meta",): 420}
    words = values(found["outagemap_provider_outages"])
    assert words == {("meta", "first"): 0, ("meta", "later"): 1, ("meta", "never"): 0, ("meta", "open"): 0}


def test_our_own_health_is_there(world: World, client):
    watch(NOW - timedelta(minutes=10))
    snapshots.forget()
    found = read(client)
    assert values(found["outagemap_ready"]) == {(): 0}
    assert values(found["outagemap_database_up"]) == values(found["outagemap_broker_up"]) == {(): 1}
    assert values(found["outagemap_watch_age_seconds"]) == {(): pytest.approx(630, abs=31)}
    assert set(values(found["outagemap_queue_tasks"])) == {("drain",), ("watch",), ("tell",), ("slow",)}


def test_counters_are_told_as_counters(world: World, client):
    tally.answered(202, "api")
    tally.answered(202, "api")
    tally.answered(429, "form")
    tally.answered(500, None)
    tally.answered(418, "batch")
    tally.add("drained_reports", 7)
    tally.note("watch_seconds", 0.25)
    found = read(client)
    answers = found["outagemap_intake_answers"]
    assert answers.type == "counter"
    assert values(answers) == {("accepted", "api"): 2, ("too_many", "form"): 1, ("other", "batch"): 1}
    assert values(found["outagemap_http_responses"]) == {("2xx",): 2, ("4xx",): 2, ("5xx",): 1}
    assert values(found["outagemap_drained_reports"]) == {(): 7}
    assert values(found["outagemap_watch_last_run_seconds"]) == {(): 0.25}
    assert read(client).keys() == found.keys()
    assert values(read(client)["outagemap_intake_answers"]) == values(answers)


def test_counters_of_several_processes_add_up(world: World, client):
    tally.add("drained_reports", 5)
    program = (
        "import django; django.setup()\n"
        "from reports.audience import tally\n"
        "tally.add('drained_reports', 3); tally.bring()\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], env=environment_for_children(), check=True, timeout=60)
    assert values(read(client)["outagemap_drained_reports"]) == {(): 11}


def test_what_the_broker_does_not_take_is_brought_later(monkeypatch: pytest.MonkeyPatch, broker: str):
    import redis

    away = redis.Redis(host="127.0.0.1", port=9, socket_connect_timeout=0.2)
    tally.add("drained_reports", 4)
    with monkeypatch.context() as patch:
        patch.setattr(tally, "_broker", lambda: away)
        tally.bring()
    assert tally.sums()[0]["drained_reports"] == 4


def test_only_this_machine_may_read_it_unless_told_otherwise(world: World, client, settings):
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 403
    # A proxy on this machine that nobody named hands on what comes from elsewhere.
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    settings.METRICS_NETWORKS = (ip_network("192.0.2.0/24"),)
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert client.get("/metrics").status_code == 403
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.1"),)
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 200
    assert client.get("/metrics", headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 403


def test_the_number_of_series_does_not_depend_on_what_happens(world: World, client):
    def series():
        snapshots.forget()
        return sum(len(family.samples) for family in read(client).values())

    quiet = series()
    staggered(world)
    # Two incidents are going on, each with its confidence.
    assert series() <= quiet + 2


def test_promtool_finds_nothing_to_say(world: World, client):
    promtool = shutil.which("promtool")
    if promtool is None:
        reason = "no promtool on this machine: install it (apt-get install prometheus)"
        if os.environ.get("REQUIRE_PROMTOOL"):
            pytest.fail(reason)
        pytest.skip(reason)
    staggered(world)
    tally.answered(202, "api")
    tally.note("watch_seconds", 0.25)
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=client.get("/metrics").content,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_the_running_site_counts_what_it_answers(live_site: str, transactional_db: None):
    def ask(path: str) -> str:
        with urllib.request.urlopen(f"{live_site}{path}", timeout=20) as answer:
            return str(answer.read(), encoding="utf-8")

    before = values(families(ask("/metrics"))["outagemap_http_responses"]).get(("2xx",), 0)
    for _ in range(5):
        ask("/healthz")
    # The answer that tells it is not among them yet.
    assert values(families(ask("/metrics"))["outagemap_http_responses"])[("2xx",)] >= before + 5
