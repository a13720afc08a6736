"""A remote that is reached by ssh, as far as git can tell, and that misbehaves on demand; all on this machine."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from include.adapters.git_repository import GitRepository
from tests.support.git import IDENTITY, Origin, git

Service = Literal["git-upload-pack", "git-receive-pack"]
UPLOAD: Service = "git-upload-pack"
RECEIVE: Service = "git-receive-pack"
# Git calls it as it calls ssh: options, host, and one word that is the command on the far side.
SSH = """#!/bin/sh
for last; do :; done
service=${{last%% *}}
if [ -f "{folder}/before-$service" ]; then . "{folder}/before-$service"; fi
exec sh -c "$last"
"""


@dataclass
class Remote:
    """`origin` behind a stand-in for ssh."""

    origin: Origin
    folder: Path

    @property
    def url(self) -> str:
        return f"ssh://there{self.origin.url}"

    @property
    def environment(self) -> dict[str, str]:
        return {"GIT_SSH_COMMAND": str(self.folder / "ssh"), "GIT_SSH_VARIANT": "ssh"}

    def repository(self, mirror: Path, timeout_seconds: float = 30) -> GitRepository:
        return GitRepository(self.url, mirror, environment=self.environment, timeout_seconds=timeout_seconds)

    def before(self, service: Service, shell: str) -> None:
        """What the far side does before it serves; "" for nothing."""
        (self.folder / f"before-{service}").write_text(shell)

    def once(self, service: Service, shell: str) -> None:
        """The same, at the next call only."""
        self.before(service, f'rm "{self.folder}/before-{service}"\n{shell}')

    def commit_in_between(self, branch: str, name: str) -> str:
        """Shell by which somebody else pushes a commit with a file of that name (may hold shell variables)."""
        who = " ".join(f"{key}='{value}'" for key, value in IDENTITY.items())
        return (
            f"(cd '{self.origin.work}' && export {who} && git fetch -q origin && git checkout -q -B {branch} "
            f'origin/{branch} && echo 1 > "{name}" && git add --all && git commit -q -m work && '
            f"git push -q origin {branch}) >/dev/null 2>&1 </dev/null\n"
        )

    def hook(self, name: str, shell: str) -> None:
        """A hook of the remote repository."""
        path = Path(self.origin.url, "hooks", name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{shell}\n")
        path.chmod(0o755)


def make_remote(origin: Origin, folder: Path) -> Remote:
    folder.mkdir(parents=True)
    script = folder / "ssh"
    script.write_text(SSH.format(folder=folder))
    script.chmod(0o755)
    return Remote(origin, folder)


def refs(origin: Origin) -> str:
    """All that the remote's names stand for."""
    return git(Path(origin.url), "for-each-ref")


def processes_with(text: str) -> list[int]:
    """Processes that carry `text` in their environment or command line, zombies and this one aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            shown = (entry / "environ").read_bytes() + b"\0" + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in shown.replace(b"\0", b" "):
            found.append(int(entry.name))
    return found


def end_processes_with(text: str) -> None:
    """For a test's end: what a killed worker left hanging."""
    for pid in processes_with(text):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until_gone(text: str, seconds: float = 10) -> None:
    """Until no process carries `text`; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while left := processes_with(text):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)
