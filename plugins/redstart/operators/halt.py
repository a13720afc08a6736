"""A push has failed somewhere: what is finished elsewhere goes back too, the last first, where the run is to do so."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import RefusedError
from include.ledger import Event, Holder, Kind, LockedError
from include.waves import RegionState, Standings, Waves
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator, Held, place_of, who_of
from redstart.operators.going_back import Wish, roll_back_region
from redstart.operators.halting import failure_words, note_halt
from redstart.operators.line import take_line
from redstart.operators.push_tasks import PushTasks
from redstart.operators.runs import ENDED, states_in_run
from redstart.operators.standing import ABANDONED, note_abandoned, run_back
from redstart.operators.station import key_of_run
from redstart.operators.turn import GRACE, planned_waves
from redstart.triggers.moment import MomentTrigger
from redstart.triggers.way_back import WayBack, WayBackTrigger, what_delays
from redstart.ui.links import RollbackLogLink, push_file

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from include.ledger import Ledger
    from redstart.operators.drive import Account

PUSH_GROUP = "push."
LOOK_AGAIN = timedelta(minutes=2)
TASKS_LOOK = timedelta(seconds=30)
WORDS = {
    RegionState.NOT_BEGUN: "was not begun",
    RegionState.FAILED: "went back when its push failed",
    RegionState.TAKEN_BACK: "is back already",
    RegionState.LEFT: "could not be taken back, and was left as it is",
}


class TakeBackOperator(ClusterOperator):
    """When the push of a region has failed: take the others back that this run has finished, one after the other, the
    last first, where the form, or else the settings, say so. Skipped where all went well, and where finished regions
    stay as they are. That the delivery goes no further, and why, is noted in the ledger.

    Waits, without holding a worker, until nothing of the run's push is under way any more, and until every region is
    back that came to its end later; one that cannot be taken back is not waited for. A region that serves something
    else by now is left alone: somebody else has decided there. Where no earlier group is left, the version before is
    pushed again from its image.

    **Retry and clear**: goes on from wherever it was; a region that is back has nothing to do.
    """

    operator_extra_links = (RollbackLogLink(),)
    ui_color = "#fbe9e7"
    holder = Holder.ROLLBACK

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        waves = planned_waves(context)
        if waves is None:
            raise AirflowSkipException("Nothing of this run was pushed.")
        if self.region not in waves.regions:
            raise AirflowSkipException(f"{self.region} is not among the regions of this run.")
        with self.told(context, push_file(self.app, key_of_run(context), self.region)) as account:
            ledger = self.ledger
            back, standings = self.wait(context, account, ledger, waves)
            group, summary = self.take_back(context, account, ledger, back, standings)
            account.note(summary)
        return {"schema": 1, "region": self.region, "group": group, "summary": summary}

    def wait(self, context: Context, account: Account, ledger: Ledger, waves: Waves) -> tuple[WayBack, Standings]:
        """Come back only when the region is to be taken back, now. AirflowSkipException where it never is."""
        tasks = PushTasks.of(context, PUSH_GROUP, self.site.region_names)
        back = WayBack(
            *(self.place.app, self.place.stack, self.region, key_of_run(context), waves.waves),
            given_up=self.given_up(context),
        )
        self.give_up_abandoned(context, ledger, back, tasks)
        standings = back.standings(ledger)
        note_halt(self, context, ledger, waves, standings)
        self.refuse_half_pushed(context, standings)
        if standings.failed and not waves.takes_back:
            self.skip(account, f"Halted: {failure_words(standings)}. Finished regions stay as they are.")
        are_all_ended = tasks.known <= tasks.ended
        if are_all_ended and not standings.failed and not standings.regions(RegionState.UNDER_WAY):
            self.skip(account, "No push of this run has failed: nothing is taken back.")
        if hindrance := what_delays(ledger, back, clock.now()):
            self.defer_until(account, hindrance, WayBackTrigger.of(back, clock.now() + LOOK_AGAIN), LOOK_AGAIN)
        if not are_all_ended:
            hindrance = f"tasks of the push of {', '.join(sorted(tasks.known - tasks.ended))} are about to end."
            end = clock.now() + TASKS_LOOK
            trigger = MomentTrigger(end_epoch=end.timestamp(), subject=str(self.place))
            self.defer_until(account, hindrance, trigger, TASKS_LOOK)
        state = standings.of(self.region).state
        if state is not RegionState.FINISHED:
            self.skip(account, f"{self.region} {WORDS[state]}: there is nothing to take back.")
        return back, standings

    def give_up_abandoned(self, context: Context, ledger: Ledger, back: WayBack, tasks: PushTasks) -> None:
        """Where a push is under way that no task of its region works on any more, nobody would ever say how it ended,
        nor free its lock."""
        standings, who = back.standings(ledger), who_of(context)
        for region in standings.regions(RegionState.UNDER_WAY):
            if region in tasks.ended:
                place = back.place(region)
                note_abandoned(ledger, place, back.run, standings.of(region).attempt, who)
                ledger.free(place, clock.now(), owner=back.run, who=who, why=ABANDONED)

    def refuse_half_pushed(self, context: Context, standings: Standings) -> None:
        """RefusedError where the region's own push was abandoned with its new group in traffic."""
        from include.redblack.roles import red_group

        standing = standings.of(self.region)
        if standing.state is not RegionState.FAILED or standing.why != ABANDONED:
            return
        red = red_group(self.view(self.region), key_of_run(context), standing.attempt - 1)
        if red is not None and red.has_traffic:
            raise RefusedError(
                f"{self.region} is left half pushed: {red.name} has traffic, and {ABANDONED}. Look at it, then trigger "
                f"{self.app}_rollback for {self.region}, or clear its claim_cluster to push it again."
            )

    def take_back(
        self, context: Context, account: Account, ledger: Ledger, back: WayBack, standings: Standings
    ) -> tuple[str, str]:
        """Under the run's lock: the group that serves now, and how it came to that."""
        run = run_back(back.run, standings.of(self.region).attempt)
        why = failure_words(standings)
        try:
            held = self.take(context, ledger, f"taken back: {why}", run=run)
            with suppress(LockedError):  # freed by hand: the region is ours nevertheless
                take_line(self, context, ledger)
        except LockedError as error:
            if error.lease.holder is Holder.ROLLBACK:
                trigger = WayBackTrigger.of(back, clock.now() + LOOK_AGAIN)
                self.defer_until(account, str(error), trigger, LOOK_AGAIN)
            self.note_left(context, ledger, run, str(error))
            raise RefusedError(f"{error} {self.region} is left as it is: free it, then clear this task.") from error
        try:
            ended = self.go_back(context, account, held, run, standings)
        except Exception as error:
            if isinstance(error, RefusedError) or is_last_try(context):
                self.note_left(context, ledger, run, str(error))
                self.free(context, ledger)
            raise
        self.free(context, ledger)
        return ended

    def go_back(
        self, context: Context, account: Account, held: Held, run: str, standings: Standings
    ) -> tuple[str, str]:
        why = failure_words(standings)
        if others := self.others_serve(context, held, run, standings):
            summary = f"{self.region} serves {others} by now: somebody else has decided there, it is left as it is"
            held.journal.note(Kind.ROLLBACK_FINISHED, {"from": ""}, why=summary)
            return "", summary
        account.note(f"{self.region} goes back: {why}")
        wish = Wish(self.application, run, why, is_severe=self.was_severe(context, held, standings))
        done = account.follow(roll_back_region(held, wish), limit_seconds=self.site.push.timeout_seconds)
        return done.group, done.summary

    def others_serve(self, context: Context, held: Held, run: str, standings: Standings) -> str:
        """What serves that is not this run's; "" where this run's group does, or where the way back has begun."""
        from include.redblack.roles import enabled_groups, red_group

        view = held.fleet.view_cluster(self.cluster(self.region), health_of=())
        pushed = red_group(view, key_of_run(context), standings.of(self.region).attempt)
        serving = enabled_groups(view)
        has_begun = held.journal.has(Kind.ROLLBACK_STARTED) or red_group(view, run) is not None
        if has_begun or (pushed is not None and pushed.name in {group.name for group in serving}):
            return ""
        return ", ".join(group.name for group in serving) or "nothing"

    def was_severe(self, context: Context, held: Held, standings: Standings) -> bool:
        """Whether users were hurt where a push failed: then it is not waited for earlier groups to grow. One that never
        had traffic has hurt nobody."""
        from include.fleet.tags import SEVERE
        from include.redblack.roles import red_group

        run = key_of_run(context)
        for region in standings.failed:
            red = red_group(self.view(region), run, standings.of(region).attempt - 1)
            place = place_of(self.application, region)
            shared = held.ledger.events(place=place, run=run, kinds={Kind.TRAFFIC_SHARED}, newest=1)
            if red is not None and red.tags.get(SEVERE) == "yes" and shared:
                return True
        return False

    def given_up(self, context: Context) -> tuple[str, ...]:
        """Regions whose own task of this kind has ended, however that was."""
        states, names = states_in_run(context, [context["ti"].task_id]), self.site.region_names
        return tuple(names[index] for (_, index), state in states.items() if state in ENDED and index < len(names))

    def note_left(self, context: Context, ledger: Ledger, run: str, why: str) -> None:
        key = f"{self.place}/{run}/0/{Kind.ROLLBACK_FAILED}"
        ledger.record(Event(key, Kind.ROLLBACK_FAILED, clock.now(), self.place, run, who_of(context), why))

    def free(self, context: Context, ledger: Ledger) -> None:
        owner, who = self.claimant(context), who_of(context)
        ledger.free(self.place, clock.now(), owner=owner, who=who, why="the way back is over")

    def skip(self, account: Account, word: str) -> NoReturn:
        account.add(word)
        raise AirflowSkipException(word)

    def defer_until(self, account: Account, hindrance: str, trigger: BaseTrigger, most: timedelta) -> None:
        account.note(f"waiting: {hindrance}")
        self.defer(trigger=trigger, method_name="look_again", timeout=most + GRACE)

    def look_again(self, context: Context, event: Any = None) -> Any:
        """Where a wait comes back to: everything is looked at anew."""
        del event
        return self.execute(context)


def is_last_try(context: Context) -> bool:
    ti = context["ti"]
    return int(ti.try_number) > int(ti.max_tries or 0)
