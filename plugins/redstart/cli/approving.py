"""`./redstart approve`: a refused canary goes on; the same rights and the same kept file as on the page in Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer

from include.apps.delivery import run_key
from include.errors import RedstartError, RefusedError
from include.services.stack import read_settings
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.judging import complain

JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Approved:
    """What the page answered: the refusal that was approved, and who approved it."""

    refusal: Mapping[str, Any]
    approval: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        done, of = self.approval, self.refusal
        return (
            f"{of['app']} {of['version']} ({of['outcome']}, score {of['score']:g}) is approved by {done['approved_by']}"
        )


def approve(
    run: Annotated[str, typer.Argument(help="The run that the gate refused, as Airflow names it.")],
    reason: Annotated[str, typer.Option(help="Why it may go to production nevertheless (10 to 500 characters).")],
    user: Annotated[str, typer.Option(envvar="REDSTART_USER", prompt=True, help="Your login: operator or admin.")],
    password: Annotated[str, typer.Option(envvar="REDSTART_PASSWORD", prompt=True, hide_input=True)],
    application: Annotated[str, typer.Option("--app", help="Which application.")] = "api",
    url: Annotated[str, typer.Option(help="Airflow's address; this machine's stack unless said.")] = "",
    is_cleared: Annotated[bool, typer.Option("--clear", help="Clear the gate too, so that the run goes on.")] = False,
) -> None:
    """Let a canary go on that the gate refused; your name and reason are kept with it."""
    try:
        url = url or read_settings().airflow_url
        api = AirflowApi(url, user, password)
        approved = approve_refusal(api, application, run, reason)
        typer.echo(f"{approved.sentence}.")
        task = approved.refusal["task_id"]
        if is_cleared:
            typer.echo(f"Cleared {clear_gate(api, approved.refusal)} tasks: the run goes on.")
        else:
            typer.echo(f"Now clear {task} and what follows; with --clear this command does it.")
    except (RedstartError, httpx.HTTPError) as error:
        complain(_words(error, url))
        raise typer.Exit(2) from error


def _words(error: RedstartError | httpx.HTTPError, url: str) -> RedstartError | str:
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 401:
        return f"{url} does not know this login."
    return f"{url} does not answer: {error}" if isinstance(error, httpx.HTTPError) else error


def approve_refusal(api: AirflowApi, app: str, run: str, reason: str) -> Approved:
    """Approve what the gate refused in `run` (its id, or its key). RefusedError with the page's words if it says no."""
    answer = api.ask("POST", f"/redstart/approve/{app}/{run_key(run)}", data={"reason": reason}, headers=JSON)
    body = _body(answer)
    if answer.status_code != 200:
        raise RefusedError(body.get("detail") or f"Airflow answered {answer.status_code}.")
    return Approved(body["refusal"], body["approval"])


def clear_gate(api: AirflowApi, refusal: Mapping[str, Any]) -> int:
    """Clear the gate and what follows, so that the run goes on; how many tasks that were."""
    body = {
        "dry_run": False,
        "dag_run_id": refusal["run_id"],
        "task_ids": [refusal["task_id"]],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }
    answer = api.ask("POST", f"/api/v2/dags/{refusal['dag_id']}/clearTaskInstances", json=body)
    if answer.status_code != 200:
        raise RefusedError(f"Airflow did not clear {refusal['task_id']}: {answer.status_code} {answer.text[:200]}")
    return int(answer.json()["total_entries"])


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        return dict(answer.json())
    except ValueError:
        return {}
