"""`./redstart rollback`: through Airflow, as its form does it; or in this process where Airflow is away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer

from include.apps import App, load_app
from include.errors import RedstartError, RefusedError
from include.ledger import Claim, Holder, Kind, Place
from include.ledger.folds import times_to_safe
from include.services.settings import Settings
from include.services.stack import read_settings
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.connected import open_ledger
from redstart.cli.judging import complain
from redstart.cli.locking import Application, User, place
from redstart.operators import clock

if TYPE_CHECKING:
    from include.ledger import Ledger

DAG = "{}_rollback"
FOLLOW_SECONDS = 0.5
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What is asked for: the values of the form."""

    regions: tuple[str, ...]
    reason: str
    to: str = ""
    severe: bool = True
    take_over: bool = False

    def form(self) -> dict[str, Any]:
        return {**self.__dict__, "regions": list(self.regions)}


def rollback(
    regions: Annotated[list[str], typer.Argument(help="Which regions.")],
    why: Annotated[str, typer.Option(help="Kept in the ledger (5 to 500 characters).")],
    to: Annotated[str, typer.Option(help="To which group; without: the one before.")] = "",
    is_gentle: Annotated[
        bool, typer.Option("--gentle", help="Grow the earlier group before it takes traffic.")
    ] = False,
    takes_over: Annotated[bool, typer.Option("--take-over", help="Also where a person has the lock.")] = False,
    is_here: Annotated[bool, typer.Option("--here", help="In this process: where Airflow is away.")] = False,
    user: User = "",
    password: Annotated[str, typer.Option(envvar="REDSTART_PASSWORD", help="Of your login to Airflow.")] = "",
    url: Annotated[str, typer.Option(help="Airflow's address; this machine's stack unless said.")] = "",
    application: Application = "api",
) -> None:
    """Take regions back to what served before: no canary, seconds."""
    try:
        app, settings = load_app(application), read_settings()
        for region in regions:
            place(application, region)
        wanted = Wanted(tuple(regions), why, to, not is_gentle, takes_over)
        if is_here:
            problems = roll_back_here(app, open_ledger(), wanted, user)
        else:
            url = url or settings.airflow_url
            problems = roll_back_there(AirflowApi(url, *login(settings, user, password)), DAG.format(app.name), wanted)
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    except httpx.HTTPError as error:
        complain(f"{url} does not answer: {error}. With --here this command goes back without Airflow.")
        raise typer.Exit(2) from error
    for problem in problems:
        complain(problem)
    raise typer.Exit(1 if problems else 0)


def login(settings: Settings, user: str, password: str) -> tuple[str, str]:
    """As said; without a password, a user of this machine's stack."""
    if password:
        return user, password
    file = settings.airflow_home / "passwords.json"
    if not file.exists():
        raise RefusedError("Airflow asks for a password: say it with --password or REDSTART_PASSWORD.")
    known = json.loads(file.read_text())
    name = user if user in known else "oncall"
    return name, known[name]


def roll_back_there(api: AirflowApi, dag_id: str, wanted: Wanted, say: Say = typer.echo) -> list[str]:
    """Start the rollback and follow it to its end; what went wrong."""
    run_id = api.start(dag_id, wanted.form())
    say(f"Started {run_id}: {api.url}/dags/{dag_id}/runs/{run_id}")
    said: set[tuple[str, str]] = set()
    while True:
        run, tasks = api.run(dag_id, run_id), api.tasks(dag_id, run_id)
        for task in tasks:
            word = (task.label, task.state)
            if task.task_id.endswith(".roll_back") and task.label in wanted.regions and word not in said:
                said.add(word)
                say(f"{task.label}: {task.state}")
        if run.state in {"success", "failed"}:
            break
        time.sleep(FOLLOW_SECONDS)
    for line in told(api.result(dag_id, run_id, "finish")):
        say(line)
    failed = [task for task in tasks if task.state == "failed"]
    return [f"{task.label or task.task_id}: {' '.join(api.log(dag_id, run_id, task)[-3:])}" for task in failed]


def told(result: Any) -> list[str]:
    """What the run's end says: what serves, and the time to safe."""
    if not isinstance(result, dict):
        return []
    lines = []
    for region, groups in result["live"].items():
        serving = ", ".join(f"{group['group']} {group['version']}" for group in groups) or "nothing"
        safe = result["seconds_to_safe"].get(region)
        took = (
            f"; safe {safe['decision']:.1f} s after the decision, {safe['click']:.1f} s after the click" if safe else ""
        )
        lines.append(f"{region} serves {serving}{took}")
    return lines


def roll_back_here(app: App, ledger: Ledger, wanted: Wanted, user: str) -> list[str]:
    """Drive every region back from this process, at the same time; what went wrong."""
    began = clock.now()
    run = f"rollback-{user or 'somebody'}-{began:%Y%m%dT%H%M%S}"

    def one(region: str) -> str:
        try:
            return drive_region(app, ledger, Place(app.name, app.prod.stack, region), wanted, user, run)
        except RedstartError as error:
            return f"{region}: {error}"

    with ThreadPoolExecutor(len(wanted.regions)) as pool:
        return [problem for problem in pool.map(one, wanted.regions) if problem]


def drive_region(app: App, ledger: Ledger, where: Place, wanted: Wanted, user: str, run: str) -> str:
    from redstart.operators.cluster import hold_cluster
    from redstart.operators.drive import Account
    from redstart.operators.going_back import Wish, roll_back_region

    who = user or "somebody"
    claim = Claim(run, Holder.ROLLBACK, who, wanted.reason, app.prod.push.lease_seconds, wanted.take_over)
    held = hold_cluster(app, ledger, where, claim, lambda: None)
    account = Account(lambda _pattern, sentence: typer.echo(f"{where.region}: {sentence}"))
    try:
        wish = Wish(app, run, wanted.reason, wanted.to, is_severe=wanted.severe)
        account.follow(roll_back_region(held, wish), limit_seconds=app.prod.push.timeout_seconds)
    finally:
        ledger.free(where, clock.now(), owner=run, who=who, why="the rollback is over")
    typer.echo(_time_to_safe(ledger, where, run))
    return ""


def _time_to_safe(ledger: Ledger, where: Place, run: str) -> str:
    kinds = (Kind.ROLLBACK_STARTED, Kind.ROLLBACK_SAFE)
    found = times_to_safe(ledger.events(place=where, run=run, kinds=kinds))
    if not found:
        return f"{where.region}: pushed again"
    return f"{where.region}: safe {found[-1].seconds:.1f} s after the decision"
