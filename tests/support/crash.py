"""The crash matrix: at the fault points of a run the process is forked, and the fork goes on as if just restarted.

All that a fork has is what outlives a kill. Points between which nothing of that has changed (before and after a
read, say) leave the same world to whoever goes on, and share one fork; `mark` tells the worlds apart. The fork never
returns into the stack that it was made in, so nothing there is undone, closed or tidied up: as after kill -9. The run
itself goes on to the next point, so that no prefix is run twice.
"""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import signal
import traceback
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHILD_SECONDS = 60


@dataclass(frozen=True)
class Point:
    """The `number`th moment at which the run can be killed: "before" or "after" a call to AWS or a ledger's verb.
    `world` is the number of the first point that leaves the same to whoever goes on."""

    number: int
    moment: str
    what: str
    world: int

    def __str__(self) -> str:
        return f"point {self.number}, {self.moment} {self.what}"


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed at `point`; `error` is its traceback where it did not end."""

    point: Point
    result: Any = None
    error: str = ""


class CrashMatrix:
    """A listener of fault points. Without `mark` every point has a fork of its own."""

    def __init__(self, directory: Path, mark: Callable[[], Hashable] | None = None, *, processes: int = 2) -> None:
        self.points: list[Point] = []
        self._mark = mark
        self._worlds: dict[Hashable, int] = {}
        self._directory, self._processes = directory, processes
        self._resume: Callable[[Path], Any] | None = None
        self._database = Path()
        self._running: dict[int, Point] = {}

    def record(self, run: Callable[[], Any], resume: Callable[[Path], Any], database: Path) -> Any:
        """Run it to its end, and every fork too; the result of the run that nobody killed.

        `resume(database)` goes on with a copy of the ledger's file and says how it ended.
        """
        self._resume, self._database = resume, database
        gc.collect()
        gc.freeze()  # a fork that collected the run's garbage would copy every page of it
        result = run()
        gc.unfreeze()
        self._resume = None
        self._wait(0)
        return result

    def __call__(self, moment: str, what: str) -> None:
        """A fault point; nothing where no run is being recorded."""
        if self._resume is None:
            return
        number = len(self.points)
        world = self._worlds.setdefault(self._mark(), number) if self._mark else number
        point = Point(number, moment, what, world)
        self.points.append(point)
        if world != number:
            return
        self._wait(self._processes - 1)
        child = os.fork()
        if child == 0:
            self._go_on(point, self._resume)
        self._running[child] = point

    @property
    def worlds(self) -> list[Point]:
        """The first point of each different world."""
        return [point for point in self.points if point.world == point.number]

    def outcomes(self) -> list[Outcome]:
        return [self._read(point) for point in self.worlds]

    def _go_on(self, point: Point, resume: Callable[[Path], Any]) -> None:
        """In the fork; never returns."""
        try:
            self._resume = None
            gc.disable()
            signal.signal(signal.SIGALRM, _too_long)
            signal.alarm(CHILD_SECONDS)
            outcome = Outcome(point, resume(self._copy_ledger(point)))
        except BaseException:
            outcome = Outcome(point, error=traceback.format_exc())
        self._file(point).write_bytes(pickle.dumps(outcome))
        os._exit(0)

    def _copy_ledger(self, point: Point) -> Path:
        """The file as a killed process leaves it: what was not committed is not in it."""
        copy = self._directory / f"point-{point.number}.db"
        for suffix in ("", "-wal"):
            if (found := Path(f"{self._database}{suffix}")).exists():
                shutil.copyfile(found, f"{copy}{suffix}")
        return copy

    def _wait(self, most: int) -> None:
        while len(self._running) > most:
            child, _ = os.wait()
            point = self._running.pop(child)
            for suffix in ("", "-wal", "-shm"):
                Path(self._directory / f"point-{point.number}.db{suffix}").unlink(missing_ok=True)

    def _file(self, point: Point) -> Path:
        return self._directory / f"point-{point.number}.outcome"

    def _read(self, point: Point) -> Outcome:
        if not self._file(point).exists():
            return Outcome(point, error="the fork ended without a word")
        found = pickle.loads(self._file(point).read_bytes())
        assert isinstance(found, Outcome)
        return found


def _too_long(_number: int, _frame: Any) -> None:
    raise TimeoutError(f"no end within {CHILD_SECONDS} s")
