"""Starts the parts of a stack, restarts one that dies, and leaves nothing behind however it ends.

Three nets, since any process may get kill -9: every part has a parent-death signal; a guard process sees the
supervisor's pipe close and ends all that carries the stack's marker; the next start (or `down`) does the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from include.errors import RedstartError
from include.services.processes import MARKER, die_with_parent, end_marked

TICK_SECONDS = 0.2
RESTART_SECONDS = (0.2, 1.0, 3.0)


@dataclass(frozen=True)
class Part:
    """One process of the stack. `ready` is asked until true; `once` parts run to their end before the next starts;
    the death of a `vital` part ends the stack, since what it held is lost with it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    ready_seconds: float = 60.0
    is_once: bool = False
    is_vital: bool = False


@dataclass
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    started_at: float
    restarts: int = 0
    restart_at: float = 0.0


class Supervisor:
    """Runs phases of parts: all of a phase are started together, the next phase when all are ready."""

    def __init__(self, stack: str, logs: Path, *, say: Callable[[str], None] = print) -> None:
        self.stack, self.logs, self.say = stack, logs, say
        self.running: dict[str, _Running] = {}
        self.is_stopping = False
        self._guard: subprocess.Popen[bytes] | None = None
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, phases: Sequence[Sequence[Part]], launched: Callable[[], None] = lambda: None) -> None:
        """Start everything; RedstartError if a part does not get ready. `launched` is told of each phase's launch."""
        self._start_guard()
        for phase in phases:
            for part in phase:
                self._launch(part)
            launched()
            for part in phase:
                self._await_ready(part)

    def tick(self) -> None:
        """Look once at every part; restart the dead. RedstartError when a vital part is gone."""
        if self._guard is not None and self._guard.poll() is not None and not self.is_stopping:
            self._start_guard()
        for entry in list(self.running.values()):
            code = entry.process.poll()
            if code is not None and not self.is_stopping:
                self._mend(entry, code)

    def run(self) -> None:
        """Watch until `stop` is called from a signal handler."""
        while not self.is_stopping:
            self.tick()
            time.sleep(TICK_SECONDS)

    def stop(self, grace_seconds: float = 15.0) -> None:
        """End every part, newest first by signal, then everything else that carries the marker."""
        self.is_stopping = True
        guard = frozenset([self._guard.pid]) if self._guard else frozenset[int]()
        end_marked(self.stack, grace_seconds=grace_seconds, spare=guard)
        for entry in self.running.values():
            entry.process.wait()
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()

    def report(self) -> dict[str, dict[str, object]]:
        """Name -> pid, restarts and seconds up, for the state file."""
        return {
            name: {"pid": entry.process.pid, "restarts": entry.restarts, "since": entry.started_at}
            for name, entry in self.running.items()
        }

    def _launch(self, part: Part, restarts: int = 0) -> _Running:
        environment = {**os.environ, **part.environment, MARKER: self.stack}
        with (self.logs / f"{part.name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own fixed commands
                list(part.command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(),
            )
        entry = self.running[part.name] = _Running(part, process, time.time(), restarts)
        return entry

    def _await_ready(self, part: Part) -> None:
        deadline = time.monotonic() + part.ready_seconds
        entry = self.running[part.name]
        while True:
            self._refuse_vital_loss()
            code = entry.process.poll()
            if part.is_once and code == 0:
                del self.running[part.name]
                return
            if code is not None:
                raise RedstartError(self._how_ended(part.name, code))
            if not part.is_once and part.ready():
                return
            if time.monotonic() > deadline:
                raise RedstartError(
                    f"{part.name} was not ready within {part.ready_seconds:.0f} s: see {self._log(part)}"
                )
            if self.is_stopping:
                raise RedstartError("stopped while starting")
            time.sleep(TICK_SECONDS)

    def _refuse_vital_loss(self) -> None:
        """While others start, too: they would only say that something does not answer."""
        for name, entry in self.running.items():
            code = entry.process.poll()
            if entry.part.is_vital and code is not None and not self.is_stopping:
                raise RedstartError(f"the stack cannot go on: {self._how_ended(name, code)}")

    def _how_ended(self, name: str, code: int) -> str:
        if code < 0:
            return f"{name} was ended by {signal.Signals(-code).name}"
        return f"{name} ended with status {code}: {self.last_words(name)}"

    def _mend(self, entry: _Running, code: int) -> None:
        name = entry.part.name
        if entry.part.is_vital:
            raise RedstartError(f"the stack cannot go on, what it held is lost: {self._how_ended(name, code)}")
        now = time.monotonic()
        if entry.restart_at == 0.0:
            quick = time.time() - entry.started_at < 30
            wait = RESTART_SECONDS[min(entry.restarts, len(RESTART_SECONDS) - 1)] if quick else RESTART_SECONDS[0]
            entry.restart_at = now + wait
            self.say(f"{self._how_ended(name, code)}; starting it again")
        elif now >= entry.restart_at:
            self._launch(entry.part, entry.restarts + 1)

    def last_words(self, name: str) -> str:
        """The last non-empty line of a part's log, which is where a process says why it ended."""
        try:
            lines = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()
        except OSError:
            return "no log"
        return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "no word")

    def _log(self, part: Part) -> Path:
        return self.logs / f"{part.name}.log"

    def _start_guard(self) -> None:
        reading, writing = os.pipe()
        os.set_inheritable(reading, True)
        self._guard = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "include.services.supervisor", "guard", str(reading), self.stack],
            pass_fds=[reading],
            env={**os.environ, MARKER: self.stack},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reading)
        self._pipe = writing  # kept open for life: its closing is the news of our death


def guard(descriptor: int, stack: str) -> None:
    """Wait until the supervisor's end of the pipe closes, then end everything of the stack."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.read(descriptor, 1)
    end_marked(stack, grace_seconds=5.0)


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Replace the state file in one step, so that a reader never sees half of it."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(state, indent=1, default=str))
    temporary.replace(path)


if __name__ == "__main__" and sys.argv[1] == "guard":
    guard(int(sys.argv[2]), sys.argv[3])
