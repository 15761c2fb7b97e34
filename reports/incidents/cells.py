"""Where the detector's indices and the database's ids meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from reports.detection.decisions import IntArray, Topology
from reports.detection.tree import Tree, plant
from reports.models import Region, Service, ServiceDependency

# Categories of services by which people reach all others.
NETWORK_CATEGORIES = ("mobile", "internet")


@dataclass(frozen=True)
class Cells:
    """A topology and the ids behind its indices: service ``i`` has the id ``service_ids[i]``, and so for regions. The
    names are as they were when this was read; a regional outage freezes them.
    """

    topology: Topology
    service_ids: tuple[int, ...]
    service_names: tuple[str, ...]
    provider_ids: tuple[int, ...]
    region_ids: tuple[int, ...]
    region_names: tuple[str, ...]

    @cached_property
    def tree(self) -> Tree:
        """The regions as arrays."""
        return plant(self.topology)

    @cached_property
    def service_index(self) -> dict[int, int]:
        """Id of a service -> its index."""
        return {key: index for index, key in enumerate(self.service_ids)}

    @cached_property
    def region_index(self) -> dict[int, int]:
        """Id of a region -> its index."""
        return {key: index for index, key in enumerate(self.region_ids)}

    @cached_property
    def _service_table(self) -> IntArray:
        return _inverse(self.service_ids)

    @cached_property
    def _region_table(self) -> IntArray:
        return _inverse(self.region_ids)

    def service_indices(self, ids: NDArray[np.int64]) -> IntArray:
        """Indices of the services with these ids, -1 for an id that is not in the topology."""
        return _look_up(self._service_table, ids)

    def region_indices(self, ids: NDArray[np.int64]) -> IntArray:
        """Indices of the regions with these ids, -1 for an id that is not in the topology."""
        return _look_up(self._region_table, ids)


def read_cells(day: date) -> Cells:
    """Every service in every region of the catalogue, in the order of their ids, with local time as on ``day``."""
    columns = ("id", "slug", "provider_id", "provider__slug", "name", "category__slug")
    services = list(Service.objects.order_by("id").values_list(*columns))
    regions = list(Region.objects.order_by("id").values_list("id", "code", "parent_id", "timezone", "name"))
    service_index = {row[0]: index for index, row in enumerate(services)}
    region_index = {row[0]: index for index, row in enumerate(regions)}
    offsets = {zone: _minutes_east(zone, day) for zone in {row[3] for row in regions}}
    dependencies = ServiceDependency.objects.order_by("service_id", "upstream_id")
    return Cells(
        topology=Topology(
            services=tuple(row[1] for row in services),
            providers=tuple(row[3] for row in services),
            regions=tuple(row[1] for row in regions),
            parents=np.array([-1 if row[2] is None else region_index[row[2]] for row in regions], dtype=np.int64),
            utc_offsets=np.array([offsets[row[3]] for row in regions], dtype=np.int64),
            upstreams=tuple(
                (service_index[service], service_index[upstream])
                for service, upstream in dependencies.values_list("service_id", "upstream_id")
            ),
            networks=frozenset(index for index, row in enumerate(services) if row[5] in NETWORK_CATEGORIES),
        ),
        service_ids=tuple(row[0] for row in services),
        service_names=tuple(row[4] for row in services),
        provider_ids=tuple(row[2] for row in services),
        region_ids=tuple(row[0] for row in regions),
        region_names=tuple(row[4] for row in regions),
    )


def catalogue_digest() -> str:
    """A short text that changes whenever :func:`read_cells` would answer something else on the same day."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT
              (SELECT md5(string_agg(concat_ws('|', s.id, s.slug, p.slug, s.name, c.slug), ',' ORDER BY s.id))
                 FROM reports_service s JOIN reports_provider p ON p.id = s.provider_id
                 JOIN reports_category c ON c.id = s.category_id),
              (SELECT md5(string_agg(concat_ws('|', id, code, parent_id, timezone, name), ',' ORDER BY id))
                 FROM reports_region),
              (SELECT md5(string_agg(concat_ws('|', service_id, upstream_id), ','
                     ORDER BY service_id, upstream_id)) FROM reports_servicedependency)
            """
        )
        return "/".join(part or "-" for part in cursor.fetchone())


def _minutes_east(zone: str, day: date) -> int:
    offset = datetime.combine(day, time(12), ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 60)


def _inverse(ids: Sequence[int]) -> IntArray:
    table = np.full(max(ids, default=0) + 2, -1, dtype=np.int64)
    table[list(ids)] = np.arange(len(ids))
    return table


def _look_up(table: IntArray, ids: NDArray[np.int64]) -> IntArray:
    # The last element of the table is no id's: whatever is too large lands there.
    return table[np.minimum(ids, len(table) - 1)]
