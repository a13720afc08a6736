"""Where a builder's result arrives: the object whose address was in its user data."""

from __future__ import annotations

import json
from typing import Protocol

from include.bake import BuildResult, read_result


class Objects(Protocol):
    """The part of an artifact store that is needed here."""

    def read(self, key: str) -> bytes | None: ...

    def delete(self, key: str) -> None: ...


class BuilderReport:
    """A bake's result box over an artifact store."""

    def __init__(self, objects: Objects, key: str) -> None:
        self._objects, self._key = objects, key

    def read(self) -> BuildResult | None:
        """What the builder said; None while it has said nothing. Nonsense is a failed build that shows it."""
        body = self._objects.read(self._key)
        if body is None:
            return None
        try:
            return BuildResult(*read_result(json.loads(body)))
        except (ValueError, AttributeError):
            return BuildResult(False, f"the builder's report is not readable: {body[:200]!r}")

    def clear(self) -> None:
        self._objects.delete(self._key)
