"""`./redstart candidates`: which versions may be released, what they passed, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from include.apps import App, ReleaseFlow, app_names, load_app
from include.errors import ConfigError, RedstartError
from include.ledger.candidates import TOLD_OF_CANDIDATES, Candidate, candidates, plain, standing
from redstart.cli.connected import open_ledger
from redstart.cli.judging import complain
from redstart.cli.screen import ROOMY_WIDTH, open_console

if TYPE_CHECKING:
    from include.ledger import Ledger

NEVER_WRAPPED = ("version", "commit", "made (UTC)", "passed")
COLUMNS = ("version", "commit", "change", "author", "made (UTC)", "passed", "production")
LESS = ("commit", "author")
NARROW_WIDTH = 96
SUBJECT_LENGTH = 72


def show_candidates(
    application: Annotated[str, typer.Argument(metavar="APP", help="Which application.")] = "api",
    most: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
) -> None:
    """Which release candidates there are, the newest first."""
    console = open_console()
    try:
        app = known_app(application)
        found = read_candidates(open_ledger(), app)
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    if not found:
        console.print(word_of_none(app), soft_wrap=True)
        return
    console.print(candidate_table(found[:most], app, console.width))
    if len(found) > most:
        console.print(f"and {len(found) - most} older")


def known_app(name: str) -> App:
    """ConfigError for a name that nobody has."""
    if name not in app_names():
        known = ", ".join(app_names())
        raise ConfigError(f"there are {known}", source="command line", key="application", value=name)
    return load_app(name)


def read_candidates(ledger: Ledger, app: App) -> list[Candidate]:
    return candidates(ledger.events(app=app.name, kinds=TOLD_OF_CANDIDATES))


def word_of_none(app: App) -> str:
    """Why there is none, and what makes one."""
    flows = [flow.candidates_of for flow in app.flows.values() if isinstance(flow, ReleaseFlow)]
    if not flows:
        return f"No flow of {app.name} releases candidates: its commits go to production by themselves."
    made_by = ", ".join(app.dag_id(name) for name in dict.fromkeys(flows))
    return f"No release candidate of {app.name} yet: a run of {made_by} makes one when all its stations have passed."


def candidate_table(found: Sequence[Candidate], app: App, width: int = ROOMY_WIDTH) -> Table:
    """A row each. Where it is narrow the author goes, the commit, with whose beginning the version ends, and then the
    moment, with which it begins."""
    table = Table(title=f"Release candidates of {app.name}", title_justify="left", title_style="bold", box=None)
    table.pad_edge = False
    left_out = () if width >= ROOMY_WIDTH else LESS if width >= NARROW_WIDTH else (*LESS, "made (UTC)")
    for column in (one for one in COLUMNS if one not in left_out):
        table.add_column(column, no_wrap=column in NEVER_WRAPPED)
    for one in found:
        words = standing(one, app.prod.region_names)
        cells = {
            "version": Text(one.version),
            "commit": Text(one.commit[:12], "dim"),
            "change": Text(shorten(one.title, SUBJECT_LENGTH, placeholder=" …")),
            "author": Text(plain(one.author)),
            "made (UTC)": Text(f"{one.made_at:%d %b %H:%M}"),
            "passed": Text("\n".join(station.words for station in one.stations)),
            "production": Text(
                words, "green" if words.startswith("live") else "dim" if words.startswith("was") else ""
            ),
        }
        table.add_row(*(cells[str(column.header)] for column in table.columns))
    return table
