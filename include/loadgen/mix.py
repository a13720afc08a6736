"""What is asked for: weighted request templates, and the values that fill their {words}."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any

from include.errors import ConfigError

_WORD = re.compile(r"\{(\w+)\}")
_PATH = re.compile(r"^/[\x21-\x7e]*$")
Values = Sequence[str] | range


@dataclass(frozen=True)
class MixEntry:
    """`path` is a template, asked for `weight` times as often as an entry of weight 1."""

    path: str
    weight: float = 1.0
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Mix:
    """Entries, and per word of their templates what may fill it. ConfigError if the two do not fit."""

    entries: tuple[MixEntry, ...]
    parameters: Mapping[str, Values] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.entries or sum(entry.weight for entry in self.entries) <= 0:
            raise ConfigError("nothing to ask for", source="mix")
        for entry in self.entries:
            if not _PATH.match(entry.path) or entry.weight < 0:
                raise ConfigError("not a path with a weight of 0 or more", source="mix", key=entry.path)
            for word in _WORD.findall(entry.path):
                if not self.parameters.get(word):
                    raise ConfigError(f"nothing is known to fill {{{word}}}", source="mix", key=entry.path)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, source: str) -> Mix:
        """From tables `mix` (template = weight) and `parameters` (word = list, or {from, to} with both ends)."""
        try:
            entries = tuple(MixEntry(path, float(weight)) for path, weight in document["mix"].items())
            parameters = {word: _values(given) for word, given in document.get("parameters", {}).items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"not a mix of requests: {error!r}", source=source) from error
        return cls(entries, parameters)

    def chooser(self, rng: Random) -> Callable[[], tuple[MixEntry, str]]:
        """A function that draws the next request: its entry, and the path with every word filled."""
        heights = list(accumulate(entry.weight for entry in self.entries))
        parts = {entry: _WORD.split(entry.path) for entry in self.entries}

        def choose() -> tuple[MixEntry, str]:
            entry = rng.choices(self.entries, cum_weights=heights)[0]
            pieces = parts[entry]
            if len(pieces) == 1:
                return entry, entry.path
            filled = [
                str(rng.choice(self.parameters[piece])) if place % 2 else piece for place, piece in enumerate(pieces)
            ]
            return entry, "".join(filled)

        return choose


def _values(given: Any) -> Values:
    if isinstance(given, Mapping):
        return range(int(given["from"]), int(given["to"]) + 1)
    return tuple(str(value) for value in given)
