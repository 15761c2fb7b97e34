"""Where a report's network belongs: to a hosting company, or to another country than the region reported on.

Nothing of the kind is shipped. An operator who has such lists names their files in the settings:

* ``HOSTING_NETWORKS``: one network a line, such as ``198.51.100.0/24``;
* ``NETWORK_COUNTRIES``: one ``network,country`` a line, the country an ISO 3166-1 alpha-2 code.

Empty lines, and what follows a ``#``, are left out; the more exact of two networks that contain each other wins. An
odd line stops the start. The address is looked up within the request and goes no further: what travels with the report
until it is weighed are the two bits ``HOSTING`` and ``MISPLACED`` (:mod:`reports.intake.shapes`).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton

from django.conf import settings

HOSTING, MISPLACED = 1, 2
"""The network is a hosting company's; it belongs to another country than the region. Bits, together 0 to 3."""

_COUNTRY = re.compile(r"[A-Z]{2}")
_V4_IN_V6 = bytes(10) + b"\xff\xff"


class Odd(ValueError):
    """A line that cannot be meant so; the message says which, and what was expected."""


@dataclass(frozen=True)
class Table:
    """Networks of one version as ascending bounds: ``values[i]`` is that of addresses from ``bounds[i]`` on, up to the
    next bound; "" stands for none."""

    bounds: array[int] | list[int]
    values: list[str]

    def of(self, address: int) -> str:
        """The value of the most exact network that ``address`` lies in, or ""."""
        return self.values[bisect_right(self.bounds, address) - 1]


@dataclass(frozen=True)
class Networks:
    """A list of networks: IPv4 and IPv6."""

    v4: Table
    v6: Table

    def of(self, packed: bytes) -> str:
        """The same for an address of 4 or 16 bytes."""
        table = self.v4 if len(packed) == 4 else self.v6
        return table.of(int.from_bytes(packed, "big"))


def of(address: str, region: str) -> int:
    """The bits of a report on ``region`` from ``address``; 0 where no list is given, or the address is none.

    The world is no country: nobody is misplaced there. Nor is whose network's country is not known.
    """
    hosting, countries = lists()
    if hosting is None and countries is None:
        return 0
    try:
        packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        return 0
    if len(packed) == 16 and packed.startswith(_V4_IN_V6):
        packed = packed[12:]
    bits = HOSTING if hosting is not None and hosting.of(packed) else 0
    if countries is not None and region[:2].isalpha():
        country = countries.of(packed)
        if country and country != region[:2]:
            bits |= MISPLACED
    return bits


@cache
def lists() -> tuple[Networks | None, Networks | None]:
    """The hosting networks and the countries of networks, where they are given; read once in a process.

    Raises :class:`Odd`, and ``OSError`` where a file cannot be read.
    """
    return _read("HOSTING_NETWORKS", _hosting), _read("NETWORK_COUNTRIES", _with_country)


def _read(name: str, parse: Callable[[str], tuple[str, str]]) -> Networks | None:
    path: Path | None = getattr(settings, name)
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8-sig") as lines:
            return read(lines, parse)
    except (Odd, UnicodeDecodeError) as error:
        raise Odd(f"{name}: {path}: {error}") from None


def _hosting(line: str) -> tuple[str, str]:
    return line, "hosting"


def _with_country(line: str) -> tuple[str, str]:
    network, comma, country = line.partition(",")
    country = country.strip()
    if not comma or not _COUNTRY.fullmatch(country):
        raise Odd("expected network,country such as 198.51.100.0/24,GB")
    return network.strip(), country


def hosting_networks(lines: Iterable[str]) -> Networks:
    """The list in lines of the one format. Raises :class:`Odd`."""
    return read(lines, _hosting)


def network_countries(lines: Iterable[str]) -> Networks:
    """The list in lines of the other. Raises :class:`Odd`."""
    return read(lines, _with_country)


def read(lines: Iterable[str], parse: Callable[[str], tuple[str, str]]) -> Networks:
    """The list in ``lines``, each of which ``parse`` splits into a network and its value. Raises :class:`Odd`."""
    found: dict[int, dict[tuple[int, int], str]] = {32: {}, 128: {}}
    for number, line in enumerate(lines, 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        try:
            network, value = parse(said)
            bits, first, length = _network(network)
        except Odd as error:
            raise Odd(f"line {number}: {said[:60]!r}: {error}") from None
        # By start, then the wider one first.
        if found[bits].setdefault((first, length), value) != value:
            raise Odd(f"line {number}: {said[:60]!r}: this network was given another country before")
    return Networks(v4=_table(found[32], 32), v6=_table(found[128], 128))


def _network(text: str) -> tuple[int, int, int]:
    """Bits of an address, the first address and the length of the prefix."""
    address, slash, length = text.partition("/")
    try:
        packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except (OSError, ValueError):
        raise Odd("expected a network such as 198.51.100.0/24 or 2001:db8::/32") from None
    bits = 8 * len(packed)
    if not slash:
        length = str(bits)
    if not (length.isascii() and length.isdigit()) or int(length) > bits:
        raise Odd(f"expected a prefix length up to {bits} after the slash")
    first = int.from_bytes(packed, "big")
    if first & ((1 << bits - int(length)) - 1):
        raise Odd("expected a network: bits behind the prefix are set")
    return bits, first, int(length)


def _table(networks: dict[tuple[int, int], str], bits: int) -> Table:
    bounds, values = [0], [""]
    for bound, value in _pieces(networks, bits):
        if bound == bounds[-1]:
            values[-1] = value
        elif value != values[-1]:
            bounds.append(bound)
            values.append(value)
    # An array has no room for the 128 bits of IPv6.
    return Table(array("Q", bounds) if bits == 32 else bounds, values)


def _pieces(networks: dict[tuple[int, int], str], bits: int) -> Iterator[tuple[int, str]]:
    """From which address on which value holds. Two networks are apart, or one lies within the other."""
    around: list[tuple[int, str]] = []
    for first, length in sorted(networks):
        while around and around[-1][0] <= first:
            end, _ = around.pop()
            yield end, around[-1][1] if around else ""
        value = networks[first, length]
        around.append((first + (1 << bits - length), value))
        yield first, value
    while around:
        end, _ = around.pop()
        if end < 1 << bits:
            yield end, around[-1][1] if around else ""
