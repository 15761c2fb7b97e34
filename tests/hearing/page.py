"""A provider's status page of our own: real TLS on this machine, ETags and all, in the shapes that such pages have.

The shapes are written after Statuspage's documented format and the feeds that such pages give out.
"""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.audience.service import _certificate


@dataclass
class Document:
    body: bytes = b""
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    packed: bool = False
    raw: bytes | None = None

    @property
    def etag(self) -> str:
        return '"' + sha256(self.body).hexdigest()[:16] + '"'


class StatusPage:
    """Answers with what it is given for each path, with ``304`` where nothing changed."""

    def __init__(self, folder: Path) -> None:
        self.documents: dict[str, Document] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answered: list[int] = []
        page = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                page.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                found = page.documents.get(self.path, Document(status=404))
                time.sleep(found.seconds)
                same = found.status == 200 and self.headers.get("If-None-Match") == found.etag
                status = 304 if same else found.status
                page.answered.append(status)
                body = b"" if same else found.body
                headers = {"Content-Type": found.content_type, "ETag": found.etag}
                if found.packed and body:
                    body = gzip.compress(body)
                    headers["Content-Encoding"] = "gzip"
                if found.raw is not None:
                    body = found.raw
                headers |= {"Content-Length": str(len(body)), **found.headers}
                # Its own would be today's.
                (self.send_response_only if "Date" in headers else self.send_response)(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.certificate = _certificate(folder)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate)
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.origin = f"https://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, path: str, body: bytes | dict[str, Any], **more: Any) -> Document:
        """Puts a document there."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.documents[path] = Document(content, **more)
        return self.documents[path]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


# --- Statuspage, version 2 --------------------------------------------------------------------------------------------


def iso(at: datetime) -> str:
    """As Statuspage writes it, in the page's own time zone."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def update(id: str, status: str, body: str, at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "status": status,
        "body": body,
        "incident_id": "p31zjtct2jer",
        "created_at": iso(at),
        "updated_at": iso(at),
        "display_at": iso(at),
        "affected_components": None,
        "deliver_notifications": True,
        "custom_tweet": None,
        "tweet_id": None,
        **more,
    }


def component(name: str) -> dict[str, Any]:
    return {"id": "rb5wg7dctj7c", "name": name, "status": "major_outage", "position": 1, "group": False}


def incident(
    *updates: dict[str, Any],
    id: str = "p31zjtct2jer",
    name: str = "Messages are delayed",
    components: tuple[str, ...] = (),
    **more: Any,
) -> dict[str, Any]:
    """Its updates the newest first, as the page lists them."""
    newest_first = sorted(updates, key=lambda each: str(each.get("created_at")), reverse=True)
    return {
        "id": id,
        "name": name,
        "status": newest_first[0]["status"] if newest_first else "investigating",
        "created_at": newest_first[-1]["created_at"] if newest_first else None,
        "updated_at": newest_first[0]["created_at"] if newest_first else None,
        "monitoring_at": None,
        "resolved_at": None,
        "impact": "major",
        "shortlink": "https://stspg.io/p31zjtct2jer",
        "started_at": newest_first[-1]["created_at"] if newest_first else None,
        "page_id": "kctbh9vrtdwd",
        "incident_updates": newest_first,
        "components": [component(each) for each in components],
        **more,
    }


def incidents(*listed: Any) -> dict[str, Any]:
    page = {"id": "kctbh9vrtdwd", "name": "Meta", "url": "https://status.example.org", "time_zone": "Etc/UTC"}
    return {"page": page, "incidents": list(listed)}


# --- feeds ------------------------------------------------------------------------------------------------------------


def piece(at: datetime, status: str, text: str) -> str:
    """One update within an entry of Statuspage's history."""
    date = f"{at:%b} <var data-var='date'>{at.day:2}</var>, <var data-var='time'>{at:%H:%M}</var> UTC"
    return f"<p><small>{date}</small><br /><strong>{status}</strong> - {text}</p>"


def history(*entries: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xml:lang="en-US" xmlns="http://www.w3.org/2005/Atom">'
        "<id>tag:status.example.org,2005:/history</id><title>Meta Status - Incident History</title>"
        "<updated>2026-03-18T14:00:00Z</updated><author><name>Meta</name></author>"
        f"{''.join(entries)}</feed>"
    ).encode()


def entry(
    content: str, *, published: datetime, updated: datetime, title: str = "Messages are delayed", id: str = "1"
) -> str:
    return (
        f"<entry><id>tag:status.example.org,2005:Incident/{id}</id><published>{iso(published)}</published>"
        f"<updated>{iso(updated)}</updated>"
        f'<link rel="alternate" type="text/html" href="https://status.example.org/incidents/{id}"/>'
        f'<title>{escape(title)}</title><content type="html">{escape(content)}</content></entry>'
    )


def rss(*items: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Status</title>'
        f"<link>https://status.example.org/</link>{''.join(items)}</channel></rss>"
    ).encode()


def item(title: str, description: str, at: datetime | None, *, guid: str = "g1") -> str:
    date = f"<pubDate>{format_datetime(at)}</pubDate>" if at else ""
    return (
        f"<item><title>{escape(title)}</title><description>{escape(description)}</description>{date}"
        f'<guid isPermaLink="false">{escape(guid)}</guid><link>https://status.example.org/{escape(guid)}</link></item>'
    )


MINUTE = timedelta(minutes=1)
