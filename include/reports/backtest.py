"""The page of a backtest: recorded canaries, judged again, beside what was said then. One HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from include.canary.backtest import Change, Comparison, Opinion, outcome_moves
from include.canary.gate import Outcome

_TEMPLATES = Path(__file__).parent / "templates"
_OUTCOMES: tuple[Outcome, ...] = ("go", "no-go", "cannot tell yet")
_TOP_CHANGES = 12


def say_change(change: Change) -> str:
    """A metric and its labels: `http.5xx PASS → HOT`."""
    tags = ", ".join(f"{key}={value}" for key, value in change.tags.items())
    before, after = (label.replace("_", " ") if label else "absent" for label in (change.before, change.after))
    return f"{change.name}{f' {{{tags}}}' if tags else ''} {before} → {after}"


def say_score(opinion: Opinion | None) -> str:
    if opinion is None:
        return "–"
    return "no score" if opinion.score is None else f"{opinion.score:g}"


def _cell(opinion: Opinion | None, reference: Opinion | None) -> dict[str, Any]:
    if opinion is None:
        return {"score": "–", "order": -1, "outcome": "", "tone": "", "changes": 0, "differs": False, "reasons": ()}
    return {
        "score": say_score(opinion),
        "order": -1 if opinion.score is None else opinion.score,
        "outcome": opinion.outcome,
        "tone": opinion.outcome.split()[0],
        "changes": len(opinion.changes),
        "differs": reference is not None and opinion.outcome != reference.outcome,
        "reasons": opinion.reasons,
    }


def _row(comparison: Comparison, ways: Sequence[str]) -> dict[str, Any]:
    opinions = [(way, comparison.again.get(way)) for way in ways]
    return {
        "name": comparison.name,
        "when": comparison.start.astimezone(UTC).strftime("%Y-%m-%d %H:%M"),
        "metrics": comparison.metrics,
        "then": _cell(comparison.then, None),
        "cells": [_cell(opinion, comparison.reference) for _, opinion in opinions],
        "is_changed": comparison.is_changed,
        "has_changes": any(opinion and opinion.changes for _, opinion in opinions),
        "changes": [
            {
                "way": way,
                "top": [(say_change(one), one.reason, one.critical) for one in opinion.changes[:_TOP_CHANGES]],
                "more": max(len(opinion.changes) - _TOP_CHANGES, 0),
            }
            for way, opinion in opinions
            if opinion and opinion.changes
        ],
    }


def _moves(comparisons: tuple[Comparison, ...], way: str) -> dict[str, Any]:
    moves = outcome_moves(comparisons, way)
    lines = [(before, [moves.get((before, after), 0) for after in _OUTCOMES]) for before in _OUTCOMES]
    kept = sum(moves.get((outcome, outcome), 0) for outcome in _OUTCOMES)
    return {"way": way, "lines": lines, "kept": kept, "all": sum(moves.values())}


def render_backtest(
    place: str,
    ways: Sequence[str],
    comparisons: tuple[Comparison, ...],
    problems: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as text; `problems` are (path, reason). Names, reasons and paths are data, never markup.

    Everything shows without script; sorting and the filter need it. Times are UTC.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("backtest.html.j2").render(
        place=place,
        ways=ways,
        has_then=any(comparison.then for comparison in comparisons),
        total=len(comparisons),
        changed=sum(comparison.is_changed for comparison in comparisons),
        outcomes=_OUTCOMES,
        moves=[_moves(comparisons, way) for way in ways],
        rows=[_row(comparison, ways) for comparison in comparisons],
        problems=problems,
    )
