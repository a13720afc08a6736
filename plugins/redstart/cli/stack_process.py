"""The stack as the command line starts and ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from include.errors import RedstartError
from include.services.processes import die_with_parent
from include.services.settings import Settings

Say = Callable[[str], None]


class StackProcess:
    """`python -m include.services.stack` as a child that dies with this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.output = settings.home / "stack.log"

    def start(self, *, is_cloud_only: bool = False, is_bound: bool = True) -> None:
        """`is_bound` False leaves it running when this process ends (`up --detach`)."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "include.services.stack", *(["--cloud-only"] if is_cloud_only else [])]
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ.copy(),
                preexec_fn=die_with_parent() if is_bound else None,
                start_new_session=not is_bound,
            )

    def await_up(self, say: Say, seconds: float = 300) -> None:
        """Return when every part is ready; RedstartError with the stack's last word when it ends instead."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        said: set[str] = set()
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RedstartError(self._last_word())
            state = self.state()
            if state.get("pid") == self.process.pid:
                for part in sorted(set(state.get("parts", {})) - said):
                    said.add(part)
                if state.get("phase") == "up":
                    say(f"up: {', '.join(sorted(said))}")
                    return
            time.sleep(0.3)
        raise RedstartError(f"the stack was not up within {seconds:.0f} s; see {self.settings.logs}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def state(self) -> dict[str, Any]:
        return read_state(self.settings)

    def _last_word(self) -> str:
        lines = [line for line in self.output.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].removeprefix("redstart: ") if lines else "the stack ended without a word"


def read_state(settings: Settings) -> dict[str, Any]:
    try:
        return dict(json.loads(Path(settings.home / "stack.json").read_text()))
    except (OSError, ValueError):
        return {}
