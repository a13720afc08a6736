"""The terminal picture of a run: rich tables for a person, plain lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from redstart.cli.regions import clock
from redstart.cli.story import TITLES, WORDS, RunStory, Stage

COLOURS = {
    "done": "green",
    "running": "cyan",
    "soaking": "cyan",
    "watching": "cyan",
    "failed": "bold red",
    "not reached": "dim",
    "skipped": "dim",
    "waiting": "dim",
    "queued": "dim",
    "retrying": "yellow",
}
MARKS = {"done": "✓", "running": "▶", "soaking": "▶", "watching": "▶", "failed": "✗", "retrying": "↻"}
WIDTHS = (1, max(map(len, TITLES.values())), max(map(len, WORDS.values())), 7)
NOTE_WIDTH = 60
ROOMY_WIDTH = 112
PLAIN_WIDTH = 150  # a pipe or a log has no width of its own


def open_console() -> Console:
    """Where the command line says things."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


class Screen:
    """Shows the latest picture; without a terminal prints a line whenever a stage's state changes.

    The first of several runs is shown in full, the others in a line each: together they fit a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._said: dict[tuple[str, str], tuple[str, str]] = {}

    def __enter__(self) -> Screen:
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, transient=False)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    def show(self, runs: Sequence[RunStory], counters: Mapping[str, Any] | None) -> None:
        if self._live is not None:
            self._live.update(picture(runs, counters))
            return
        for run in runs:
            for stage in run.stages:
                self._say_change(run.dag_id, stage)

    def _say_change(self, dag_id: str, stage: Stage) -> None:
        note = stage.note if stage.state == "done" or not stage.note.endswith("left") else ""
        said = (stage.state, stage.why or note)
        is_passing = stage.state in {"waiting", "queued", "running"} and not stage.why
        if is_passing or self._said.get((dag_id, stage.title)) == said:
            return
        self._said[dag_id, stage.title] = said
        took = f" ({clock(stage.seconds)})" if stage.seconds is not None and stage.state != "soaking" else ""
        self.console.print(
            f"{MARKS.get(stage.state, '·')} {dag_id}: {stage.title}: {stage.state}{took}{f' - {note}' if note else ''}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def picture(runs: Sequence[RunStory], counters: Mapping[str, Any] | None) -> RenderableType:
    first, *others = runs
    table = Table(box=None, pad_edge=False, show_header=False, expand=False)
    for width in WIDTHS:  # fixed, so that the picture stands still while states change
        table.add_column(min_width=width, max_width=width, no_wrap=True)
    table.add_column(max_width=NOTE_WIDTH)
    for stage in first.stages:
        colour = "yellow" if stage.why else COLOURS.get(stage.state, "")
        took = clock(stage.seconds) if stage.seconds is not None else ""
        table.add_row(
            Text(MARKS.get(stage.state, "·"), colour),
            Text(stage.title, "dim" if colour == "dim" else ""),
            Text(stage.state, colour),
            Text(took, "dim"),
            Text(stage.note, "yellow" if stage.why else ""),
        )
    lines: list[RenderableType] = [
        _line(f"{first.dag_id}  {first.about}", "bold"),
        _line(first.run_id, "dim"),
        Text(),
        table,
        Text(),
    ]
    lines += [_line(f"{run.dag_id}  {run.about}: {run.now}", "cyan") for run in others]
    return Group(*lines, traffic_line(counters))


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def traffic_line(counters: Mapping[str, Any] | None) -> Text:
    """Requests served and failed, as the generator counted them."""
    if not counters:
        return Text("traffic: not answering", "yellow")
    total = counters["total"]
    line = Text(f"traffic: {total['sent']:,} requests, ")
    line.append(f"{total['failed']:,} failed", "bold red" if total["failed"] else "green")
    line.append(f", p50 {total['latency_p50_ms']:.0f} ms, p99 {total['latency_p99_ms']:.0f} ms")
    return line


def fleet_table(rows: Sequence[Mapping[str, str]], width: int = ROOMY_WIDTH) -> Table:
    """What runs where: one row per group. Where it is narrow the version goes, which the commit says as well."""
    table = Table(title="What runs where", title_justify="left", title_style="bold", box=None, pad_edge=False)
    columns = ("region", "group", "state", "version", "commit", "image", "instances", "traffic")
    for column in columns if width >= ROOMY_WIDTH else (name for name in columns if name != "version"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(row.get(column, "")) for column in (str(c.header) for c in table.columns)))
    return table


def lock_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """Who has which region: one row per region of every environment."""
    table = Table(title="Locks and holds", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in ("environment", "region", "lock", "until", "why", "hold", "last push"):
        table.add_column(column, no_wrap=column not in ("why", "last push"))
    for row in rows:
        table.add_row(*(Text(row[str(column.header)]) for column in table.columns))
    return table
