"""What the form of the weekly push asks: the same for every application."""

from __future__ import annotations

from airflow.sdk import Param

from include.apps import App, ReleaseFlow
from redstart.groups.delivery import dry_run_field, failure_field, regions_field, soak_field, wave_words
from redstart.ui.links import candidates_url

CANDIDATE = r"^([0-9a-f]{7,40}|[0-9]{8}\.[0-9]{6}-[0-9a-f]{7,})$"


def release_form(app: App, flow: ReleaseFlow) -> dict[str, Param]:
    """Why must be said; the rest is the newest candidate everywhere."""
    return {
        "candidate": Param(
            None,
            type=["null", "string"],
            pattern=CANDIDATE,
            title="Release candidate",
            description_md="Its version, or 7 hex digits or more of its commit. Empty: that of the newest commit. "
            f"Which there are: [the list]({candidates_url(app.name)}); in a terminal ./redstart candidates {app.name}.",
        ),
        "reason": Param(
            "",
            type="string",
            minLength=5,
            maxLength=500,
            title="Why",
            description="Kept in the ledger, with your name.",
        ),
        "regions": regions_field(app, app.prod.region_names, wave_words(app)),
        "soak_seconds": soak_field(app),
        "on_failure": failure_field(app),
        "without_patches": Param(
            False,
            type="boolean",
            title="Push although production has commits that it lacks",
            description="A patch that serves now, and that the candidate does not contain, is taken away from users. "
            "The merge into production's branch brings it back, with a canary of both: revert it there if it is to go.",
        ),
        "dry_run": dry_run_field(),
    }
