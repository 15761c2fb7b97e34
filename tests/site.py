"""A whole site of a test's own: `manage.py up`, its programs, and how to end them."""

import os
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil

from tests.browser_fixtures import free_port
from tests.conftest import wait_until

ROOT = Path(__file__).parent.parent
# What runs, by a word of its command line that no other one has.
ROLES = {
    "postgres": "bin/postgres",
    "valkey": "valkey-server",
    "web": "granian",
    "worker-drain": "drain@%h",
    "worker-watch": "watch@%h",
    "worker-tell": "tell@%h",
    "worker-slow": "slow@%h",
    "beat": "beat-schedule",
}


class Site:
    """One `manage.py up` of a test's own."""

    def __init__(self, data_dir, **environment):
        self.data_dir = data_dir
        self.port = free_port()
        clean = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL", "REPLAY"}}
        self.environment = clean | {"DATA_DIR": str(data_dir), "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        self.environment |= environment
        self.output = data_dir / "up.out"

    def start(self):
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: self.process.poll() is not None or self.answers(), "the site answers", seconds=120)
        assert self.process.poll() is None, self.output.read_text()
        wait_until(lambda: set(self.children()) == set(ROLES), f"all of {set(ROLES)} run", seconds=30)

    def answers(self, path="/healthz"):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return answer.status == 200
        return False

    def children(self):
        found: dict[str, psutil.Process] = {}
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                found |= {role: process for role, word in ROLES.items() if word in line}
        return found

    def kin(self):
        """Every process that this site has ever started and that is still there, whoever its parent is by now."""
        everyone = {process.pid: process for process in psutil.Process(self.process.pid).children(recursive=True)}
        return list(everyone.values())
