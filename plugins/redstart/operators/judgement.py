"""A canary's data, judged and kept: pair.npz is the evidence, verdict.json and report.html are made from it.

Judge and renderer are imported by the calls: they need numpy and scipy, which no DAG file may load.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.apps import App, read_fragment
from include.apps.delivery import Delivery
from redstart.ui.links import canary_file, report_url

if TYPE_CHECKING:
    from include.canary import GateDecision, JudgeConfig, MetricPairs, Verdict
    from redstart.hooks.installation import ResultStore

PAIR, VERDICT, REPORT = "pair.npz", "verdict.json", "report.html"


class CanaryRecord:
    """The kept files of one delivery's canary; `app` says how it is judged, `evidence` with which evidence setting."""

    def __init__(self, results: ResultStore, app: App, delivery: Delivery, evidence: str) -> None:
        self._results, self._app, self._delivery, self._evidence = results, app, delivery, evidence

    def keep_pairs(self, pairs: MetricPairs) -> None:
        buffer = io.BytesIO()
        pairs.to_npz(buffer)
        self._results.write(self._name(PAIR), buffer.getvalue())

    def find_pairs(self, image: str) -> MetricPairs | None:
        """What was kept of a canary of `image`. A cleared run may carry another commit: its data says nothing of it."""
        from include.canary import MetricPairs

        if not self._results.has(self._name(PAIR)):
            return None
        pairs = MetricPairs.from_npz(io.BytesIO(self._results.read(self._name(PAIR))))
        return pairs if pairs.metadata.get("image") == image else None

    def judge(self, pairs: MetricPairs) -> tuple[Verdict, GateDecision]:
        """Judge by today's settings; verdict and report are kept, over any earlier ones."""
        from include.canary import Thresholds, decide, verdict_json
        from include.canary.judge import judge
        from include.reports.canary import render_canary_report

        prod = self._app.prod
        config = judge_settings(self._app).with_evidence(self._evidence)
        # A long soak is read at a coarser step than the one that the settings are written for.
        config = config.with_point(pairs.step_seconds, written_for_seconds=prod.canary.series_period_seconds)
        thresholds = Thresholds(go=prod.gate_threshold, marginal=min(75.0, prod.gate_threshold))
        verdict = judge(config, thresholds, pairs)
        decision = decide(verdict, prod.gate_threshold)
        self._results.write(self._name(VERDICT), json.dumps(verdict_json(verdict), indent=1).encode())
        page = render_canary_report(verdict, pairs, decision, self._context())
        self._results.write(self._name(REPORT), page.encode())
        return verdict, decision

    def summary(self, verdict: Verdict, decision: GateDecision) -> dict[str, Any]:
        """What goes into XCom: small, versioned, with the way to the rest."""
        judged = sum(metric.label.is_judged and not metric.muted for metric in verdict.metrics)
        return {
            "schema": 1,
            "score": round(verdict.score, 2),
            "classification": verdict.classification,
            "outcome": decision.outcome,
            "go": decision.go,
            "reasons": list(decision.reasons),
            "judged": judged,
            "metrics": len(verdict.metrics),
            "counts": {str(label): count for label, count in verdict.counts.items() if count},
            "pairs": self._name(PAIR),
            "verdict": self._name(VERDICT),
            "report": report_url(self._name(REPORT)),
        }

    def _context(self) -> dict[str, str]:
        delivery = self._delivery
        return {
            "application": delivery.app,
            "version": delivery.version,
            "commit": delivery.commit,
            "subject": delivery.subject,
            "author": delivery.author,
            "run": delivery.run_key,
        }

    def _name(self, name: str) -> str:
        return canary_file(self._app.name, self._delivery.run_key, name)


def judge_settings(app: App) -> JudgeConfig:
    """How the application's metrics are judged; ConfigError names file, key and value."""
    from include.canary.config import parse_judge_config

    text, source = read_fragment(app.prod.canary.judge_file)
    return parse_judge_config(text, source=source)


class StoppedContent:
    """Which contents (git trees) of an application a canary has stopped: one small file each."""

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


def sentence_of(summary: Mapping[str, Any]) -> str:
    """The judgement in a line."""
    return (
        f"{summary['outcome']}: score {summary['score']:g}, {summary['judged']} of {summary['metrics']} metrics judged"
    )
