"""`./redstart nudge`: say that a branch has moved, where no webhook does."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from include.apps import App, DeliverFlow, VerifyFlow, load_app
from include.errors import ConfigError, RedstartError
from include.ledger import Nudges
from redstart.cli.connected import open_ledger
from redstart.cli.judging import complain
from redstart.operators import clock


def nudge(
    application: Annotated[str, typer.Argument(metavar="APP", help="Which application.")],
    flow: Annotated[str, typer.Argument(help="Whose branch; without: of every flow that follows one.")] = "",
) -> None:
    """Have a branch looked at now, rather than at the next poll; a commit that is there starts its flow."""
    try:
        app = load_app(application)
        branches = branches_of(app, flow)
        typer.echo(nudge_branches(cast(Nudges, open_ledger()), app, branches))
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error


def branches_of(app: App, flow: str) -> list[str]:
    """The branch of the flow, or of all; ConfigError where the flow follows none."""
    followed = {name: one.branch for name, one in app.flows.items() if isinstance(one, VerifyFlow | DeliverFlow)}
    if flow and flow not in followed:
        known = ", ".join(followed)
        raise ConfigError(
            f"must be one of {known}: these follow a branch", source="command line", key="flow", value=flow
        )
    return [followed[flow]] if flow else list(followed.values())


def nudge_branches(nudges: Nudges, app: App, branches: list[str]) -> str:
    for branch in branches:
        nudges.nudge(app.source.repository, branch, "", clock.now())
    return f"{app.source.repository}: {', '.join(branches)} will be looked at now."
