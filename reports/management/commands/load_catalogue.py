"""Loads what can be reported on and where: providers, services, problems and regions, from ``reports/data``."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import models, transaction

from reports import regions
from reports.models import (
    Category,
    Problem,
    Provider,
    Region,
    Service,
    ServiceAlias,
    ServiceDependency,
)

FOLDER = Path(regions.__file__).parent / "data" / "catalogue"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What loading did to one table. ``kept`` rows are in the table and not in the files."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0

    def __str__(self) -> str:
        parts = [f"{self.added} added", f"{self.changed} changed", f"{self.unchanged} unchanged"]
        if self.kept:
            parts.append(f"{self.kept} not in the files, kept")
        return ", ".join(parts)


class Command(BaseCommand):
    """Brings the tables up to the files; may run at every start.

    Rows that are not in the files stay as they are: a service of the operator's own must survive an upgrade, and
    history hangs on every row.
    """

    help = "Load providers, services, problem types and regions. Run again to update; nothing is deleted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--folder", type=Path, default=FOLDER, help="where categories, providers and services lie")

    def handle(self, *args: Any, folder: Path, verbosity: int, **options: Any) -> None:
        with transaction.atomic():
            changes = load(folder)
        if verbosity:
            for table, change in changes.items():
                self.stdout.write(f"{table}: {change}")


def load(folder: Path) -> dict[str, Change]:
    """Loads the catalogue in ``folder`` and the tree of regions; what changed, by table."""
    categories = _read(folder / "categories.json")
    providers = _read(folder / "providers.json")
    services = _read(folder / "services.json")
    changes = {
        "categories": _upsert(
            Category,
            ("slug",),
            ({"slug": one["slug"], "name": one["name"], "position": i} for i, one in enumerate(categories)),
        ),
        "providers": _upsert(
            Provider,
            ("slug",),
            (
                {
                    "slug": one["slug"],
                    "name": one["name"],
                    "country": one.get("country", ""),
                    "homepage": one.get("homepage", ""),
                    "status_url": one.get("status_url", ""),
                }
                for one in providers
            ),
        ),
    }
    category_ids = dict(Category.objects.values_list("slug", "pk"))
    provider_ids = dict(Provider.objects.values_list("slug", "pk"))
    changes["problems"] = _upsert(
        Problem,
        ("category_id", "slug"),
        (
            {"category_id": category_ids[one["slug"]], "position": i, **problem}
            for one in categories
            for i, problem in enumerate(one["problems"])
        ),
    )
    changes["services"] = _upsert(
        Service,
        ("slug",),
        (
            {
                "slug": one["slug"],
                "name": one["name"],
                "provider_id": provider_ids[one["provider"]],
                "category_id": category_ids[one["category"]],
                "countries": one.get("countries", []),
                "homepage": one.get("homepage", ""),
                "modelled_weight": float(one["modelled_weight"]),
            }
            for one in services
        ),
    )
    service_ids = dict(Service.objects.values_list("slug", "pk"))
    changes["aliases"] = _upsert(
        ServiceAlias,
        ("alias",),
        (
            {"service_id": service_ids[one["slug"]], "alias": alias}
            for one in services
            for alias in one.get("aliases", [])
        ),
        # The table allows one spelling in any case: "ig" in the files is the operator's "IG".
        any_case=True,
    )
    changes["dependencies"] = _upsert(
        ServiceDependency,
        ("service_id", "upstream_id"),
        (
            {"service_id": service_ids[one["slug"]], "upstream_id": service_ids[upstream]}
            for one in services
            for upstream in one.get("depends_on", [])
        ),
    )
    changes["regions"] = _load_regions()
    return changes


def _load_regions() -> Change:
    turns: list[Change] = []
    # The tree lists parents first, kind by kind: each turn finds its parents in the table.
    for _, turn in groupby(regions.tree().values(), key=lambda region: region.kind):
        parent_ids = dict(Region.objects.values_list("code", "pk"))
        rows = [
            {
                "code": region.code,
                "name": region.name,
                "parent_id": None if region.parent is None else parent_ids[region.parent],
                "kind": region.kind,
                "population": region.population,
                "population_source": region.population_source,
                "timezone": region.timezone,
                "latitude": region.latitude,
                "longitude": region.longitude,
            }
            for region in turn
        ]
        turns.append(_upsert(Region, ("code",), rows))
    return Change(
        added=sum(turn.added for turn in turns),
        changed=sum(turn.changed for turn in turns),
        unchanged=sum(turn.unchanged for turn in turns),
        kept=Region.objects.count() - len(regions.tree()),
    )


def _read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def _upsert(
    model: type[models.Model], key: tuple[str, ...], rows: Iterable[Values], *, any_case: bool = False
) -> Change:
    """Adds the rows whose ``key`` is new and updates those that differ: two statements, however many rows."""

    def identity(values: Values) -> tuple[Any, ...]:
        found = tuple(values[name] for name in key)
        return tuple(str(value).lower() for value in found) if any_case else found

    manager = model._default_manager
    known = {identity({name: getattr(one, name) for name in key}): one for one in manager.all()}
    new: list[models.Model] = []
    changed: list[models.Model] = []
    fields: set[str] = set()
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        seen.add(identity(row))
        one = known.get(identity(row))
        if one is None:
            new.append(model(**row))
            continue
        differing = [name for name, value in row.items() if name not in key and getattr(one, name) != value]
        for name in differing:
            setattr(one, name, row[name])
        if differing:
            changed.append(one)
            # bulk_update() wants a relation by its own name, not by its column's.
            fields.update(name.removesuffix("_id") for name in differing)
    manager.bulk_create(new, batch_size=1000)
    if changed:
        manager.bulk_update(changed, sorted(fields), batch_size=500)
    return Change(
        added=len(new),
        changed=len(changed),
        unchanged=len(seen) - len(new) - len(changed),
        kept=len(known.keys() - seen),
    )
