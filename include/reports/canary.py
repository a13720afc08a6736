"""The canary report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.canary.gate import GateDecision
from include.canary.series import MetricPairs
from include.canary.verdict import GroupScore, Label, Thresholds, Verdict
from include.reports.assets import environment, library, script, styles
from include.reports.facts import facts, keep_units, lead
from include.reports.packing import embed_json
from include.reports.rows import CLASSES, GLYPHS, cell, finding, is_listed, page_data
from include.reports.trend import trend

if TYPE_CHECKING:
    from include.canary.looks import Look

_LEGEND = (
    (Label.PASS, "alike"), (Label.HOT, "hot, higher"), (Label.COLD, "cold, lower"),
    (Label.INCONCLUSIVE, "too little data"), (Label.NO_DATA, "no data"), (Label.ERROR, "store failed"),
)  # fmt: skip
_HEADLINES = {"go": "Go", "no-go": "No-go", "cannot tell yet": "Cannot tell yet"}
_RING = 2.0 * math.pi * 52.0  # the circumference of the dial in the template


def _legend(verdict: Verdict) -> list[dict[str, Any]]:
    """What the colours mean and how many metrics have each, muted ones too: the cells that can be counted."""
    shown = [metric.label for metric in verdict.metrics]
    return [
        {
            "label": label.value,
            "classes": f"{CLASSES[label]} s3",
            "glyph": GLYPHS[label],
            "words": words,
            "count": count,
        }
        for label, words in _LEGEND
        if (count := shown.count(label)) or label in {Label.PASS, Label.HOT, Label.COLD}
    ]


def _say_score(score: float) -> str:
    """Two decimals, never rounded up: 94.999 is not 95."""
    return f"{math.floor(score * 100.0 + 1e-6) / 100.0:g}"


def _dial(score: float, thresholds: Thresholds, *, has_score: bool) -> dict[str, str]:
    """The score as an arc, and the threshold as a tick on it."""
    return {
        "whole": f"{_RING:.2f}",
        "arc": f"{_RING * score / 100.0 if has_score else 0.0:.2f}",
        "turn": f"{3.6 * thresholds.go:.2f}",
    }


def _group(group: GroupScore, thresholds: Thresholds) -> dict[str, Any]:
    score = group.score
    tone = "none" if score is None else "go" if score >= thresholds.go else "bad"
    if score is not None and thresholds.marginal <= score < thresholds.go:
        tone = "wait"
    return {
        "name": group.name,
        "score": None if score is None else f"{score:.4g}",
        "width": f"{score or 0.0:.2f}",
        "tone": tone,
        "weight": f"{group.weight:.3g}",
        "unknown": f"{group.unknown_weight:.3g}" if group.unknown_weight else "",
        "deviating": group.deviating,
        "metrics": group.metrics,
    }


def _notes(verdict: Verdict, reasons: Sequence[str]) -> list[tuple[str, str]]:
    """Advice, the verdict's own reason and warnings, unless a reason of the gate says the same already."""
    told = " ".join(reasons)
    found = [("Why", verdict.reason), ("Advice", verdict.advice)]
    found += [("Warning", warning) for warning in verdict.warnings]
    return [(kind, keep_units(text)) for kind, text in found if text and text not in told]


def render_canary_report(
    verdict: Verdict,
    pairs: MetricPairs,
    decision: GateDecision,
    context: Mapping[str, str],
    history: Sequence[Look] = (),
) -> str:
    """The page as text: score and why, facts, group scores, looks, the grid and table of all metrics, both series.

    `pairs` are those that were judged (every metric of the verdict is among them, by name and tags; KeyError
    otherwise). `context` are facts to show, in order (application, commit, images, region ...); it is data, never
    markup. `history` are the looks during the soak, in any order. Score, reasons, facts, grid and the list of what
    is not alike show without script; curves, distributions, search and the table need it. Times are UTC.
    """
    application = context.get("application", "")
    has_score = verdict.classification != "unknown"
    return (
        environment()
        .get_template("canary.html.j2")
        .render(
            title=f"Canary {application} {verdict.score:g}".replace("  ", " "),
            styles=styles(),
            library=library(),
            script=script(),
            application=application,
            headline=_HEADLINES[decision.outcome],
            outcome=decision.outcome.split()[0],
            has_score=has_score,
            score=_say_score(verdict.score),
            threshold=f"{verdict.thresholds.go:g}",
            dial=_dial(verdict.score, verdict.thresholds, has_score=has_score),
            reasons=[keep_units(reason) for reason in decision.reasons],
            notes=_notes(verdict, decision.reasons),
            unknown_weight=f"{verdict.unknown_weight:.3g}",
            facts=(known := facts(verdict, context)),
            lead=lead(known),
            groups=[_group(group, verdict.thresholds) for group in verdict.groups],
            trend=trend(history, go=verdict.thresholds.go, marginal=verdict.thresholds.marginal),
            legend=_legend(verdict),
            has_muted=any(metric.muted for metric in verdict.metrics),
            total=len(verdict.metrics),
            cells=[cell(metric) for metric in verdict.metrics],
            findings=[finding(metric) for metric in verdict.metrics if is_listed(metric)],
            data=embed_json(page_data(verdict, pairs)),
        )
    )
