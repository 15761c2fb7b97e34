"""The figures of docs/detection.md: ``python -m tests.benchmarks.detection [--suites a,b] [--seeds 201,202] [--days
28]``.

The seeds below were not looked at while the parameters were chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from reports.detection import backtest
from reports.detection.backtest import Row
from reports.detection.baseline import Baseline
from reports.detection.decisions import MinuteCounts, Topology
from reports.detection.engine import DETECTOR_VERSION, Engine
from tests.benchmarks.peers import PEERS, rows_of
from tests.detection.judging import Verdict, judge
from tests.detection.simulation import SUITES, Simulation, simulate

# Where reports.status.rules reads them; importing it would need Django, which the maths does not.
RESULTS = Path(backtest.__file__).parent.parent / "data" / "detection-results.json"
UNSEEN_SEEDS = (202, 203)
_SHOWN = (
    ("f1", "F1"),
    ("delay_median", "delay"),
    ("after_third_median", "after 3rd"),
    ("false_incidents_per_service_year", "false/yr"),
    ("restored", "declared"),
    ("error_median", "error"),
    ("error_p90", "p90"),
    ("early", "early"),
    ("declared_median", "said after"),
    ("coverage", "coverage"),
)


def suite_figures(name: str, seed: int, days: int, *, peers: bool = False) -> dict[str, Any]:
    """The verdict on one suite and seed, seconds of processor time, and the peers' verdicts if asked for."""
    simulation = simulate(replace(SUITES[name], days=days), seed)
    begin = time.process_time()
    ledger = backtest.run(simulation.recording, simulation.topology)
    seconds = time.process_time() - begin
    result: dict[str, Any] = {"verdict": judge(ledger.rows, simulation), "seconds": seconds}
    result["confidence"] = confidence_pairs(ledger.rows, simulation)
    if peers:
        result["peers"] = {label: judge(rows_of(peer, simulation), simulation) for label, peer in PEERS.items()}
    return result


def confidence_pairs(rows: list[Row], simulation: Simulation) -> list[tuple[float, bool]]:
    """Per incident: the confidence last told, and whether its service was down then."""
    last: dict[str, Row] = {}
    for row in rows:
        if row.detected >= simulation.judged_from:
            last.setdefault(row.incident, row)
    return [
        (
            row.confidence or 0.0,
            any(t.service == row.service and t.start - 30 <= row.detected <= t.end + 30 for t in simulation.truth),
        )
        for row in last.values()
    ]


def cycle_seconds(services: int = 2000, regions: int = 300, active: float = 0.01, cycles: int = 20) -> float:
    """Median seconds of one cycle over services x regions cells, of which a share has a report in each minute."""
    parents = np.array([-1] + [0] * 20 + [1 + i % 20 for i in range(regions - 21)], dtype=np.int64)
    names = tuple(f"s{i}" for i in range(services))
    codes = tuple(f"r{i}" for i in range(regions))
    topology = Topology(names, names, codes, parents, np.zeros(regions, dtype=np.int64))
    engine = Engine(topology, Baseline.empty(topology))
    rng = np.random.default_rng(1)
    spent = []
    for minute in range(29_000_000, 29_000_000 + cycles):
        cells = np.sort(rng.choice(services * regions, int(active * services * regions), replace=False))
        ones = np.ones(len(cells), dtype=np.int64)
        counts = MinuteCounts(minute, cells // regions, cells % regions, ones, np.zeros_like(ones))
        begin = time.perf_counter()
        engine.step(counts)
        spent.append(time.perf_counter() - begin)
    return float(np.median(spent))


def reliability(pairs: list[tuple[float, bool]]) -> dict[str, Any]:
    """Brier score, and per band of confidence how many incidents there were and how many were real."""
    if not pairs:
        return {"incidents": 0, "brier": None, "bands": []}
    said = np.array([p for p, _ in pairs])
    real = np.array([r for _, r in pairs], dtype=float)
    bands = []
    for low, high in ((0, 0.5), (0.5, 0.8), (0.8, 0.9), (0.9, 0.97), (0.97, 1.01)):
        inside = (said >= low) & (said < high)
        if inside.any():
            bands.append(
                (low, min(high, 1.0), int(inside.sum()), float(said[inside].mean()), float(real[inside].mean()))
            )
    return {"incidents": len(pairs), "brier": float(np.mean((said - real) ** 2)), "bands": bands}


def run() -> dict[str, Any]:
    """The figures of the suites that say most, on a seed unseen while tuning, and the time of a cycle."""
    figures: dict[str, Any] = {}
    for name in ("standard", "hard", "fatigue-votes"):
        found = suite_figures(name, UNSEEN_SEEDS[0], 21)
        verdict = asdict(found["verdict"])
        figures |= {f"{name}: {label}": round(verdict[field], 3) for field, label in _SHOWN}
        figures[f"{name}: CPU seconds of the backtest"] = round(found["seconds"], 1)
    figures["cycle over 600,000 cells, 1 % active, ms"] = round(cycle_seconds() * 1000)
    return figures


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _line(label: str, verdict: Verdict) -> str:
    figures = asdict(verdict)
    return f"| {label} | " + " | ".join(f"{figures[name]:.3g}" for name, _ in _SHOWN) + " |"


def _result(method: str, suite: str, seed: int, verdict: Verdict) -> dict[str, Any]:
    figures = asdict(verdict)
    shown = {name: figures[name] for name, _ in _SHOWN}
    # JSON has no NaN: what there was none of is null.
    told = {name: None if value != value else round(value, 4) for name, value in shown.items()}
    return {"method": method, "suite": suite, "seed": seed, **told}


def main() -> None:
    """Print the tables, and the same as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    # The doubtful crowd is there to be wrong about: confidence is judged by it, not detection.
    parser.add_argument("--suites", default=",".join(name for name in SUITES if name != "doubtful"))
    parser.add_argument("--seeds", default=",".join(map(str, UNSEEN_SEEDS)))
    parser.add_argument("--days", type=int, default=21)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"also write {RESULTS.name}, for the methodology page")
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    published: list[dict[str, Any]] = []
    pairs: list[tuple[float, bool]] = []
    _say("| method, suite, seed | " + " | ".join(label for _, label in _SHOWN) + " |")
    _say("|---" * (len(_SHOWN) + 1) + "|")
    for name in options.suites.split(","):
        for seed in map(int, options.seeds.split(",")):
            figures = suite_figures(
                name, seed, options.days, peers=name in ("standard", "hard") and not options.no_peers
            )
            pairs += figures["confidence"]
            _say(_line(f"**engine**, {name}, {seed}", figures["verdict"]))
            published.append(_result("the detector", name, seed, figures["verdict"]))
            for label, verdict in figures.get("peers", {}).items():
                _say(_line(f"{label}, {name}, {seed}", verdict))
                published.append(_result(label, name, seed, verdict))
            found.append({"suite": name, "seed": seed, "seconds": figures["seconds"], **asdict(figures["verdict"])})
    _say(f"\nconfidence: {reliability(pairs)}")
    _say(f"cycle over 600,000 cells, 1 % active: {cycle_seconds() * 1000:.0f} ms")
    if options.write:
        content = {
            "detector_version": DETECTOR_VERSION,
            "made_on": datetime.now(UTC).date().isoformat(),
            "days": options.days,
            "results": published,
        }
        RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.json:
        json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
