"""``docs/recompute.py``, given what the site publishes of an incident that the watch itself opened and resolved."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reports.incidents import watch
from reports.models import Baseline, Evidence, Incident
from reports.status import snapshots
from tests.incidents.world import START, World
from tests.recomputing import recompute, saved

REF = "OUT-2026-0001"


@pytest.fixture
def resolved(lived_in: World) -> World:
    """WhatsApp down in England, which relapses, and in São Paulo; the fit renewed in between; over."""
    lived_in.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    lived_in.outage("whatsapp", "BR-SP", start=12, end=80, rate=8, votes=2)
    lived_in.outage("whatsapp", "GB-ENG", start=110, end=140, rate=9, votes=3)
    play(lived_in)
    return lived_in


def play(world: World) -> None:
    for minute in range(1, 240):
        if minute == 65:
            watch.refit(now=world.at(minute + 0.1))
        watch.watch(now=world.at(minute + 0.2))


def test_everything_said_of_an_incident_can_be_recomputed_from_what_is_published(resolved: World, tmp_path: Path):
    incident = Incident.objects.get()
    assert incident.resolved_at is not None
    assert Evidence.objects.values("baseline_version").distinct().count() == Baseline.objects.count() == 2
    done = recompute(*saved(REF, tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    for decision in ("opened", "recovering", "restored", "reopened"):
        assert f" {decision} " in done.stdout
    assert " NO" not in done.stdout
    shown = incident.timeline.exclude(evidence=None).values("evidence").distinct().count()
    assert done.stdout.count(" yes") >= shown + incident.regions.count()


def test_one_report_more_in_the_export_is_noticed(resolved: World, tmp_path: Path):
    answers, export = saved(REF, tmp_path)
    rows = list(csv.DictReader(export.read_text().splitlines()))
    opened = Evidence.objects.filter(decision="opened", region__code="GB-ENG").get()
    inside = f"{opened.window_end_at - timedelta(minutes=1):%Y-%m-%dT%H:%MZ}"
    (row,) = (row for row in rows if (row["minute"], row["region"]) == (inside, "GB-ENG"))
    row["reports"] = str(int(row["reports"]) + 1)
    with export.open("w") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    done = recompute(answers, export)
    assert done.returncode == 1
    assert "observed" in next(line for line in done.stdout.splitlines() if "GB-ENG" in line and " opened " in line)


TOLD_WRONGLY = (
    ("observed", 2, "observed"),
    ("expected", 0.9, "expected"),
    ("log10_p", 1.1, "log10 p"),
    ("threshold", 10, "threshold"),
    ("networks", 2, "networks"),
    ("working", 2, "votes"),
)


def test_a_figure_told_wrongly_is_noticed(resolved: World, tmp_path: Path):
    answers, export = saved(REF, tmp_path)
    for figure, factor, named in TOLD_WRONGLY:
        told = json.loads(answers.read_text())
        kind = "region_restored" if figure == "working" else "region_down"
        line = next(line for line in told["timeline"] if (line["region"], line["kind"]) == ("BR-SP", kind))
        spoke = line["source"]["evidence"]
        spoke[figure] *= factor
        spoke["id"] = 10**9  # the same decision is told of in several places
        (tmp_path / "wrong.json").write_text(json.dumps(told))
        done = recompute(tmp_path / "wrong.json", export)
        assert done.returncode == 1
        (wrong,) = (line for line in done.stdout.splitlines() if line.endswith("| NO"))
        assert named in wrong


def test_what_cannot_be_read_is_said_and_ends_with_two(tmp_path: Path):
    (tmp_path / "kept.json").write_text("{}")
    (tmp_path / "kept.csv").write_text("minute,region\n")
    for arguments in ((), (tmp_path / "kept.json",), (tmp_path / "kept.json", tmp_path / "kept.csv")):
        done = recompute(*arguments)
        assert done.returncode == 2
        assert "recompute.py https://" in done.stderr


@pytest.mark.slow
def test_the_script_asks_a_running_site_and_keeps_what_it_said(
    committed_world: World, live_server: Any, tmp_path: Path
):
    committed_world.outage("whatsapp", "GB-ENG", start=10, end=60, rate=12, votes=3)
    play(committed_world)
    snapshots.forget()
    done = recompute(f"{live_server.url}/api/v1/incidents/{REF}/", "--save", tmp_path / "kept")
    assert done.returncode == 0, done.stdout + done.stderr
    again = recompute(tmp_path / "kept.json", tmp_path / "kept.csv")
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert START.strftime("%Y-%m-%d") in again.stdout
