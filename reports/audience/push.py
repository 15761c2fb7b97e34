"""Web push (RFC 8030): messages that only the browser can read (RFC 8291), signed with the site's own key (RFC 8292).

The site's key is made of ``SECRET_KEY``, so that every process has the same one and there is nothing further to keep,
unless ``VAPID_PRIVATE_KEY`` gives one.
"""

from __future__ import annotations

import binascii
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b, sha512
from typing import Any, cast
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.utils.encoding import force_bytes
from py_vapid import Vapid02

from reports.audience import outgoing

# The order of the curve P-256.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# How long a push service keeps a message for a browser that is off: "it is back" is soon no news.
TTL_SECONDS = 4 * 3600
# A signature may last a day (RFC 8292); a stolen one shall not.
SIGNED_SECONDS = 3600
# What every push service takes is 4096 bytes, encrypted.
MESSAGE_BYTES = 3000


class Malformed(ValueError):
    """What a browser is said to have given is no subscription; the message says why."""


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    if settings.VAPID_PRIVATE_KEY:
        number = int.from_bytes(_decoded(settings.VAPID_PRIVATE_KEY), "big")
    else:
        # Twice as many bits as the order has, so that every key is as likely.
        number = int.from_bytes(sha512(b"outagemap vapid" + force_bytes(settings.SECRET_KEY)).digest(), "big")
        number = number % (_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def public_key() -> str:
    """The site's public key, as browsers take it (``applicationServerKey``)."""
    return _encoded(_key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def read(subscription: object) -> tuple[str, dict[str, str]]:
    """Address and keys of what a browser's ``PushSubscription`` says of itself. Raises :class:`Malformed`."""
    if not isinstance(subscription, Mapping):
        raise Malformed("a push subscription is an object")
    endpoint, keys = subscription.get("endpoint"), subscription.get("keys")
    if not isinstance(endpoint, str) or not isinstance(keys, Mapping):
        raise Malformed("a push subscription has an endpoint and keys")
    try:
        outgoing.check(endpoint)
    except outgoing.Refused as refused:
        raise Malformed(str(refused)) from None
    p256dh, auth = keys.get("p256dh"), keys.get("auth")
    if not isinstance(p256dh, str) or not isinstance(auth, str) or len(p256dh) > 100 or len(auth) > 40:
        raise Malformed("a push subscription has the keys p256dh and auth")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decoded(p256dh))
        if len(_decoded(auth)) != 16:
            raise ValueError
    except ValueError:
        raise Malformed("the keys of the push subscription cannot be read") from None
    return endpoint, {"p256dh": p256dh, "auth": auth}


def send(endpoint: str, keys: Mapping[str, str], message: Mapping[str, Any], *, topic: str) -> outgoing.Answer:
    """Sends ``message`` as JSON. A later one of the same ``topic`` takes the place of one that still waits there.

    Raises what :func:`reports.audience.outgoing.post` raises.
    """
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > MESSAGE_BYTES:
        raise outgoing.Refused("the message is too long")
    sealed = http_ece.encrypt(
        body,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=_decoded(keys["p256dh"]),
        auth_secret=_decoded(keys["auth"]),
        version="aes128gcm",
    )
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "aes128gcm",
        "TTL": str(TTL_SECONDS),
        "Urgency": "normal",
        # At most 32 characters of base64url.
        "Topic": _encoded(blake2b(topic.encode(), digest_size=18).digest()),
        "Authorization": _authorization(endpoint),
    }
    return outgoing.post(endpoint, body=sealed, headers=headers)


def _authorization(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + SIGNED_SECONDS,
        "sub": settings.PUSH_CONTACT,
    }
    return cast(str, Vapid02(_key()).sign(claims)["Authorization"])


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError("not base64url") from None


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
