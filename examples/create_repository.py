"""Makes a sample application's own git repository: a bare one with the branches that its flows know.

    python3 examples/create_repository.py BARE [--source FOLDER] [--project KEY] [--branches NAME ...]

Author, dates and messages are fixed, so the same files give the same commit ids everywhere. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "api"
BRANCHES = ("test", "release", "prod")
PROJECT = "API"
AUTHOR = ("Redstart Demo", "demo@redstart.example")
# (moment, what the commit adds; "." is all the rest, message)
COMMITS = (
    (
        "2026-01-12T09:15:00+0000",
        ("README.md", "build.py", ".gitignore", "opt"),
        "{project}-97 Serve pages from a table",
    ),
    ("2026-01-19T14:40:00+0000", ("tests",), "{project}-98 Test pages, connections and metrics"),
    ("2026-01-26T11:05:00+0000", (".",), "{project}-100 Describe the traffic for load tests"),
)
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".pytest_cache", "*.tar.gz", "VERSION")


def create_repository(
    bare: Path, source: Path = SOURCE, *, branches: Sequence[str] = BRANCHES, project: str = PROJECT
) -> str:
    """Make `bare` (which must not exist) from the files of `source`; the commit id that all branches have.

    The last of `branches` is the repository's HEAD; `project` begins the issue keys in the commits' messages. Leaves
    nothing behind when it fails: FileExistsError, or CalledProcessError with git's words in `stderr`.
    """
    if bare.exists():
        raise FileExistsError(f"{bare} is already there")
    bare.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="made-", dir=bare.parent) as folder:
        worktree, made = Path(folder) / "worktree", Path(folder) / "made.git"
        shutil.copytree(source, worktree, ignore=IGNORED)
        _git(worktree, "init", "--quiet", f"--initial-branch={branches[-1]}", ".")
        for moment, paths, message in COMMITS:
            _git(worktree, "add", "--", *paths)
            _git(worktree, "commit", "--quiet", "--message", message.format(project=project), moment=moment)
        for branch in branches[:-1]:
            _git(worktree, "branch", "--", branch)
        _git(worktree, "clone", "--quiet", "--bare", "--no-hardlinks", ".", str(made))
        _git(made, "remote", "remove", "origin")
        commit = _git(made, "rev-parse", "HEAD").strip()
        made.rename(bare)  # all or nothing
    return commit


def _git(folder: Path, *arguments: str, moment: str = "") -> str:
    """Git with nothing of this machine's settings."""
    name, mail = AUTHOR
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{who}_NAME": name for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": mail for who in ("AUTHOR", "COMMITTER")},
        **({f"GIT_{who}_DATE": moment for who in ("AUTHOR", "COMMITTER")} if moment else {}),
    }
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        environment.pop(variable, None)
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout  # noqa: S603


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make a sample application's own git repository.")
    parser.add_argument("bare", type=lambda text: Path(text).absolute())
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--project", default=PROJECT)
    parser.add_argument("--branches", nargs="+", default=BRANCHES, metavar="NAME")
    options = parser.parse_args(arguments)
    try:
        print(create_repository(options.bare, options.source, branches=options.branches, project=options.project))
    except subprocess.CalledProcessError as error:
        print(f"create_repository.py: {error.stderr.strip() or error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"create_repository.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
