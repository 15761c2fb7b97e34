"""The catalogue in memory: services with their spellings, problems, and the region tree with its numbers.

Regions are known by their index in the tree of ``reports.regions``, which is also their index in the detector's
topology; only counts and incidents know the ids of rows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from difflib import SequenceMatcher
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from reports import regions as tree_of_regions
from reports.detection.decisions import IntArray, Topology
from reports.detection.tree import Tree, plant
from reports.models import Problem, Region, Service, ServiceAlias
from reports.status import snapshots
from reports.status.answers import ProblemChoice, RegionLink, ServiceLink

# Below this likeness (0 to 1) a name is not what was typed.
FUZZY = 0.72


@dataclass(frozen=True)
class Entry:
    """A service: its row, its index in the topology, and how people spell it."""

    id: int
    index: int
    link: ServiceLink
    spellings: tuple[str, ...]
    """Folded: slug and name first, then the aliases."""
    provider_spelling: str
    retired: bool


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything that can be asked about, as it was when it was read."""

    entries: tuple[Entry, ...]
    """Every service by name, retired ones included; ``index`` is the position."""
    by_slug: Mapping[str, Entry]
    by_id: Mapping[int, Entry]
    problems: Mapping[str, Mapping[int, ProblemChoice]]
    """Of a category: the choices in order, by the id of the row."""
    topology: Topology
    region_ids: IntArray
    """Row ids of regions, sorted, and ``region_indices``, the index in the tree of each."""
    region_indices: IntArray
    digest: str
    """Another one whenever anything above is."""

    def service(self, slug: str) -> Entry | None:
        """The service on offer with this slug."""
        entry = self.by_slug.get(slug)
        return entry if entry and not entry.retired else None

    @property
    def offered(self) -> tuple[Entry, ...]:
        """The services on offer, by name."""
        return tuple(entry for entry in self.entries if not entry.retired)

    def ids_within(self, region: int) -> list[int]:
        """Row ids of a region and of every region below it."""
        return self.ids_of((tree().lineage == region).any(axis=1))

    def ids_of(self, inside: NDArray[np.bool_]) -> list[int]:
        """Row ids of the regions in a mask over the tree."""
        chosen: list[int] = self.region_ids[inside[self.region_indices]].tolist()
        return chosen

    def regions_of(self, ids: IntArray) -> IntArray:
        """Indices in the tree of rows of regions; -1 for a row that is not in the tree."""
        if not len(self.region_ids):
            return np.full(len(ids), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.region_ids, ids), len(self.region_ids) - 1)
        found: IntArray = np.where(self.region_ids[at] == ids, self.region_indices[at], -1)
        return found


def catalogue() -> Catalogue:
    """The catalogue as it stands, read again when it grew and once a minute."""
    version = snapshots.version()
    day = version.watched_minute and version.watched_minute.date()
    return snapshots.held("catalogue", (version.catalogue, day), lambda: _read(day))


def _read(day: date | None) -> Catalogue:
    spellings: dict[int, list[str]] = {}
    for service, alias in ServiceAlias.objects.order_by("id").values_list("service_id", "alias"):
        spellings.setdefault(service, []).append(folded(alias))
    entries: list[Entry] = []
    providers: list[str] = []
    for index, row in enumerate(Service.objects.select_related("provider", "category").order_by("name", "slug")):
        link = ServiceLink(
            slug=row.slug,
            name=row.name,
            provider=row.provider.slug,
            provider_name=row.provider.name,
            category=row.category.slug,
            category_english=row.category.name,
        )
        entries.append(
            Entry(
                id=row.pk,
                index=index,
                link=link,
                spellings=(folded(row.name), folded(row.slug), *spellings.get(row.pk, [])),
                provider_spelling=folded(row.provider.name),
                retired=row.retired_at is not None,
            )
        )
        providers.append(row.provider.slug)
    problems: dict[str, dict[int, ProblemChoice]] = {}
    for problem in Problem.objects.select_related("category").order_by("position", "id"):
        choices = problems.setdefault(problem.category.slug, {})
        choices[problem.pk] = ProblemChoice(slug=problem.slug, english=problem.label)
    rows = [(pk, index_of(code)) for pk, code in Region.objects.order_by("id").values_list("id", "code")]
    known = [(pk, index) for pk, index in rows if index is not None]
    offsets = _utc_offsets(day)
    return Catalogue(
        entries=tuple(entries),
        by_slug={entry.link.slug: entry for entry in entries},
        by_id={entry.id: entry for entry in entries},
        problems=problems,
        topology=Topology(
            services=tuple(entry.link.slug for entry in entries),
            providers=tuple(providers),
            regions=codes(),
            parents=_parents(),
            utc_offsets=offsets,
        ),
        region_ids=np.array([pk for pk, _ in known], dtype=np.int64),
        region_indices=np.array([index for _, index in known], dtype=np.int64),
        digest=snapshots.digest(entries, problems, known, offsets.tobytes()),
    )


def topology_on(day: date) -> Topology:
    """The topology with local time as on ``day``: what was decided then was decided with it."""
    return replace(catalogue().topology, utc_offsets=_utc_offsets(day))


# --- regions: the same for every site, so kept for ever ---------------------------------------------------------------


@cache
def links() -> tuple[RegionLink, ...]:
    """Every region, parents before their children; the position is its index."""
    return tuple(
        RegionLink(
            code=region.code,
            english=region.name,
            parent=region.parent,
            kind=region.kind,
            population=region.population,
            population_estimated=region.population_source != "cldr",
        )
        for region in tree_of_regions.tree().values()
    )


@cache
def codes() -> tuple[str, ...]:
    """The code of every region, in the order of the indices."""
    return tuple(tree_of_regions.tree())


@cache
def _indices() -> Mapping[str, int]:
    return {code: index for index, code in enumerate(codes())}


def index_of(code: str) -> int | None:
    """The index of the region meant by ``code`` (aliases are followed), or ``None``."""
    resolved = tree_of_regions.resolve(code)
    return None if resolved is None else _indices()[resolved]


@cache
def _parents() -> IntArray:
    indices = _indices()
    return np.array([-1 if link.parent is None else indices[link.parent] for link in links()], dtype=np.int64)


@lru_cache(maxsize=8)
def _utc_offsets(day: date | None) -> IntArray:
    return np.array([tree_of_regions.utc_offset_minutes(code, day) for code in codes()], dtype=np.int64)


@cache
def tree() -> Tree:
    """The region tree as arrays."""
    return plant(
        Topology(services=(), providers=(), regions=codes(), parents=_parents(), utc_offsets=_utc_offsets(None))
    )


@cache
def displayed() -> frozenset[int]:
    """Indices of the regions that a map draws."""
    return frozenset(_indices()[code] for code in tree_of_regions.displayed())


# --- search -----------------------------------------------------------------------------------------------------------


def folded(text: str) -> str:
    """``text`` without case, accents and punctuation: what two spellings of a name have in common."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return re.sub(r"[\W_]+", " ", plain).strip()


def ranked(text: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries that ``text`` may mean, the likeliest first; every one for no text, none for one of signs only."""
    wanted = folded(text)
    if not wanted:
        return () if text.strip() else entries
    found = [(score, entry) for entry in entries if (score := _likeness(wanted, entry, _direct))]
    if not found:
        # Slips are looked for only where nothing fits as it is typed: it takes a hundred times as long.
        found = [(score, entry) for entry in entries if (score := _likeness(wanted, entry, _fuzzy))]
    return tuple(entry for _, entry in sorted(found, key=lambda pair: (-pair[0], pair[1].link.name)))


def _likeness(wanted: str, entry: Entry, measure: Callable[[str, str], float]) -> float:
    best = 2.0 if entry.provider_spelling.startswith(wanted) else 0.0
    for position, spelling in enumerate(entry.spellings):
        if likeness := measure(wanted, spelling):
            # Slug and name before aliases, where both fit equally well.
            best = max(best, likeness - (0.01 if position > 1 else 0.0))
    return best


def _direct(wanted: str, spelling: str) -> float:
    if spelling == wanted:
        return 6.0
    if spelling.startswith(wanted):
        return 5.0
    if any(word.startswith(wanted) for word in spelling.split()):
        return 4.0
    if len(wanted) >= 3 and (wanted in spelling or spelling.replace(" ", "") == wanted.replace(" ", "")):
        return 3.0
    return 0.0


def _fuzzy(wanted: str, spelling: str) -> float:
    if len(wanted) < 3:
        return 0.0
    matcher = SequenceMatcher(None, wanted, spelling, autojunk=False)
    if matcher.real_quick_ratio() < FUZZY or matcher.quick_ratio() < FUZZY:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= FUZZY else 0.0
