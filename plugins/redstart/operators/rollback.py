"""Going back: of a push whose task has failed, and of any region when a person says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import RefusedError
from include.ledger import Holder, Kind, LockedError
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator, Held, who_of
from redstart.operators.going_back import Wish, roll_back_region
from redstart.operators.redblack import PushOperator
from redstart.operators.station import key_of_run
from redstart.ui.links import RollbackLogLink, push_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.redblack import Progress, PushGoal
    from redstart.operators.drive import Account

WHY = "a task of its push failed"
TRY_AGAIN = timedelta(seconds=2)


class RollBackPushOperator(PushOperator):
    """When the push of this region has failed: the old group serves again first, then the new one goes. Skipped where
    all went well.

    Nothing is done where the push has come to its end or has gone back by itself, or where somebody else is rolling
    back.

    **Retry and clear**: goes on going back from wherever it was.
    """

    holder = Holder.ROLLBACK

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        with self.told(context, self.file(context)) as account:
            summary = self.go_back(context, account)
            account.note(summary)
        return {"schema": 1, "region": self.region, "summary": summary}

    def go_back(self, context: Context, account: Account) -> str:
        """Drive the push back; how that ended. RefusedError where it did not get there."""
        try:
            held = self.take(context, self.ledger, WHY)
        except LockedError as error:
            if error.lease.holder is not Holder.ROLLBACK:
                raise
            return f"left to the rollback under way: {error}"
        goal = self.goal(context, held)
        if nothing := self.begin(held, goal):
            return nothing
        limit = self.site.push.timeout_seconds
        end = account.follow_to_end(self.drive(context, held, goal), limit_seconds=limit)
        if self.is_in_traffic(held, goal):
            raise RefusedError(end.sentence)
        return str(end.sentence)

    def begin(self, held: Held, goal: PushGoal) -> str:
        """Mark the push as failed, whatever its state; why there is nothing to do, or ""."""
        from include.redblack.push import PushState, push_state
        from include.redblack.roles import red_group
        from include.redblack.steps import DeleteRed
        from include.redblack.watching import mark_failed

        region = goal.cluster.region
        view = held.fleet.view_cluster(goal.cluster, health_of=())
        red = red_group(view, goal.run, goal.attempt)
        state = push_state(view, red)
        if red is None:
            return f"nothing of this run is in {region}"
        if state is PushState.ENDED:
            return f"the push of {red.name} to {region} had come to its end: there is nothing to go back from"
        if state is PushState.HALF_MADE:  # no group yet that could be marked
            carry_out(held, DeleteRed(red.name, WHY))
            return f"{red.name} in {region} was not made yet, and is deleted"
        if state is not PushState.GOING_BACK:
            carry_out(held, mark_failed(red, WHY, goal.token, is_severe=False))
        return ""

    def drive(self, context: Context, held: Held, goal: PushGoal) -> Iterator[Progress]:
        from include.redblack import Milestone

        return self.push(context, held, goal, Milestone.ENDED)

    def is_in_traffic(self, held: Held, goal: PushGoal) -> bool:
        from include.redblack.roles import red_group

        red = red_group(held.fleet.view_cluster(goal.cluster, health_of=()), goal.run, goal.attempt)
        return red is not None and red.is_enabled


def carry_out(held: Held, step: Any) -> None:
    """A deed outside the loop, written down as those inside are."""
    from include.redblack import perform

    held.journal.intend(step)
    perform(held.fleet, step)
    held.journal.done(step)


class RollBackRegionOperator(ClusterOperator):
    """Take a region back: to the group that served before, or to the one named in the form. Sized for the traffic of
    now before it takes all of it; with *severe*, it takes at once what it can carry, and grows meanwhile. Where no
    earlier group is left, the version before is pushed again from its image.

    Any push of the region stops at its next step: a rollback goes before it. A lock of a person, or of another
    rollback, is respected unless the form takes it over.

    **Retry and clear**: goes on from wherever it was; a region that is back has nothing to do.
    """

    operator_extra_links = (RollbackLogLink(),)
    ui_color = "#fbe9e7"
    holder = Holder.ROLLBACK

    def __init__(self, *, app: str, region: Any, **kwargs: Any) -> None:
        kwargs.setdefault("retry_delay", TRY_AGAIN)
        super().__init__(app=app, region=region, **kwargs)

    def claimant(self, context: Context) -> str:
        return key_of_run(context)

    def attempt(self, context: Context) -> int:
        """One that is over and is begun again, as a person clears it, is told again if it has anything to do."""
        return len(self.ledger.events(place=self.place, run=self.claimant(context), kinds={Kind.ROLLBACK_FINISHED}))

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        form = context["params"]
        if self.region not in form["regions"]:
            raise AirflowSkipException(f"{self.region} was not asked for.")
        reason, run = str(form["reason"]), self.claimant(context)
        with self.told(context, push_file(self.app, run, self.region)) as account:
            try:
                held = self.take(context, self.ledger, reason, takes_over=bool(form["take_over"]))
            except LockedError as error:
                raise RefusedError(f"{error} To go back nevertheless, start a rollback with 'Take over'.") from error
            wish = Wish(self.application, run, reason, str(form["to"] or ""), is_severe=bool(form["severe"]))
            done = account.follow(
                roll_back_region(held, wish), limit_seconds=self.application.prod.push.timeout_seconds
            )
        return {"schema": 1, "region": self.region, "group": done.group, "summary": done.summary}


class ReleaseRollbackOperator(ClusterOperator):
    """Free the region's lock if it is this rollback's.

    **Retry and clear**: what is free stays free; somebody else's lock is left alone.
    """

    operator_extra_links = (RollbackLogLink(),)
    ui_color = "#fbe9e7"
    holder = Holder.ROLLBACK

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        if self.region not in context["params"]["regions"]:
            raise AirflowSkipException(f"{self.region} was not asked for.")
        owner = key_of_run(context)
        why = "the rollback is over"
        freed = self.ledger.free(self.place, clock.now(), owner=owner, who=who_of(context), why=why)
        self.log.info("%s %s", self.region, "is free" if freed else "was not this rollback's any more")
        return {"schema": 1, "region": self.region, "freed": freed is not None}
