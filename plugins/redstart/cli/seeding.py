"""`./redstart seed`: a first version of a sample application, so that its flows have something to replace."""

from __future__ import annotations

from typing import Annotated

import httpx
import typer

from include.apps import App, load_app
from include.errors import RedstartError, RefusedError
from include.services.home import Home
from include.services.settings import Settings
from include.services.stack import answers, read_settings
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.judging import complain
from redstart.cli.rolling_back import login


def seed(
    application: Annotated[str, typer.Argument(metavar="APP", help="Which application, such as search.")],
    resumes: Annotated[bool, typer.Option("--resume", help="Then let its flows run: they are made paused.")] = False,
) -> None:
    """Build, bake and serve an application's first version in all its environments on this machine's local cloud."""
    try:
        app, settings = load_app(application), read_settings()
        refuse_without_cloud(settings)
        from include.services.seed import serve_first_version  # boto3, for which --help need not wait

        serve_first_version(settings, app, typer.echo)
        typer.echo(f"{app.name} serves. Its commits go to {settings.git_root / app.source.repository}.")
        if Home(settings).state().get("is_cloud_only"):
            return
        typer.echo(resume_flows(settings, app) if resumes else hint(settings, app))
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    except httpx.HTTPError as error:
        complain(f"Airflow did not let its flows run: {error}")
        raise typer.Exit(2) from error


def refuse_without_cloud(settings: Settings) -> None:
    """RefusedError where no local cloud of this home answers."""
    if not answers(f"{settings.cloud_url}/_localcloud/health"):
        raise RefusedError("No local cloud is running here; `make demo` or `./redstart up` starts one.")


def hint(settings: Settings, app: App) -> str:
    return f"Let its flows run with --resume, or with the switch at {settings.airflow_url}/dags?tags={app.name}."


def resume_flows(settings: Settings, app: App) -> str:
    """Let every DAG of the application run; a sentence that names them. httpx.HTTPError in Airflow's words."""
    api = AirflowApi(settings.airflow_url, *login(settings, "admin", ""))
    names = [app.dag_id(flow) for flow in (*app.flows, "janitor", "rollback")]
    for dag_id in names:
        api.ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
    return f"These run now: {', '.join(names)}."
