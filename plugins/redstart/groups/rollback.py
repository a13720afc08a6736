"""What the rollback's form asks: the same for every application."""

from __future__ import annotations

from airflow.sdk import Param

from include.apps import App
from redstart.groups.delivery import regions_field

GROUP_NAME = "^([a-z0-9]+(-[a-z0-9]+)*-v[0-9]{3})?$"


def rollback_form(app: App) -> dict[str, Param]:
    """Where and why must be said; the rest is as one wants it when it is urgent."""
    return {
        "regions": regions_field(app, [], "Taken back at the same time."),
        "reason": Param(
            "",
            type="string",
            minLength=5,
            maxLength=500,
            title="Why",
            description="Kept in the ledger, with your name.",
        ),
        "severe": Param(
            True,
            type="boolean",
            title="Users are hurt",
            description="The earlier group takes at once what it can carry, and grows meanwhile. "
            "Off: it is grown first, and takes traffic when it can carry all of it.",
        ),
        "to": Param(
            None,
            type=["null", "string"],
            pattern=GROUP_NAME,
            title="To which group",
            description=f"A group that is still there, such as {app.name}-{app.prod.stack}-v041. "
            "Empty: the one before.",
        ),
        "take_over": Param(
            False,
            type="boolean",
            title="Take over",
            description="Also where a person, or another rollback, has the region's lock.",
        ),
    }
