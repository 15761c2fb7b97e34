"""Proof of work: a challenge that costs a browser a second and a thousand programs a thousand seconds (ALTCHA).

A challenge names no cookie and no third party: it is signed by this site, made for one person, ends after
``EXPIRES_SECONDS``, and its solution serves once (``flood.Gate.spend``). Asked for only where
:mod:`reports.intake.flood` says so.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NoBase64
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import blake2b
from typing import cast

from altcha import v1 as altcha
from django.conf import settings

EXPIRES_SECONDS = 300
# A solution of ours has some 300 characters.
SOLUTION_LENGTH = 1000
_TEXTS = ("challenge", "salt", "signature")


def challenge(person: int, *, hashes: int, now: datetime | None = None) -> dict[str, object]:
    """A challenge in the shape of ALTCHA (version 1): find the ``number`` up to ``maxNumber`` for which the SHA-256 of
    ``salt`` and the number in decimal is ``challenge``."""
    expires = (now or datetime.now(UTC)) + timedelta(seconds=EXPIRES_SECONDS)
    made = altcha.create_challenge(
        altcha.ChallengeOptions(max_number=hashes, hmac_key=_key(), expires=expires, params={"for": _bound(person)})
    )
    return dict(made.to_dict())


def solved(solution: object, *, person: int) -> str | None:
    """The name of a challenge that this person has solved, for ``spend``; ``None`` where ``solution`` proves nothing.

    ``solution`` is the base64 of a JSON object with the challenge's ``algorithm``, ``challenge``, ``salt`` and
    ``signature`` and the ``number`` that was found.
    """
    if not isinstance(solution, str) or len(solution) > SOLUTION_LENGTH:
        return None
    try:
        said = json.loads(b64decode(solution, validate=True))
    except (NoBase64, ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in _TEXTS):
        return None
    if said.get("algorithm") != "SHA-256" or type(said.get("number")) is not int or not said["salt"].isascii():
        return None
    # The library takes a salt without an end for one that has it: the same solution under another name.
    if not said["salt"].endswith(f"&for={_bound(person)}&"):
        return None
    valid, _why = altcha.verify_solution(cast(altcha.PayloadType, said), _key())
    return cast(str, said["signature"]) if valid else None


@cache
def _key() -> str:
    return blake2b(settings.SECRET_KEY.encode(), person=b"proof of work", digest_size=32).hexdigest()


def _bound(person: int) -> str:
    """Names the person in a challenge, without the pseudonym."""
    number = person.to_bytes(8, "little", signed=True)
    return blake2b(number, key=_key().encode()[:64], digest_size=8).hexdigest()
