"""`./redstart windows`: when each region may be pushed, by the traffic of now; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from include.errors import ConfigError, RedstartError
from redstart.cli.candidates import known_app
from redstart.cli.connected import open_ledger
from redstart.cli.judging import caller_path, complain
from redstart.cli.screen import open_console

if TYPE_CHECKING:
    from include.reports.windows_facts import RegionWindows

DAYS = 8


def show_windows(
    application: Annotated[str, typer.Argument(metavar="APP", help="Which application.")] = "api",
    region: Annotated[list[str] | None, typer.Option(help="Only this region; may be said again.")] = None,
    days: Annotated[int, typer.Option(min=1, max=DAYS, help="The windows of how many days.")] = DAYS,
    html: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the page to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """When each region may be pushed: the curve of its market, and its quiet windows. Writes nothing."""
    console = open_console()
    try:
        regions, now = read_regions(application, region or ())
        if html is not None:
            write_page(caller_path(html), application, regions, now)
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    if as_json:
        from include.reports.windows_facts import windows_json

        typer.echo(json.dumps(windows_json(application, regions, now), indent=2))
        return
    if not regions:
        console.print(f"{application} has no windows: its pushes begin at any time.")
        return
    from redstart.cli.windows_picture import picture

    console.print(picture(application, regions, now, console, days))
    if html is not None:
        console.print(Text(f"Written to {html}"), soft_wrap=True)


def read_regions(application: str, only: Sequence[str]) -> tuple[list[RegionWindows], datetime]:
    """By the metric store and the ledger, as a push would see them; none for an application without windows.

    ConfigError for an application or region that is not there, RetryableError where the ledger is away.
    """
    app, now = known_app(application), datetime.now(UTC)
    if app.prod.windows is None:
        return [], now
    names = [app.prod.region(name).name for name in dict.fromkeys(only)]
    ledger = open_ledger()  # before anything of Airflow is imported: it says where its connections are
    from redstart.ui.region_windows import regions_of_now

    return regions_of_now(app, ledger, now, only=names), now


def write_page(path: Path, application: str, regions: Sequence[RegionWindows], now: datetime) -> None:
    from include.reports.windows import render_windows

    try:
        path.write_text(render_windows(application, regions, now), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", source="command line", key="--html", value=str(path)
        ) from error
