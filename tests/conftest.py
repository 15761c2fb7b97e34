"""What every test may use: a real PostgreSQL and a real broker, a real Celery worker, the real site, a real browser.

`DATABASE_URL` and `REDIS_URL` are taken as they are when set. Otherwise embedded servers start, on first use: a run of
pure maths starts none.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from outagemap import embedded
from outagemap.supervisor import bound_to_parent

pytest_plugins = ["tests.browser_fixtures"]

_STARTED_FROM = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long to look for what nobody thought of."""
    parser.addoption("--fuzz-examples", type=int, metavar="N", help="so many random examples, not the same few")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Points the settings to this run's own folder and servers, before Django reads them."""
    if config.getoption("numprocesses") and not hasattr(config, "workerinput"):
        # The processes that run the tests (pytest-xdist) do, each for itself. What is set here they would inherit, and
        # pytest-django reads the settings at once where this is.
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)
        return
    folder = Path(tempfile.mkdtemp(prefix="outagemap-test-"))
    # The database's user, another one when we are root, has to reach its cluster in there.
    folder.chmod(0o711)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["DATA_DIR"] = str(folder)
    os.environ["DATABASE_URL"] = _STARTED_FROM["DATABASE_URL"] or embedded.database_url(folder)
    os.environ["REDIS_URL"] = _STARTED_FROM["REDIS_URL"] or embedded.broker_url(folder)
    os.environ["SECRET_KEY"] = "only-for-tests"
    # A slow moment of the machine must not lead a test's report astray; tests of the stand-by switch it on.
    os.environ["STANDBY"] = "off"
    for name in ("DEBUG", "REPLAY", "ADMIN_USER", "ADMIN_PASSWORD", "ALLOWED_HOSTS", "TRUSTED_PROXIES", "HTTPS"):
        os.environ.pop(name, None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "outagemap.settings"

    # What was tried yesterday is tried today: a failure is one of this change. With the option, look further instead.
    import hypothesis

    examples = config.getoption("--fuzz-examples")
    # How long an example takes says more of the machine than of the code.
    patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    hypothesis.settings.register_profile("suite", patient, derandomize=True)
    hypothesis.settings.register_profile("further", patient, max_examples=examples or 100)
    hypothesis.settings.load_profile("further" if examples else "suite")

    import django
    from django.conf import settings

    django.setup()
    # A password that takes a third of a second to guess takes as long to make, in hundreds of tests. A server of the
    # site's own takes any number of rounds.
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    PBKDF2PasswordHasher.iterations = 1000
    # Pages that are rendered in this process name static files as they are: hashed names exist only once all files are
    # collected, which the browser tests do for the site that they start.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process remembers of the tables (catalogue, salts, answers) belongs to the test before.

    Whether something changed is not asked in between: a busy machine takes longer for a test than the second after
    which the site looks, and would then ask once more than was counted. A test that wants to be asked says so.
    """
    import sys

    if "reports.intake.submission" in sys.modules:
        from reports.intake import catalogue, guard, keys, rates

        catalogue._known, guard._kept = None, {}
        keys.forget()
        rates.forget()
    if "reports.api.throttles" in sys.modules:
        from reports.api import throttles

        throttles.forget()
    if "reports.status.snapshots" in sys.modules:
        from reports.status import snapshots

        snapshots.forget()
        monkeypatch.setattr(snapshots, "LOOK_AGAIN_SECONDS", 60.0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder of this run."""
    return Path(os.environ["DATA_DIR"])


@pytest.fixture(scope="session")
def database_server(data_dir: Path) -> Iterator[str]:
    """The URL of a running PostgreSQL. Tests of tables want `db`, which makes a test database in it."""
    if _STARTED_FROM["DATABASE_URL"]:
        yield _STARTED_FROM["DATABASE_URL"]
        return
    with running_server(embedded.prepare_database(data_dir, durable=False), data_dir / "postgres.log", signal.SIGINT):
        wait_until(lambda: _answers(data_dir), "PostgreSQL answers", seconds=60)
        yield os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def broker(data_dir: Path) -> Iterator[str]:
    """The URL of a running Valkey, for the cache, the rate limits and Celery."""
    import redis

    if _STARTED_FROM["REDIS_URL"]:
        yield _STARTED_FROM["REDIS_URL"]
        return
    with running_server(embedded.prepare_broker(data_dir), data_dir / "valkey.log", signal.SIGTERM):
        client = redis.from_url(os.environ["REDIS_URL"])

        def pings() -> bool:
            with suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        wait_until(pings, "the broker answers", seconds=30)
        client.close()
        yield os.environ["REDIS_URL"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(database_server: str, broker: str) -> None:
    """pytest-django's hook before it makes the test database: the servers have to run by then."""


@pytest.fixture
def celery_worker_process(transactional_db: None, broker: str, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real Celery worker on the real broker and the test database, which takes every queue.

    It sees committed rows only, hence the transactional database.
    """
    import redis

    redis.from_url(broker).flushdb()
    command = ["celery", "-A", "outagemap", "worker", "--pool", "solo", "--queues", "drain,watch,tell,slow"]
    command += ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    log = data_dir / "worker.log"
    log.unlink(missing_ok=True)
    process = start_process(command, log)
    try:
        wait_until(lambda: b" ready." in log.read_bytes(), "the worker is ready", seconds=30)
        yield process
    finally:
        stop_process(process)


# --- What the fixtures above, and tests of whole processes, are made of ---------------------------------------------


def environment_for_children() -> dict[str, str]:
    """This process's environment with `DATABASE_URL` pointing to the test database."""
    from django.db import connection

    parts = connection.get_connection_params()
    host, user, name = parts.get("host", ""), parts.get("user", ""), connection.settings_dict["NAME"]
    password, port = parts.get("password", ""), parts.get("port", "")
    url = f"postgresql:///{name}?host={host}&user={user}"
    url += f"&password={password}" * bool(password) + f"&port={port}" * bool(port)
    return os.environ | {"DATABASE_URL": url, "PYTHONUNBUFFERED": "1"}


def start_process(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a program of this environment (`celery`, `granian`) against the test database, output in `log`."""
    program = str(Path(sys.executable).with_name(command[0]))
    with log.open("ab") as output:
        return subprocess.Popen(
            [program, *command[1:]],
            env=environment_for_children(),
            cwd=Path(__file__).parent.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=bound_to_parent(signal.SIGTERM),
        )


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Ends a process started here, with everything that it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = 10) -> None:
    """Returns as soon as `holds()`; fails the test when it still does not after `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain until {what}")
        time.sleep(0.05)


def _answers(data_dir: Path) -> bool:
    import psycopg

    with suppress(psycopg.OperationalError):
        embedded.create_database(data_dir)
        return True
    return False


@contextmanager
def running_server(server: embedded.Server, log: Path, stop_by: signal.Signals) -> Iterator[None]:
    """Runs an embedded server for as long as the block lasts."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            server.command,
            user=server.user,
            group=None if server.user is None else pwd.getpwuid(server.user).pw_gid,
            env=dict(server.environment),
            cwd="/",
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=bound_to_parent(stop_by),
        )
    try:
        yield
    finally:
        process.send_signal(stop_by)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
