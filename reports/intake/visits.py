"""What visitors send that is no report, held to the same limits as their reports."""

from __future__ import annotations

import asyncio
from datetime import datetime

from reports.intake import coalescer, flood, guard


def admit(address: str, client: str, *, now: datetime) -> None:
    """Counts one thing sent by ``client`` at ``address``. Raises ``flood.Refusal`` beyond the limits.

    Outside a web server nobody is counted.
    """
    writer = coalescer.of_another_thread()
    if writer is None:
        return
    keys = guard.known_secrets(now) or guard.read_secrets(now)
    who = guard.pseudonyms(address, client=client, keys=keys)
    visit = (who, flood.flags(address, proved=False))
    judging = asyncio.run_coroutine_threadsafe(writer.gate.judge([visit], waiting=0), writer.loop)
    (refusal,) = judging.result()
    if refusal is not None:
        raise refusal
