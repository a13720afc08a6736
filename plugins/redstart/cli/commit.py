"""A developer's commit on the prod branch, made as a developer makes it: clone, edit, commit, push."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from include.errors import RedstartError

AUTHOR = {"NAME": "Redstart Demo", "EMAIL": "demo@redstart.example"}


@dataclass(frozen=True)
class Commit:
    sha: str
    subject: str


def push_variant(repository: Path, folder: Path, variant: str, number: int, *, branch: str = "prod") -> Commit:
    """Apply a demo variant to a fresh clone of `repository` and push it to `branch`.

    `variant` is a name of examples/variants; `number` tells good commits apart. RedstartError with git's own
    words when a step fails.
    """
    apply = Path(__file__).resolve().parents[3] / "examples" / "variants" / "apply.py"
    shutil.rmtree(folder, ignore_errors=True)
    _run("git", "clone", "--quiet", "--branch", branch, "--", str(repository), str(folder))
    message = _run(sys.executable, str(apply), str(folder), variant, str(number))
    _run("git", "-C", str(folder), "add", "--all")
    _run("git", "-C", str(folder), "commit", "--quiet", "--file=-", stdin=message)
    _run("git", "-C", str(folder), "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    return Commit(_run("git", "-C", str(folder), "rev-parse", "HEAD").strip(), message.splitlines()[0])


def _run(*command: str, stdin: str = "") -> str:
    identity = {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()}
    result = subprocess.run(  # noqa: S603 - list arguments, no shell
        command,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **identity, "GIT_TERMINAL_PROMPT": "0"},
    )
    if result.returncode != 0:
        raise RedstartError(f"{' '.join(command[:3])} failed: {result.stderr.strip()[-500:]}")
    return result.stdout
