"""The first and the last task of a region's push: the cluster's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import RefusedError
from include.ledger import Holder, Kind, LockedError
from include.waves import RegionState
from include.waves.turn import DONE
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator, who_of
from redstart.operators.line import take_line
from redstart.operators.live import live_commits
from redstart.operators.quiet import await_window
from redstart.operators.standing import note_abandoned, read_standings
from redstart.operators.station import key_of_run
from redstart.operators.turn import Among, among_others, defer_for_turn, waves_of, word_of
from redstart.ui.links import PushLogLink, push_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from include.ledger import Ledger
    from include.waves import Standing
    from redstart.operators.cluster import Held
    from redstart.operators.drive import Account


class LockOperator(ClusterOperator):
    """Works on the lock of a region's cluster, for the push of this run."""

    operator_extra_links = (PushLogLink(),)
    ui_color = "#e6f4ea"
    holder = Holder.PUSH

    def standing(self, context: Context, ledger: Ledger) -> Standing:
        """How this run's push of the region stands."""
        place = self.place
        return read_standings(ledger, place.app, place.stack, key_of_run(context)).of(self.region)

    def file(self, context: Context) -> str:
        """Where the account of the region's push is kept."""
        return push_file(self.app, key_of_run(context), self.region, self.environment)


class ClaimClusterOperator(LockOperator):
    """Wait until it is the region's turn, then claim its cluster: nobody else changes it while it is this push's.

    It is the region's turn when every wave before its own is at the end of its push and serves the commit, nobody holds
    the region, nobody else has its lock, and its market is quiet. Waiting holds no worker. Once the push of any region
    of the run has failed, no other is begun.

    **Retry and clear**: the lock is this run's, however often it claims it. Clearing a task of one region clears this
    one in all of them (Airflow sets up again what is worked on again): a region that is at its end, or whose push is
    not to be done again, is left unlocked. A region that had failed, or was taken back, is pushed anew.
    """

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        delivery, ledger = self.selected(context), self.ledger
        if self.region not in waves_of(self, context).regions:
            raise AirflowSkipException(f"{self.region} is not among the regions of this run.")
        if self.is_at_end(context, ledger, delivery.commit):
            self.log.info("The push of %s is at its end: there is nothing to lock.", self.region)
            return self.claimed(context)
        with self.told(context, self.file(context)) as account:
            among = among_others(self, context, ledger)
            if among.is_left_alone:
                account.note(f"{self.region} is not pushed again: there is nothing to lock")
                return self.claimed(context)
            self.refuse_if_somebody_went_back(among, delivery.commit)
            held = self.lock(context, account, among, delivery)
            until, token = held.lease.until, held.lease.token
            account.note(f"{self.region} is this run's until {until:%H:%M:%S} UTC (token {token})")
        return self.claimed(context, token)

    def claimed(self, context: Context, token: int = 0) -> dict[str, Any]:
        return {"schema": 1, "region": self.region, "token": token, "attempt": self.attempt(context)}

    def lock(self, context: Context, account: Account, among: Among, delivery: Delivery) -> Held:
        """The cluster, once it may be had; until then the task waits."""
        ledger, method = self.ledger, "look_again"
        try:
            if self.environment == "prod":
                take_line(self, context, ledger)  # for longer: a hold may last over the weekend
            if hindrance := word_of(among, ledger):
                defer_for_turn(self, account, among.turn, hindrance, method_name=method)
            await_window(self, context, account, method_name=method)
            return self.begin(context, account, ledger, delivery)
        except LockedError as error:  # somebody was quicker
            defer_for_turn(self, account, among.turn, str(error), method_name=method)
        raise AssertionError("a deferral does not come back")

    def begin(self, context: Context, account: Account, ledger: Ledger, delivery: Delivery) -> Held:
        """Under the lock: the push has begun. What failed elsewhere meanwhile stops it: who takes regions back waits
        for those that are locked, and for no others."""
        held = self.take(context, ledger, f"push of {delivery.version} ({delivery.commit[:10]})")
        try:
            among = among_others(self, context, ledger)
            hindrance = word_of(among, ledger)
        except RefusedError:
            self.free(context, ledger, "another region's push has failed")
            raise
        if hindrance:
            self.free(context, ledger, "it is not its turn any more")
            defer_for_turn(self, account, among.turn, hindrance, method_name="look_again")
        about = {"version": delivery.version, "commit": delivery.commit, "subject": delivery.subject}
        held.journal.note(Kind.PUSH_STARTED, about, why=str(context["params"].get("reason") or ""))
        return held

    def free(self, context: Context, ledger: Ledger, why: str) -> None:
        ledger.free(self.place, clock.now(), owner=self.claimant(context), who=who_of(context), why=why)

    def attempt(self, context: Context) -> int:
        """Only a person begins a push again that has failed or was taken back, and clears this task by that; a retry
        does not."""
        return self.standing(context, self.ledger).attempt

    def is_at_end(self, context: Context, ledger: Ledger, commit: str) -> bool:
        is_finished = self.standing(context, ledger).state in DONE
        return is_finished and live_commits(self.view(self.region)) == {commit}

    def refuse_if_somebody_went_back(self, among: Among, commit: str) -> None:
        """Past the ledger as well: what is finished must serve."""
        for region in among.earlier:
            if among.standings.of(region).state in DONE and live_commits(self.view(region)) != {commit}:
                raise RefusedError(
                    f"{region} comes before {self.region}, was pushed by this run, and serves something else by now: "
                    f"somebody went back. {self.region} is left as it is."
                )

    def look_again(self, context: Context, event: Any = None) -> Any:
        """Where a wait comes back to: everything is looked at anew."""
        del event
        return self.execute(context)


class ReleaseClusterOperator(LockOperator):
    """Free the cluster's lock if it is this run's. A push that has not said how it ended is noted as failed: the
    other regions go by that word.

    **Retry and clear**: what is free stays free; somebody else's lock is left alone.
    """

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        ledger = self.ledger
        with self.told(context, self.file(context)) as account:
            standing = self.standing(context, ledger)
            if standing.state is RegionState.UNDER_WAY:
                note_abandoned(ledger, self.place, key_of_run(context), standing.attempt, who_of(context))
                account.note(f"the push of {self.region} did not come to its end")
            freed = ledger.free(
                self.place, clock.now(), owner=self.claimant(context), who=who_of(context), why="the push is over"
            )
            account.note(f"{self.region} is free" if freed else f"{self.region} was not this run's any more")
        return {"schema": 1, "region": self.region, "freed": freed is not None}
