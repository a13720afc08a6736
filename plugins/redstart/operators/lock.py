"""The first and the last task of a region's push: the cluster's lock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import RefusedError
from include.ledger import Holder, Kind, LockedError
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator, place_of, who_of
from redstart.operators.line import take_line
from redstart.operators.live import live_commits
from redstart.operators.station import key_of_run, result_of, sibling
from redstart.triggers.cluster_turn import ClusterTurnTrigger, Turn, last_end, push_end, what_hinders
from redstart.ui.links import PushLogLink, push_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from include.ledger import Ledger
    from redstart.operators.cluster import Held
    from redstart.operators.drive import Account

LOOK_AGAIN = timedelta(minutes=10)
GRACE = timedelta(minutes=30)


class ClaimClusterOperator(ClusterOperator):
    """Wait until it is the region's turn, then claim its cluster: nobody else changes it while it is this push's.

    It is the region's turn when every region before it is at the end of its push and serves the commit, nobody holds
    the region, and nobody else has its lock. Waiting holds no worker. Where a region before it failed or was rolled
    back, this one is not begun.

    **Retry and clear**: the lock is this run's, however often it claims it. Clearing a task of one region clears this
    one in all of them (Airflow sets up again what is worked on again): a region that is at its end is left unlocked.
    """

    operator_extra_links = (PushLogLink(),)
    ui_color = "#e6f4ea"
    holder = Holder.PUSH

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        delivery, run, ledger = self.selected(context), key_of_run(context), self.ledger
        regions = self.regions(delivery)
        if self.region not in regions:
            raise AirflowSkipException(f"{self.region} is not among the regions of this run.")
        if self.is_at_end(ledger, run, delivery.commit):
            self.log.info("The push of %s is at its end: there is nothing to lock.", self.region)
            return {"schema": 1, "region": self.region, "token": 0, "attempt": self.attempt(context)}
        earlier = regions[: regions.index(self.region)]
        awaited = tuple(one for one in earlier if not self.is_served(ledger, one, run, delivery.commit))
        turn = Turn(self.place.app, self.place.stack, self.region, run, awaited)
        with self.told(context, push_file(self.app, run, self.region, self.environment)) as account:
            try:
                if self.environment == "prod":
                    take_line(self, context, ledger)  # for longer: a hold may last over the weekend
                if hindrance := what_hinders(ledger, turn, clock.now()):
                    return self.wait(account, turn, hindrance)
                held = self.begin(context, ledger, delivery)
            except LockedError as error:  # somebody was quicker
                return self.wait(account, turn, str(error))
            until, token = held.lease.until, held.lease.token
            account.note(f"{self.region} is this run's until {until:%H:%M:%S} UTC (token {token})")
        return {"schema": 1, "region": self.region, "token": token, "attempt": self.attempt(context)}

    def begin(self, context: Context, ledger: Ledger, delivery: Delivery) -> Held:
        """Under the lock: the push has begun."""
        held = self.take(context, ledger, f"push of {delivery.version} ({delivery.commit[:10]})")
        about = {"version": delivery.version, "commit": delivery.commit, "subject": delivery.subject}
        held.journal.note(Kind.PUSH_STARTED, about, why=str(context["params"].get("reason") or ""))
        return held

    def attempt(self, context: Context) -> int:
        """Only a person begins a push again that has failed, and clears this task by that; a retry does not."""
        return len(self.ledger.events(place=self.place, run=key_of_run(context), kinds={Kind.PUSH_FAILED}))

    def is_at_end(self, ledger: Ledger, run: str, commit: str) -> bool:
        end = last_end(ledger, self.place, run)
        is_finished = end is not None and end.kind is Kind.PUSH_FINISHED
        return is_finished and live_commits(self.view(self.region)) == {commit}

    def is_served(self, ledger: Ledger, region: str, run: str, commit: str) -> bool:
        """Whether an earlier region needs no waiting for. RefusedError where it went wrong: this one is not begun."""
        place = place_of(self.application, region, self.environment)
        end = push_end(ledger, place, run, clock.now())
        if end is not None and end.kind is Kind.PUSH_FAILED:
            raise RefusedError(
                f"{region} comes before {self.region} and its push failed: {end.why or 'see its tasks'}. "
                f"{self.region} is left as it is; clear {region} first, then this."
            )
        serves = live_commits(self.view(region)) == {commit}
        if end is not None and not serves:
            raise RefusedError(
                f"{region} comes before {self.region}, was pushed by this run, and serves something else by now: "
                f"somebody went back. {self.region} is left as it is."
            )
        begun = ledger.events(place=place, run=run, kinds={Kind.PUSH_STARTED}, newest=1)
        return serves and (end is not None or not begun)

    def wait(self, account: Account, turn: Turn, hindrance: str) -> Any:
        account.note(f"waiting: {hindrance}")
        trigger = ClusterTurnTrigger.of(turn, clock.now() + LOOK_AGAIN)
        return self.defer(trigger=trigger, method_name="look_again", timeout=LOOK_AGAIN + GRACE)

    def look_again(self, context: Context, event: Any = None) -> Any:
        """Where a wait comes back to: everything is looked at anew."""
        del event
        return self.execute(context)


class ReleaseClusterOperator(ClusterOperator):
    """Free the cluster's lock if it is this run's. A push that has not said how it ended is noted as failed: the
    regions after it wait for that word.

    **Retry and clear**: what is free stays free; somebody else's lock is left alone.
    """

    operator_extra_links = (PushLogLink(),)
    ui_color = "#e6f4ea"
    holder = Holder.PUSH

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        run, ledger = key_of_run(context), self.ledger
        with self.told(context, push_file(self.app, run, self.region, self.environment)) as account:
            if last_end(ledger, self.place, run) is None:
                self.note_failed(ledger, context)
                account.note(f"the push of {self.region} did not come to its end")
            freed = ledger.free(
                self.place, clock.now(), owner=self.claimant(context), who=who_of(context), why="the push is over"
            )
            account.note(f"{self.region} is free" if freed else f"{self.region} was not this run's any more")
        return {"schema": 1, "region": self.region, "freed": freed is not None}

    def note_failed(self, ledger: Ledger, context: Context) -> None:
        from include.ledger import Event

        run, attempt = key_of_run(context), result_of(context, sibling(context, "claim_cluster"))["attempt"]
        key = f"{self.place}/{run}/{attempt}/{Kind.PUSH_FAILED}"
        why = "its tasks ended before the push did"
        ledger.record(Event(key, Kind.PUSH_FAILED, clock.now(), self.place, run, who_of(context), why))
