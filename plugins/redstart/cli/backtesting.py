"""`./redstart backtest`: recorded canaries judged again, by other rules or other settings."""

from __future__ import annotations

import json
import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from include.errors import ConfigError, RedstartError
from redstart.cli.judging import ProfileName, caller_path, complain

if TYPE_CHECKING:
    from include.canary.backtest import Comparison, Opinion
    from include.services.backtest import Backtest

_COLOURS = {"go": "green", "no-go": "bold red", "cannot tell yet": "yellow"}
_TOP_CHANGES = 3
_PLAIN_WIDTH = 150  # a pipe or a log has no width of its own
_VERSION = 1


def backtest(
    folder: Annotated[Path, typer.Argument(help="Recorded canaries: folders, *.npz, requests as *.json.")],
    profile: Annotated[
        list[ProfileName] | None, typer.Option("--profile", help="Whose rules judge; may repeat.")
    ] = None,
    settings: Annotated[
        list[Path] | None, typer.Option("--settings", help="Judge by these settings (TOML) too; may repeat.")
    ] = None,
    point_seconds: Annotated[
        float | None,
        typer.Option("--point-seconds", min=0.001, help="The step that floors in --settings are meant for."),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with all of it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of the table.")] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes; as many as processors.")] = None,
) -> None:
    """Judge recorded canaries again and compare; status 0 whatever the verdicts, 2 if a file could not be used."""
    from include.services.backtest import backtest as run
    from include.services.backtest import ways_of

    try:
        ways = ways_of(
            [one.value for one in profile or ()], [caller_path(path) for path in settings or ()], point_seconds
        )
        found = run(caller_path(folder), ways, jobs=jobs, tell=_progress())
        if html:
            _write_page(html, found)
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(json.dumps(_plain(found), allow_nan=False) + "\n")
    else:
        _show(found)
    for problem in found.problems:
        complain(f"{problem.path}: {problem.reason}")
    raise typer.Exit(2 if found.problems else 0)


def _progress() -> Any:
    """A line that rewrites itself, for a person only."""
    if not sys.stderr.isatty():
        return lambda _done, _all: None

    def tell(done: int, number: int) -> None:
        sys.stderr.write(f"\r{done} of {number} canaries" + ("\r\033[K" if done == number else ""))
        sys.stderr.flush()

    return tell


def _write_page(place: Path, found: Backtest) -> None:
    from include.reports.backtest import render_backtest

    problems = [(problem.path, problem.reason) for problem in found.problems]
    page = render_backtest(found.place, found.ways, found.comparisons, problems)
    try:
        caller_path(place).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", source="--html", value=str(place)) from error


def _show(found: Backtest) -> None:
    from include.services.judge_request import printable

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    has_then = any(comparison.then for comparison in found.comparisons)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("canary", "when (UTC)", *(["then"] if has_then else []), *found.ways):
        table.add_column(Text(title), overflow="fold")
    table.add_column("labels that differ", overflow="fold")
    for comparison in found.comparisons:
        opinions = [comparison.again.get(way) for way in found.ways]
        then = [_say_opinion(comparison.then)] if has_then else []
        when = comparison.start.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(
            Text(printable(comparison.name)), when, *then, *map(_say_opinion, opinions), _say_changes(comparison)
        )
    console.print(table)
    console.print(Text(_summary(found)))


def _say_opinion(opinion: Opinion | None) -> Text:
    from include.reports.backtest import say_score

    if opinion is None:
        return Text("–", "dim")
    text = Text(f"{say_score(opinion)} ")
    text.append(opinion.outcome, _COLOURS[opinion.outcome])
    if opinion.changes:
        text.append(f" ({len(opinion.changes)} differ)", "dim")
    return text


def _say_changes(comparison: Comparison) -> Text:
    from include.reports.backtest import say_change
    from include.services.judge_request import printable

    lines = []
    for way, opinion in comparison.again.items():
        if opinion.changes:
            named = ", ".join(printable(say_change(change)) for change in opinion.changes[:_TOP_CHANGES])
            more = len(opinion.changes) - _TOP_CHANGES
            prefix = f"{way}: " if len(comparison.again) > 1 else ""
            lines.append(f"{prefix}{named}" + (f" and {more} more" if more > 0 else ""))
    return Text("\n".join(lines))


def _summary(found: Backtest) -> str:
    changed = sum(comparison.is_changed for comparison in found.comparisons)
    words = f"{len(found.comparisons)} canaries, {changed} with another outcome"
    if found.others:
        words += f"; {found.others} other JSON files passed over"
    if found.problems:
        words += f"; {len(found.problems)} problems"
    return f"{words}; {found.seconds:.1f} s, {found.canaries_per_second:.2g} canaries/s"


def _plain(found: Backtest) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "folder": found.place,
        "ways": list(found.ways),
        "canaries": [_plain_comparison(comparison) for comparison in found.comparisons],
        "problems": [{"path": problem.path, "reason": problem.reason} for problem in found.problems],
        "others": found.others,
        "seconds": round(found.seconds, 3),
        "canaries_per_second": round(found.canaries_per_second, 3),
    }


def _plain_comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "canary": comparison.name,
        "when": comparison.start.isoformat(),
        "metrics": comparison.metrics,
        "then": None if comparison.then is None else _plain_opinion(comparison.then),
        "again": {way: _plain_opinion(opinion) for way, opinion in comparison.again.items()},
    }


def _plain_opinion(opinion: Opinion) -> dict[str, Any]:
    changes = [
        {
            "metric": change.name,
            "tags": dict(change.tags),
            "before": change.before,
            "after": change.after,
            "critical": change.critical,
            "muted": change.muted,
            "weight": change.weight,
            "reason": change.reason,
        }
        for change in opinion.changes
    ]
    return {
        "score": opinion.score,
        "outcome": opinion.outcome,
        "threshold": opinion.threshold,
        "unknown_weight": opinion.unknown_weight,
        "deviating": opinion.deviating,
        "reasons": list(opinion.reasons),
        "changes": changes,
    }
