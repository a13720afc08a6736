"""The folder of files that one Envoy watches: each written only when it changes, in one step, under a new version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.localcloud import envoy_config
from include.localcloud.seams import ListenerSpec, TargetGroupSpec


def routes_version(listener_name: str) -> str:
    """The statistic in which Envoy says which version of a listener's routes it uses."""
    name = envoy_config.route_name(listener_name)
    return f"http.{name}.rds.{name}.version_text"


class EnvoyFiles:
    """Not to be shared by threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.groups: dict[str, TargetGroupSpec] = {}
        self._written: dict[Path, str] = {}
        self._version = 0

    def write_bootstrap(self, name: str, admin: tuple[str, int]) -> Path:
        """The file that a new Envoy is started with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "bootstrap.json"
        self._write(path, envoy_config.bootstrap(name, self.folder, admin))
        return path

    def write_groups(self, groups: Sequence[TargetGroupSpec]) -> None:
        """Targets, then the groups themselves: exactly these. A change of targets leaves the groups' file alone."""
        wished = {group.name: group for group in groups}
        for group in groups:
            self._write(envoy_config.endpoints_file(self.folder, group.name), envoy_config.endpoints(group))
        ordered = [wished[name] for name in sorted(wished)]
        self._write(self.folder / "cds.json", envoy_config.clusters(ordered, self.folder))
        for name in self.groups.keys() - wished.keys():
            self._remove(envoy_config.endpoints_file(self.folder, name))
        self.groups = wished

    def write_listeners(self, listeners: Sequence[ListenerSpec]) -> dict[str, str]:
        """Routes, then the listeners themselves: exactly these. Version per listener whose routes changed."""
        versions = {}
        for listener in listeners:
            path = envoy_config.routes_file(self.folder, listener.name)
            if version := self._write(path, envoy_config.routes(listener)):
                versions[listener.name] = version
        self._write(self.folder / "lds.json", envoy_config.listeners(listeners, self.folder))
        return versions

    def _write(self, path: Path, document: dict[str, Any]) -> str:
        text = json.dumps(document, sort_keys=True)
        if self._written.get(path) == text:
            return ""
        self._version += 1
        version = str(self._version)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"version_info": version, **document}) if "resources" in document else text)
        draft.replace(path)
        self._written[path] = text
        return version

    def _remove(self, path: Path) -> None:
        self._written.pop(path, None)
        path.unlink(missing_ok=True)
