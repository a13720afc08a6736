"""A canary's data, judged: how, what the gate makes of it, and what is kept of it.

Judge and renderer are imported by the calls: they need numpy and scipy, which no DAG file may load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.apps import App, read_fragment
from include.apps.delivery import Delivery
from redstart.operators.canary_files import PAIR, REPORT, SETTINGS, VERDICT, CanaryFiles

if TYPE_CHECKING:
    from include.canary import GateDecision, JudgeConfig, MetricPairs, Verdict
    from include.canary.looks import Look

# What pairs carry along, beside the images and groups: the window that they are of, and how many looks its soak had.
SOAK_START, SOAK_END, JUDGED_UNTIL, LOOKS_PLANNED = "soak_start", "soak_end", "judged_until", "looks_planned"


@dataclass(frozen=True)
class Judgement:
    """What was judged, by which settings, and what came of it."""

    pairs: MetricPairs
    config: JudgeConfig
    verdict: Verdict
    decision: GateDecision


class CanaryJudge:
    """Judges the canary of one delivery; `app` says how, `evidence` with which evidence setting."""

    def __init__(self, files: CanaryFiles, app: App, delivery: Delivery, evidence: str) -> None:
        self.files = files
        self._app, self._delivery, self._evidence = app, delivery, evidence

    def judge(self, pairs: MetricPairs) -> Judgement:
        """Judge by today's settings; a window that ends before its soak does, as one of several looks."""
        from include.canary import Thresholds, decide
        from include.canary.judge import judge
        from include.canary.looks import for_look

        prod = self._app.prod
        config = judge_settings(self._app).with_evidence(self._evidence)
        # A long soak is read at a coarser step than the one that the settings are written for.
        config = config.with_point(pairs.step_seconds, written_for_seconds=prod.canary.series_period_seconds)
        if not is_whole(pairs):
            config = for_look(config, int(pairs.metadata.get(LOOKS_PLANNED, 1)))
        thresholds = Thresholds(go=prod.gate_threshold, marginal=min(75.0, prod.gate_threshold))
        verdict = judge(config, thresholds, pairs)
        return Judgement(pairs, config, verdict, decide(verdict, prod.gate_threshold))

    def conclude(self, judgement: Judgement) -> GateDecision:
        """The gate's decision on what a soak left behind, its end or an early stop."""
        from include.canary.gate import end_early

        about = judgement.pairs.metadata
        if is_whole(judgement.pairs):
            return judgement.decision
        start, end, until = (datetime.fromisoformat(about[key]) for key in (SOAK_START, SOAK_END, JUDGED_UNTIL))
        return end_early(judgement.decision, until - start, end - start)

    def keep(self, judgement: Judgement, decision: GateDecision, history: Sequence[Look]) -> None:
        """Write verdict, settings and report, over any earlier ones."""
        from include.canary import verdict_json
        from include.canary.recording import settings_json
        from include.reports.canary import render_canary_report

        verdict = judgement.verdict
        self.files.write_json(VERDICT, verdict_json(verdict))
        self.files.write_json(SETTINGS, settings_json(judgement.config, verdict.thresholds))
        page = render_canary_report(verdict, judgement.pairs, decision, self._context(), history)
        self.files.write_text(REPORT, page)

    def summary(self, verdict: Verdict | None, decision: GateDecision) -> dict[str, Any]:
        """What goes into XCom: small, versioned, with the way to the rest. Without a verdict nothing was judged."""
        metrics = () if verdict is None else verdict.metrics
        counts = {} if verdict is None else verdict.counts
        return {
            "schema": 1,
            "score": 0.0 if verdict is None else round(verdict.score, 2),
            "classification": "unknown" if verdict is None else verdict.classification,
            "outcome": decision.outcome,
            "go": decision.go,
            "reasons": list(decision.reasons),
            "judged": sum(metric.label.is_judged and not metric.muted for metric in metrics),
            "metrics": len(metrics),
            "counts": {str(label): count for label, count in counts.items() if count},
            "pairs": self.files.name(PAIR),
            "verdict": self.files.name(VERDICT),
            "report": self.files.report_url,
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


def is_whole(pairs: MetricPairs) -> bool:
    """Whether the pairs are of a whole soak, rather than of one that was stopped early, or still goes on."""
    about = pairs.metadata
    return about.get(JUDGED_UNTIL, about.get(SOAK_END)) == about.get(SOAK_END)


def judge_settings(app: App) -> JudgeConfig:
    """How the application's metrics are judged; ConfigError names file, key and value."""
    from include.canary.config import parse_judge_config

    text, source = read_fragment(app.prod.canary.judge_file)
    return parse_judge_config(text, source=source)


def stat_by_kind(config: JudgeConfig) -> Callable[[str], str]:
    """What a group's instances make together: events add up, levels are averaged."""

    def stat_of(name: str) -> str:
        return "Sum" if config.rules[config.rule_index(name)].kind == "count" else "Average"

    return stat_of


def sentence_of(summary: Mapping[str, Any]) -> str:
    """The judgement in a line."""
    return (
        f"{summary['outcome']}: score {summary['score']:g}, {summary['judged']} of {summary['metrics']} metrics judged"
    )
