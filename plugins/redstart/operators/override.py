"""A person lets pushes of regions begin outside of their quiet windows, and in freezes: for a while, with a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.errors import RefusedError
from include.ledger import EVERY_REGION, Kind, Ledger, Place
from include.ledger.overrides import Override, record_override
from redstart.operators import clock
from redstart.operators.cluster import place_of, who_of
from redstart.operators.quiet import has_begun
from redstart.operators.station import StationOperator, key_of_run
from redstart.ui.links import OverrideLogLink, WindowsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class OverrideWindowsOperator(StationOperator):
    """Let pushes of the form's regions begin at once, for as many minutes as the form says: who, why and until when
    is kept in the ledger. A push that waits for its window there goes on within 10 seconds. Its turn, the lock and a
    hold are waited for all the same, and what has begun in time is not stopped when the time is over.

    **Retry and clear**: the same fact, kept once: the time does not begin again. For more of it, start a new run.
    """

    operator_extra_links = (OverrideLogLink(), WindowsLink())
    ui_color = "#fbe9e7"

    def deliver(self, context: Context) -> dict[str, Any]:
        form, ledger, run = context["params"], self.ledger, key_of_run(context)
        wanted = [region for region in self.site.region_names if region in form["regions"]]
        if self.site.windows is None or not wanted:
            raise RefusedError(f"{self.app} has no quiet windows in {', '.join(form['regions'])}: nothing to override.")
        told = {}
        with self.told(context) as account:
            for region in wanted:
                place = place_of(self.application, region, self.environment)
                asked = self.asked(context, place)
                kept = record_override(ledger, asked, f"{place}/{run}/{Kind.WINDOW_OVERRIDDEN}", run)
                account.note(f"{kept.describe()} {who_waits(ledger, place)}")
                told[region] = kept.until.isoformat(timespec="seconds")
        return {"schema": 1, "app": self.app, "until": told}

    def asked(self, context: Context, place: Place) -> Override:
        form, now = context["params"], clock.now()
        return Override(place, who_of(context), str(form["reason"]), now, now + timedelta(minutes=form["minutes"]))


def who_waits(ledger: Ledger, place: Place) -> str:
    """What an override of the place allows now: the delivery on its way that has not begun there, if any."""
    line = ledger.lease(Place(place.app, place.stack, EVERY_REGION))
    if line is None or not line.is_running(clock.now()):
        return "No delivery is on its way: one that comes to the region before then begins at once."
    if has_begun(ledger, place, line.owner):
        return f"{line.owner} has begun there already."
    return f"{line.owner} may begin there as soon as it is its turn."
