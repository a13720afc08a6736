"""The commands of `./redstart`."""

from __future__ import annotations

import signal
import sys
import time
from enum import StrEnum
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from include.errors import RedstartError
from include.services.airflow_env import airflow_environment
from include.services.settings import REGIONS, Settings
from redstart.cli.stack_process import StackProcess, read_state

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False, help=__doc__)
PLAIN_WIDTH = 150  # a pipe or a log has no width of its own
console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
complaints = Console(stderr=True, highlight=False)


class Bad(StrEnum):
    """The bad commits of the demo."""

    slow = "slow"
    errors = "errors"
    leak = "leak"
    heat = "heat"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(error: Exception) -> typer.Exit:
    complaints.print(Text(f"redstart: {error}"), soft_wrap=True)
    return typer.Exit(2)


@app.command()
def up(
    cloud_only: Annotated[
        bool, typer.Option("--cloud-only", help="The local cloud and its traffic, no Airflow.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is up; `down` ends it.")] = False,
) -> None:
    """Start the stack on this machine; Ctrl-C ends it."""
    signal.signal(signal.SIGTERM, _interrupt)
    settings = Settings()
    stack = StackProcess(settings)
    try:
        stack.start(is_cloud_only=cloud_only, is_bound=not detach)
        stack.await_up(console.print)
        _say_addresses(settings, is_cloud_only=cloud_only)
        while not detach:
            if stack.process is not None and stack.process.poll() is not None:
                raise RedstartError(f"the stack ended by itself; see {stack.output}")
            time.sleep(0.5)
    except RedstartError as error:
        stack.stop()
        raise _fail(error) from error
    except KeyboardInterrupt:
        console.print("\nEnding the stack ...")
        stack.stop()


def _say_addresses(settings: Settings, *, is_cloud_only: bool) -> None:
    console.print(f"AWS API       {settings.cloud_url}  (any key and secret)")
    for index, region in enumerate(REGIONS):
        console.print(f"{region:13s} http://127.{settings.network_octet + index}.0.10:{settings.router_port}/home")
    console.print(f"traffic       {settings.traffic_url}/counters")
    if not is_cloud_only:
        console.print(f"Airflow       {settings.airflow_url}  (admin / admin)")


@app.command()
def down() -> None:
    """End a stack that runs here or was left behind."""
    from include.services.stack import down as end

    console.print(end(Settings()))


@app.command()
def status() -> None:
    """Which parts run, and what runs where."""
    settings = Settings()
    state = read_state(settings)
    if not state:
        console.print("No stack is running here; `make demo` or `./redstart up` starts one.")
        raise typer.Exit(1)
    console.print(f"Stack {state['phase']}, process {state['pid']}")
    for name, part in state.get("parts", {}).items():
        restarts = f", started again {part['restarts']} times" if part["restarts"] else ""
        console.print(f"  {name:14s} process {part['pid']}{restarts}")
    if state.get("phase") == "up":
        from redstart.cli import fleet_view
        from redstart.cli.screen import fleet_table

        views = fleet_view.view_regions(airflow_environment(settings), "api", "main", REGIONS)
        console.print(fleet_table(fleet_view.rows(views)))


@app.command()
def demo(
    bad: Annotated[Bad | None, typer.Option("--bad", help="Push a bad commit; the canary must stop it.")] = None,
    leave: Annotated[bool, typer.Option("--exit", help="End by itself; the status says whether it succeeded.")] = False,
    commits: Annotated[int, typer.Option(min=1, max=50, help="How many commits, one after the other.")] = 1,
) -> None:
    """A commit travels from git to three regions, on this machine."""
    from redstart.cli.demo import Demo, demo_settings

    signal.signal(signal.SIGTERM, _interrupt)
    story = Demo(demo_settings(), console)
    variant = bad.value if bad else "good"
    problems: list[str] = []
    try:
        story.start()
        for number in range(1, commits + 1):
            problems += story.deliver(variant, number).problems
        for problem in problems:
            console.print(Text(f"problem: {problem}", "bold red"), soft_wrap=True)
        if not problems:
            console.print(Text(_good_news(variant), "bold green"))
        story.say_where()
        if not leave:
            console.print("\nIt stays up until Ctrl-C.")
            while True:
                time.sleep(1)
    except RedstartError as error:
        raise _fail(error) from error
    except KeyboardInterrupt:
        console.print("\nEnding the stack ...")
    finally:
        story.stack.stop()
    raise typer.Exit(1 if problems else 0)


def _good_news(variant: str) -> str:
    if variant == "good":
        return "The commit runs in every region, and no request failed."
    return "The canary stopped the commit; production never saw it."
