"""The region tree as arrays: ancestors, countries and depth, for a :class:`Topology`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reports.detection.decisions import IntArray, Topology


class TopologyError(ValueError):
    """The topology is not one tree under one world, or its arrays disagree in length."""


@dataclass(frozen=True)
class Tree:
    """``lineage[i]`` is region ``i`` and then its ancestors up to the world, padded with -1 (regions x depth).

    ``country[i]`` is the ancestor just below the world (the world for itself); ``depth`` counts from 0 at the world;
    ``bins_east`` is the local time of the region's country, in half hours east of UTC (45-minute zones are rounded:
    a quarter of an hour does not show in a profile of half hours).
    """

    lineage: IntArray
    country: IntArray
    depth: IntArray
    bins_east: IntArray
    world: int

    @cached_property
    def children(self) -> tuple[IntArray, ...]:
        """Per region, the indices of the regions directly below it."""
        if self.lineage.shape[1] < 2:
            return tuple(np.zeros(0, dtype=np.int64) for _ in range(len(self.lineage)))
        parents = self.lineage[:, 1]
        order = np.argsort(parents, kind="stable")
        starts = np.searchsorted(parents[order], np.arange(len(parents) + 1))
        return tuple(order[starts[i] : starts[i + 1]] for i in range(len(parents)))

    @cached_property
    def leaves(self) -> tuple[IntArray, ...]:
        """Per region, the regions in it (itself included) that have none in them."""
        found: list[list[int]] = [[] for _ in range(len(self.lineage))]
        for leaf in np.flatnonzero(~self.has_children):
            for region in self.above[leaf]:
                found[region].append(int(leaf))
        return tuple(np.array(leaves, dtype=np.int64) for leaves in found)

    @cached_property
    def above(self) -> tuple[frozenset[int], ...]:
        """Per region, itself and all regions it lies in."""
        return tuple(frozenset(int(r) for r in line if r >= 0) for line in self.lineage)

    def outermost(self, regions: Collection[int]) -> list[int]:
        """Those of ``regions`` that lie in no other of them, in order."""
        return [r for r in sorted(regions) if not any(q != r and q in self.above[r] for q in regions)]

    @cached_property
    def has_children(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Per region, whether another region lies in it."""
        return np.array([len(c) > 0 for c in self.children], dtype=np.bool_)


def plant(topology: Topology) -> Tree:
    """The tree of a topology. Raises :class:`TopologyError` where there is no single world or a parent is a cycle."""
    count = len(topology.regions)
    parents = np.asarray(topology.parents, dtype=np.int64)
    if parents.shape != (count,) or len(topology.utc_offsets) != count:
        raise TopologyError("parents and utc_offsets need one element per region")
    if len(topology.providers) != len(topology.services):
        raise TopologyError("providers need one element per service")
    roots = np.flatnonzero(parents < 0)
    if len(roots) != 1:
        raise TopologyError(f"expected one region without a parent, the world; found {len(roots)}")
    world = int(roots[0])
    levels = [np.arange(count, dtype=np.int64)]
    while True:
        last = levels[-1]
        above = np.where(last >= 0, parents[np.maximum(last, 0)], -1)
        if np.all(above < 0):
            break
        if len(levels) > 16:
            raise TopologyError("a region lies within itself, or regions nest deeper than 16 levels")
        levels.append(above)
    lineage = np.stack(levels, axis=1)
    depth = (lineage >= 0).sum(axis=1) - 1
    country = np.full(count, world, dtype=np.int64)
    below = depth >= 1
    country[below] = lineage[below, depth[below] - 1]
    east = np.rint(np.asarray(topology.utc_offsets, dtype=np.float64)[country] / 30.0).astype(np.int64)
    east[world] = 0
    return Tree(lineage=lineage, country=country, depth=depth, bins_east=east, world=world)
