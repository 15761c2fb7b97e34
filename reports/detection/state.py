"""The engine's rolling state as bytes and back: by slugs and codes, so that the catalogue may grow in between."""

from __future__ import annotations

import io
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.detection.decisions import NETWORK_KINDS, Basis, IntArray
from reports.detection.outage import KEPT, OPEN, Incident, Outage
from reports.detection.recent import SPAN, Minute

if TYPE_CHECKING:
    from reports.detection.engine import Engine

_FORMAT = 3
_NEVER = -(10**9)
_ROW_ARRAYS = {"held_until": 0, "tail_from": 0, "tail_size": 0.0, "closed_at": _NEVER}
"""What a row carries beside its counts, with the value that nearly all rows have: only the others are written."""
_OUTAGE_FIELDS = (
    "onset",
    "detected",
    "first",
    "own",
    "state",
    "peak",
    "peak_reports",
    "told_peak",
    "noticed",
    "total_reports",
    "total_votes",
    "said",
    "judge_at",
    "shape",
    "back",
    "able",
    "recovering",
    "restored",
    "restored_low",
    "restored_high",
    "declared",
    "excess",
)
_INCIDENT_FIELDS = ("key", "opened", "onset", "group", "scope", "last_change", "vouched", "confidence", "signs")


class StateError(ValueError):
    """The bytes are not a state that this version of the detector wrote."""


def dump(engine: Engine) -> bytes:
    """The state of ``engine``; a few kilobytes on a quiet day."""
    recent = engine.recent
    turned = np.flatnonzero((recent.factors[: recent.used] != 1.0).any(axis=1))
    log = list(recent.minutes)
    cells = np.concatenate([m.cells for m in log]) if log else np.zeros(0, dtype=np.int64)
    outages = [o for i in engine.incidents.values() for o in i.regions.values()]
    marked = np.zeros(recent.used, dtype=np.bool_)
    for name, usual in _ROW_ARRAYS.items():
        marked |= getattr(recent, name)[: recent.used] != usual
    arrays: dict[str, np.ndarray[Any, Any]] = {
        name: getattr(recent, name)[: recent.used][marked] for name in _ROW_ARRAYS
    }
    arrays["marked"] = np.flatnonzero(marked).astype(np.int32)
    arrays["row_cells"] = recent.cell[: recent.used].astype(np.int32)
    arrays["turned"] = turned.astype(np.int32)
    arrays["factors"] = recent.factors[turned]
    arrays["log_minutes"] = np.array([m.minute for m in log], dtype=np.int64)
    arrays["log_lengths"] = np.array([len(m.cells) for m in log], dtype=np.int32)
    arrays["log_cells"] = cells.astype(np.int32)
    arrays["log_reports"] = _joined([m.reports for m in log])
    arrays["log_working"] = _joined([m.working for m in log])
    for name in NETWORK_KINDS:
        held = [getattr(m, name) for m in log]
        arrays[f"known_{name}"] = np.array([one is not None for one in held], dtype=np.bool_)
        arrays[f"log_{name}"] = _joined([one for one in held if one is not None])
    arrays["history"] = np.array([[o.reports, o.votes, o.blind] for o in outages if o.state in OPEN], dtype=np.int32)
    arrays["shared_until"] = engine.shared_until
    slugs, codes = engine.topology.services, engine.topology.regions
    gaps = engine.gaps
    header = {
        "format": _FORMAT,
        "services": slugs,
        "regions": codes,
        "minute": engine.minute,
        "first_minute": engine._first_minute,
        "silent": [
            [codes[r], int(gaps.since[r]), float(gaps.due[r]), float(gaps.rate[r]), bool(gaps.blind[r])]
            for r in np.flatnonzero(gaps.since >= 0)
        ],
        "habits": [engine.habits.fading.tolist(), engine.habits.reports, engine.habits.votes],
        "echoes": [[slugs[a], slugs[b], at] for (a, b), at in engine.echo_told.items()],
        "muted": [[slugs[s], until] for s, until in engine.muted_until.items()],
        "incidents": [_incident(i, engine) for i in engine.incidents.values()],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    buffer.write(len(text).to_bytes(4, "little"))
    buffer.write(text)
    np.savez(buffer, allow_pickle=False, **arrays)
    return zlib.compress(buffer.getvalue(), 1)


def _joined(parts: list[IntArray]) -> np.ndarray[Any, Any]:
    """The parts in the narrowest type that holds them: four fifths of the time of writing is compression."""
    if not parts:
        return np.zeros(0, dtype=np.int64)
    values = np.concatenate(parts)
    narrow = np.int8 if len(values) == 0 or (values.min() >= -128 and values.max() < 128) else np.int32
    return values.astype(narrow)


def _incident(incident: Incident, engine: Engine) -> dict[str, Any]:
    fields = {name: getattr(incident, name) for name in _INCIDENT_FIELDS}
    fields["service"] = engine.topology.services[incident.service]
    fields["regions"] = [
        {name: getattr(o, name) for name in _OUTAGE_FIELDS}
        | {"region": engine.topology.regions[r], "basis": o.basis.value if o.basis else None}
        for r, o in incident.regions.items()
    ]
    return fields


def restore(engine: Engine, content: bytes) -> None:
    """Put a saved state into a fresh ``engine``. Raises :class:`StateError` for anything that :func:`dump` did
    not write.
    """
    try:
        raw = zlib.decompress(content)
        length = int.from_bytes(raw[:4], "little")
        header = json.loads(raw[4 : 4 + length])
        arrays = dict(np.load(io.BytesIO(raw[4 + length :]), allow_pickle=False))
    except (ValueError, zlib.error, OSError) as error:
        raise StateError("not a saved state of the detector") from error
    if header.get("format") != _FORMAT:
        raise StateError(f"state of format {header.get('format')}; this version reads {_FORMAT}")
    service_at = {slug: i for i, slug in enumerate(engine.topology.services)}
    region_at = {code: i for i, code in enumerate(engine.topology.regions)}
    services = np.array([service_at.get(s, -1) for s in header["services"]] + [engine.services], dtype=np.int64)
    regions = np.array([region_at.get(r, -1) for r in header["regions"]], dtype=np.int64)
    engine._minute, engine._first_minute = header["minute"], header["first_minute"]
    for code, since, due, rate, blind in header["silent"]:
        if code in region_at:
            place = region_at[code]
            engine.gaps.since[place], engine.gaps.due[place] = since, due
            engine.gaps.rate[place], engine.gaps.blind[place] = rate, blind
    fading, engine.habits.reports, engine.habits.votes = header["habits"]
    engine.habits.fading = np.array(fading)
    engine.echo_told = {
        (service_at[a], service_at[b]): at for a, b, at in header["echoes"] if a in service_at and b in service_at
    }
    engine.muted_until = {service_at[s]: until for s, until in header["muted"] if s in service_at}
    known = np.flatnonzero(regions >= 0)
    engine.shared_until[regions[known]] = arrays["shared_until"][known]

    def moved(cells: IntArray) -> IntArray:
        service, region = np.divmod(cells.astype(np.int64), len(regions))
        service, region = services[service], regions[region]
        here: IntArray = np.where((service >= 0) & (region >= 0), service * engine.regions + region, -1)
        return here

    _restore_rows(engine, arrays, moved(arrays["row_cells"]))
    _restore_log(engine, arrays, moved(arrays["log_cells"]))
    history = iter(arrays["history"])
    for fields in header["incidents"]:
        _restore_incident(engine, fields, history, service_at, region_at)


def _restore_rows(engine: Engine, arrays: dict[str, Any], cells: IntArray) -> None:
    recent = engine.recent
    here = np.flatnonzero(cells >= 0)
    rows = recent.ensure(cells[here])
    row_of_old = np.full(len(cells), -1, dtype=np.int64)
    row_of_old[here] = rows
    marked = row_of_old[arrays["marked"]]
    for name in _ROW_ARRAYS:
        getattr(recent, name)[marked[marked >= 0]] = arrays[name][marked >= 0]
    turned = row_of_old[arrays["turned"]]
    recent.factors[turned[turned >= 0]] = arrays["factors"][turned >= 0]


def _restore_log(engine: Engine, arrays: dict[str, Any], cells: IntArray) -> None:
    recent = engine.recent
    ends = np.cumsum(arrays["log_lengths"], dtype=np.int64)
    # The kinds of networks that a minute recorded follow each other without a place for the minutes that did not.
    taken = dict.fromkeys(NETWORK_KINDS, 0)
    for i, (minute, length, end) in enumerate(zip(arrays["log_minutes"], arrays["log_lengths"], ends, strict=True)):
        part = slice(int(end) - int(length), int(end))
        here = cells[part] >= 0
        exact = cells[part][here]
        reports, working = (arrays[name][part][here].astype(np.int64) for name in ("log_reports", "log_working"))
        networks: dict[str, IntArray] = {}
        for name in NETWORK_KINDS:
            if arrays[f"known_{name}"][i]:
                whole = arrays[f"log_{name}"][taken[name] : taken[name] + int(length)]
                networks[name] = whole[here].astype(np.int64)
                taken[name] += int(length)
        recent.minutes.append(Minute(int(minute), exact, reports, working, **networks))
        told = reports > 0
        if told.any():
            touched, totals = recent.spread(exact[told], reports[told])
            rows = recent.ensure(touched)
            recent.counts[rows, int(minute) % SPAN] = totals
            recent.last[rows] = minute


def _restore_incident(
    engine: Engine, fields: dict[str, Any], history: Any, service_at: dict[str, int], region_at: dict[str, int]
) -> None:
    service = service_at.get(fields["service"], -1)
    incident = Incident(service=service, **{name: fields[name] for name in _INCIDENT_FIELDS if name in fields})
    for told in fields["regions"]:
        rings = next(history) if told["state"] in OPEN else np.zeros((3, KEPT))
        region = region_at.get(told["region"], -1)
        if service < 0 or region < 0:
            continue
        outage = Outage(
            service=service,
            region=region,
            incident=incident.key,
            basis=Basis(told["basis"]) if told["basis"] else None,
            **{name: told[name] for name in _OUTAGE_FIELDS},
        )
        outage.reports, outage.votes, outage.blind = (ring.astype(np.float64) for ring in rings)
        incident.regions[region] = outage
        if outage.state in OPEN:
            engine.down[service * engine.regions + region] = 2 if outage.state == "unknown" else 1
    if incident.regions:
        engine.incidents[service] = incident
