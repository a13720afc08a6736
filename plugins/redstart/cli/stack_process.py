"""The stack as the command line starts and ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from include.errors import RedstartError
from include.services.home import Home
from include.services.processes import die_with_parent
from include.services.settings import Settings
from include.services.stack import down

Say = Callable[[str], None]


class StackProcess:
    """`python -m include.services.stack` as a child that dies with this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.output = settings.home / "stack.log"

    def start(self, *, is_cloud_only: bool = False, is_bound: bool = True) -> None:
        """`is_bound` False leaves it running when this process ends (`up --detach`)."""
        home = Home(self.settings)
        home.make()
        if home.is_claimed():  # said here, since the log below is the running stack's
            raise home.refusal()
        self.output.unlink(missing_ok=True)
        command = [sys.executable, "-m", "include.services.stack", *(["--cloud-only"] if is_cloud_only else [])]
        with self.output.open("ab") as log:
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
            self.check()
            state = self.state()
            if state.get("pid") == self.process.pid:
                for part in sorted(set(state.get("parts", {})) - said):
                    said.add(part)
                if state.get("phase") == "up":
                    say(f"up: {', '.join(sorted(said))}")
                    return
            time.sleep(0.3)
        raise RedstartError(f"the stack was not up within {seconds:.0f} s; see {self.settings.logs}")

    def check(self) -> None:
        """RedstartError with the stack's last word when it is no longer there."""
        if self.process is not None and self.process.poll() is not None:
            raise RedstartError(self._last_word(self.process.returncode))

    def stop(self) -> None:
        """End the stack, and what it could not end itself."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.state().get("pid") == self.process.pid:
            down(self.settings)

    def state(self) -> dict[str, Any]:
        return Home(self.settings).state()

    def _last_word(self, code: int) -> str:
        if code < 0:
            return f"the stack was ended by {signal.Signals(-code).name}; what it left is ended too"
        if code == 0:
            return "the stack was ended by somebody else (`make down`?)"
        lines = [line for line in self.output.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].removeprefix("redstart: ") if lines else "the stack ended without a word"
