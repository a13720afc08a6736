"""Which contents (git trees) of an application a canary has stopped: one small file each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.apps.delivery import Delivery
    from redstart.hooks.installation import ResultStore


class StoppedContent:
    """The stopped contents of `app`: neither a branch's event nor the clock tries them again."""

    def __init__(self, results: ResultStore, app: str) -> None:
        self._results, self._app = results, app

    def note(self, delivery: Delivery, summary: Mapping[str, Any]) -> None:
        """Keep that the delivery's content was a no-go, or that it is a go after all; the latest word stands."""
        if summary["go"] and self.find(delivery.tree) is None:
            return
        word = {
            "schema": 1,
            "run": delivery.run_key,
            "commit": delivery.commit,
            "report": summary["report"],
            "go": summary["go"],
        }
        self._results.write(self._name(delivery.tree), json.dumps(word).encode())

    def find(self, tree: str) -> dict[str, Any] | None:
        """The last no-go of this content; None where there was none, or a go since."""
        name = self._name(tree)
        word = dict(json.loads(self._results.read(name))) if self._results.has(name) else None
        return None if word is None or word.get("go") else word

    def _name(self, tree: str) -> str:
        return f"stopped/{self._app}/{tree}.json"
