"""A load generator of our own: keep-alive connections on raw sockets, no program to install."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Load:
    """What came back. ``answers`` are the decoded bodies of the 202s; ``latencies`` are in seconds, of every answer."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    broken: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Complete answers in a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that this share of the answers did not exceed, in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def report_request(number: int, *, service: str = "whatsapp", region: str = "GB-ENG") -> bytes:
    """A report by a person of their own: everybody has another browser and, where our proxy is believed, network."""
    body = json.dumps({"service": service, "region": region, "problem": "messages"})
    return (
        "POST /api/v1/reports/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Forwarded-For: {20 + (number >> 16) % 80}.{number >> 8 & 255}.{number & 255}.7\r\n"
        f"User-Agent: browser {number}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def page_request(path: str) -> bytes:
    """A plain GET."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def send(
    requests: Iterator[bytes],
    *,
    port: int,
    connections: int,
    decode: bool = True,
    seconds: float | None = None,
    per_second: float | None = None,
) -> Load:
    """Sends the requests over so many connections at once, each as soon as the one before it was answered.

    With ``per_second`` they are sent by the clock instead, and a latency is counted from when its request was due: a
    server that falls behind cannot hide it.

    Ends with the requests or after ``seconds``. A connection that breaks is made anew; its request is not sent again.
    """
    load = Load()
    began = time.perf_counter()
    end = None if seconds is None else began + seconds

    async def one_client(number: int) -> None:
        due = began + number / per_second if per_second else 0.0
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for request in requests:
            if end is not None and time.perf_counter() > end:
                break
            sent = time.perf_counter()
            if per_second:
                await asyncio.sleep(max(due - sent, 0))
                sent, due = due, due + connections / per_second
            try:
                if streams is None:
                    streams = await asyncio.open_connection("127.0.0.1", port)
                status, body = await _exchange(*streams, request)
            except (OSError, asyncio.IncompleteReadError):
                load.broken += 1
                if streams is not None:
                    streams[1].close()
                streams = None
                await asyncio.sleep(0.05)
                continue
            load.latencies.append(time.perf_counter() - sent)
            load.statuses[status] = load.statuses.get(status, 0) + 1
            if status == 202 and decode:
                load.answers.append(json.loads(body))
        if streams is not None:
            streams[1].close()

    await asyncio.gather(*(one_client(number) for number in range(connections)))
    load.seconds = time.perf_counter() - began
    return load


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    return int(head[9:12]), await reader.readexactly(length)
