"""The wait for a region's quiet window, the same for whoever begins its push: what is looked at, what is said, and how
long one sleeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.ledger import Ledger, Place
from include.waves import RegionState
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator, who_of
from redstart.operators.outlook import OutlookReader, RegionOutlook
from redstart.operators.station import key_of_run
from redstart.operators.turn import state_in
from redstart.triggers.quiet_window import QuietWindowTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.peaks import Answer
    from redstart.operators.drive import Account

SCHEMA = 1
LOOK_AGAIN = timedelta(hours=6)
"""At the latest: traffic and settings change, and freezes last for weeks."""
GRACE = timedelta(hours=1)
WAIT_KEY = "wait"


@dataclass(frozen=True)
class Opening:
    """A push may begin: until `until` it is quiet (None: nobody asks), as `source` has it. `override`: who let it."""

    why: str
    until: datetime | None = None
    source: str = ""
    override: str = ""

    def to_xcom(self, region: str) -> dict[str, Any]:
        until = None if self.until is None else self.until.isoformat(timespec="seconds")
        told = {"until": until, "source": self.source, "why": self.why, "override": self.override}
        return {"schema": SCHEMA, "region": region, **told}


def await_window(operator: ClusterOperator, context: Context, account: Account, *, method_name: str) -> Opening:
    """Come back only when a push of the operator's region may begin; else the task is deferred until then, and comes
    back to `method_name`. A push that this run has begun or ended there does not wait again."""
    ledger, run = operator.ledger, key_of_run(context)
    if operator.site.windows is None:
        return Opening("this environment is pushed at any time")
    if has_begun(ledger, operator.place, run):
        return Opening("this run's push of the region has begun: it goes on")
    found, answer = look(operator, ledger)
    OutlookReader(operator.application, operator.environment, ledger, clock.now).note(found, run, who_of(context))
    account.note(f"the windows of {operator.region}: {found.outlook.why}")
    if answer.is_open:
        override = found.override.describe() if found.override is not None else ""
        account.note(f"{operator.region} may be pushed: {answer.why}")
        return Opening(answer.why, answer.until, found.outlook.source.value, override)
    _wait(operator, context, account, answer, method_name=method_name)
    raise AssertionError("a deferral does not come back")


def look(operator: ClusterOperator, ledger: Ledger) -> tuple[RegionOutlook, Answer]:
    """The region's windows and the traffic of now, and what they say of now."""
    found = OutlookReader(operator.application, operator.environment, ledger, clock.now).read(operator.region)
    assert found is not None
    return found, found.answer(clock.now())


def has_begun(ledger: Ledger, place: Place, run: str) -> bool:
    """Whether the run's push of the place is under way, or over and in place; one that failed or was taken back is
    begun anew."""
    return state_in(ledger, place, run) in (RegionState.UNDER_WAY, RegionState.FINISHED, RegionState.LEFT)


def newest_number(ledger: Ledger, app: str, run: str) -> int:
    """The number of the newest event of the run; 0: none. What comes after it may end a wait."""
    newest = ledger.events(app=app, run=run, newest=1)
    return newest[-1].number if newest else 0


def wait_words(app: str, region: str, answer: Answer) -> str:
    """Why a region waits, until when, and how on-call lets it begin at once."""
    until = f" ({answer.opens:%a %d %b %H:%M:%S} UTC)" if answer.opens else ""
    return (
        f"{region} waits for its quiet window: {answer.why}{until}. To push now: trigger {app}_override, or "
        f"./redstart override {region} --app {app} --why '...'"
    )


def _wait(operator: ClusterOperator, context: Context, account: Account, answer: Answer, *, method_name: str) -> None:
    now, run = clock.now(), key_of_run(context)
    account.note(wait_words(operator.app, operator.region, answer))
    opens = None if answer.opens is None else answer.opens.isoformat(timespec="seconds")
    context["ti"].xcom_push(key=WAIT_KEY, value={"schema": SCHEMA, "why": answer.why, "opens": opens})
    wakes = min(answer.opens or now + LOOK_AGAIN, now + LOOK_AGAIN)
    seen = newest_number(operator.ledger, operator.app, run)
    trigger = QuietWindowTrigger.of(operator.place, run, wakes, answer.why, seen)
    operator.defer(trigger=trigger, method_name=method_name, timeout=max(wakes - now, timedelta()) + GRACE)
