"""``manage.py backtest``: the production detector over recorded counts, without database, broker or network."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from django.core.management.base import BaseCommand

from reports.detection.backtest import Ledger, Recording, Row, run
from reports.detection.decisions import NETWORK_KINDS, IntArray, Topology

WORLD = "001"
_MINUTE_FORM = "a minute like 2026-01-05T00:00Z"
COLUMNS = [
    "service",
    "region",
    "onset_at",
    "detected_at",
    "peak_at",
    "peak_reports",
    "recovering_at",
    "restored_at",
    "restored_low",
    "restored_high",
    "declared_at",
    "basis",
    "log10_p",
    "observed",
    "expected",
    "window_minutes",
    "incident",
    "group",
]


class InputError(Exception):
    """A line that cannot be read: where, and what was expected there."""

    def __init__(self, path: Path, line: int, expected: str) -> None:
        super().__init__(f"{path}, line {line}: expected {expected}")


class Command(BaseCommand):
    """Write the regional outages that the detector finds in a file of counts."""

    help = "Run the production detector over recorded counts, minute by minute, and write what it found."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("counts", type=Path, metavar="COUNTS.csv")
        parser.add_argument("--output", type=Path, required=True, metavar="DETECTIONS.csv")
        parser.add_argument("--regions", type=Path, metavar="REGIONS.csv")
        parser.add_argument("--from", dest="start", metavar="TIME", help="write decisions from this minute on")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            start = _minute_of(options["start"]) if options["start"] else None
        except ValueError:
            _refuse(f"--from: expected {_MINUTE_FORM}, got {options['start']}")
        try:
            tree = read_regions(options["regions"]) if options["regions"] else _built_in_regions()
            recording, services = read_counts(options["counts"], tree)
        except InputError as error:
            _refuse(str(error))
        except OSError as error:
            _refuse(f"{error.filename}: {error.strerror}")
        topology = _topology(tree, services)
        ledger = run(recording, topology, progress=_progress if sys.stderr.isatty() else None)
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
        try:
            write_detections(options["output"], ledger, topology, start)
        except OSError as error:
            _refuse(f"{options['output']}: {error.strerror}")


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(2)


def _progress(share: float) -> None:
    sys.stderr.write(f"\rbacktest {share:4.0%}")
    sys.stderr.flush()


def _minute_of(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.second or moment.microsecond:
        raise ValueError(text)
    return int(moment.timestamp()) // 60


def _instant(minute: int | None) -> str:
    return "" if minute is None else datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")


# -- regions


def read_regions(path: Path) -> dict[str, tuple[str, int]]:
    """Region code to (parent code, minutes east of UTC); parents that have no line of their own are added."""
    tree: dict[str, tuple[str, int]] = {}
    for line, fields in _lines(path, ("region", "parent", "utc_offset_minutes")):
        code, parent, offset = fields["region"], fields["parent"], fields["utc_offset_minutes"]
        if not code:
            raise InputError(path, line, "a region code")
        if code in tree:
            raise InputError(path, line, f"each region once, {code} was given before")
        try:
            east = int(offset)
        except ValueError:
            raise InputError(path, line, f"whole minutes east of UTC, got {offset!r}") from None
        if not -16 * 60 <= east <= 16 * 60:
            raise InputError(path, line, f"utc_offset_minutes between -960 and 960, got {east}")
        if parent == code or (not parent and code != WORLD):
            raise InputError(path, line, f"the parent of {code}: its country, or {WORLD}")
        tree[code] = ("" if code == WORLD else parent, east)
    for parent in [p for p, _ in tree.values()]:
        if parent and parent not in tree and parent != WORLD:
            offsets = sorted(east for p, east in tree.values() if p == parent)
            tree[parent] = (WORLD, offsets[len(offsets) // 2])
    tree.setdefault(WORLD, ("", 0))
    for code in tree:
        at, steps = code, 0
        while at != WORLD:
            at, steps = tree[at][0], steps + 1
            if steps > len(tree):
                raise InputError(path, 1, f"regions that lead to {WORLD}; {code} lies within itself")
    return tree


def _built_in_regions() -> dict[str, tuple[str, int]]:
    # Here, not above: reading the tree and its time zones takes a moment that a run with --regions need not spend.
    from reports.regions import tree, utc_offset_minutes

    return {code: (region.parent or "", utc_offset_minutes(code)) for code, region in tree().items()}


def _topology(tree: dict[str, tuple[str, int]], services: list[str]) -> Topology:
    codes = sorted(tree)
    place = {code: i for i, code in enumerate(codes)}
    parents = np.array([place[tree[c][0]] if tree[c][0] else -1 for c in codes], dtype=np.int64)
    offsets = np.array([tree[c][1] for c in codes], dtype=np.int64)
    return Topology(tuple(services), tuple(services), tuple(codes), parents, offsets)


# -- counts


def _lines(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        missing = [name for name in needed if name not in header]
        if missing:
            raise InputError(path, 1, f"a header with {','.join(needed)}; {missing[0]} is missing")
        for fields in reader:
            if len(fields) != len(header):
                raise InputError(path, reader.line_num, f"{len(header)} fields, got {len(fields)}")
            yield reader.line_num, dict(zip(header, fields, strict=True))


_NUMBERS = ("reports", "working", *NETWORK_KINDS)
_ROWS_AT_ONCE = 50_000


def read_counts(path: Path, tree: dict[str, tuple[str, int]]) -> tuple[Recording, list[str]]:
    """The counts of a file as arrays, and the slugs of its services in the order of their indices."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        for name in ("minute", "service", "region", "reports"):
            if name not in header:
                raise InputError(
                    path, 1, f"a header minute,service,region,reports[,working][,networks]; {name} is missing"
                )
        table = _Table(path, header, tree)
        line = reader.line_num
        while rows := list(islice(reader, _ROWS_AT_ONCE)):
            table.take(rows, line)
            line = reader.line_num
    columns = table.columns()
    recording = Recording(
        minute=columns["minute"],
        service=columns["service"],
        region=columns["region"],
        reports=columns["reports"],
        working=columns.get("working", np.zeros_like(columns["minute"])),
        **{name: columns.get(name) for name in NETWORK_KINDS},
    )
    return recording, list(table.services)


class _Table:
    """Rows of counts, turned into arrays many at a time: one by one, millions would take a third of the whole time.

    Only where something is wrong with a piece are its rows looked at one by one, to name the line.
    """

    def __init__(self, path: Path, header: list[str], tree: dict[str, tuple[str, int]]) -> None:
        self.path = path
        self.at = {name: header.index(name) for name in ("minute", "service", "region", *_NUMBERS) if name in header}
        self.width = len(header)
        self.place = {code: i for i, code in enumerate(sorted(tree))}
        self.services: dict[str, int] = {}
        self.minutes: dict[str, int] = {}
        self.pieces: list[dict[str, IntArray]] = []

    def take(self, rows: list[list[str]], line: int) -> None:
        """The rows that follow line ``line``. Raises :class:`InputError`."""
        try:
            self.pieces.append(self._piece(rows))
        except (ValueError, TypeError, KeyError):
            for number, fields in enumerate(rows, line + 1):
                self._check(fields, number)
            raise

    def columns(self) -> dict[str, IntArray]:
        """Everything taken. Raises :class:`InputError` where the minutes are not in order or a cell comes twice."""
        whole = {
            name: np.concatenate([np.zeros(0, dtype=np.int64), *(piece[name] for piece in self.pieces)])
            for name in self.at
        }
        minute = whole["minute"]
        back = np.flatnonzero(np.diff(minute) < 0)
        if len(back):
            raise InputError(self.path, int(back[0]) + 3, "minutes in order; this one comes after a later one")
        if len(minute):
            cells = len(self.services) * len(self.place)
            key = (minute - minute[0]) * cells + whole["service"] * len(self.place) + whole["region"]
            order = np.argsort(key, kind="stable")
            twice = order[1:][np.diff(key[order]) == 0]
            if len(twice):
                raise InputError(self.path, int(twice.min()) + 2, "each service and region once a minute")
        return whole

    def _piece(self, rows: list[list[str]]) -> dict[str, IntArray]:
        fields = list(zip(*rows, strict=True))
        if len(fields) != self.width:
            raise ValueError
        of = {name: fields[index] for name, index in self.at.items()}
        for text in dict.fromkeys(of["minute"]):
            if text not in self.minutes:
                self.minutes[text] = _minute_of(text)
        for slug in dict.fromkeys(of["service"]):
            if not slug:
                raise ValueError
            self.services.setdefault(slug, len(self.services))
        look_up = {"minute": self.minutes, "service": self.services, "region": self.place}
        piece = {
            name: np.fromiter(map(known.__getitem__, of[name]), dtype=np.int64, count=len(rows))
            for name, known in look_up.items()
        }
        for name in _NUMBERS:
            if name in of:
                texts = of[name] if name == "reports" else [text or "0" for text in of[name]]
                joined = "".join(texts)
                if not (joined.isascii() and joined.isdigit()):
                    raise ValueError
                piece[name] = np.fromiter(map(int, texts), dtype=np.int64, count=len(rows))
        return piece

    def _check(self, fields: list[str], line: int) -> None:
        if len(fields) != self.width:
            raise InputError(self.path, line, f"{self.width} fields, got {len(fields)}")
        when, which, where = (fields[self.at[name]] for name in ("minute", "service", "region"))
        try:
            _minute_of(when)
        except ValueError:
            raise InputError(self.path, line, f"{_MINUTE_FORM}, got {when!r}") from None
        if where not in self.place:
            raise InputError(self.path, line, f"a known region, got {where!r}")
        if not which:
            raise InputError(self.path, line, "a service")
        for name in _NUMBERS:
            text = fields[self.at[name]] if name in self.at else "0"
            if not (text.isascii() and text.isdigit()) and (text or name == "reports"):
                raise InputError(self.path, line, f"a whole number of {name}, got {text!r}")


# -- detections


def write_detections(path: Path, ledger: Ledger, topology: Topology, start: int | None) -> None:
    """One line per regional outage in order of detection; the file appears whole or not at all."""
    rows = sorted((r for r in ledger.rows if start is None or r.detected >= start), key=lambda r: r.detected)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(_fields(row, topology) for row in rows)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _fields(row: Row, topology: Topology) -> list[str]:
    evidence = row.evidence
    return [
        topology.services[row.service],
        topology.regions[row.region],
        _instant(row.onset),
        _instant(row.detected),
        _instant(row.peak),
        str(row.peak_reports) if row.peak_reports is not None else "",
        _instant(row.recovering),
        _instant(row.restored),
        _instant(row.restored_low),
        _instant(row.restored_high),
        _instant(row.declared),
        row.basis.value if row.basis else "",
        f"{evidence.log10_p:.2f}",
        str(evidence.observed),
        f"{evidence.expected:.4g}",
        str(evidence.window_minutes),
        row.incident,
        row.group or row.incident,
    ]
