"""``manage.py up``: the whole site on one machine, with a database and a broker of its own where no URL is set."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from outagemap import embedded, static
from outagemap.supervisor import Program, Stopped, Supervisor, SupervisorError

SERVERS, WORK, WEB = 0, 1, 2
# A database that was killed first replays its log, which may take minutes and must not be cut short.
RECOVERY_SECONDS = 900.0
QUEUES = ("drain", "watch", "tell", "slow")
# The server's own limit is 1,024 connections, idle ones included, and 30 s for a request's head: one slow client
# could keep everybody else out. A connection costs some kilobytes; a head that takes 5 s is not sent in earnest.
WEB_LIMITS = ("--backlog", "4096", "--backpressure", "16384", "--http1-header-read-timeout", "5000")
WEB_FILES = 20_000


class Command(BaseCommand):
    help = "Starts everything, keeps it running, and stops it in good order on Ctrl-C or SIGTERM."
    # They import the whole site; `prepare`, a process of its own, makes them.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--replay", metavar="SCENARIO", help="let the site live in this scenario's day and play it")
        parser.add_argument(
            "--prepare",
            action="store_true",
            help="only bring database, catalogue and static files up to date, then end (for deployments without `up`)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["prepare"]:
            prepare(self._tell)
            return
        _allow_many_connections()
        os.environ["REPLAY"] = options["replay"] or settings.REPLAY
        if options["replay"] and not settings.ADMIN_USER:
            os.environ["ADMIN_USER"] = "admin"
            os.environ["ADMIN_PASSWORD"] = _demo_password(settings.DATA_DIR / "admin-password")
        try:
            with Supervisor(settings.DATA_DIR, self._complain) as supervisor:
                self._start_all(supervisor, replaying=bool(options["replay"]))
                supervisor.watch()
                self._tell("stopping")
        except Stopped:
            self._tell("stopped before everything ran")
        except (SupervisorError, embedded.EmbeddedError) as error:
            raise CommandError(str(error)) from None

    def _start_all(self, supervisor: Supervisor, *, replaying: bool) -> None:
        started_at = time.monotonic()
        left = supervisor.sweep(embedded.stray_database(settings.DATA_DIR))
        # A database that did not stop in time and was killed leaves busy processes of its own.
        left += supervisor.sweep(embedded.stray_database(settings.DATA_DIR))
        if left:
            self._complain(f"ended {left} processes that an earlier start had left behind")
        _require_free_port()
        if settings.DATABASE_IS_EMBEDDED:
            self._tell("database")
            _start_database(supervisor)
        if settings.BROKER_IS_EMBEDDED:
            self._tell("broker")
            _start_broker(supervisor)
        self._tell("tables, catalogue, static files")
        manage = (sys.executable, str(settings.BASE_DIR / "manage.py"))
        supervisor.run(Program("prepare", (*manage, "up", "--prepare"), WORK))
        self._tell("web server")
        supervisor.start(Program("web", _web_command(), WEB))
        address = f"http://{_local_host()}:{settings.PORT}"
        # The workers wait for it, or on a small machine they would take its time to the first page.
        supervisor.wait_until(lambda: _answers(f"{address}/healthz"), "the first answer", seconds=120, of="web")
        celery = (sys.executable, "-m", "celery", "-A", "outagemap")
        # A solo worker has no children, so killing it at once when the supervisor dies leaves nothing; and a task that
        # is cut short costs nothing, since the next takes up where it stopped.
        for queue in QUEUES:
            supervisor.start(
                Program(f"worker-{queue}", (*celery, *_worker_options(queue)), WORK, orphaned_by=signal.SIGKILL)
            )
        beat = (*celery, "beat", "--schedule", settings.CELERY_BEAT_SCHEDULE_FILENAME, "--pidfile=")
        supervisor.start(Program("beat", beat, WORK, orphaned_by=signal.SIGKILL))
        if replaying:
            command = (*manage, "replay", os.environ["REPLAY"])
            supervisor.start(Program("replay", command, WORK, orphaned_by=signal.SIGKILL, once=True))
        self._welcome(address, time.monotonic() - started_at)

    def _welcome(self, address: str, seconds: float) -> None:
        self._clear_line()
        self.stdout.write(f"{address}/  ready after {seconds:.1f} s")
        if os.environ["REPLAY"] and not settings.ADMIN_USER:
            self.stdout.write(f"{address}/admin/  {os.environ['ADMIN_USER']}  {os.environ['ADMIN_PASSWORD']}")
        if sys.stdout.isatty():
            self.stdout.write(f"Ctrl-C stops it. Logs: {settings.DATA_DIR / 'logs'}")
        self.stdout.flush()

    def _tell(self, step: str) -> None:
        """Progress: one line that is written over, and nothing where nobody looks."""
        if sys.stdout.isatty():
            self._clear_line()
            self.stdout.write(f"{step} ...", ending="")
            self.stdout.flush()

    def _complain(self, what: str) -> None:
        self._clear_line()
        self.stderr.write(what)
        self.stderr.flush()

    def _clear_line(self) -> None:
        if sys.stdout.isatty():
            self.stdout.write("\r\033[K", ending="")


def prepare(tell: Any) -> None:
    """Brings tables, partitions, catalogue, static files and the administrator up to date. May run at every start."""
    # Not above: NumPy and SciPy come with it, and the supervisor, which lives as long as the site, needs neither.
    from reports import tasks
    from reports.intake import catalogue, origin

    call_command("check", verbosity=0)
    try:
        origin.lists()
    except (origin.Odd, OSError) as error:
        raise CommandError(str(error)) from None
    tell("tables")
    call_command("migrate", interactive=False, verbosity=0)
    tell("partitions")
    tasks.keep_partitions()
    tell("catalogue")
    call_command("load_catalogue", verbosity=0)
    catalogue.keep()
    call_command("make_roles", verbosity=0)
    tell("static files")
    static.collect_if_stale()
    if settings.ADMIN_USER:
        users = get_user_model().objects
        # One who exists keeps the password that the admin desk may have changed since.
        if not users.filter(username=settings.ADMIN_USER).exists():
            users.create_superuser(settings.ADMIN_USER, password=settings.ADMIN_PASSWORD)


def _start_database(supervisor: Supervisor) -> None:
    server = embedded.prepare_database(settings.DATA_DIR)
    # SIGINT is PostgreSQL's fast shutdown; its SIGTERM would wait for every client to leave.
    supervisor.start(
        Program(
            "postgres",
            server.command,
            SERVERS,
            environment=server.environment,
            user=server.user,
            stop_by=signal.SIGINT,
            orphaned_by=signal.SIGINT,
            grace=60,
        )
    )
    os.environ["DATABASE_URL"] = embedded.database_url(settings.DATA_DIR)

    def ready() -> bool:
        with suppress(psycopg.OperationalError):
            embedded.create_database(settings.DATA_DIR)
            return True
        return False

    supervisor.wait_until(ready, "the start of the database", seconds=RECOVERY_SECONDS, of="postgres")


def _start_broker(supervisor: Supervisor) -> None:
    server = embedded.prepare_broker(settings.DATA_DIR)
    supervisor.start(Program("valkey", server.command, SERVERS, environment=server.environment))
    url = os.environ["REDIS_URL"] = embedded.broker_url(settings.DATA_DIR)

    def ready() -> bool:
        # While it loads its file it answers, but with an error.
        with suppress(redis.ConnectionError, redis.BusyLoadingError), redis.from_url(url) as client:
            return bool(client.ping())
        return False

    supervisor.wait_until(ready, "the start of the broker", seconds=120, of="valkey")


def _web_command() -> tuple[str, ...]:
    granian = str(Path(sys.executable).with_name("granian"))
    options = ["--interface", "asgi", "--host", settings.HOST, "--port", str(settings.PORT), "--no-ws"]
    options += ["--workers", str(settings.WEB_WORKERS), "--respawn-failed-workers", "--respawn-interval", "0.2"]
    options += ["--workers-kill-timeout", "10", "--log-level", "warning", *WEB_LIMITS]
    return (granian, *options, "outagemap.asgi:application")


def _worker_options(queue: str) -> tuple[str, ...]:
    options = ["worker", "--pool", "solo", "--queues", queue, "--hostname", f"{queue}@%h"]
    return (*options, "--without-gossip", "--without-mingle", "--loglevel", settings.LOG_LEVEL)


def _allow_many_connections() -> None:
    """Each connection is an open file; what starts from here inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        wanted = WEB_FILES if hard == resource.RLIM_INFINITY else min(WEB_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _require_free_port() -> None:
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, settings.PORT))
        except OSError as error:
            raise SupervisorError(
                f"cannot listen on {settings.HOST}:{settings.PORT} ({error.strerror}): "
                f"stop what uses that port, or choose another with PORT=8080 (and HOST for the address)"
            ) from None


def _local_host() -> str:
    if settings.HOST in {"0.0.0.0", "127.0.0.1", "::", "::1"}:  # noqa: S104 - compared, not bound
        return "localhost" if settings.HOST in {"127.0.0.1", "0.0.0.0"} else "[::1]"  # noqa: S104
    return f"[{settings.HOST}]" if ":" in settings.HOST else str(settings.HOST)


def _answers(url: str) -> bool:
    with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        request = urllib.request.Request(url, headers={"Host": "localhost"})  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    return False


def _demo_password(path: Path) -> str:
    """The password of the demo's administrator, made once, so that every start prints the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(9) + "\n", encoding="ascii")
    return path.read_text(encoding="ascii").strip()
