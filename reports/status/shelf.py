"""A shelf of answers in a process's memory: each is made by one thread at a time, and the room they take is bounded.

Nobody waits for an answer that somebody else needs: only those who ask the same question wait for each other, and they
may take the former answer meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock, get_ident
from typing import Any, Generic, TypeVar

import numpy as np

Value = TypeVar("Value")

# So many members of a collection are weighed, and the rest taken to be like them: weighing a map of the world to the
# last string would take longer than making it.
SAMPLE = 32
DEPTH = 6


@dataclass
class _Slot:
    value: Any
    token: Hashable
    weight: int
    good_at: float
    """When the token was last found to be this one."""


@dataclass
class _Making:
    token: Hashable
    maker: int
    result: Future[Any] = field(default_factory=Future)


class Shelf(Generic[Value]):
    """Values by key, each good for one token. Those not asked for longest go first when it is full."""

    def __init__(self, *, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()
        self._making: dict[Hashable, _Making] = {}
        self._times_cleared = 0
        # Held for a look-up only, never while something is made.
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._slots)

    def at_hand(self, key: Hashable, token: Hashable) -> Value | None:
        """The value for this token, if it lies ready. It never waits, so that an event loop may ask."""
        with self._lock:
            slot = self._current(key, token)
            return None if slot is None else slot.value

    def last(self, key: Hashable) -> Value | None:
        """The last value under ``key``, whatever it was good for."""
        with self._lock:
            slot = self._slots.get(key)
            return None if slot is None else slot.value

    def get(self, key: Hashable, token: Hashable, make: Callable[[], Value], *, grace: float = 0.0) -> Value:
        """The value for this token; made by ``make`` where there is none, by one thread, for which others wait.

        Where the former value was good up to ``grace`` seconds ago, the others get that instead of waiting. Raises in
        everyone who waited what ``make`` raises.
        """
        while True:
            with self._lock:
                slot = self._current(key, token)
                if slot is not None:
                    found: Value = slot.value
                    return found
                making = self._making.get(key)
                mine = making is None
                if making is None:
                    making = self._making[key] = _Making(token, get_ident())
                elif (former := self._slots.get(key)) and time.monotonic() - former.good_at <= grace:
                    return former.value  # type: ignore[no-any-return]
            if mine:
                return self._made(key, making, make)
            if making.maker == get_ident():
                # A question that asks itself would wait for ever.
                return make()
            if making.token == token:
                return making.result.result()  # type: ignore[no-any-return]
            making.result.exception()

    def clear(self) -> None:
        """Forgets everything, also what is being made."""
        with self._lock:
            self._slots.clear()
            self.bytes = 0
            self._times_cleared += 1

    def _current(self, key: Hashable, token: Hashable) -> _Slot | None:
        slot = self._slots.get(key)
        if slot is None or slot.token != token:
            return None
        slot.good_at = time.monotonic()
        self._slots.move_to_end(key)
        return slot

    def _made(self, key: Hashable, making: _Making, make: Callable[[], Value]) -> Value:
        begun = self._times_cleared
        try:
            value = make()
            weight = weigh(value)
        except BaseException as error:
            with self._lock:
                del self._making[key]
            making.result.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            if begun == self._times_cleared:
                self._put(key, _Slot(value, making.token, weight, time.monotonic()))
        making.result.set_result(value)
        return value

    def _put(self, key: Hashable, slot: _Slot) -> None:
        former = self._slots.pop(key, None)
        self.bytes += slot.weight - (former.weight if former else 0)
        self._slots[key] = slot
        while self.bytes > self.most_bytes and len(self._slots) > 1:
            self.bytes -= self._slots.popitem(last=False)[1].weight


def weigh(value: object, depth: int = DEPTH) -> int:
    """About how many bytes ``value`` takes; of a large collection a sample is weighed."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes) + 112
    size = sys.getsizeof(value, 64)
    if depth == 0 or isinstance(value, str | bytes | int | float | None):
        return size
    if isinstance(value, Mapping):
        return size + _sampled(value.items(), len(value), depth)
    if isinstance(value, tuple | list | set | frozenset):
        return size + _sampled(value, len(value), depth)
    members = getattr(value, "__dict__", None)
    return size + (_sampled(members.values(), len(members), depth) if members else 0)


def _sampled(members: Any, number: int, depth: int) -> int:
    sample = [weigh(member, depth - 1) for member in islice(members, SAMPLE)]
    return round(sum(sample) * number / len(sample)) if sample else 0
