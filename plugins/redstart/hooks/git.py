"""Repositories through a connection of type generic: `host` is a directory or the base URL of repositories."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from include.errors import ConfigError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from include.adapters.git_repository import GitRepository

CONNECTION_ID = "redstart_git"
FILES = ("key_file", "known_hosts_file", "signing_key")


class GitRepositoryHook(BaseHook):
    """Makes `GitRepository`s.

    `login` and `password` are for https. Extra: `key_file` (an SSH key) and `known_hosts_file` for ssh; `identity`
    ([name, mail]) and `signing_key` (an SSH key) of merge commits and tags; `timeout_seconds` of one call of git.
    """

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
        from include.adapters.git_repository import IDENTITY, GitRepository

        if not connection.host:
            raise self._unfit("needs a directory or base URL", "host", None)
        extra = connection.extra_dejson
        for key in FILES:
            if extra.get(key) and not Path(extra[key]).is_file():
                raise self._unfit("is not a file of this machine", key, extra[key])
        identity, seconds = extra.get("identity", IDENTITY), extra.get("timeout_seconds", 120)
        if len(identity) != 2 or not all(isinstance(one, str) and one for one in identity):
            raise self._unfit("must be [name, mail]", "identity", identity)
        if not isinstance(seconds, int | float) or seconds <= 0:
            raise self._unfit("must be greater than 0", "timeout_seconds", seconds)
        return GitRepository(
            f"{connection.host.rstrip('/')}/{name}",
            _mirrors() / f"{name}.git",
            identity=tuple(identity),
            signing_key=extra.get("signing_key", ""),
            environment=_environment(connection, extra),
            timeout_seconds=seconds,
        )

    def _unfit(self, reason: str, key: str, value: object) -> ConfigError:
        return ConfigError(reason, source=f"connection {self.conn_id}", key=key, value=value)


def _environment(connection: Connection, extra: dict[str, Any]) -> dict[str, str]:
    from include.adapters.git_command import ENVIRONMENT, LOGIN, PASSWORD

    ssh = ENVIRONMENT["GIT_SSH_COMMAND"]
    if key_file := extra.get("key_file"):
        ssh += f" -oIdentitiesOnly=yes -i {shlex.quote(key_file)}"
    if known := extra.get("known_hosts_file"):
        ssh += f" -oUserKnownHostsFile={shlex.quote(known)} -oStrictHostKeyChecking=yes"
    environment = {"GIT_SSH_COMMAND": ssh}
    if connection.password:
        environment |= {LOGIN: connection.login or "git", PASSWORD: connection.password}
    return environment


def _mirrors() -> Path:
    """Bare clones are a cache of this machine's, beside Airflow's own state."""
    home = os.environ.get("AIRFLOW_HOME", "~/airflow")
    return Path(home).expanduser() / "redstart" / "git"
