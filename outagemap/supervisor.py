"""Keeps a handful of programs running: starts them, restarts what dies, stops them in order, leaves none behind.

Three things together leave no orphan, whatever dies and in whichever order:

1. Every program leads a process group of its own; when it ends, what is left of its group is killed (a web server
   killed hard leaves its workers, and they the port).
2. Where the kernel can do it (Linux), a program is told by the kernel when the supervisor has died.
3. Every program carries the supervised folder in its environment; the next start ends whoever still does.

The supervisor has one thread, which is what makes running Python between fork and exec safe.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

MARK = "OUTAGEMAP_SUPERVISED"
_LOG_LIMIT = 20_000_000
_STEADY_AFTER = 10.0
_LONGEST_PAUSE = 30.0
_PR_SET_PDEATHSIG = 1


class SupervisorError(Exception):
    """What keeps the programs from running; the message is meant for the person who started them."""


class Stopped(Exception):
    """A signal asked to stop while something was still starting."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program to keep running.

    `stage`: stopping goes from the highest stage to the lowest, each waiting for the one above. `stop_by` asks it to
    end in good order, and `grace` is how many seconds it gets. `orphaned_by` is what the kernel sends it when the
    supervisor dies. A program that runs `once` is not started again when it ends well.
    """

    name: str
    command: tuple[str, ...]
    stage: int
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    user: int | None = None
    stop_by: signal.Signals = signal.SIGTERM
    orphaned_by: signal.Signals = signal.SIGTERM
    grace: float = 15.0
    once: bool = False


class _Running:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_again_at = 0.0
        self.failures = 0
        self.finished = False


class Supervisor:
    """Runs programs for one data folder, which one supervisor at a time may hold. Use it as a context manager: whatever
    happens inside, its programs are stopped at the end."""

    def __init__(self, folder: Path, announce: Callable[[str], None]) -> None:
        self.folder = folder
        self.announce = announce
        self.logs = folder / "logs"
        self.stopping = False
        self._hurry = False
        self._programs: list[_Running] = []
        self._checked_logs_at = 0.0

    def __enter__(self) -> Supervisor:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        self._hold_folder()
        self._wakeup, write_end = os.pipe()
        os.set_blocking(write_end, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        # Without a handler the end of a program would not wake us.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop_all()
        self._lock.close()

    def sweep(self, strays: Iterable[psutil.Process] = ()) -> int:
        """Ends what an earlier supervisor of this folder left behind, and `strays`; how many processes that were."""
        left = {process.pid: process for process in [*self._marked_processes(), *strays]}
        for process in left.values():
            with suppress(psutil.NoSuchProcess):
                # SIGINT ends PostgreSQL without waiting for its clients, and all the others as well.
                process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(list(left.values()), timeout=15)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=10)
        return len(left)

    def start(self, program: Program) -> None:
        """Starts a program and keeps it running from now on."""
        running = _Running(program)
        self._programs.append(running)
        self._launch(running)

    def run(self, program: Program) -> None:
        """Runs a program to its end. Raises `SupervisorError` with the end of its log when it fails."""
        running = _Running(program)
        self._programs.append(running)
        self._launch(running)
        assert running.process is not None
        while running.process.poll() is None:
            self._sleep(1.0)
            self._look_after_all(except_for=running)
        self._programs.remove(running)
        if running.process.returncode:
            raise SupervisorError(f"{program.name} failed:\n{self.log_tail(program.name)}")

    def wait_until(self, holds: Callable[[], bool], what: str, *, seconds: float, of: str) -> None:
        """Returns as soon as `holds()`. Raises `SupervisorError` after `seconds`, with the log of the program `of`."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise SupervisorError(f"{what} did not happen within {seconds:.0f} s:\n{self.log_tail(of)}")
            self._sleep(0.05)
            self._look_after_all()
            mine = next(running for running in self._programs if running.program.name == of)
            if mine.failures > 3:
                raise SupervisorError(f"{of} does not start:\n{self.log_tail(of)}")

    def watch(self) -> None:
        """Restarts what dies until a signal asks to stop."""
        with suppress(Stopped):
            while True:
                waiting = [
                    running.start_again_at
                    for running in self._programs
                    if running.process is None and not running.finished
                ]
                pause = min([1.0, *(at - time.monotonic() for at in waiting)])
                self._sleep(max(pause, 0.01))
                self._look_after_all()
                self._trim_logs()

    def stop_all(self) -> None:
        """Stops every program, the highest stage first. A second signal on the way kills what is left."""
        self.stopping = True
        for stage in sorted({running.program.stage for running in self._programs}, reverse=True):
            self._stop([running for running in self._programs if running.program.stage == stage])
        self._programs.clear()

    def log_path(self, name: str) -> Path:
        """Where the output of a program goes."""
        return self.logs / f"{name}.log"

    def log_tail(self, name: str, lines: int = 15) -> str:
        """The last lines that a program wrote."""
        with suppress(OSError):
            return "\n".join(self.log_path(name).read_text("utf-8", errors="replace").splitlines()[-lines:])
        return ""

    # --- One program ---

    def _launch(self, running: _Running) -> None:
        program = running.program
        running.started_at = time.monotonic()
        with self.log_path(program.name).open("ab") as log:
            running.process = subprocess.Popen(
                program.command,
                user=program.user,
                group=None if program.user is None else pwd.getpwuid(program.user).pw_gid,
                extra_groups=None if program.user is None else [],
                env={**program.environment, MARK: str(self.folder)},
                cwd="/" if program.user is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=bound_to_parent(program.orphaned_by),
            )

    def _look_after_all(self, except_for: _Running | None = None) -> None:
        now = time.monotonic()
        for running in self._programs:
            if running.finished or running is except_for:
                continue
            if running.process is None:
                if now >= running.start_again_at:
                    self._launch(running)
            elif running.process.poll() is not None:
                self._bury(running, now)

    def _bury(self, running: _Running, now: float) -> None:
        process, program = running.process, running.program
        assert process is not None
        _kill_group(process.pid)
        running.process = None
        if program.once and process.returncode == 0:
            running.finished = True
            return
        lasted = now - running.started_at
        running.failures = 1 if lasted > _STEADY_AFTER else running.failures + 1
        pause = min(0.1 * 2.0 ** (running.failures - 1), _LONGEST_PAUSE)
        running.start_again_at = now + pause
        reason = (
            f"signal {signal.Signals(-process.returncode).name}"
            if process.returncode < 0
            else f"exit status {process.returncode}"
        )
        self.announce(f"{program.name} ended ({reason}) after {lasted:.0f} s; starting it again in {pause:.1f} s")

    def _stop(self, runnings: list[_Running]) -> None:
        alive = [running for running in runnings if running.process is not None]
        for running in alive:
            assert running.process is not None
            with suppress(ProcessLookupError):
                running.process.send_signal(running.program.stop_by)
        for running in alive:
            assert running.process is not None
            end = time.monotonic() + running.program.grace
            while running.process.poll() is None and time.monotonic() < end and not self._hurry:
                self._drain_wakeups(0.1)
            # Also when it ended well: something of its group may have stayed.
            _kill_group(running.process.pid)
            running.process.wait()
            running.process = None

    # --- The folder, the signals, the logs ---

    def _hold_folder(self) -> None:
        self._lock = (self.folder / "up.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            raise SupervisorError(
                f"{self.folder} is in use by another start (process {holder}): stop that one, or set another DATA_DIR"
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def _marked_processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == str(self.folder) and process.pid != os.getpid():
                    found.append(process)
        return found

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry = self.stopping
        self.stopping = True

    def _sleep(self, seconds: float) -> None:
        self._drain_wakeups(seconds)
        if self.stopping:
            raise Stopped

    def _drain_wakeups(self, seconds: float) -> None:
        if select.select([self._wakeup], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                os.read(self._wakeup, 4096)

    def _trim_logs(self) -> None:
        if time.monotonic() - self._checked_logs_at < 60:
            return
        self._checked_logs_at = time.monotonic()
        for path in self.logs.glob("*.log"):
            if path.stat().st_size > _LOG_LIMIT:
                # Copied and emptied rather than renamed: the program keeps its handle, which appends.
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def bound_to_parent(number: signal.Signals) -> Callable[[], None] | None:
    """For `Popen(preexec_fn=...)`: the child asks the kernel for this signal when its parent dies. None where no kernel
    does that. For parents of one thread: Python runs between fork and exec."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        # The parent may have died before we asked.
        if os.getppid() != parent:
            os._exit(1)

    return bind
