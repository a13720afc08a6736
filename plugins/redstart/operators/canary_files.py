"""The kept files of one delivery's canary: enough to judge it again, and what was said and decided about it.

| file | what it is |
|---|---|
| pair.npz | baseline and canary, every series |
| settings.json | how it was judged |
| verdict.json, report.html | what the judge found |
| looks.json | the judgements during the soak, and the one at its end |
| refusal.json | what the gate refused, until it goes on |
| approval.json | who let it go on nevertheless, and why |

What needs numpy is imported by the calls: no DAG file may load it, and no page needs it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from redstart.ui.links import canary_file, report_url

if TYPE_CHECKING:
    from include.canary import MetricPairs
    from include.canary.approval import Approval, Refusal
    from include.canary.looks import Look
    from redstart.hooks.installation import ResultStore

PAIR, SETTINGS, VERDICT, REPORT = "pair.npz", "settings.json", "verdict.json", "report.html"
LOOKS, REFUSAL, APPROVAL = "looks.json", "refusal.json", "approval.json"


class CanaryFiles:
    """The files of the canary of `app` in the run `run_key`."""

    def __init__(self, results: ResultStore, app: str, run_key: str) -> None:
        self._results, self._app, self._run_key = results, app, run_key

    def name(self, file: str) -> str:
        """Where `file` is kept, relative to the installation's storage."""
        return canary_file(self._app, self._run_key, file)

    @property
    def report_url(self) -> str:
        return report_url(self.name(REPORT))

    def keep_pairs(self, pairs: MetricPairs) -> None:
        buffer = io.BytesIO()
        pairs.to_npz(buffer)
        self._results.write(self.name(PAIR), buffer.getvalue())

    def find_pairs(self, image: str, baseline_image: str) -> MetricPairs | None:
        """What was kept of these two images' canary.

        A cleared run may carry another commit, or meet another version in production: data of one pair says
        nothing of another.
        """
        pairs = self.kept_pairs()
        if pairs is None:
            return None
        about = pairs.metadata
        return pairs if (about.get("image"), about.get("baseline_image")) == (image, baseline_image) else None

    def kept_pairs(self) -> MetricPairs | None:
        """What was kept last, whichever images it is of."""
        from include.canary import MetricPairs

        if not self._results.has(self.name(PAIR)):
            return None
        return MetricPairs.from_npz(io.BytesIO(self._results.read(self.name(PAIR))))

    def forget_pairs(self) -> None:
        """A soak that was ended goes on: a part of it is no evidence any more."""
        self._results.delete(self.name(PAIR))

    def looks(self, image: str, baseline_image: str) -> tuple[Look, ...]:
        """The history of this pair's judgements, in order of time."""
        from include.canary.looks import looks_from_json

        body = self._find(LOOKS)
        if body is None or (body.get("image"), body.get("baseline_image")) != (image, baseline_image):
            return ()
        return looks_from_json(body)

    def keep_look(self, image: str, baseline_image: str, look: Look) -> tuple[Look, ...]:
        """The history with `look` in it, which is kept; one look a moment, and only of this pair."""
        from include.canary.looks import looks_json, with_look

        history = with_look(self.looks(image, baseline_image), look)
        self.write_json(LOOKS, {**looks_json(history), "image": image, "baseline_image": baseline_image})
        return history

    def refusal(self) -> Refusal | None:
        """What the gate refused last; None where it did not, or has gone on since."""
        from include.canary.approval import LIFTED, refusal_from_json

        body = self._find(REFUSAL)
        return None if body is None or body.get(LIFTED) else refusal_from_json(body)

    def keep_refusal(self, refusal: Refusal) -> None:
        from include.canary.approval import refusal_json

        self.write_json(REFUSAL, refusal_json(refusal))

    def lift_refusal(self) -> None:
        """The gate goes on: there is nothing to approve any more."""
        from include.canary.approval import LIFTED

        if (body := self._find(REFUSAL)) is not None:
            self.write_json(REFUSAL, {**body, LIFTED: True})

    def approval(self) -> Approval | None:
        from include.canary.approval import approval_from_json

        body = self._find(APPROVAL)
        return None if body is None else approval_from_json(body)

    def keep_approval(self, approval: Approval) -> None:
        from include.canary.approval import approval_json

        self.write_json(APPROVAL, approval_json(approval))

    def write_json(self, file: str, body: Mapping[str, Any]) -> None:
        self.write_text(file, json.dumps(body, indent=1))

    def write_text(self, file: str, text: str) -> None:
        self._results.write(self.name(file), text.encode())

    def _find(self, file: str) -> dict[str, Any] | None:
        name = self.name(file)
        return dict(json.loads(self._results.read(name))) if self._results.has(name) else None
