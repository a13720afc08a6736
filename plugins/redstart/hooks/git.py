"""Repositories through a connection of type generic: `host` is a directory or the base URL of repositories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from include.errors import ConfigError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from include.adapters.git_repository import GitRepository

CONNECTION_ID = "redstart_git"


class GitRepositoryHook(BaseHook):
    """Makes `GitRepository`s. Extra `key_file`: an SSH key; extra `identity`: [name, mail] of merge commits."""

    def __init__(self, conn_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.conn_id = conn_id

    def repository(self, name: str) -> GitRepository:
        """The repository `name` below the connection's host; contacts nobody."""
        return self._make(self.get_connection(self.conn_id), name)

    async def arepository(self, name: str) -> GitRepository:
        """The same, from a trigger's event loop."""
        return self._make(await self.aget_connection(self.conn_id), name)

    def _make(self, connection: Connection, name: str) -> GitRepository:
        from include.adapters.git_repository import ENVIRONMENT, IDENTITY, GitRepository

        if not connection.host:
            raise ConfigError("needs a directory or base URL", source=f"connection {self.conn_id}", key="host")
        extra = connection.extra_dejson
        environment = {}
        if key_file := extra.get("key_file"):
            environment["GIT_SSH_COMMAND"] = f"{ENVIRONMENT['GIT_SSH_COMMAND']} -oIdentitiesOnly=yes -i '{key_file}'"
        return GitRepository(
            f"{connection.host.rstrip('/')}/{name}",
            _mirrors() / f"{name}.git",
            identity=tuple(extra.get("identity", IDENTITY)),
            environment=environment,
        )


def _mirrors() -> Path:
    """Bare clones are a cache of this machine's, beside Airflow's own state."""
    home = os.environ.get("AIRFLOW_HOME", "~/airflow")
    return Path(home).expanduser() / "redstart" / "git"
