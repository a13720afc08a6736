"""What starts a delivery and what its form asks: the same for every application."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, Param

from include.apps import App
from redstart.triggers.git_head import GitHeadTrigger


def watched_branch(app: App) -> Asset:
    """The prod branch as an asset: an event for every new head."""
    source = app.source
    trigger = GitHeadTrigger(repository=source.repository, branch=source.prod_branch, poll_seconds=source.poll_seconds)
    return Asset(
        name=f"{app.name} {source.prod_branch} branch",
        uri=f"x-redstart-git://{source.repository}/{source.prod_branch}",
        group="git",
        watchers=[AssetWatcher(name=f"{app.name}_{source.prod_branch}_head", trigger=trigger)],
    )


def commit_or_clock(app: App) -> Any:
    """Started by a commit and, where the application says so, by the clock (UTC)."""
    branch = watched_branch(app)
    if app.prod.schedule is None:
        return [branch]
    return AssetOrTimeSchedule(timetable=by_the_clock(app.prod.schedule), assets=[branch])


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


def delivery_form(app: App) -> dict[str, Param]:
    """The form of a run started by a person; every field may stay empty."""
    prod = app.prod
    hours = prod.canary.soak_seconds / 3600
    return {
        "reason": Param(
            None, type=["null", "string"], maxLength=500, title="Why", description="For those who read the run later."
        ),
        "commit": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9a-f]{7,40}$",
            title="Commit",
            description=f"A commit on {app.source.prod_branch} (7 to 40 hex digits). Empty: the newest.",
        ),
        "regions": regions_field(
            app, prod.region_names, f"Pushed one after another, always in the order {', '.join(prod.region_names)}."
        ),
        "soak_seconds": Param(
            None,
            type=["null", "integer"],
            minimum=30,
            maximum=7 * 24 * 3600,
            title="Soak (seconds)",
            description=f"How long canary and baseline run before they are judged. "
            f"Empty: this installation's setting, else {hours:g} h ({prod.canary.soak_seconds}).",
        ),
    }
