"""A watch cycle over the full catalogue: milliseconds, and whether idle cells cost anything.

``run`` needs Django set up on an empty, migrated database; it leaves its rows there.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.core.management import call_command

from reports import counts
from reports.clock import minute_of
from reports.incidents import watch
from reports.models import Category, DetectorState, Incident, Provider, Region, Service

START = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
ACTIVE_SHARE = 0.01
HISTORY_MINUTES = 180


def run(*, minutes: int = 20) -> dict[str, Any]:
    """Median milliseconds of a cycle with one cell in a hundred active, and with ten times as many idle cells."""
    call_command("load_catalogue", verbosity=0)
    services = list(Service.objects.order_by("id").values_list("id", flat=True))
    regions = list(Region.objects.order_by("id").values_list("id", flat=True))
    cells = len(services) * len(regions)
    active = int(cells * ACTIVE_SHARE)
    _count(services, regions, active, minutes=2 * minutes)
    watch.forget()
    watch.refit(now=START)
    watch.watch(now=START)
    began = time.perf_counter()
    watch.watch(now=START + timedelta(minutes=1, seconds=10))
    first = 1000 * (time.perf_counter() - began)
    usual = _cycles(2, minutes)
    _more_services(9 * len(services))
    watch.watch(now=START + timedelta(minutes=minutes, seconds=10))
    larger = _cycles(minutes + 1, 2 * minutes)
    began = time.perf_counter()
    watch.watch(now=START + timedelta(minutes=2 * minutes, seconds=20))
    idle = 1000 * (time.perf_counter() - began)
    watch.forget()
    return {
        "services": len(services),
        "regions": len(regions),
        "cells": cells,
        "active cells a minute": active,
        "cycle, median ms": round(statistics.median(usual), 1),
        "cycle, slowest ms": round(max(usual), 1),
        "cells with ten times as many idle": 10 * cells,
        "cycle then, median ms": round(statistics.median(larger), 1),
        "growth": round(statistics.median(larger) / statistics.median(usual), 2),
        "call without a closed minute, ms": round(idle, 1),
        "first cycle of a process (warm-up), ms": round(first, 1),
        "stored state, KiB": round(len(DetectorState.objects.get().state) / 1024),
        "incidents opened": Incident.objects.count(),
    }


def _cycles(first: int, last: int) -> list[float]:
    """Milliseconds of each cycle, one for each minute."""
    took = []
    for minute in range(first, last + 1):
        now = START + timedelta(minutes=minute, seconds=10)
        began = time.perf_counter()
        done = watch.watch(now=now)
        took.append(1000 * (time.perf_counter() - began))
        if done.watched != 1:
            raise RuntimeError(f"expected one minute to be watched, not {done}")
    return took


def _count(services: list[int], regions: list[int], active: int, *, minutes: int) -> None:
    """A fresh choice of ``active`` cells with a report in every minute, the busier services and regions more often."""
    random = np.random.default_rng(1)
    weight = np.outer(_zipf(len(services), random), _zipf(len(regions), random)).ravel()
    span = np.arange(-HISTORY_MINUTES, minutes)
    cell = np.concatenate([random.choice(len(weight), active, replace=False, p=weight) for _ in span])
    service, region = np.divmod(cell, len(regions))
    minute = minute_of(START) + np.repeat(span, active)
    reports = 1 + random.poisson(0.3, len(cell))
    counts.copy_history(
        [counts.Additions.down(minute, np.array(services)[service], np.array(regions)[region], reports)]
    )


def _zipf(size: int, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weight = 1.0 / (1 + random.permutation(size))
    shares: np.ndarray[tuple[int], np.dtype[np.float64]] = weight / weight.sum()
    return shares


def _more_services(number: int) -> None:
    """Services that nobody reports on, in a tenth as many providers."""
    category = Category.objects.first()
    assert category is not None
    providers = Provider.objects.bulk_create(Provider(slug=f"idle-{n}", name=f"Idle {n}") for n in range(number // 10))
    Service.objects.bulk_create(
        Service(slug=f"idle-{n}", name=f"Idle {n}", provider=providers[n % len(providers)], category=category)
        for n in range(number)
    )
