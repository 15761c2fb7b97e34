"""Who reports: the client's address, and what becomes of it.

An address is read from the connection, turned into keyed pseudonyms within the request, and goes no further: it is
neither stored nor logged. A pseudonym is a BLAKE2b keyed with the secret of the UTC day; once the secret is destroyed,
nobody can try out addresses against it.

A **person** is an address (IPv6: its /64) together with what the browser says of itself, because behind one address of
a carrier's NAT there are thousands of people. A **network** is an IPv4 /24 or an IPv6 /48.

The counting rule: one counted report a person, service and kind within ``COUNTING_WINDOW``. Across midnight the
pseudonym changes; so a report of a day's first hour carries the pseudonyms of both days, and the drain looks for
either.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from reports.intake import standby
from reports.models import InboxBlock, Salt, Seen

COUNTING_WINDOW = timedelta(minutes=60)

# A peer without an address, such as a proxy on a Unix socket that is not trusted.
NOBODY = "::"
# What a browser says of itself tells neighbours apart; beyond this length it only costs.
CLIENT_LENGTH = 512

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Signed 64-bit numbers that stand for a person and a network on one UTC day; that of a network is negative where a
    partner stands behind it.

    ``person_before`` and ``network_before`` are those of the day before, where the counting window reaches into it;
    else 0.
    """

    person: int
    network: int
    person_before: int = 0
    network_before: int = 0


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret of the day of a report and, where the counting window reaches into it, of the day before."""

    today: bytes
    yesterday: bytes | None


# --- The address -----------------------------------------------------------------------------------------------------


def scope_client(scope: MutableMapping[str, Any]) -> tuple[str, str]:
    """The address that an ASGI request comes from, and what its browser says of itself."""
    forwarded: list[str] = []
    agent = language = ""
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            forwarded.append(value.decode("latin-1"))
        elif name == b"user-agent":
            agent = value.decode("latin-1")
        elif name == b"accept-language":
            language = value.decode("latin-1")
    peer = scope.get("client")
    return client_address(peer[0] if peer else "", forwarded), _browser(agent, language)


def request_client(request: HttpRequest) -> tuple[str, str]:
    """The same for a request that has come to Django."""
    headers = request.headers
    forwarded = [headers["X-Forwarded-For"]] if "X-Forwarded-For" in headers else []
    address = client_address(request.META.get("REMOTE_ADDR") or "", forwarded)
    return address, _browser(headers.get("User-Agent", ""), headers.get("Accept-Language", ""))


def _browser(agent: str, language: str) -> str:
    return f"{agent}\n{language}"[:CLIENT_LENGTH]


def client_address(peer: str, forwarded: Sequence[str], *, trusted: Networks | None = None) -> str:
    """The address of the client, by the peer of the connection and the values of ``X-Forwarded-For``.

    Only what a trusted proxy (``TRUSTED_PROXIES``) has appended is believed: from the right, the first address that is
    not such a proxy itself. Whatever stands to the left of it came from the client and changes nothing.
    """
    proxies = settings.TRUSTED_PROXIES if trusted is None else trusted
    found = _parsed(peer)
    if found is None:
        return NOBODY
    if forwarded and _is_among(found, proxies):
        for hop in reversed(",".join(forwarded).split(",")):
            said = _parsed(hop)
            if said is None:
                # The proxy next to us passed on something that is no address: it is the last we know for sure.
                break
            found = said
            if not _is_among(said, proxies):
                break
    return str(found)


def _is_among(address: Address, networks: Networks) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _parsed(text: str) -> Address | None:
    """An address as proxies write it: perhaps with a port, in brackets, with a zone, or IPv4 within IPv6."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    text = text.partition("%")[0]
    try:
        # As strict as the parser of ipaddress, and ten times as fast.
        if ":" not in text:
            return IPv4Address(inet_pton(AF_INET, text))
        address = IPv6Address(inet_pton(AF_INET6, text))
    except (OSError, ValueError):
        return None
    return address.ipv4_mapped or address


# --- Pseudonyms ------------------------------------------------------------------------------------------------------


def pseudonyms(address: str, *, client: str, keys: Secrets) -> Pseudonyms:
    """What stands for the person at ``address`` with the browser ``client``, and for their network.

    Raises ``ValueError`` when ``address`` is none.
    """
    parsed = _parsed(address)
    if parsed is None:
        # Without the value: an error report must not carry an address either.
        raise ValueError("not an IP address") from None
    packed = parsed.packed
    host, network = (packed, packed[:3]) if len(packed) == 4 else (packed[:8], packed[:6])
    return _named(b"person" + host + client.encode("utf-8", "surrogatepass"), b"network" + network, keys)


def partner_pseudonyms(partner: int, *, person: bytes, network: bytes, keys: Secrets) -> Pseudonyms:
    """The same for what the partner with this key's number passes on, by what stands for person and network there.

    None of them is ever that of another partner or of a visitor's address: the number of a network is negative here,
    where a visitor's is not.
    """
    whose = b"partner" + partner.to_bytes(8, "little")
    return _named(whose + b"person" + person, whose + b"network" + network, keys, sign=-1)


def reader(address: str, *, keys: Secrets) -> int:
    """What stands for whoever reads from ``address`` (IPv6: its /64) on this day. Raises ``ValueError`` like
    :func:`pseudonyms`, of which it is none: who reads cannot be told to be who reports."""
    parsed = _parsed(address)
    if parsed is None:
        raise ValueError("not an IP address") from None
    packed = parsed.packed
    return _keyed(b"reader" + (packed if len(packed) == 4 else packed[:8]), keys.today)


def is_local(address: str) -> bool:
    """Whether this is the machine itself, or nobody. It has no limit of a network's: a proxy there that is missing from
    ``TRUSTED_PROXIES`` makes all visitors one network, and everybody would be turned away."""
    return address.startswith("127.") or address in ("::1", NOBODY)


def _named(person: bytes, network: bytes, keys: Secrets, *, sign: int = 0) -> Pseudonyms:
    """``sign`` is 0 for a network that is not negative, -1 for one that is."""
    today, yesterday = keys.today, keys.yesterday
    if yesterday is None:
        return Pseudonyms(_keyed(person, today), (_keyed(network, today) & _BITS) ^ sign)
    return Pseudonyms(
        _keyed(person, today),
        (_keyed(network, today) & _BITS) ^ sign,
        _keyed(person, yesterday),
        (_keyed(network, yesterday) & _BITS) ^ sign,
    )


_BITS = 2**63 - 1


def _keyed(what: bytes, secret: bytes) -> int:
    return int.from_bytes(blake2b(what, key=secret, digest_size=8).digest(), "little", signed=True)


# Replaced as a whole, never changed: other threads read it meanwhile.
_kept: dict[date, bytes] = {}


def days_of(at: datetime) -> tuple[date, date | None]:
    """The UTC day of ``at``, and the day before where the counting window reaches into it."""
    at = at.astimezone(UTC)
    before = (at - COUNTING_WINDOW).date()
    return at.date(), before if before != at.date() else None


def known_secrets(at: datetime) -> Secrets | None:
    """The secrets for a report at ``at``, if this process has read them already: asks no database."""
    global _kept
    today, yesterday = days_of(at)
    kept = _kept
    if today not in kept or (yesterday is not None and yesterday not in kept):
        return None
    if len(kept) > 1 and days_of(at - GRACE) == (today, None):
        # A secret that the window has left behind must not live on in a process either.
        _kept = {today: kept[today]}
    return Secrets(kept[today], kept[yesterday] if yesterday else None)


def read_secrets(at: datetime) -> Secrets:
    """The secrets for a report at ``at``; a day's first caller makes its secret, all others find the same."""
    global _kept
    today, yesterday = days_of(at)
    days = [day for day in (today, yesterday) if day is not None]
    rows = _salts(days)
    if len(rows) < len(days):
        for day in days:
            if day not in rows:
                adopt_secret(day)
        rows = _salts(days)
    _kept = rows
    return Secrets(rows[today], rows[yesterday] if yesterday else None)


def adopt_secret(day: date) -> None:
    """Puts the secret of ``day`` into the table, unless it has one: that which the broker holds, or a new one."""
    held = None
    with suppress(standby.Refused):
        held = standby.secret_of(day, make=False)
    Salt.objects.bulk_create([Salt(day=day, secret=held or secrets.token_bytes(32))], ignore_conflicts=True)


def held_secrets(at: datetime) -> Secrets:
    """The secrets for a report at ``at`` while the database is away: a day that has begun since gets one in the broker.

    Raises ``standby.Refused``. A day before that this process knows nothing of is left out: to count a person twice
    around midnight is less of a fault than to turn everybody away.
    """
    global _kept, _provisional
    today, yesterday = days_of(at)
    kept = _kept
    if today not in kept:
        secret = standby.secret_of(today, make=True)
        before = (kept.get(yesterday) or standby.secret_of(yesterday, make=False)) if yesterday else None
        assert secret is not None
        _provisional = True
        kept = _kept = ({yesterday: before} if yesterday and before else {}) | {today: secret}
    return Secrets(kept[today], kept.get(yesterday) if yesterday else None)


_provisional = False


def lend(at: datetime) -> None:
    """The database has just gone away: leaves the secrets in force with the broker, where this process knows them.

    A web server that starts in the meantime then takes nobody for somebody else. As with a secret that is made without
    the database, the first drain after its return destroys the broker's copy. One that is past its time is not lent.
    """
    kept = _kept
    with suppress(standby.Refused):
        for day in days_of(at):
            if day is not None and day in kept:
                standby.lend_secret(day, kept[day])


def look_again() -> None:
    """The database is back: what was agreed on without it may not be what stands there."""
    global _kept, _provisional
    if _provisional:
        _kept, _provisional = {}, False


def _salts(days: Iterable[date]) -> dict[date, bytes]:
    return {salt.day: bytes(salt.secret) for salt in Salt.objects.filter(day__in=days)}


def forget(now: datetime) -> None:
    """Sweeps away who was seen before the counting window, and destroys the secrets of days it has left behind.

    What waits in the inbox has its pseudonyms already, but is still to be compared with who was seen before it.
    """
    waiting = InboxBlock.objects.filter(broken_at=None, drained_at=None).order_by("id")
    oldest = waiting.values_list("written_at", flat=True).first() or now
    Seen.objects.filter(counted_at__lt=min(now, oldest) - COUNTING_WINDOW - GRACE).delete()
    today, yesterday = days_of(now - GRACE)
    Salt.objects.filter(day__lt=yesterday or today).delete()


def destroyed_at(day: date) -> datetime:
    """When the secret of ``day`` is destroyed; by the first drain after that, once nothing waits in the broker."""
    return datetime.combine(day + timedelta(days=1), time(), UTC) + COUNTING_WINDOW + GRACE


GRACE = timedelta(minutes=10)
"""A report may take this long from its arrival into the inbox, and still be recognised as a repetition."""
