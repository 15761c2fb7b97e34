"""`manage.py up` as a whole: real processes, real kills."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from outagemap import embedded
from outagemap.supervisor import MARK, Program, Supervisor, SupervisorError
from tests.browser_fixtures import free_port
from tests.conftest import wait_until
from tests.site import ROLES, ROOT, Site


@pytest.fixture(scope="module")
def site(collected_static):
    # Not pytest's own folder: other users, such as the database's, cannot pass that.
    data_dir = Path(f"/tmp/outagemap-up-{os.getpid()}")
    data_dir.mkdir(mode=0o755)
    shutil.copytree(collected_static, data_dir / "static")
    site = Site(data_dir, STANDBY="fsync")
    site.start()
    yield site
    if site.process.poll() is None:
        site.process.terminate()
        site.process.wait(timeout=60)
    shutil.rmtree(data_dir)


@pytest.mark.parametrize("role", ROLES)
def test_what_is_killed_comes_back(site, role):
    before = site.children()[role]
    before.kill()
    wait_until(lambda: site.children().get(role, before).pid != before.pid, f"{role} is back", seconds=30)
    # The first page with a query behind it: the pool has noticed what happened to its connections.
    wait_until(lambda: site.answers("/admin/login/"), "the site answers", seconds=30)
    assert site.process.poll() is None


def test_a_database_that_hangs_holds_up_no_page(site):
    """Neither answering nor refusing, it would hold whoever asks it for ever: the last pages go out, or "later"."""
    seen = ("/", "/services/", "/api/v1/services/")
    assert all(site.answers(path) for path in seen)
    database = site.children()["postgres"]
    frozen = [database, *database.children(recursive=True)]
    try:
        for process in frozen:
            process.suspend()
        # Longer than a page is good for without asking.
        time.sleep(2)
        assert [path for path in seen if not site.answers(path)] == []
        for never_asked in ("/api/v1/incidents/?service=zoom", "/admin/login/"):
            began = time.monotonic()
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{site.port}{never_asked}", timeout=30)
            assert (refused.value.code, refused.value.headers["Retry-After"]) == (503, "5")
            assert time.monotonic() - began < 10
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
    wait_until(lambda: site.answers("/api/v1/incidents/?service=zoom"), "the site asks its database", seconds=30)


def test_a_second_start_on_the_same_folder_says_so(site):
    second = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=site.environment | {"PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 1
    assert f"is in use by another start (process {site.process.pid})" in second.stderr
    assert site.answers()


def test_a_port_in_use_is_named(site, tmp_path):
    other = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=site.environment | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert other.returncode == 1
    assert f"cannot listen on 127.0.0.1:{site.port}" in other.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_supervisor_killed_hard_leaves_no_orphan(site):
    kin = site.kin()
    assert len(kin) > len(ROLES)
    site.process.kill()
    site.process.wait()
    _, alive = psutil.wait_procs(kin, timeout=30)
    assert alive == []


def test_after_all_that_it_starts_again_quickly_and_stops_cleanly(site):
    began = time.monotonic()
    site.start()
    # The promise is 15 s on a machine that does nothing else.
    assert time.monotonic() - began < 30
    kin = site.kin()
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(timeout=60) == 0
    _, alive = psutil.wait_procs(kin, timeout=1)
    assert alive == []
    # PostgreSQL removes these only when it shuts down in good order.
    assert not (site.data_dir / "postgres" / "postmaster.pid").exists()
    assert list((site.data_dir / "run").iterdir()) == []
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", site.port))


# --- The supervisor by itself -----------------------------------------------------------------------------------------


@pytest.fixture
def supervisor(tmp_path, restored_signals):
    told: list[str] = []
    with Supervisor(tmp_path, told.append) as supervisor:
        supervisor.told = told
        yield supervisor


@pytest.fixture
def restored_signals():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def script(name, text, **options):
    return Program(name, ("sh", "-c", text), stage=0, **options)


def test_what_an_earlier_supervisor_left_behind_is_ended(supervisor, tmp_path):
    orphan = subprocess.Popen(["sleep", "600"], env=os.environ | {MARK: str(tmp_path)}, start_new_session=True)
    stranger = subprocess.Popen(["sleep", "600"], env=os.environ | {MARK: "/elsewhere"}, start_new_session=True)
    try:
        # For a moment after its start a process has no environment yet that others could read.
        wait_until(lambda: MARK in psutil.Process(orphan.pid).environ(), "the orphan is marked", seconds=10)
        assert supervisor.sweep() == 1
        assert orphan.poll() is not None
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's process")
def test_a_number_that_belongs_to_another_process_by_now_is_left_alone(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert embedded.stray_database(tmp_path) == []


@pytest.fixture
def cluster():
    # Not pytest's own folder, see above.
    data_dir = Path(f"/tmp/outagemap-killed-{os.getpid()}")
    data_dir.mkdir(mode=0o755)
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        server = embedded.prepare_database(data_dir, durable=False)
        started.append(subprocess.Popen(server.command, user=server.user, env=dict(server.environment), cwd="/"))
        wait_until(lambda: asks(data_dir) or started[-1].poll() is not None, "the database answers", seconds=30)
        return started[-1]

    yield data_dir, start
    for process in started:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)
    shutil.rmtree(data_dir)


def asks(data_dir: Path) -> bool:
    with suppress(psycopg.OperationalError):
        embedded.create_database(data_dir)
        return True
    return False


def test_a_database_starts_beside_its_own_unburied_dead(cluster):
    data_dir, start = cluster
    first = start()
    first.kill()
    wait_until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE, "it is dead and not buried")
    wait_until(lambda: not embedded.stray_database(data_dir), "its children have noticed")
    assert start().poll() is None
    assert asks(data_dir)


def test_what_a_killed_database_left_at_work_is_ended_before_the_next_starts(cluster, supervisor):
    data_dir, start = cluster
    first = start()
    busy = psycopg.connect(embedded.database_url(data_dir))
    # Work that looks up only at its end, or when it is told to stop.
    threading.Thread(target=_exhaust, args=(busy,), daemon=True).start()
    wait_until(lambda: _busy_for(first) > 0.3, "it works")
    assert [stray.pid for stray in embedded.stray_database(data_dir)] == [first.pid]
    first.kill()
    first.wait()
    time.sleep(1)
    left = embedded.stray_database(data_dir)
    assert len(left) == 1
    assert supervisor.sweep(left) == 1
    assert start().poll() is None
    assert asks(data_dir)


def _exhaust(busy: psycopg.Connection[tuple[int]]) -> None:
    with suppress(psycopg.Error):
        busy.execute("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")


def _busy_for(server: subprocess.Popen[bytes]) -> float:
    return max(child.cpu_times().user for child in psutil.Process(server.pid).children())


def test_a_program_that_cannot_start_is_tried_a_few_times_and_then_reported_with_its_log(supervisor):
    supervisor.start(script("broken", "echo it is broken; exit 3"))
    with pytest.raises(SupervisorError, match="it is broken"):
        supervisor.wait_until(lambda: False, "never", seconds=30, of="broken")
    assert "exit status 3" in supervisor.told[0]


def test_the_children_of_a_program_go_with_it(supervisor, tmp_path):
    note = tmp_path / "grandchild"
    supervisor.start(script("parent", f"sleep 600 & echo $! > {note}; wait"))
    wait_until(lambda: note.exists() and note.read_text().strip() != "", "the grandchild runs")
    grandchild = psutil.Process(int(note.read_text()))
    supervisor.stop_all()
    grandchild.wait(timeout=5)


def test_a_program_that_ignores_the_request_to_stop_is_killed_after_its_grace(supervisor, tmp_path):
    note = tmp_path / "deaf"
    supervisor.start(script("deaf", f"trap '' TERM; touch {note}; while :; do sleep 1; done", grace=0.5))
    wait_until(note.exists, "it runs")
    began = time.monotonic()
    supervisor.stop_all()
    assert time.monotonic() - began < 5


def test_a_step_that_fails_stops_the_start_and_shows_why(supervisor):
    with pytest.raises(SupervisorError, match="no such table"):
        supervisor.run(script("prepare", "echo no such table; exit 1"))


def test_what_runs_once_is_not_started_again_when_it_ended_well(supervisor, tmp_path):
    supervisor.start(script("once", f"echo x >> {tmp_path}/runs", once=True))
    supervisor.start(script("always", f"echo x >> {tmp_path}/starts"))
    starts = tmp_path / "starts"

    def started_three_times():
        supervisor._look_after_all()
        return starts.exists() and len(starts.read_text().split()) >= 3

    wait_until(started_three_times, "the other one was started three times")
    assert (tmp_path / "runs").read_text().split() == ["x"]
