"""The site's own server in front of the measured site's database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def running_server(
    interface: str = "asgi", application: str = "outagemap.asgi:application"
) -> Iterator[tuple[int, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("granian")), "--interface", interface, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-ws", "--log-level", "warning", application]
    if interface == "wsgi":
        # The default, hundreds of threads, would make the plain endpoint look worse than it is.
        command += ["--blocking-threads", "4"]
    environment = os.environ | {"TRUSTED_PROXIES": "127.0.0.1"}
    # Its warnings must not come between the figures on standard output.
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment, stdout=sys.stderr) as process:
        try:
            _wait_for(port)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")
