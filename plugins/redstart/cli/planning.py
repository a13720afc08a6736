"""`./redstart plan`: what a push would do, region by region and call by call; and the way back. Nothing is changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from include.apps import App
from include.apps.delivery import order_regions
from include.errors import RedstartError, RefusedError
from redstart.cli.candidates import known_app
from redstart.cli.connected import open_ledger
from redstart.cli.judging import complain
from redstart.cli.locking import InEnvironment
from redstart.cli.screen import open_console

if TYPE_CHECKING:
    from redstart.operators.delivery_plan import DeliveryPlan
    from redstart.operators.plan_images import Code


def plan(
    application: Annotated[str, typer.Argument(metavar="APP", help="Which application.")],
    image: Annotated[str, typer.Option(help="The AMI to push, of any region; its copies are found elsewhere.")] = "",
    version: Annotated[
        str, typer.Option(help="Instead: a version, or 7 hex digits or more of a commit, that has been baked.")
    ] = "",
    regions: Annotated[list[str] | None, typer.Option("--region", help="Only there; may be said often.")] = None,
    environment: InEnvironment = "prod",
    has_calls: Annotated[bool, typer.Option("--calls/--brief", help="Every call, or the steps alone.")] = True,
    is_json: Annotated[bool, typer.Option("--json", help="For programs: everything, with all parameters.")] = False,
) -> None:
    """Say what a push would do: every step and call in every region, sizes, windows, times, and the way back. Nothing
    is changed: AWS and the ledger are only read."""
    try:
        with redirect_stdout(sys.stderr):  # Airflow logs to the former, which is for programs
            found = make_plan(known_app(application), environment, image, version, regions or ())
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    if is_json:
        from redstart.operators.plan_data import plan_data

        typer.echo(json.dumps(plan_data(found), indent=2))
    else:
        from redstart.cli.plan_view import show_plan

        show_plan(found, open_console(), has_calls=has_calls)
    raise typer.Exit(0 if is_clear(found) else 1)


def make_plan(app: App, environment: str, image: str, version: str, regions: Sequence[str] = ()) -> DeliveryPlan:
    """RefusedError where nothing, or nothing that exists, is named."""
    if bool(image) == bool(version):
        raise RefusedError("Say what is to be pushed: --image AMI, or --version with a version or commit.")
    wanted = order_regions(app.environment(environment), regions)
    ledger = open_ledger()  # before the hooks: it puts the connections in place
    from redstart.hooks.installation import InstallationHook
    from redstart.operators.delivery_plan import DeliveryPlanner

    watch_seconds = InstallationHook().watch_seconds()
    planner = DeliveryPlanner(app, environment, ledger, most_watch_seconds=watch_seconds)
    return planner.plan(code_of(app, wanted, image, version), wanted)


def code_of(app: App, regions: tuple[str, ...], image: str, version: str) -> Code:
    from redstart.operators.plan_images import CodeFinder

    finder = CodeFinder(app, regions)
    return finder.by_image(image) if image else finder.by_version(version)


def is_clear(found: DeliveryPlan) -> bool:
    """Whether every region's push would come to its good end."""
    from include.redblack.region_plan import Outcome

    return all(one.plan.push.outcome is Outcome.DONE for one in found.regions)
