"""What the override's form asks, and what it says of itself: the same for every application."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.sdk import Param

from include.apps import App
from include.ledger.overrides import LEAST_MINUTES, LEAST_WHY, MINUTES, MOST_MINUTES, MOST_WHY
from redstart.groups.delivery import regions_field
from redstart.groups.parsing import apps_with

OVERRIDE_DOC = """Let pushes of `{app}` begin **now**, outside of their regions' quiet windows: for on-call.

Fill in **where** and **why**; *Trigger*. A delivery whose *await_quiet_window* waits there goes on within 10 seconds;
one that comes later begins at once, until the minutes are over. Freezes of the settings are overridden as well. All of
it is in the ledger, with your name, and is told in chat.

What it does not do: the region's turn, its lock and a hold are waited for all the same. A push that has begun in time
is not stopped, held or taken back for a peak when the minutes are over.

Curve and windows of each region: [windows](/redstart/windows/{app}), or `./redstart windows {app}`. The same in the
terminal, and its end before its time: `./redstart override REGION --why ... [--end]`.
"""


def override_form(app: App) -> dict[str, Param]:
    """Where, why, and for how long."""
    return {
        "regions": regions_field(app, [], "Where a push may begin whatever the windows say."),
        "reason": Param(
            "",
            type="string",
            minLength=LEAST_WHY,
            maxLength=MOST_WHY,
            title="Why",
            description="Kept in the ledger, with your name, and told in chat.",
        ),
        "minutes": Param(
            MINUTES,
            type="integer",
            minimum=LEAST_MINUTES,
            maximum=MOST_MINUTES,
            title="For how long (minutes)",
            description="A push that begins later waits for its window again.",
        ),
    }


def apps_to_override() -> Iterator[App]:
    """Those that wait for quiet windows in production."""
    return (app for app in apps_with("override") if app.prod.windows is not None)
