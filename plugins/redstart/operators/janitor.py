"""The sweep: black groups go when their time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.ledger import Holder, LockedError
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator, who_of
from redstart.operators.goals import cluster_of, need_of
from redstart.operators.station import key_of_run
from redstart.ui.links import SweepLink, region_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.redblack.janitor import BlackGroup
    from redstart.operators.cluster import Held

LIMIT_SECONDS = 600


class SweepBlackOperator(ClusterOperator):
    """Delete the region's groups that are out of traffic for longer than their time to live, or are more than are to
    be kept; say what the others cost. A cluster that is locked is left for the next time.

    **Retry and clear**: looks again; what is gone is gone.
    """

    operator_extra_links = (SweepLink(),)
    holder = Holder.JANITOR

    def claimant(self, context: Context) -> str:
        return f"janitor-{key_of_run(context)}"

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        ledger = self.ledger
        with self.told(context, region_file(self.app, key_of_run(context), self.task_id, self.region)) as account:
            try:
                held = self.take(context, ledger, "deletes what is out of traffic for too long")
            except LockedError as error:
                account.note(f"nothing done: {error}")
                return {"schema": 1, "region": self.region, "summary": str(error), "black": []}
            try:
                black = self.black(held)
                for one in black:
                    account.note(cost_of(one))
                done = account.follow(self.drive(held), limit_seconds=LIMIT_SECONDS)
            finally:
                why = "the sweep is over"
                ledger.free(self.place, clock.now(), owner=self.claimant(context), who=who_of(context), why=why)
        return {"schema": 1, "region": self.region, "summary": done.summary, "black": [one.name for one in black]}

    def black(self, held: Held) -> list[BlackGroup]:
        from include.redblack.janitor import black_groups

        view = held.fleet.view_cluster(cluster_of(self.place), health_of=())
        return black_groups(view, self.application.prod.push.black_hours * 3600, clock.now())

    def drive(self, held: Held) -> Any:
        from include.redblack import JanitorGoal, drive_janitor

        push = self.application.prod.push
        goal = JanitorGoal(
            cluster=cluster_of(self.place),
            black_seconds=push.black_hours * 3600,
            keep_black=push.keep_black,
            need=need_of(self.application, held.ledger, self.place),
            token=held.lease.token,
        )
        return drive_janitor(held.fleet, goal, clock.now, held.journal)


def cost_of(black: BlackGroup) -> str:
    """A line for people."""
    return (
        f"{black.name}: {black.instances} instances, out of traffic since {black.since:%d %b %H:%M} UTC, "
        f"{black.instance_hours:.1f} instance-hours so far; goes at {black.until:%d %b %H:%M} UTC, "
        f"{black.instance_hours_left:.1f} more until then"
    )
