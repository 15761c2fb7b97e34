"""``manage.py calibrate``: whether confidence keeps its word, measured anew."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reports.detection.calibration import TOO_FEW, Reliability, at_last, at_opening, measured, simulated_incidents
from reports.detection.coefficients import FITTED_ON
from reports.detection.confidence import fingerprint
from reports.detection.engine import DETECTOR_VERSION
from reports.detection.simulation import SUITES
from reports.incidents.reviewed import reviewed_incidents, site_shift
from reports.status.answers import CalibrationFigures
from reports.status.calibration import FILE, figures

# The first suite is what confidence is judged by; the others show what it does where hardly anything is false.
PLAN = (("doubtful", (71, 72, 73), 21), ("hard", (71, 72), 14), ("standard", (71,), 14))


class Command(BaseCommand):
    """Measure how often incidents told with a confidence were real."""

    help = (
        "Measure anew how often incidents told with a confidence were real, in simulation and by this site's reviews."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--simulated", action="store_true", help="only the simulated crowds; needs no database")
        parser.add_argument("--reviewed", action="store_true", help="only this site's confirmed and rejected incidents")
        parser.add_argument("--suites", help=f"of: {', '.join(SUITES)}; default {', '.join(p[0] for p in PLAN)}")
        parser.add_argument("--seeds", help="numbers with commas, for every suite; fitted were those named in the file")
        parser.add_argument("--days", type=int, help="days simulated per seed, the first seven to learn from")
        parser.add_argument("--json", action="store_true", help="figures as JSON")
        parser.add_argument(
            "--write",
            nargs="?",
            type=Path,
            const=FILE,
            metavar="FILE",
            help="also write the simulated figures to FILE, by default the one that the methodology page reads",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        both = options["simulated"] == options["reviewed"]
        if options["write"] and not (both or options["simulated"]):
            raise CommandError("--write keeps simulated figures: not together with --reviewed alone")
        plan = _plan(options["suites"], options["seeds"], options["days"])
        found: dict[str, Any] = {}
        if both or options["simulated"]:
            found["simulated"] = _simulated(plan)
            if options["write"]:
                options["write"].write_text(json.dumps(found["simulated"], indent=1) + "\n", encoding="utf-8")
        if both or options["reviewed"]:
            found["reviewed"] = _reviewed()
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=1))
            return
        for suite in found.get("simulated", {}).get("suites", ()):
            for when in ("opening", "later"):
                title = f"{suite['suite']}, seeds {suite['seeds']}, {suite['days']} days, {_WHEN[when]}"
                self.stdout.write(_table(title, suite[when]))
        if "reviewed" in found:
            self.stdout.write(_table("reviewed incidents of this site", found["reviewed"]["figures"]))
            if found["reviewed"]["incidents"] < TOO_FEW:
                self.stdout.write(f"{found['reviewed']['incidents']} incidents so far: too few to say.\n")


_WHEN = {"opening": "as told at the opening", "later": "as last told"}


def _plan(suites: str | None, seeds: str | None, days: int | None) -> list[tuple[str, tuple[int, ...], int]]:
    usual = {suite: (chosen, length) for suite, chosen, length in PLAN}
    names = suites.split(",") if suites else list(usual)
    if unknown := [name for name in names if name not in SUITES]:
        raise CommandError(f"no suite {', '.join(unknown)}; there are: {', '.join(SUITES)}")
    try:
        given = tuple(int(seed) for seed in seeds.split(",")) if seeds else None
    except ValueError:
        raise CommandError(f"--seeds: expected numbers with commas, got {seeds!r}") from None
    if days is not None and days < 9:
        raise CommandError("--days: the first seven are learnt from and none of these has a gap, so at least 9")
    return [(name, given or usual.get(name, PLAN[0][1:])[0], days or usual.get(name, ((), 14))[1]) for name in names]


def _simulated(plan: Sequence[tuple[str, tuple[int, ...], int]]) -> dict[str, Any]:
    suites = []
    for name, seeds, days in plan:
        told = [one for seed in seeds for one in simulated_incidents(name, seed, days, progress=_shown(name, seed))]
        suites.append(
            {
                "suite": name,
                "seeds": list(seeds),
                "days": days,
                **{
                    when: _figures(measured([one.confidence for one in chosen], [one.real for one in chosen]))
                    for when, chosen in (("opening", at_opening(told)), ("later", at_last(told)))
                },
            }
        )
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return {
        "detector_version": DETECTOR_VERSION,
        "fingerprint": fingerprint(DETECTOR_VERSION),
        "made_on": datetime.now(UTC).date().isoformat(),
        "fitted_on": dict(FITTED_ON),
        "suites": suites,
    }


def _shown(name: str, seed: int) -> Any:
    if not sys.stderr.isatty():
        return None

    def show(share: float) -> None:
        sys.stderr.write(f"\r\033[Kcalibrate {name}, seed {seed}: {share:4.0%}")
        sys.stderr.flush()

    return show


def _reviewed() -> dict[str, Any]:
    judged = reviewed_incidents()
    found = measured([one.told for one in judged], [one.real for one in judged])
    return {"incidents": len(judged), "shift": site_shift(), "figures": _figures(found)}


def _figures(found: Reliability | None) -> dict[str, Any] | None:
    return _rounded(figures(found)) if found else None


def _rounded(found: CalibrationFigures) -> dict[str, Any]:
    def short(value: Any) -> Any:
        return round(value, 4) if isinstance(value, float) else value

    told = asdict(found)
    return {
        **{name: short(value) for name, value in told.items() if name != "bands"},
        "bands": [{name: short(value) for name, value in band.items()} for band in told["bands"]],
    }


def _table(title: str, found: dict[str, Any] | None) -> str:
    if not found:
        return f"{title}: no incidents\n"
    skill = "–" if found["skill"] is None else f"{found['skill']:.3f}"
    lines = [
        f"{title}: {found['incidents']} incidents, {found['real']} real, Brier {found['brier']:.4f}, skill {skill}",
        f"  reliability {found['reliability']:.4f} - resolution {found['resolution']:.4f}"
        f" + uncertainty {found['uncertainty']:.4f}",
        "  told         incidents  mean told  real    95 % interval",
    ]
    lines += [
        f"  {band['low']:.2f} - {band['high']:.2f}  {band['incidents']:9d}  {band['told']:9.3f}"
        f"  {band['share']:5.3f}  {band['least']:.3f} - {band['most']:.3f}"
        for band in found["bands"]
    ]
    return "\n".join(lines) + "\n"
