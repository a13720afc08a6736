"""The files to which a test command was told to write its results."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from include.errors import RefusedError

MOST_FILES = 5_000


def read_junit_files(path: Path, *, most_bytes: int) -> list[bytes]:
    """What is in the file `path`, or in the *.xml files below it where the command made it a folder.

    RefusedError where there is nothing, or more than `most_bytes`. The command wrote there: what is no plain file is
    not opened, and a link leads nowhere.
    """
    files = sorted(path.rglob("*.xml"))[:MOST_FILES] if path.is_dir() and not path.is_symlink() else [path]
    found, room = [], most_bytes
    for file in files:
        content = _read(file, room + 1)
        if content is None:
            continue
        room -= len(content)
        if room < 0:
            raise RefusedError(f"The test results are over {most_bytes // 2**20} MB: too much to read.")
        found.append(content)
    if not found:
        raise RefusedError("The test command wrote no results to {junit}: without results nothing has passed.")
    return found


def _read(file: Path, most_bytes: int) -> bytes | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(most_bytes) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
