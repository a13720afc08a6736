"""The first task of a region's push where its environment has quiet windows: its turn, then its window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.ledger import Holder, LockedError
from redstart.operators.cluster import ClusterOperator
from redstart.operators.line import take_line
from redstart.operators.quiet import await_window, look, wait_words
from redstart.operators.station import key_of_run
from redstart.operators.turn import await_turn, defer_for_turn
from redstart.ui.links import OverrideLink, PushLogLink, WindowsLink, push_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redstart.operators.drive import Account


class QuietWindowSensor(ClusterOperator):
    """Wait, without holding a worker, until it is the region's turn, and then until its market is quiet: as the
    market's own traffic of the last weeks has it, or the settings' hours where too little is known of it. Freezes of
    the settings are waited out as well.

    What is waited for, and until when, is in the account, and in the XCom `wait`. On waking everything is looked at
    anew, also the traffic as it is now. *Push now* leads to the form with which on-call lets the push begin at once:
    with a reason, which is kept in the ledger.

    **Retry and clear**: the window's moments are absolute, no wait begins again. A region whose push this run has
    begun, or ended, does not wait.
    """

    operator_extra_links = (PushLogLink(), OverrideLink(), WindowsLink())
    ui_color = "#fdf3d8"
    holder = Holder.PUSH

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        self.skip_unless_asked_for(context)
        with self.told(context, self.file(context)) as account:
            self.await_turn(context, account)
            opening = await_window(self, context, account, method_name="look_again")
        return opening.to_xcom(self.region)

    def await_turn(self, context: Context, account: Account) -> None:
        """The way into production is kept meanwhile: a wait for a freeze is long."""
        among = await_turn(self, context, account, method_name="look_again")
        if self.environment != "prod":
            return
        try:
            take_line(self, context, self.ledger)
        except LockedError as error:  # somebody was quicker
            defer_for_turn(self, account, among.turn, str(error), method_name="look_again")

    def rehearse(self, context: Context) -> dict[str, Any]:
        """When the push would begin; nothing waits, and nothing is kept."""
        context["region"] = self.region
        self.skip_unless_asked_for(context)
        with self.told(context, self.file(context)) as account:
            if self.site.windows is None:
                return {"schema": 1, "dry_run": True, "opens": None, "why": "this environment is pushed at any time"}
            _, answer = look(self, self.ledger)
            would = f"{self.region} would begin at once: {answer.why}"
            account.note(would if answer.is_open else wait_words(self.app, self.region, answer))
        opens = None if answer.is_open or answer.opens is None else answer.opens.isoformat(timespec="seconds")
        return {"schema": 1, "dry_run": True, "opens": opens, "why": answer.why}

    def skip_unless_asked_for(self, context: Context) -> None:
        if self.region not in self.regions(self.selected(context)):
            raise AirflowSkipException(f"{self.region} is not among the regions of this run.")

    def file(self, context: Context) -> str:
        """Where the account of the region's push is kept: this is its beginning."""
        return push_file(self.app, key_of_run(context), self.region, self.environment)

    def look_again(self, context: Context, event: Any = None) -> Any:
        """Where a wait comes back to: everything is looked at anew."""
        del event
        return self.execute(context)
