"""The commands of `./redstart`."""

from __future__ import annotations

import signal
import sys
import time
from enum import StrEnum
from io import TextIOWrapper
from types import FrameType
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.text import Text

from include.apps import load_app
from include.errors import RedstartError
from include.services.airflow_env import airflow_environment
from include.services.home import Home
from include.services.network_seed import balancer_addresses, installed_apps
from include.services.settings import APP, Settings
from include.services.stack import answers, read_settings
from redstart.cli.approving import approve
from redstart.cli.backtesting import backtest
from redstart.cli.candidates import show_candidates
from redstart.cli.judging import judge, serve_judge
from redstart.cli.locking import hold, lock, locks, unhold, unlock
from redstart.cli.nudging import nudge
from redstart.cli.overriding import override
from redstart.cli.planning import plan
from redstart.cli.releasing import release
from redstart.cli.rolling_back import rollback
from redstart.cli.screen import fleet_table, open_console
from redstart.cli.seeding import seed
from redstart.cli.stack_process import StackProcess
from redstart.cli.windows import show_windows

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False, help=__doc__)
INTERRUPTED = 130  # as a shell says it; the demo has shown nothing then
console = open_console()
complaints = Console(stderr=True, highlight=False)


class Bad(StrEnum):
    """The bad commits of the demo."""

    slow = "slow"
    errors = "errors"
    leak = "leak"
    heat = "heat"


for stream in (sys.stdout, sys.stderr):  # a terminal without ✓ gets a ? and the rest
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _listen() -> None:
    """SIGTERM as Ctrl-C; Ctrl-C too where a shell started us in the background, which ignores it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)


def _end(stack: StackProcess) -> None:
    """A second Ctrl-C would leave the ending half done."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    stack.stop()


def _settings() -> Settings:
    try:
        return read_settings()
    except RedstartError as error:
        raise _fail(error) from error


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
    _listen()
    settings = _settings()
    stack = StackProcess(settings)
    try:
        console.print(f"Starting the local cloud and its traffic{'' if cloud_only else ', and Airflow'} ...")
        stack.start(is_cloud_only=cloud_only, is_bound=not detach)
        stack.await_up(console.print)
        _say_addresses(settings, is_cloud_only=cloud_only)
        while not detach:
            stack.check()
            time.sleep(0.5)
    except RedstartError as error:
        _end(stack)
        raise _fail(error) from error
    except KeyboardInterrupt:
        console.print("\nEnding the stack ...")
        _end(stack)


def _say_addresses(settings: Settings, *, is_cloud_only: bool) -> None:
    console.print(f"AWS API       {settings.cloud_url}  (any key and secret)")
    apps, prod = installed_apps(), load_app(APP).prod
    for region in prod.region_names:
        address = balancer_addresses(settings, apps, prod.account, region)[prod.load_balancer]
        console.print(f"{region:13s} http://{address}:{settings.router_port}/home")
    console.print(f"traffic       {settings.traffic_url}/counters")
    if not is_cloud_only:
        console.print(f"Airflow       {settings.airflow_url}  (admin / admin)")


@app.command()
def down() -> None:
    """End a stack that runs here or was left behind."""
    from include.services.stack import down as end

    console.print(end(_settings()))


@app.command()
def status() -> None:
    """Which parts run, and what runs where."""
    settings = _settings()
    home = Home(settings)
    state = home.state()
    if state and not home.is_claimed():
        console.print(f"The stack of process {state['pid']} was killed; `make down` ends what it left behind.")
        raise typer.Exit(1)
    if not state:
        console.print("No stack is running here; `make demo` or `./redstart up` starts one.")
        raise typer.Exit(1)
    console.print(f"Stack {state['phase']}, process {state['pid']}")
    for name, part in state.get("parts", {}).items():
        restarts = f", started again {part['restarts']} times" if part["restarts"] else ""
        console.print(f"  {name:14s} process {part['pid']}{restarts}")
    if state.get("phase") == "up":
        _say_fleet(settings)
        if not state.get("is_cloud_only"):
            locks()


def _say_fleet(settings: Settings) -> None:
    from redstart.cli import fleet_view

    if not answers(f"{settings.cloud_url}/_localcloud/health"):
        raise _fail(RedstartError(f"the local cloud does not answer at {settings.cloud_url}; see {settings.logs}"))
    try:
        views = fleet_view.view_all(airflow_environment(settings), installed_apps())
    except RedstartError as error:
        raise _fail(error) from error
    console.print(fleet_table(fleet_view.rows(views), console.width))


@app.command()
def demo(
    bad: Annotated[Bad | None, typer.Option("--bad", help="Push a bad commit; the canary must stop it.")] = None,
    leave: Annotated[bool, typer.Option("--exit", help="End by itself; the status says whether it succeeded.")] = False,
    commits: Annotated[int, typer.Option(min=1, max=50, help="How many commits, one after the other.")] = 1,
) -> None:
    """A commit travels from git to three regions, and a feature becomes the next release, on this machine."""
    from redstart.cli.demo import Demo, demo_settings

    _listen()
    try:
        story = Demo(demo_settings(), console)
    except RedstartError as error:
        raise _fail(error) from error
    variant = bad.value if bad else "good"
    problems: list[str] = []
    is_told = False
    try:
        story.start()
        for number in range(1, commits + 1):
            is_shown = variant == "good" and number == 1
            problems += story.deliver(variant, number, has_feature=is_shown).problems
            if is_shown and story.next_release and not problems:
                problems += story.next_release.finish()
        for problem in problems:
            console.print(Text(f"problem: {problem}", "bold red"), soft_wrap=True)
        if not problems:
            console.print(Text(_good_news(variant), "bold green"))
        story.say_where()
        if story.next_release:
            story.next_release.say_next()
        is_told = True
        if not leave:
            console.print("\nIt stays up until Ctrl-C.")
            while True:
                story.stack.check()
                time.sleep(1)
    except RedstartError as error:
        raise _fail(error) from error
    except httpx.HTTPError as error:
        raise _fail(RedstartError(f"Airflow does not answer at {story.settings.airflow_url}: {error}")) from error
    except KeyboardInterrupt:
        console.print("\nEnding the stack ...")
    finally:
        _end(story.stack)
    raise typer.Exit(INTERRUPTED if not is_told else 1 if problems else 0)


def _good_news(variant: str) -> str:
    if variant == "good":
        return "The commit runs in every region, and no request failed."
    return "The canary stopped the commit; production never saw it."


for command in (release, rollback, lock, unlock, hold, unhold, locks, seed, judge, serve_judge, backtest, approve):
    app.command()(command)
app.command(name="candidates")(show_candidates)
app.command()(nudge)
app.command(name="windows")(show_windows)
app.command()(override)
app.command()(plan)
