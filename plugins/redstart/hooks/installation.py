"""What one installation sets for all its applications, as Airflow Variables: where results are kept, soak, looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from include.errors import ConfigError, RefusedError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

STORAGE = "redstart_storage"
SOAK = "redstart_soak_seconds"
LOOK = "redstart_look_seconds"
EVIDENCE = "redstart_evidence"
WATCH = "redstart_watch_seconds"
MOST_KEPT = 256 * 1024


class InstallationHook(BaseHook):
    """Variables `redstart_storage` (file:///... or s3://...), `redstart_soak_seconds`, `redstart_look_seconds`,
    `redstart_watch_seconds`, `redstart_evidence`."""

    def soak_seconds(self) -> int | None:
        """The installation's soak where the form says none; None = the application's own."""
        return _whole_seconds(SOAK, least=1)

    def look_seconds(self) -> int | None:
        """How often this installation judges during the soak (0: never); None = as the application says."""
        return _whole_seconds(LOOK, least=0)

    def watch_seconds(self) -> int | None:
        """The longest that this installation watches a pushed group (0: not at all); None = as the application says."""
        return _whole_seconds(WATCH, least=0)

    def evidence(self) -> str:
        """The name of the judge's evidence setting."""
        return _variable(EVIDENCE) or "shipped"

    def results(self) -> ResultStore:
        """Where what the tasks made is kept."""
        from airflow.sdk import ObjectStoragePath

        root = _variable(STORAGE)
        if not root:
            raise ConfigError("is not set", source="variable", key=STORAGE)
        return ResultStore(ObjectStoragePath(root))


class ResultStore:
    """Files below one root, named by relative paths. A file is there whole or not at all."""

    def __init__(self, root: ObjectStoragePath) -> None:
        self._root = root

    def write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        fs = path.fs
        fs.makedirs(str(path.parent.path), exist_ok=True)
        with fs.transaction, fs.open(str(path.path), "wb") as file:
            file.write(content)

    def append(self, name: str, content: bytes) -> None:
        """`content` after what is kept under `name`, of which the last `MOST_KEPT` bytes stay."""
        earlier = self.read(name)[-MOST_KEPT:] if self.has(name) else b""
        self.write(name, earlier + content)

    def delete(self, name: str) -> None:
        """What is not there stays so."""
        self._path(name).unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """RefusedError when there is no such file."""
        path = self._path(name)
        try:
            return bytes(path.read_bytes())
        except (FileNotFoundError, IsADirectoryError):
            raise RefusedError(f"Nothing is kept under {name!r}.") from None

    def has(self, name: str) -> bool:
        return bool(self._path(name).is_file())

    def _path(self, name: str) -> ObjectStoragePath:
        parts = name.split("/")
        if not name or any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            raise RefusedError(f"{name!r} is not the name of a kept file.")
        return self._root.joinpath(*parts)


def _variable(key: str) -> str | None:
    from airflow.sdk import Variable

    found = Variable.get(key, default=None)
    return str(found).strip() or None if found is not None else None


def _whole_seconds(key: str, *, least: int) -> int | None:
    found = _variable(key)
    if found is None:
        return None
    if not found.isdigit() or int(found) < least:
        raise ConfigError(f"must be whole seconds, at least {least}", source="variable", key=key, value=found)
    return int(found)
