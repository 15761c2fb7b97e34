"""A site for measuring: durable embedded servers in a folder of their own, migrated, empty, gone afterwards.

``python -m tests.benchmarks.site NAME`` runs one benchmark of this folder on such a site and prints its figures.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from outagemap import embedded


@contextmanager
def temporary_site() -> Iterator[Path]:
    """Sets Django up on a new database and yields the data folder. For one use in a process."""
    folder = Path(tempfile.mkdtemp(prefix="outagemap-bench-"))
    folder.chmod(0o711)
    os.environ |= {
        "DATA_DIR": str(folder),
        "DATABASE_URL": embedded.database_url(folder),
        "REDIS_URL": embedded.broker_url(folder),
        "SECRET_KEY": "only-for-benchmarks",
        "DJANGO_SETTINGS_MODULE": "outagemap.settings",
        "LOG_LEVEL": "WARNING",
    }
    servers = [_start(embedded.prepare_database(folder)), _start(embedded.prepare_broker(folder))]
    try:
        _create_database(folder)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        yield folder
    finally:
        for server, by in zip(servers, (signal.SIGINT, signal.SIGTERM), strict=True):
            server.send_signal(by)
            server.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _start(server: embedded.Server) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        server.command,
        user=server.user,
        env=dict(server.environment),
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _create_database(folder: Path) -> None:
    import psycopg

    end = time.monotonic() + 60
    while True:
        try:
            return embedded.create_database(folder)
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    with temporary_site():
        sys.stdout.write(json.dumps(import_module(f"tests.benchmarks.{sys.argv[1]}").run(), indent=2) + "\n")
