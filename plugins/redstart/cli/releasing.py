"""`./redstart release`: the weekly push, as its form starts it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import httpx
import typer

from include.apps import App, ReleaseFlow, load_app
from include.errors import RedstartError, RefusedError
from include.services.stack import read_settings
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.judging import complain
from redstart.cli.locking import User
from redstart.cli.rolling_back import login


class OnFailure(StrEnum):
    """What becomes of the finished regions when another one's push fails."""

    HALT = "halt"
    ROLL_BACK = "roll_back"


def release(
    application: Annotated[str, typer.Argument(metavar="APP", help="Which application.")],
    reason: Annotated[str, typer.Option(help="Kept in the ledger, with your name (5 to 500 characters).")],
    candidate: Annotated[
        str, typer.Option(help="Which candidate: its version, or 7 hex digits or more of its commit; the newest.")
    ] = "",
    regions: Annotated[list[str] | None, typer.Option("--region", help="Only there; may be said often.")] = None,
    soak_seconds: Annotated[int | None, typer.Option(help="How long the canary soaks; as usual.")] = None,
    lets_patches_go: Annotated[
        bool, typer.Option("--without-patches", help="Also where production has commits that it lacks.")
    ] = False,
    on_failure: Annotated[
        OnFailure | None,
        typer.Option(help="When a region's push fails: begin no other, or also take the finished ones back."),
    ] = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what each step would do; change nothing.")] = False,
    user: User = "",
    password: Annotated[str, typer.Option(envvar="REDSTART_PASSWORD", help="Of your login to Airflow.")] = "",
    url: Annotated[str, typer.Option(help="Airflow's address; this machine's stack unless said.")] = "",
) -> None:
    """Start the weekly push of a release candidate: canary, gate, every region, merge. `candidates` lists them."""
    try:
        app, settings = load_app(application), read_settings()
        url = url or settings.airflow_url
        api = AirflowApi(url, *login(settings, user, password))
        dag_id = app.dag_id(release_flow(app))
        said = form(app, reason, candidate, regions or (), soak_seconds, lets_patches_go)
        said |= {"dry_run": is_dry} | ({"on_failure": on_failure.value} if on_failure else {})
        run_id = api.start(dag_id, said)
        typer.echo(f"Started {run_id}: {url}/dags/{dag_id}/runs/{run_id}")
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    except httpx.HTTPError as error:
        complain(f"{url} does not answer: {error}")
        raise typer.Exit(2) from error


def release_flow(app: App) -> str:
    """The flow that releases candidates; RefusedError where the application has none."""
    found = next((name for name, flow in app.flows.items() if isinstance(flow, ReleaseFlow)), None)
    if found is None:
        raise RefusedError(f"{app.name} has no weekly push: its commits go to production by themselves.")
    return found


def form(
    app: App,
    reason: str,
    candidate: str = "",
    regions: Any = (),
    soak_seconds: int | None = None,
    without_patches: bool = False,
) -> dict[str, Any]:
    """The values of the form; what stays empty is the form's own default."""
    return {
        "reason": reason,
        "candidate": candidate or None,
        "regions": list(regions) or list(app.prod.region_names),
        "soak_seconds": soak_seconds,
        "without_patches": without_patches,
        "on_failure": app.prod.waves.on_failure,
        "dry_run": False,
    }
