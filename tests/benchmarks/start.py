"""How long a start takes: `manage.py up` on a new folder and again on the same one, until a page is answered."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run() -> dict[str, Any]:
    """Seconds from the command to the first answered home page: cold (everything to be made) and warm."""
    with tempfile.TemporaryDirectory(prefix="outagemap-start-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        data_dir = f"{folder}/var"
        cold, warm = _seconds_to_page(data_dir), _seconds_to_page(data_dir)
    return {"cold start, seconds to the first page": cold, "later start, seconds to the first page": warm}


def _seconds_to_page(data_dir: str) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    environment |= {"DATA_DIR": data_dir, "PORT": str(port)}
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=sys.stderr
    ) as process:
        try:
            while time.monotonic() - began < 300:
                with (
                    suppress(urllib.error.URLError, ConnectionError),
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer,
                ):
                    if answer.status == 200:
                        return round(time.monotonic() - began, 1)
                if process.poll() is not None:
                    raise RuntimeError("manage.py up ended by itself")
                time.sleep(0.05)
            raise RuntimeError("no page within five minutes")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
