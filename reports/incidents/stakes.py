"""What a wrong call on an incident would cost, in people who are told something untrue. Pure arithmetic.

An incident that nobody judges stays up, so what waiting costs is what a false one costs: that is what the desk is
ordered by. What a wrong rejection would cost stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

LOOKING = 0.01
"""Of the people who live where a service is said to be down, the share that looks it up here within an hour. Assumed:
no reader is counted. It only weighs residents against subscribers; without subscribers no order depends on it."""
AHEAD = timedelta(hours=1)
"""How far ahead an open incident is looked at: by then somebody on duty will have come to it."""

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Stakes:
    """Both directions of a wrong call, with what they were made of."""

    chance_true: float
    """The probability that it is an outage, 0 to 1: the confidence as it is told."""
    residents: int
    """People who live where it is, or was, said to be down."""
    subscribers: int
    """Those who have had, or would have, a message about it."""
    told: timedelta
    """How long the site has said so, or said so until it was over."""
    ahead: timedelta
    """How long it will go on saying so before somebody has looked; none for one that is over."""
    if_left: float
    """People, expected: misinformed by the end of ``ahead`` if it is left, or confirmed, and is no outage."""
    if_rejected: float
    """People, expected: misinformed by the end of ``ahead`` if it is rejected and is an outage."""


def stakes(*, confidence: float, residents: int, subscribers: int, told: timedelta, is_open: bool) -> Stakes:
    """What a wrong call would cost, in expected people.

    ``confidence`` is a probability (0 to 1); ``residents`` and ``subscribers`` are people; ``told`` is the time since
    it was first said, or until it was over. Left though false, it has misinformed who looked so far, who will look
    within ``AHEAD`` if it is open, and every subscriber, who is never told better. Rejected though true, it misinforms
    who looks within ``AHEAD`` and every subscriber, who is told that it was none; who looked before was told the truth.
    Nobody is counted twice, so no more people look than live there.

    Raises ``ValueError`` for a confidence outside 0 to 1 and for a negative number or time.
    """
    if not 0 <= confidence <= 1:
        raise ValueError("confidence: expected 0 to 1")
    if residents < 0 or subscribers < 0 or told < timedelta():
        raise ValueError("residents, subscribers, told: expected nothing negative")
    ahead = AHEAD if is_open else timedelta()
    return Stakes(
        chance_true=confidence,
        residents=residents,
        subscribers=subscribers,
        told=told,
        ahead=ahead,
        if_left=(1 - confidence) * (lookers(residents, told + ahead) + subscribers),
        if_rejected=confidence * (lookers(residents, ahead) + subscribers),
    )


def lookers(residents: int, during: timedelta) -> float:
    """How many of the ``residents`` look it up within a time: ``LOOKING`` of them an hour, and at most all."""
    return residents * min(1.0, LOOKING * (during / _HOUR))
