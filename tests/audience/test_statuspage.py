"""/services/SLUG/api/v2/…: the shape of a Statuspage, read by clients that nobody here wrote."""

import gzip
import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from reports.audience.statuspage import MOST_INCIDENTS
from reports.models import Incident
from reports.status import snapshots
from tests.browser_fixtures import show_new_day
from tests.status.making import (
    NOW,
    World,
    at,
    learn,
    note,
    open_incident,
    staggered,
    take_down,
    watch,
)

ROOT = "/services/whatsapp/api/v2"
CALLS = ["summary", "status", "components", "incidents", "incidents/unresolved", "scheduled-maintenances"]
CALLS += ["scheduled-maintenances/upcoming", "scheduled-maintenances/active"]


def _object(required: str, **properties):
    return {"type": "object", "required": required.split(), "properties": properties}


TEXT, FLAG = {"type": "string"}, {"type": "boolean"}
ID = {"type": "string", "pattern": "^[0-9a-z]{12}$"}
INSTANT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}


def _nullable(shape):
    return {"anyOf": [shape, {"type": "null"}]}


PAGE = _object("id name url time_zone updated_at", id=ID, name=TEXT, url=TEXT, time_zone=TEXT, updated_at=INSTANT)
STATUS = _object("indicator description", indicator={"enum": ["none", "minor", "major", "critical"]}, description=TEXT)
COMPONENT = _object(
    "id name status created_at updated_at position description showcase start_date group_id page_id group"
    " only_show_if_degraded",
    id=ID,
    name=TEXT,
    status={"enum": ["operational", "degraded_performance", "partial_outage", "major_outage"]},
    created_at=INSTANT,
    updated_at=INSTANT,
    position={"type": "integer"},
    description=_nullable(TEXT),
    showcase=FLAG,
    group_id=_nullable(ID),
    page_id=ID,
    group=FLAG,
    only_show_if_degraded=FLAG,
    components={"type": "array", "items": ID},
)
PHASES = {"enum": ["investigating", "identified", "monitoring", "resolved", "postmortem"]}
UPDATE = _object(
    "id status body incident_id created_at updated_at display_at affected_components",
    id=ID,
    status=PHASES,
    body=TEXT,
    incident_id=ID,
    created_at=INSTANT,
    updated_at=INSTANT,
    display_at=INSTANT,
)
INCIDENT = _object(
    "id name status created_at updated_at monitoring_at resolved_at impact shortlink started_at page_id"
    " incident_updates components",
    id=ID,
    name=TEXT,
    status=PHASES,
    created_at=INSTANT,
    updated_at=INSTANT,
    monitoring_at=_nullable(INSTANT),
    resolved_at=_nullable(INSTANT),
    impact={"enum": ["none", "minor", "major", "critical"]},
    shortlink=TEXT,
    started_at=INSTANT,
    page_id=ID,
    incident_updates={"type": "array", "items": UPDATE},
    components={"type": "array", "items": COMPONENT},
)
PARTS = {
    "page": PAGE,
    "status": STATUS,
    "components": {"type": "array", "items": COMPONENT},
    "incidents": {"type": "array", "items": INCIDENT},
    "scheduled_maintenances": {"type": "array", "maxItems": 0},
}
HOLDS = {
    "summary": set(PARTS),
    "status": {"page", "status"},
    "components": {"page", "components"},
    "incidents": {"page", "incidents"},
    "incidents/unresolved": {"page", "incidents"},
}


@pytest.fixture
def ask(client):
    def asked(what, service="whatsapp"):
        response = client.get(f"/services/{service}/api/v2/{what}.json")
        assert response.status_code == 200, response.content
        return response.json()

    return asked


def components_of(ask, service="whatsapp"):
    return {each["name"]: each for each in ask("components", service)["components"]}


@pytest.mark.parametrize("what", CALLS)
def test_an_answer_has_the_shape_of_the_original(world: World, ask, what: str):
    learn()
    watch()
    staggered(world)
    answer = ask(what)
    assert set(answer) == HOLDS.get(what, {"page", "scheduled_maintenances"})
    Draft202012Validator({"type": "object", "properties": PARTS}).validate(answer)


@pytest.mark.parametrize("what", CALLS)
def test_nothing_new_costs_neither_a_body_nor_a_query(world: World, client, django_assert_num_queries, what: str):
    staggered(world)
    first = client.get(f"{ROOT}/{what}.json")
    with django_assert_num_queries(0):
        again = client.get(f"{ROOT}/{what}.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"].startswith("public, max-age=")
    assert again.headers["Access-Control-Allow-Origin"] == "*"


def test_many_incidents_take_as_many_queries_as_one(world: World, client, django_assert_max_num_queries):
    staggered(world)
    client.get(f"{ROOT}/incidents.json")
    snapshots.forget()
    with django_assert_max_num_queries(40) as few:
        client.get(f"{ROOT}/incidents.json")
    for number in range(10, 30):
        past = open_incident(world.whatsapp, ref=f"OUT-2026-{number:04}", resolved_at=at("19:00"))
        take_down(past, world.regions["IN"], restored_at=at("18:50"))
        note(past, "detected", when=at("18:06"), facts={"regions": 1})
        note(past, "resolved", when=at("19:00"), facts={"restored": 1})
    snapshots.forget()
    with django_assert_max_num_queries(40) as many:
        assert len(client.get(f"{ROOT}/incidents.json").json()["incidents"]) == 21
    assert len(few) == len(many)


def test_what_goes_on_is_never_hidden_by_what_was_found_since(world: World, client, ask, django_assert_max_num_queries):
    staggered(world)
    note(Incident.objects.get(ref="OUT-2026-0001"), "confirmed", when=at("19:58"))
    for number in range(MOST_INCIDENTS + 5):
        when = at("18:10") + timedelta(minutes=number)
        past = open_incident(
            world.whatsapp, ref=f"OUT-2026-{200 + number:04}", onset_at=when, detected_at=when, resolved_at=when
        )
        note(past, "detected", when=when, facts={"regions": 1})
    snapshots.forget()
    assert len(ask("incidents")["incidents"]) == MOST_INCIDENTS
    for what in ("incidents/unresolved", "summary"):
        (told,) = ask(what)["incidents"]
        assert told["shortlink"].endswith("/incidents/OUT-2026-0001/")
        assert told["incident_updates"][0]["created_at"] == "2026-04-03T19:58:00.000Z"
    snapshots.forget()
    with django_assert_max_num_queries(50):
        client.get(f"{ROOT}/summary.json")


def test_a_region_is_a_component_in_the_group_of_its_country(world: World, ask):
    staggered(world)
    found = components_of(ask)
    britain, england, scotland = found["United Kingdom"], found["England"], found["Scotland"]
    assert britain["group"]
    assert britain["components"] == [england["id"], scotland["id"]]
    assert england["group_id"] == scotland["group_id"] == britain["id"]
    assert (england["status"], scotland["status"]) == ("major_outage", "degraded_performance")
    assert britain["status"] == "partial_outage"
    assert england["updated_at"] == "2026-04-03T18:02:00.000Z"
    # What is back is operational: nothing of it is left to say.
    assert "São Paulo" not in found


def test_silence_after_an_outage_is_never_operational(world: World, ask):
    staggered(world)
    rio = components_of(ask)["Rio de Janeiro"]
    assert rio["status"] == "degraded_performance"
    assert "too little is heard" in rio["description"]


def test_while_nobody_watches_there_is_no_answer_about_the_present(world: World, client):
    watch(NOW - timedelta(hours=1))
    snapshots.forget()
    for what in ("summary", "status", "components"):
        response = client.get(f"{ROOT}/{what}.json")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "30"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert list(response.json()) == ["detail"]
    assert client.get(f"{ROOT}/incidents.json").status_code == 200


def test_countries_from_which_people_report_are_always_there(world: World, ask):
    watch(baseline=learn())
    snapshots.forget()
    quiet = components_of(ask)
    assert {each["status"] for each in quiet.values()} == {"operational"}
    assert {"United Kingdom", "United States"} <= set(quiet)
    staggered(world)
    snapshots.forget()
    down = components_of(ask)
    assert {name: each["id"] for name, each in down.items() if name in quiet} == {
        name: each["id"] for name, each in quiet.items()
    }


@pytest.mark.parametrize(
    ("regions", "indicator", "words"),
    [
        ([], "none", "No outage seen"),
        (["GB-SCT"], "minor", "Down in 1 region"),
        (["GB-ENG"], "major", "Down in 1 region"),
        (["IN", "BR"], "critical", "Down in 2 regions"),
    ],
)
def test_the_page_in_one_word(world: World, ask, regions: list[str], indicator: str, words: str):
    if regions:
        incident = open_incident(world.whatsapp)
        for code in regions:
            take_down(incident, world.regions[code])
    assert ask("status")["status"] == {"indicator": indicator, "description": words}


def test_an_incident_goes_from_investigating_to_resolved(world: World, ask):
    incident = staggered(world)
    regions = world.regions

    def newest():
        snapshots.forget()
        return ask("incidents")["incidents"][0]

    first = newest()
    assert (first["status"], first["impact"]) == ("identified", "critical")
    assert first["started_at"] == "2026-04-03T18:02:00.000Z"
    assert first["created_at"] == "2026-04-03T18:06:00.000Z"
    assert first["resolved_at"] is None
    assert first["shortlink"] == "http://testserver/incidents/OUT-2026-0001/"
    assert [each["status"] for each in first["incident_updates"]] == ["identified", "investigating"]
    assert "412 in 12 minutes where 9.1 were expected" in first["incident_updates"][1]["body"]
    assert first["incident_updates"][0]["body"].endswith("“We are aware.” https://status.example/1")
    note(incident, "region_restored", when=at("19:55"), region=regions["BR-SP"], facts={"basis": "votes"})
    note(incident, "resolved", when=at("19:59"), facts={"restored": 2})
    Incident.objects.filter(pk=incident.pk).update(resolved_at=at("19:58"))
    last = newest()
    assert (last["status"], last["resolved_at"]) == ("resolved", "2026-04-03T19:58:00.000Z")
    assert last["monitoring_at"] == "2026-04-03T19:55:00.000Z"
    assert [each["status"] for each in last["incident_updates"]][:2] == ["resolved", "monitoring"]
    # What was told before is told under the same ids.
    assert last["incident_updates"][2:] == first["incident_updates"]
    assert ask("incidents/unresolved")["incidents"] == []


def test_a_rejected_incident_is_over_and_of_no_impact(world: World, ask):
    incident = open_incident(world.whatsapp, rejected_at=at("18:30"), rejected_reason="A brigade.")
    take_down(incident, world.regions["GB-ENG"])
    note(incident, "detected", when=at("18:06"), facts={"regions": 1})
    note(incident, "rejected", when=at("18:30"), facts={"reason": "A brigade."})
    (told,) = ask("incidents")["incidents"]
    assert (told["status"], told["impact"], told["resolved_at"]) == ("resolved", "none", "2026-04-03T18:30:00.000Z")
    assert "A brigade." in told["incident_updates"][0]["body"]
    assert ask("status")["status"]["indicator"] == "none"


def test_an_incident_of_many_regions_names_their_countries(world: World, ask):
    from reports.models import Region
    from reports.status import catalogue

    incident = open_incident(world.whatsapp)
    states = [link for link in catalogue.links() if link.parent == "US" and link.code not in world.regions]
    for link in states[:30]:
        take_down(
            incident,
            Region.objects.create(
                code=link.code, name=link.name, kind=link.kind, parent=world.regions["US"], population=link.population
            ),
        )
    (told,) = ask("incidents/unresolved")["incidents"]
    assert [each["name"] for each in told["components"]] == ["United States"]


def test_what_there_is_none_of_is_not_found(world: World, client):
    for address in ("/services/myspace/api/v2/summary.json", f"{ROOT}/subscribers.json", f"{ROOT}/../summary.json"):
        response = client.get(address)
        assert response.status_code == 404
        assert response.headers.get("Access-Control-Allow-Origin") == "*" or "services" not in address
    assert client.post(f"{ROOT}/summary.json").status_code == 405
    assert client.options(f"{ROOT}/summary.json").status_code == 204


def test_a_large_answer_is_compressed_and_keeps_a_strong_validator(world: World, client):
    staggered(world)
    zipped = client.get(f"{ROOT}/summary.json", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(zipped.content)) == client.get(f"{ROOT}/summary.json").json()
    assert not zipped.headers["ETag"].startswith("W/")


# --- clients of others, against the running site ----------------------------------------------------------------------


@pytest.fixture
def outage_on_the_site(live_site, transactional_db):
    """The address of the running site, on which WhatsApp is down."""
    from reports import clock
    from tests.frontend import scene

    scene.lay(clock.now())
    show_new_day(live_site)
    return live_site


def test_the_exporter_for_prometheus_reads_it(outage_on_the_site, tmp_path):
    """The package statuspage-prometheus-exporter, as its own program."""
    services = {
        slug: {"url": f"{outage_on_the_site}/services/{slug}/api/v2/summary.json", "name": slug}
        for slug in ("whatsapp", "facebook")
    }
    (tmp_path / "services.json").write_text(json.dumps(services))
    ran = subprocess.run(
        [sys.executable, "-m", "statuspage_prometheus_exporter.status_monitoring"],
        cwd=tmp_path,
        env=os.environ
        | {"RUN_MODE": "once", "METRICS_TEXTFILE_PATH": "out.prom", "SERVICES_JSON_PATH": "services.json"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    read = (tmp_path / "out.prom").read_text()
    assert 'statuspage_service_status{service_name="whatsapp"} 0.0' in read
    assert 'statuspage_service_status{service_name="facebook"} 1.0' in read
    assert 'statuspage_probe_check{service_name="whatsapp"} 1.0' in read
    assert 'component_name="India",service_name="whatsapp"} 0.0' in read
    told = [line for line in read.splitlines() if line.startswith("statuspage_incident_info{")]
    incident = next(line for line in told if 'service_name="whatsapp"' in line)
    assert 'impact="critical"' in incident
    assert "/incidents/OUT-2026-0007/" in incident


def test_a_client_made_for_another_status_page_reads_every_call(outage_on_the_site, monkeypatch):
    """The package whadup, made for GitHub's status page, with our address in place of that one."""
    import whadup

    monkeypatch.setattr(whadup, "API_BASE_URL", f"{outage_on_the_site}/services/whatsapp/api/")
    there = whadup.GithubStatus()
    assert there.status()["status"]["indicator"] == "critical"
    summary = there.summary()
    assert summary["components"] == there.components()["components"]
    assert {"United States", "India"} <= {each["name"] for each in summary["components"]}
    (going_on,) = there.Incidents.unresolved()["incidents"]
    assert going_on in there.Incidents()["incidents"]
    assert going_on["incident_updates"][-1]["status"] == "investigating"
    for maintenances in (there.Maintenances(), there.Maintenances.upcoming(), there.Maintenances.active()):
        assert maintenances["scheduled_maintenances"] == []
