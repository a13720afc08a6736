"""The table of endpoints and how one is answered: layer by layer, each layer's backing services at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from api.dependencies import Dependency
from api.metrics import RequestTally
from api.pages import build_page, render_page
from api.titles import GENRES, Title, find_title

PLACEHOLDER = "{}"


class NotFound(Exception):
    """No such page, or no such thing on it."""


class Endpoint:
    """One row of the table; `layers` are asked one after the other."""

    def __init__(self, name: str, row: Mapping[str, Any], dependencies: Mapping[str, Dependency]) -> None:
        self.name = name
        self.path = str(row["path"])
        self.items = int(row["items"])
        self.layers = [[dependencies[one] for one in layer] for layer in row["layers"]]
        self.tally = RequestTally()
        self.parameter = self.path.partition("{")[2].partition("}")[0]

    @property
    def key(self) -> str:
        return self.path.replace(f"{{{self.parameter}}}", PLACEHOLDER) if self.parameter else self.path


class Endpoints:
    """All endpoints and backing services of the settings folder."""

    def __init__(self, settings: Path, chance: Random) -> None:
        rows = tomllib.loads((settings / "dependencies.toml").read_text("utf-8"))
        self.dependencies = {name: Dependency(name, row, chance) for name, row in rows.items()}
        table = tomllib.loads((settings / "endpoints.toml").read_text("utf-8"))
        self.all = [Endpoint(name, row, self.dependencies) for name, row in table.items()]
        self._by_key = {endpoint.key: endpoint for endpoint in self.all}
        self._numbers = count(chance.randrange(10_000))

    def find(self, path: str) -> tuple[Endpoint, str]:
        """The endpoint of a path, and what stands in place of its parameter. NotFound where there is none."""
        path = path.partition("?")[0]
        endpoint = self._by_key.get(path)
        if endpoint is not None:
            return endpoint, ""
        parts = path.split("/")
        argument = parts[2] if len(parts) > 2 else ""
        endpoint = self._by_key.get("/".join([*parts[:2], PLACEHOLDER, *parts[3:]])) if argument else None
        if endpoint is None:
            raise NotFound(path)
        return endpoint, argument

    async def answer(self, endpoint: Endpoint, argument: str) -> bytes:
        """The body of the page. NotFound for what the catalogue does not have."""
        title, start = self._read_argument(endpoint, argument)
        missing = await ask_layers(endpoint.layers, endpoint.items)
        return render_page(build_page(endpoint.name, start, endpoint.items, title, missing))

    def _read_argument(self, endpoint: Endpoint, argument: str) -> tuple[Title | None, int]:
        number = int(argument) if argument.isdecimal() and len(argument) < 12 else None
        if endpoint.parameter == "title":
            title = find_title(number or 0)
            if title is None:
                raise NotFound(argument)
            return title, int(str(title["id"]))
        if endpoint.parameter == "genre":
            if argument not in GENRES:
                raise NotFound(argument)
            return None, GENRES.index(argument) + next(self._numbers)
        if endpoint.parameter and number is None:
            raise NotFound(argument)
        return None, (number or 0) + next(self._numbers)


async def ask_layers(layers: Sequence[Sequence[Dependency]], items: int) -> list[str]:
    """Ask layer after layer; the names of the backing services that did not answer."""
    missing: list[str] = []
    for layer in layers:
        under_way = [dependency.fetch(items) for dependency in layer]
        answers = [await one for one in under_way]
        missing += [dependency.name for dependency, is_there in zip(layer, answers, strict=True) if not is_there]
    return missing
