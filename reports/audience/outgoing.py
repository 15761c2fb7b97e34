"""Requests to addresses that others gave us: HTTPS only, never into a private network.

What is sent (`post`) follows no redirect; what is fetched (`get`) a few, each looked at as the first address was.

A name is resolved once, every address it has is looked at, and the connection goes to one of those very addresses: a
name that means another machine a moment later (DNS rebinding) gains nothing. The certificate must still be the name's.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from queue import Empty, Queue
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings

RESOLVE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
# Whoever answers a byte at a time is cut off, and so is a name with a hundred addresses that all hang.
WHOLE_SECONDS = 15.0
MOST_ADDRESSES = 4
URL_LENGTH = 1000
# More than an answered challenge needs; what comes beyond is not read.
BODY_BYTES = 4096
# A status page that has moved leads to the new one in one or two steps.
MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)


class Refused(ValueError):
    """The address is none that we send to; the message says why."""


class Failed(Exception):
    """No answer: the message says what happened, without the address."""


@dataclass(frozen=True)
class Answer:
    """What came back. ``retry_after`` is in seconds, where the other side asked for it; ``body`` is its beginning."""

    status: int
    retry_after: int | None
    body: bytes = b""


@dataclass(frozen=True)
class Fetched:
    """A document, whole, as it was before the server compressed it. ``body`` is empty but for status 200."""

    status: int
    retry_after: int | None = None
    etag: str = ""
    last_modified: str = ""
    content_type: str = ""
    body: bytes = b""


@dataclass(frozen=True)
class _Place:
    host: str
    port: int
    path: str


def check(url: str) -> None:
    """Raises :class:`Refused` for what can never be sent to; what a name means is looked at when something is sent."""
    place = _place(url)
    try:
        address = ipaddress.ip_address(place.host)
    except ValueError:
        if place.host == "localhost" or "." not in place.host:
            _refuse_private()
        return
    if not _is_public(address):
        _refuse_private()


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """The answer to one POST. Raises :class:`Refused` and :class:`Failed`."""
    with _asked("POST", _place(url), headers, body=body, seconds=WHOLE_SECONDS) as answer:
        return Answer(answer.status, _patience(answer), answer.read(BODY_BYTES))


def get(url: str, *, headers: Mapping[str, str], most_bytes: int) -> Fetched:
    """The document at ``url``. Raises :class:`Refused`, and :class:`Failed` also for one of more than ``most_bytes``,
    on the way or unpacked."""
    end = time.monotonic() + WHOLE_SECONDS
    for _step in range(MOST_REDIRECTS + 1):
        left = max(end - time.monotonic(), 0.01)
        with _asked("GET", _place(url), {**headers, "Accept-Encoding": "gzip"}, seconds=left) as answer:
            if answer.status in _REDIRECTS:
                url = _next(url, answer.headers.get("Location", ""))
                continue
            return Fetched(
                status=answer.status,
                retry_after=_patience(answer),
                etag=answer.headers.get("ETag", ""),
                last_modified=answer.headers.get("Last-Modified", ""),
                content_type=answer.headers.get("Content-Type", ""),
                body=_whole(answer, most_bytes) if answer.status == 200 else b"",
            )
    raise Failed(f"more than {MOST_REDIRECTS} redirects")


@contextmanager
def _asked(
    method: str, place: _Place, headers: Mapping[str, str], *, body: bytes | None = None, seconds: float
) -> Iterator[http.client.HTTPResponse]:
    """The beginning of an answer; the rest is to be read within the block, and all of it within ``seconds``."""
    end = time.monotonic() + seconds
    connection = _Connection(place.host, place.port, timeout=CONNECT_SECONDS, context=_tls(), end=end)
    watchdog = threading.Timer(seconds, connection.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.connect()
        connection.request(method, place.path, body=body, headers=dict(headers))
        yield connection.getresponse()
        # What was read until then looks like an end.
        if connection.was_cut:
            raise Failed("TimeoutError")
    # A name that is none, such as one with a label of 70 letters, is no OSError.
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise Failed(type(error).__name__) from error
    finally:
        watchdog.cancel()
        connection.close()


def _patience(answer: http.client.HTTPResponse) -> int | None:
    asked = answer.headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        return int(asked) if len(asked) < 7 else None
    try:
        # By the clock of the one who says it.
        left = parsedate_to_datetime(asked) - parsedate_to_datetime(answer.headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    seconds = int(left.total_seconds())
    return seconds if 0 <= seconds < 10**6 else None


def _next(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise Refused("it leads to what is no address") from None


def _whole(answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    """The body, unpacked; never more than ``most_bytes`` of it are in memory, however much a few of them unpack to."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise Failed("packed in a way that was not asked for")
    raw = answer.read(most_bytes + 1)
    if len(raw) > most_bytes:
        raise Failed(f"more than {most_bytes} bytes")
    if answer.length:
        raise Failed("only a part of it came")
    if encoding in ("identity", ""):
        return raw
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = unpacking.decompress(raw, most_bytes + 1)
    except zlib.error as error:
        raise Failed("not what gzip packs") from error
    if len(body) > most_bytes:
        raise Failed(f"more than {most_bytes} bytes, unpacked")
    if not unpacking.eof:
        raise Failed("only a part of it came")
    return body


def _place(url: str) -> _Place:
    if len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused("not an address that can be sent to")
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise Refused("not an address that can be sent to") from None
    if parts.scheme != "https" or not parts.hostname:
        raise Refused("an address that begins with https:// is needed")
    if parts.username is not None or parts.password is not None:
        raise Refused("an address must not hold a password")
    path = parts.path or "/"
    return _Place(parts.hostname, port, f"{path}?{parts.query}" if parts.query else path)


def _refuse_private() -> None:
    if not settings.ALLOW_PRIVATE_TARGETS:
        raise Refused("an address within a private network is not sent to")


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        # An IPv4 address in the clothes of an IPv6 one leads where the IPv4 one does.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _is_public(inner)
        # Of IPv6 this alone is the internet. Python takes for global what no list names as private: addresses of a site
        # (fec0::/10), IPv4 in older clothes (::127.0.0.1), translation within a network (64:ff9b:1::/48).
        if address not in _INTERNET:
            return False
    elif any(address in network for network in _NOT_FOR_US):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_INTERNET = ipaddress.IPv6Network("2000::/3")
# The relays of 6to4, and the protocols' own addresses, of which Python takes some for global.
_NOT_FOR_US = (ipaddress.IPv4Network("192.88.99.0/24"), ipaddress.IPv4Network("192.0.0.0/24"))


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Connection(http.client.HTTPSConnection):
    """Connects to the addresses that were looked at, in the name that was asked for."""

    def __init__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext, end: float) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context
        self._end = end
        self.was_cut = False

    def connect(self) -> None:
        """Raises ``Refused`` where one address of the name is private: a name that is half ours is no honest one."""
        found = _resolved(self.host, self.port, seconds=min(RESOLVE_SECONDS, self._left()))
        for *_rest, address in found:
            if not _is_public(ipaddress.ip_address(str(address[0]).partition("%")[0])):
                _refuse_private()
        failure: OSError | None = None
        for family, kind, protocol, _name, address in found[:MOST_ADDRESSES]:
            seconds = min(CONNECT_SECONDS, self._left())
            plain = socket.socket(family, kind, protocol)
            plain.settimeout(seconds)
            try:
                plain.connect(address)
                plain.settimeout(ANSWER_SECONDS)
                # The handshake comes after, so that what the watchdog cuts is what shakes hands.
                self.sock = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
                # It found nothing to cut if its time came before.
                self._left()
                self.sock.do_handshake()
                return
            except OSError as error:
                plain.close()
                self.close()
                failure = error
        raise failure or OSError("no address")

    def _left(self) -> float:
        """The seconds that are left of the whole call. Raises ``TimeoutError`` where there are none."""
        left = self._end - time.monotonic()
        if self.was_cut or left <= 0:
            raise TimeoutError("the time for all of it is over")
        return left

    def cut(self) -> None:
        """Ends it from another thread."""
        self.was_cut = True
        sock = self.sock
        if sock is not None:
            try:
                # Below TLS: what reads or shakes hands in this moment finds an end, and no socket without its TLS.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                # It ended by itself in this moment.
                return


def _resolved(host: str, port: int, *, seconds: float) -> list[Any]:
    """Every address of a name. Asked in a thread, since a server of names that never answers is waited for by the
    resolver for as long as the machine says, half a minute perhaps."""
    answers: Queue[list[Any] | OSError] = Queue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except UnicodeError:
            # A label that is too long, or empty, is none.
            answers.put(socket.gaierror("no name"))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError("no answer from the servers of names") from None
    if isinstance(found, OSError):
        raise found
    return found
