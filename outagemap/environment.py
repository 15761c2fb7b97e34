"""Strict readers of environment variables: an odd value stops the start, naming the variable and what it takes."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def refuse(name: str, value: str, expected: str) -> ImproperlyConfigured:
    """The error for a value that the variable cannot take; the caller raises it."""
    return ImproperlyConfigured(f"{name}={value!r}: expected {expected}")


def text(name: str, default: str = "") -> str:
    """The variable without surrounding space; unset and empty are the same: the default."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool) -> bool:
    """A yes or no."""
    value = text(name).lower()
    if not value:
        return default
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise refuse(name, value, "1 or 0 (also true/false, yes/no, on/off)")


def number(name: str, *, default: int, low: int, high: int) -> int:
    """A whole number in `[low, high]`."""
    value = text(name)
    if not value:
        return default
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not low <= int(value) <= high:
        raise refuse(name, value, f"a whole number from {low} to {high}")
    return int(value)


def names(name: str) -> list[str]:
    """A list separated by commas, empty entries left out."""
    return [part for part in (piece.strip() for piece in text(name).split(",")) if part]


def hosts(name: str) -> list[str]:
    """Host names or addresses as Django's `ALLOWED_HOSTS` takes them: no scheme, port or path."""
    values = names(name)
    for value in values:
        if not re.fullmatch(r"\*|\.?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", value):
            raise refuse(name, value, "host names separated by commas, without scheme, port or path")
    return values


def networks(name: str) -> tuple[Network, ...]:
    """IP networks; an address alone is a network of one. Host bits set (10.0.0.1/8) are refused as a likely slip."""
    found: list[Network] = []
    for value in names(name):
        try:
            found.append(ipaddress.ip_network(value))
        except ValueError as error:
            expected = f"IP addresses or networks such as 10.0.0.0/8, separated by commas ({error})"
            raise refuse(name, value, expected) from None
    return tuple(found)


def file(name: str) -> Path | None:
    """The path of a file that can be read; ``None`` when unset."""
    value = text(name)
    if not value:
        return None
    path = Path(value).expanduser().absolute()
    if not path.is_file() or not os.access(path, os.R_OK):
        raise refuse(name, value, "the path of a file that can be read")
    return path


def url(name: str, schemes: tuple[str, ...]) -> str:
    """A URL with one of the given schemes, or "" when unset. A refused value is not shown: it may hold a password."""
    value = text(name)
    if value and value.split("://", 1)[0] not in schemes:
        raise refuse(name, "(hidden)", "a URL that begins with " + " or ".join(f"{s}://" for s in schemes))
    return value


def mail_server(name: str) -> tuple[str, int, str, str, str]:
    """Host, port, user, password and security (none, ``starttls``, ``tls``) of a mail server; all empty when unset."""
    value = url(name, ("smtp", "smtp+starttls", "smtps"))
    if not value:
        return "", 0, "", "", ""
    expected = "smtp://, smtp+starttls:// or smtps://, user:password@ where needed, a host, perhaps a port"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise refuse(name, "(hidden)", expected) from None
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise refuse(name, "(hidden)", expected)
    security = {"smtp": "", "smtp+starttls": "starttls", "smtps": "tls"}[parts.scheme]
    usual = {"": 25, "starttls": 587, "tls": 465}[security]
    return parts.hostname, port or usual, unquote(parts.username or ""), unquote(parts.password or ""), security


def secret(name: str, path: Path) -> str:
    """The variable, or else the secret kept in `path`: made on first use, readable by its owner only."""
    value = text(name)
    if value:
        return value
    for _attempt in range(2):
        try:
            kept = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            kept = ""
        if kept:
            return kept
        _make_secret(path)
    raise ImproperlyConfigured(f"{path} is empty: remove it, or set {name}")


def _make_secret(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        # Of two processes that start together only one may win, or they would sign with different keys.
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise ImproperlyConfigured(
            f"cannot keep a secret key in {path} ({error}): set SECRET_KEY or DATA_DIR"
        ) from None
    finally:
        draft.unlink(missing_ok=True)
