"""The canary report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from include.canary.gate import GateDecision
from include.canary.series import MetricPairs
from include.canary.verdict import Label, MetricVerdict, Verdict
from include.canary.words import say_number, say_share, unit_of
from include.reports.packing import embed_json, pack_series

_TEMPLATES = Path(__file__).parent / "templates"
_GLYPHS = {
    Label.HOT: "▲",
    Label.COLD: "▼",
    Label.PASS: "",
    Label.NO_DATA: "?",
    Label.INCONCLUSIVE: "?",
    Label.ERROR: "!",
}
_CLASSES = {
    Label.HOT: "hot", Label.COLD: "cold", Label.PASS: "ok",
    Label.NO_DATA: "none", Label.INCONCLUSIVE: "none", Label.ERROR: "error",
}  # fmt: skip
_LEGEND = (
    (Label.PASS, "alike"), (Label.HOT, "hot: higher in the canary"), (Label.COLD, "cold: lower in the canary"),
    (Label.INCONCLUSIVE, "too little data"), (Label.NO_DATA, "no data"), (Label.ERROR, "store failed"),
)  # fmt: skip
_FACT_NAMES = {"image": "Canary image"}
_SOAK_MOMENTS = {"soak_start", "soak_end"}
_HEADLINES = {"go": "Go", "no-go": "No-go", "cannot tell yet": "Cannot tell yet"}


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _bind(text: str) -> str:
    """Keep a number and its unit on one line."""
    return re.sub(r"(?<=\d) (?=(?:%|ms|s|B|[KMGT]iB)(?![A-Za-z]))", "\u00a0", text)


def _say_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _say_span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes), f"{rest} s" * bool(rest)]
    return " ".join(part for part in parts if part) or "0 s"


def _facts(verdict: Verdict, context: Mapping[str, str]) -> list[tuple[str, str]]:
    """What was compared and when; `context` first, in its own order, then what came along with the series.

    The moments of the soak are left out: from, to and its length say the same of the points that were judged.
    """
    end = verdict.start + timedelta(seconds=verdict.points * verdict.step_seconds)
    known = {**context, **{key: value for key, value in verdict.metadata.items() if key not in context}}
    facts = [
        (_FACT_NAMES.get(key, key.replace("_", " ").capitalize()), str(value))
        for key, value in known.items()
        if value and key not in _SOAK_MOMENTS
    ]
    facts.append(("From", _say_time(verdict.start)))
    facts.append(("To", _say_time(end)))
    span = _say_span(verdict.points * verdict.step_seconds)
    facts.append(("Soak", f"{span}, {verdict.points} points of {_say_span(verdict.step_seconds)}"))
    return facts


def _cell(metric: MetricVerdict) -> dict[str, str]:
    """What a cell of the grid shows and says without any script."""
    title = f"{metric.name}, {metric.label.replace('_', ' ').lower()}"
    if metric.label.is_deviating:
        title += f", {say_share(metric.effect)}"
    if metric.critical:
        title += ", critical"
    strength = "strong" if metric.label.is_deviating and abs(metric.effect) >= 1.0 else ""
    marks = (_CLASSES[metric.label], strength, "critical" * metric.critical, "muted" * metric.muted)
    return {"classes": " ".join(mark for mark in marks if mark), "glyph": _GLYPHS[metric.label], "title": title}


def _row(metric: MetricVerdict) -> list[Any]:
    """One metric for the page's script: name, label, group, reason, share, both sides, chance, weight, flags, unit."""
    unit = unit_of(metric.name)
    effect = metric.effect if math.isfinite(metric.effect) else None
    is_measured = metric.label not in {Label.NO_DATA, Label.ERROR}
    return [
        metric.name,
        metric.label.value,
        ", ".join(metric.groups),
        _bind(metric.reason),
        None if effect is None else round(effect, 4),
        say_share(metric.effect) if is_measured else "–",
        say_number(metric.baseline, unit) if is_measured else "–",
        say_number(metric.canary, unit) if is_measured else "–",
        f"{metric.chance:.2g}" if math.isfinite(metric.chance) else "–",
        round(metric.weight, 3),
        int(metric.critical) + 2 * int(metric.muted),
        unit,
    ]


def _series(verdict: Verdict, pairs: MetricPairs) -> dict[str, Any]:
    places = {name: place for place, name in enumerate(pairs.names)}
    rows = np.array([places[metric.name] for metric in verdict.metrics], dtype=np.intp)
    packed = pack_series(pairs.baseline[rows], pairs.canary[rows])
    return {
        "rows": [_row(metric) for metric in verdict.metrics],
        "points": verdict.points,
        "step": verdict.step_seconds,
        "start": round(verdict.start.timestamp()),
        **packed,
    }


def render_canary_report(
    verdict: Verdict, pairs: MetricPairs, decision: GateDecision, context: Mapping[str, str]
) -> str:
    """The page as text: score and why, facts, group scores, the grid of all metrics, both series of each.

    `pairs` are those that were judged (every metric of the verdict is among them; KeyError otherwise). `context`
    are facts to show, in order (application, commit, images, region ...); it is data, never markup. Grid, facts and
    reasons show without script; the curves need it. Times are UTC.
    """
    counts = verdict.counts
    legend = [
        {"classes": _CLASSES[label], "glyph": _GLYPHS[label], "words": words, "count": counts[label]}
        for label, words in _LEGEND
        if counts[label] or label in {Label.PASS, Label.HOT, Label.COLD}
    ]
    muted = sum(metric.muted for metric in verdict.metrics)
    if muted:
        legend.append({"classes": "ok muted", "glyph": "", "words": "muted: shown, not scored", "count": muted})
    page = _environment().get_template("canary.html.j2")
    application = context.get("application", "")
    return page.render(
        title=f"Canary {application} {verdict.score:g}".replace("  ", " "),
        application=application,
        headline=_HEADLINES[decision.outcome],
        outcome=decision.outcome.split()[0],
        has_score=verdict.classification != "unknown",
        score=f"{verdict.score:g}",
        threshold=f"{verdict.thresholds.go:g}",
        reasons=[_bind(reason) for reason in decision.reasons],
        unknown_weight=f"{verdict.unknown_weight:g}",
        facts=_facts(verdict, context),
        groups=verdict.groups,
        legend=legend,
        total=len(verdict.metrics),
        cells=[_cell(metric) for metric in verdict.metrics],
        data=embed_json(_series(verdict, pairs)),
    )
