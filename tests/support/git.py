"""A real repository to deliver from: a bare remote with branches test, release and prod, and a work tree."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

IDENTITY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-11-05T14:22:33+00:00",
    "GIT_COMMITTER_DATE": "2026-11-05T14:22:33+00:00",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **IDENTITY}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@dataclass
class Origin:
    """`url` is the bare remote `<root>/api.git`; `work` is a clone on branch prod."""

    root: Path

    @property
    def url(self) -> str:
        return str(self.root / "api.git")

    @property
    def work(self) -> Path:
        return self.root / "work"

    def commit(self, branch: str, files: dict[str, str], message: str = "Change something") -> str:
        """Commit `files` on `branch` and push; the commit's id."""
        git(self.work, "checkout", "--quiet", branch)
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "-m", message)
        git(self.work, "push", "--quiet", "origin", branch)
        return git(self.work, "rev-parse", "HEAD")

    def head(self, branch: str) -> str:
        return git(Path(self.url), "rev-parse", f"refs/heads/{branch}")


def make_origin(root: Path, files: dict[str, str] | None = None) -> Origin:
    """A remote whose three branches are at one commit of `files`."""
    origin = Origin(root)
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--bare", "--initial-branch=prod", "api.git")
    git(root, "clone", "--quiet", origin.url, "work")
    git(origin.work, "checkout", "--quiet", "-b", "prod")
    origin.work.joinpath("README").write_text("api\n", encoding="utf-8")
    git(origin.work, "add", "--all")
    git(origin.work, "commit", "--quiet", "-m", "Begin")
    git(origin.work, "push", "--quiet", "origin", "prod", "prod:release", "prod:test")
    git(origin.work, "fetch", "--quiet")
    if files:
        origin.commit("prod", files, "Add the application")
        git(origin.work, "push", "--quiet", "origin", "prod:release", "prod:test")
        git(origin.work, "fetch", "--quiet")
    return origin
