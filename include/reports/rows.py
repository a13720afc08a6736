"""The metrics of a verdict as cells of the grid, as lines of the list, and as columns for the page's script."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from include.canary.series import MetricPairs
from include.canary.verdict import Label, MetricVerdict, Verdict
from include.canary.words import say_number, say_share, unit_of
from include.reports.facts import keep_units
from include.reports.packing import pack_series

GLYPHS = {
    Label.HOT: "▲",
    Label.COLD: "▼",
    Label.PASS: "",
    Label.NO_DATA: "∅",
    Label.INCONCLUSIVE: "?",
    Label.ERROR: "!",
}
CLASSES = {
    Label.HOT: "hot", Label.COLD: "cold", Label.PASS: "ok",
    Label.NO_DATA: "none", Label.INCONCLUSIVE: "unsure", Label.ERROR: "error",
}  # fmt: skip
# A difference of this many times is one shade more: under 1.2 times, under 1.5, under 2, and from there on.
_SHADES = (1.2, 1.5, 2.0)
_SORTS_LAST = 1e308


def identity(name: str, tags: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What tells a series from the others: names may repeat with other tags."""
    return name, tuple(sorted(tags.items()))


def say_tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))


def title(metric: MetricVerdict) -> str:
    """The name with its tags: unique in a verdict."""
    return f"{metric.name} {{{say_tags(metric.tags)}}}" if metric.tags else metric.name


def say_label(label: Label) -> str:
    return label.replace("_", " ").lower()


def shade(metric: MetricVerdict) -> int:
    """1 to 4 by how many times the canary is above or below the baseline (twice and half are alike).

    Where no share can be said, by how far P(canary > baseline) is from a half.
    """
    if math.isnan(metric.effect):
        certainty = abs(2.0 * metric.superiority - 1.0) if math.isfinite(metric.superiority) else 0.0
        return 1 + sum(certainty >= edge for edge in (0.3, 0.6, 0.9))
    times = 1.0 + metric.effect
    if times <= 0.0:
        return 1 + len(_SHADES)
    return 1 + sum(max(times, 1.0 / times) >= edge for edge in _SHADES)


def cell(metric: MetricVerdict) -> dict[str, str]:
    """What a cell of the grid shows and says without any script."""
    words = f"{title(metric)}, {say_label(metric.label)}"
    marks = [CLASSES[metric.label], "critical" * metric.critical, "muted" * metric.muted]
    if metric.label.is_deviating:
        words += f", {say_share(metric.effect)}"
        marks.append(f"s{shade(metric)}")
    for word, holds in (("critical", metric.critical), ("muted", metric.muted)):
        words += f", {word}" * holds
    return {"classes": " ".join(mark for mark in marks if mark), "glyph": GLYPHS[metric.label], "title": words}


def is_listed(metric: MetricVerdict) -> bool:
    """Whether the list of findings has it; its reason is then there, and not once more among the script's facts."""
    return metric.label is not Label.PASS


def finding(metric: MetricVerdict) -> dict[str, Any]:
    """A line of the list that paper and browsers without script show."""
    is_known = metric.label.is_deviating
    return {
        **cell(metric),
        "name": title(metric),
        "label": say_label(metric.label),
        "share": say_share(metric.effect) if is_known else "",
        "reason": keep_units(metric.reason),
    }


def _number(value: float, digits: int = 6) -> float | None:
    """JSON has no NaN; infinities sort as what is larger than all else."""
    if math.isnan(value):
        return None
    return math.copysign(_SORTS_LAST, value) if math.isinf(value) else float(f"{value:.{digits}g}")


def _line(metric: MetricVerdict) -> dict[str, Any]:
    unit = unit_of(metric.name)
    is_measured = metric.label not in {Label.NO_DATA, Label.ERROR}
    low, high = metric.interval
    flags = (metric.critical, metric.muted, metric.fails, metric.stops)
    return {
        "name": metric.name,
        "tags": say_tags(metric.tags),
        "label": metric.label.value,
        "groups": list(metric.groups),
        "reason": None if is_listed(metric) else keep_units(metric.reason),
        "test": metric.test,
        "kind": metric.kind,
        "effect": _number(metric.effect),
        "share": say_share(metric.effect) if is_measured else "–",
        "baseline": _number(metric.baseline),
        "old": say_number(metric.baseline, unit) if is_measured else "–",
        "canary": _number(metric.canary),
        "new": say_number(metric.canary, unit) if is_measured else "–",
        "estimate": _number(metric.estimate),
        "low": _number(low),
        "high": _number(high),
        "superiority": _number(metric.superiority, 4),
        "chance": _number(metric.chance, 3),
        "points": metric.points,
        "effective": _number(metric.effective_points, 4),
        "weight": _number(metric.weight, 4),
        "flags": sum(2**place for place, holds in enumerate(flags) if holds),
        "unit": unit,
    }


def _infinite(pairs: MetricPairs, rows: list[int]) -> dict[int, list[int]]:
    """How many points of either side no chart can show, for the metrics that have any."""
    counts = [np.isinf(side[rows]).sum(axis=1) if rows else np.zeros(0) for side in (pairs.baseline, pairs.canary)]
    return {place: [int(old), int(new)] for place, (old, new) in enumerate(zip(*counts, strict=True)) if old or new}


def page_data(verdict: Verdict, pairs: MetricPairs) -> dict[str, Any]:
    """Everything for the page's script: a column per fact of the metrics, and both series of each.

    Raises KeyError for a metric of the verdict that is not among the pairs.
    """
    places = {identity(name, pairs.tags_of(row)): row for row, name in enumerate(pairs.names)}
    rows = [places[identity(metric.name, metric.tags)] for metric in verdict.metrics]
    lines = [_line(metric) for metric in verdict.metrics]
    return {
        "columns": {key: [line[key] for line in lines] for key in (lines[0] if lines else {"name": []})},
        "points": pairs.points,
        "step": pairs.step_seconds,
        "start": pairs.start.timestamp(),
        "infinite": _infinite(pairs, rows),
        **pack_series(pairs.baseline[rows], pairs.canary[rows]),
    }
