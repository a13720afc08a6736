"""The red/black push of one region: until the traffic is switched, and until it has proven itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.apps import load_app
from include.ledger import Holder, LockedError
from redstart.operators import clock
from redstart.operators.cluster import HUNG_SECONDS, ClusterOperator, Held
from redstart.operators.line import take_line
from redstart.operators.peak import quiet_time
from redstart.operators.production import refuse_if_changed
from redstart.operators.quiet import newest_number
from redstart.operators.station import DRY, LAUNCH_CANARY, image_in, key_of_run, result_of, sibling
from redstart.triggers.cluster_turn import ClusterTurnTrigger, Turn
from redstart.triggers.moment import MomentTrigger
from redstart.triggers.quiet_window import QuietWindowTrigger
from redstart.ui.links import PushLogLink, push_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.redblack import Milestone, Progress, PushGoal
    from include.redblack.steps import WaitPeak

WORTH_DEFERRING = timedelta(seconds=30)
HELD_LOOK = timedelta(minutes=10)
USED_LOOK = timedelta(minutes=1)
PEAK_LOOK = timedelta(hours=1)
GRACE = timedelta(hours=1)


class PushOperator(ClusterOperator):
    """A part of the push. Under the run's lock, which it claims again as often as it is tried; a long wait is handed
    to the triggerer, with the lease long enough for it."""

    operator_extra_links = (PushLogLink(),)
    ui_color = "#e6f4ea"
    holder = Holder.PUSH

    def __init__(self, *, app: str, region: Any, **kwargs: Any) -> None:
        # The loop ends itself, with a reason; this is for a call that hangs.
        environment = str(kwargs.get("environment", "prod"))
        limit = load_app(app).environment(environment).push.timeout_seconds + HUNG_SECONDS
        kwargs.setdefault("execution_timeout", timedelta(seconds=limit))
        super().__init__(app=app, region=region, **kwargs)

    def attempt(self, context: Context) -> int:
        return int(result_of(context, sibling(context, "claim_cluster"))["attempt"])

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        delivery, limit = self.selected(context), self.site.push.timeout_seconds
        with self.told(context, self.file(context)) as account:
            held = self.take(context, self.ledger, f"push of {delivery.version} ({delivery.commit[:10]})")
            if self.environment == "prod":
                with suppress(LockedError):  # freed by hand: the region is still ours, and halfway is no place to stop
                    take_line(self, context, held.ledger)
            goal = replace(self.goal(context, held), quiet=quiet_time(self, held.ledger, key_of_run(context)))
            loop = self.drive(context, held, goal)
            done = account.follow(self.or_defer(loop, held, goal), limit_seconds=limit)
        return {"schema": 1, "region": self.region, "group": done.group, "summary": done.summary}

    def file(self, context: Context) -> str:
        """Where the account of the region's push is kept."""
        return push_file(self.app, key_of_run(context), self.region, self.environment)

    def drive(self, context: Context, held: Held, goal: PushGoal) -> Iterator[Progress]:
        raise NotImplementedError

    def push(self, context: Context, held: Held, goal: PushGoal, until: Milestone) -> Iterator[Progress]:
        from include.redblack import drive_push
        from redstart.operators.watch import make_watch

        results, run = self.installation.results(), key_of_run(context)
        watch = make_watch(self.application, self.environment, results, run, self.region)
        return drive_push(held.fleet, goal, clock.now, held.journal, watch=watch, until=until)

    def or_defer(self, loop: Iterator[Progress], held: Held, goal: PushGoal) -> Iterator[Progress]:
        """The loop; where it says that nothing will happen for long, the task is deferred. In a hold, or a peak, it
        looks often where users are on the new group already: that may fail."""
        from include.redblack.roles import red_group
        from include.redblack.steps import WaitHeld, WaitPeak

        for progress in loop:
            yield progress
            red = red_group(progress.view, goal.run, goal.attempt) if progress.view is not None else None
            is_used = red is not None and red.has_traffic
            if isinstance(progress.step, WaitHeld):
                self.wait(held, clock.now() + (USED_LOOK if is_used else HELD_LOOK), is_held=not is_used)
            elif isinstance(progress.step, WaitPeak):
                self.wait_for_quiet(held, progress.step, is_used=is_used)
            elif progress.until is not None and progress.until > clock.now() + WORTH_DEFERRING:
                self.wait(held, progress.until)

    def wait(self, held: Held, until: datetime, *, is_held: bool = False) -> None:
        """Defer until a moment, or for a hold at most until then."""
        place = held.lease.place
        turn = Turn(place.app, place.stack, place.region, held.lease.owner)
        trigger = (
            ClusterTurnTrigger.of(turn, until)
            if is_held
            else MomentTrigger(end_epoch=until.timestamp(), subject=str(place))
        )
        self.sleep(held, until, trigger)

    def wait_for_quiet(self, held: Held, step: WaitPeak, *, is_used: bool) -> None:
        """Defer until the peak is over, or a person lets the push go on."""
        latest = clock.now() + (USED_LOOK if is_used else PEAK_LOOK)
        until = min(step.again or latest, latest)
        place, owner = held.lease.place, held.lease.owner
        seen = newest_number(held.ledger, place.app, owner)
        self.sleep(held, until, QuietWindowTrigger.of(place, owner, until, step.sentence, seen))

    def sleep(self, held: Held, until: datetime, trigger: Any) -> None:
        """Defer to a trigger that fires at `until` at the latest, and keep the lease beyond it."""
        left = until - clock.now()
        held.ledger.renew(held.lease, clock.now(), left.total_seconds() + self.site.push.lease_seconds)
        self.defer(trigger=trigger, method_name="go_on", timeout=left + GRACE)

    def go_on(self, context: Context, event: Any = None) -> Any:
        """Where a wait comes back to: the world is looked at anew."""
        del event
        return self.execute(context)

    def goal(self, context: Context, held: Held) -> PushGoal:
        from include.redblack import Build
        from redstart.operators.goals import need_of, push_goal

        app, delivery = self.application, self.selected(context)
        build = Build(image_in(context, self.region), delivery.version, delivery.commit)
        need = need_of(app, held.ledger, self.place)
        watch_seconds = self.installation.watch_seconds()
        goal = push_goal(app, held.lease, build, need, delivery.run_key, most_watch_seconds=watch_seconds)
        return replace(goal, attempt=self.attempt(context))


class PushRedBlackOperator(PushOperator):
    """Replace the region's running version: launch the new group at the live count + head room, wait until it is
    healthy and takes traffic, watch it beside the old one, then take the old one out of traffic and keep it.

    A push that fails is rolled back before this task fails. One that comes to no end in the settings' time is left
    as it is, and the error says what it waits for; roll_back then takes it back. While somebody holds the region it
    stands still. Where it would run into its market's peak, it is finished, held beside the old group or taken back,
    as `at_peak` of the settings says. A region that serves neither what it served when the baseline was chosen nor the
    new version is refused: the verdict does not hold for it.

    **Retry and clear**: nothing is remembered but what the groups themselves say: a push that was interrupted
    anywhere goes on there, or goes on rolling back. A region that already serves the commit has nothing to do.
    """

    def rehearse(self, context: Context) -> dict[str, Any]:
        """The plan of the whole push, to its end, and of the way back: by the engine itself."""
        from include.redblack.plan_words import lines_of, summary_of
        from redstart.operators.plan import plan_of_run

        context["region"], delivery = self.region, self.selected(context)
        with self.told(context, self.file(context)) as account:
            if self.region not in self.regions(delivery):
                account.note(f"Dry run: {self.region} is not among the regions of this run")
                return {**DRY, "region": self.region, "summary": "not among the regions of this run", "end": "none"}
            plan = plan_of_run(self, context, self.region)
            account.note(f"Dry run: the plan of {delivery.version} in {self.region}; nothing is changed")
            for line in lines_of(plan):
                account.note(line)
        return {
            **DRY,
            "region": self.region,
            "summary": summary_of(plan),
            "calls": len(plan.push.calls),
            "seconds": plan.push.seconds,
            "end": str(plan.push.outcome),
        }

    def drive(self, context: Context, held: Held, goal: PushGoal) -> Iterator[Progress]:
        from include.redblack import Milestone

        # Here, not in the gate alone: hours may lie between the two, and the regions before this one.
        view = held.fleet.view_cluster(goal.cluster, health_of=())
        if self.environment == "prod":
            refuse_if_changed(view, result_of(context, LAUNCH_CANARY), goal.build.image_id)
        return self.push(context, held, goal, Milestone.SWITCHED)


class WatchRedOperator(PushOperator):
    """Watch the new group now that it serves alone: against the levels that the canary recorded, or against the
    settings' limits. Sound to the end: it is let go of, and the push has ended. Not sound: it is rolled back, and
    this task fails.

    **Retry and clear**: the watch ends at the moment that is written on the group, however often it is taken up.
    """

    def drive(self, context: Context, held: Held, goal: PushGoal) -> Iterator[Progress]:
        from include.redblack import Milestone

        return self.push(context, held, goal, Milestone.ENDED)
