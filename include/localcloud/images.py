"""What images hold: immutable folders of files, kept by a hash of what is in them.

A machine boots from a copy of such a folder and a snapshot makes a new one, so neither ever needs the folder
that something was once built in. Baking the same files twice gives the same content id.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import uuid
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from include.errors import RefusedError

BASE_IMAGE = Path(__file__).parent / "base_image"


class ContentStore:
    """Image contents under `root/<content id>/`; a content is complete from the moment its folder has that name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        for left_over in root.glob(".staging-*"):
            shutil.rmtree(left_over, ignore_errors=True)

    def add_tree(self, source: Path, *, without: Collection[str] = ()) -> str:
        """Copy `source` in (folders, files and links; no sockets or pipes) and return its content id.

        `without` names relative paths that are left out. Files that vanish during the copy (a running machine's)
        are left out too; a `source` that is not a folder raises RefusedError.
        """
        if not source.is_dir():
            raise RefusedError(f"{source} is not a folder: no image content can be made of it")
        staging = self._root / f".staging-{uuid.uuid4().hex}"
        try:
            _copy_folder(source, staging, "", frozenset(without))
            content_id = f"content-{_hash_tree(staging)}"
            try:
                staging.rename(self._root / content_id)
            except OSError:  # the same content is there already: the first one stays
                if not self.has(content_id):
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return content_id

    def base_content(self) -> str:
        """The content of the image every account starts with (`base_image/` beside this file)."""
        return self.add_tree(BASE_IMAGE)

    def has(self, content_id: str) -> bool:
        return bool(content_id) and (self._root / content_id).is_dir()

    def path(self, content_id: str) -> Path:
        """The folder of `content_id`, to be read only; an unknown id raises RefusedError."""
        if not self.has(content_id):
            raise RefusedError(f"there is no image content {content_id!r} in {self._root}")
        return self._root / content_id

    def copy_to(self, content_id: str, target: Path) -> None:
        """Copy the content into `target` (made if missing). Never by hard links: a machine may change its files."""
        target.mkdir(parents=True, exist_ok=True)
        copy = ["cp", "-a", "--reflink=auto", "--", f"{self.path(content_id)}/.", str(target)]
        subprocess.run(copy, check=True, capture_output=True)  # noqa: S603


def _copy_folder(source: Path, target: Path, prefix: str, without: frozenset[str]) -> None:
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            relative = prefix + entry.name
            if relative in without:
                continue
            copy = target / entry.name
            with suppress(FileNotFoundError):
                if entry.is_symlink():
                    copy.symlink_to(Path(entry.path).readlink())
                elif entry.is_dir():
                    _copy_folder(Path(entry.path), copy, relative + "/", without)
                elif entry.is_file():
                    shutil.copy2(entry.path, copy)
    shutil.copystat(source, target)


def _hash_tree(root: Path) -> str:
    """Hash of names, links, what is executable, and bytes; times and owners do not count."""
    digest = hashlib.blake2b(digest_size=16)
    for relative, path in _walk(root):
        mode = path.lstat().st_mode
        kind = b"l" if stat.S_ISLNK(mode) else b"d" if stat.S_ISDIR(mode) else b"x" if mode & 0o111 else b"f"
        digest.update(kind + os.fsencode(relative) + b"\0")
        if kind == b"l":
            digest.update(os.fsencode(path.readlink()) + b"\0")
        elif kind != b"d":
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def _walk(root: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    for path in sorted(root.iterdir()):
        yield prefix + path.name, path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, f"{prefix}{path.name}/")
