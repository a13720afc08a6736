"""What starts a delivery and what its form asks: the same for every application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, Param

from include.apps import App, DeliverFlow, VerifyFlow
from redstart.triggers.git_head import GitHeadTrigger


def watched_branch(app: App, branch: str) -> Asset:
    """A branch as an asset: an event for every new head."""
    source = app.source
    trigger = GitHeadTrigger(repository=source.repository, branch=branch, poll_seconds=source.poll_seconds)
    return Asset(
        name=f"{app.name} {branch} branch",
        # With the application: two of them may be delivered from one branch.
        uri=f"x-redstart-git://{app.name}/{source.repository}/{branch}",
        group="git",
        watchers=[AssetWatcher(name=f"{app.name}_{branch}_head", trigger=trigger)],
    )


def commit_or_clock(app: App, flow: VerifyFlow | DeliverFlow) -> Any:
    """Started by a commit and, where the flow says so, by the clock (UTC)."""
    branch, cron = watched_branch(app, flow.branch), getattr(flow, "schedule", None)
    return AssetOrTimeSchedule(timetable=by_the_clock(cron), assets=[branch]) if cron else [branch]


def by_the_clock(cron: str) -> CronTriggerTimetable:
    """At the ticks of a cron expression (UTC)."""
    # Without it a new installation would at once run a tick that is up to a tenth of the interval old.
    never = timedelta(seconds=1)
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=never)


def regions_field(app: App, chosen: Sequence[str], description: str) -> Param:
    """Some of the application's regions, at least one."""
    names = list(app.prod.region_names)
    return Param(
        list(chosen),
        type="array",
        items={"type": "string", "enum": names},
        examples=names,
        values_display={region.name: f"{region.name} ({region.market})" for region in app.prod.regions},
        uniqueItems=True,
        minItems=1,
        title="Regions",
        description=description,
    )


def add_form(dag: DAG, form: Mapping[str, Param]) -> None:
    """Give the DAG its form once all its tasks are there: Airflow copies what a DAG has before into each of them."""
    dag.params.update(form)


def verify_form(flow: VerifyFlow) -> dict[str, Param]:
    """The form of a run started by a person; every field may stay empty."""
    return {"reason": reason_field(), "commit": commit_field(flow.branch), "dry_run": dry_run_field()}


def delivery_form(app: App, flow: DeliverFlow) -> dict[str, Param]:
    """The same, where the commit goes to production."""
    return {
        **{"reason": reason_field(), "commit": commit_field(flow.branch)},
        "regions": regions_field(app, app.prod.region_names, wave_words(app)),
        "soak_seconds": soak_field(app),
        "on_failure": failure_field(app),
        "dry_run": dry_run_field(),
    }


def wave_words(app: App) -> str:
    """In which order production's regions are pushed."""
    waves = app.prod.waves
    by_traffic = waves.order == "least_traffic" and app.prod.windows is not None
    first = "the least usual traffic first" if by_traffic else f"in the order {', '.join(app.prod.region_names)}"
    rest = f"then {waves.at_once} at a time" if waves.at_once else "then all others at once"
    return f"Pushed in waves: {first} ({waves.first}), {rest}{_each_in_its_window(app)}."


def _each_in_its_window(app: App) -> str:
    return "" if app.prod.windows is None else "; each when its market is quiet"


def reason_field() -> Param:
    words = "For those who read the run later."
    return Param(None, type=["null", "string"], maxLength=500, title="Why", description=words)


def commit_field(branch: str) -> Param:
    return Param(
        None,
        type=["null", "string"],
        pattern="^[0-9a-f]{7,40}$",
        title="Commit",
        description=f"A commit on {branch} (7 to 40 hex digits). Empty: the newest.",
    )


def soak_field(app: App) -> Param:
    seconds = app.prod.canary.soak_seconds
    return Param(
        None,
        type=["null", "integer"],
        minimum=30,
        maximum=7 * 24 * 3600,
        title="Soak (seconds)",
        description=f"How long canary and baseline run before they are judged. "
        f"Empty: this installation's setting, else {seconds / 3600:g} h ({seconds}).",
    )


def failure_field(app: App) -> Param:
    titles = {
        "halt": "No other region is begun",
        "roll_back": "No other region is begun, and the finished ones go back, the last first",
    }
    return Param(
        app.prod.waves.on_failure,
        type="string",
        enum=list(titles),
        values_display=titles,
        title="When a region's push fails",
        description="Regions under way get to their end. The one that failed goes back by itself.",
    )


def dry_run_field() -> Param:
    return Param(
        False,
        type="boolean",
        title="Dry run",
        description="Say what each step would do, and every call to AWS; change nothing.",
    )
