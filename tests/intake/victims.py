"""Processes to be killed: each line on standard input forks one more, which writes or drains until it is ended.

``python -m tests.intake.victims write FILE`` appends the id of each acknowledged report to FILE; ``drain`` moves
blocks. The child says its number once it is at work, and the parent with what exit status it ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count

import django


def write(path: str) -> None:
    from datetime import UTC, datetime

    from reports.intake.coalescer import Coalescer
    from reports.intake.guard import Pseudonyms
    from reports.intake.inbox import Entry, report_id

    acknowledged = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def one_client(coalescer: Coalescer, number: int) -> None:
        for i in count(1):
            person = (os.getpid() * 100 + number) * 100_000 + i
            entry = Entry(report_id(datetime.now(UTC)), 1, 1, 0, None, Pseudonyms(person, person))
            standing = await coalescer.put(entry)
            os.write(acknowledged, f"{standing.id}\n".encode())
            if number == 0 and i == 1:
                say(os.getpid())

    async def many() -> None:
        coalescer = Coalescer()
        await asyncio.gather(*(one_client(coalescer, number) for number in range(20)))

    asyncio.run(many())


def drain() -> None:
    from datetime import UTC, datetime

    from django.db import connection

    from reports.intake.drain import drain

    connection.ensure_connection()
    say(os.getpid())
    while True:
        drain(now=datetime.now(UTC), max_blocks=5)


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    django.setup()
    # Everything imported, nothing connected: a child begins at once, and shares no connection.
    import reports.intake.drain
    import reports.intake.submission  # noqa: F401

    say("ready")
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            write(sys.argv[2]) if sys.argv[1] == "write" else drain()
        _, status = os.waitpid(child, 0)
        say(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
