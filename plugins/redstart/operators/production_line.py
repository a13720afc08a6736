"""One delivery at a time goes into production: the lock of all regions together, from the canary to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.apps import DeliverFlow
from include.errors import RedstartError, RefusedError
from include.ledger import LockedError, Place
from redstart.operators import clock
from redstart.operators.cluster import who_of
from redstart.operators.line import line_of, take_line
from redstart.operators.patches import word_if_patch_is_lost
from redstart.operators.released import word_if_release_is_lost
from redstart.operators.runs import is_by_hand
from redstart.operators.station import LAUNCH_CANARY, StationOperator, images_of_run, key_of_run
from redstart.operators.turn import GRACE, LOOK_AGAIN
from redstart.triggers.cluster_turn import ClusterTurnTrigger, Turn, what_hinders
from redstart.ui.links import LineLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from redstart.operators.drive import Account

WAITED = "waited"


class LineOperator(StationOperator):
    """Works on the lock of all production regions together."""

    operator_extra_links = (LineLink(),)
    ui_color = "#e6f4ea"

    @property
    def place(self) -> Place:
        return line_of(self.application)


class ClaimProductionOperator(LineOperator):
    """Wait until no other delivery is on its way into production, then take the way: a patch's canary and the weekly
    push's would disturb one another, and each would be compared with what the other is about to replace.

    Waiting holds no worker; the log says which run is awaited. A delivery that has waited while a newer commit came
    to its branch lets that one pass: the run ends here, green, and names it.

    **Retry and clear**: the way is this run's, however often it claims it.
    """

    def __init__(self, *, app: str, flow: str, **kwargs: Any) -> None:
        super().__init__(app=app, **kwargs)
        self.flow = flow

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery, run, ledger = self.selected(context), key_of_run(context), self.ledger
        turn = Turn(self.place.app, self.place.stack, self.place.region, run)
        with self.told(context) as account:
            if hindrance := what_hinders(ledger, turn, clock.now()):
                return self.wait(context, account, turn, hindrance)
            if has_waited(context) and (newer := self.newer(context, delivery)):
                word = (
                    f"superseded: {newer[:10]} came to {delivery.branch} while this one waited; its own run takes it."
                )
                account.add(word)
                raise AirflowSkipException(word)
            try:
                lease = take_line(self, context, ledger)
            except LockedError as error:  # somebody was quicker
                return self.wait(context, account, turn, str(error))
            if not self.has_had_its_canary(context, delivery):
                self.refuse_if_something_is_lost(context, account, delivery)
            account.note(f"production is this run's until {lease.until:%d %b %H:%M} UTC (token {lease.token})")
        return {"schema": 1, "token": lease.token}

    def refuse_if_something_is_lost(self, context: Context, account: Account, delivery: Delivery) -> None:
        """Asked once nobody else delivers: what went into production while this one was built or waited must not be
        taken away from users unsaid. The way is free again where it would be."""
        try:
            if isinstance(self.application.flows[self.flow], DeliverFlow):
                if word := word_if_release_is_lost(self, context, account, delivery):
                    account.add(word)
                    raise AirflowSkipException(word)
                return
            repository = self.repository
            repository.fetch()
            if word := word_if_patch_is_lost(self, context, account, delivery, repository):
                raise RefusedError(word)
        except (AirflowSkipException, RedstartError):
            why = "the delivery ends before its canary"
            self.ledger.free(self.place, clock.now(), owner=key_of_run(context), who=who_of(context), why=why)
            raise

    def newer(self, context: Context, delivery: Delivery) -> str | None:
        """The newer head of the delivery's branch; None where there is none, a person started the run, or it has had
        its canary: who clears its gate means this commit."""
        from redstart.operators.source import newer_head

        flow = self.application.flows[self.flow]
        if not isinstance(flow, DeliverFlow) or is_by_hand(context) or self.has_had_its_canary(context, delivery):
            return None
        return newer_head(self.repository, flow, delivery)

    def has_had_its_canary(self, context: Context, delivery: Delivery) -> bool:
        """Whether a canary of the image that this run brings was launched in it: what comes after was cleared."""
        launched = context["ti"].xcom_pull(task_ids=LAUNCH_CANARY)
        return bool(launched) and launched.get("image") == images_of_run(context).get(delivery.canary_region)

    def wait(self, context: Context, account: Account, turn: Turn, hindrance: str) -> Any:
        account.note(f"waiting: {hindrance}")
        if (store := context.get("task_state_store")) is not None:
            store.set(WAITED, True)
        trigger = ClusterTurnTrigger.of(turn, clock.now() + LOOK_AGAIN)
        return self.defer(trigger=trigger, method_name="look_again", timeout=LOOK_AGAIN + GRACE)

    def look_again(self, context: Context, event: Any = None) -> Any:
        """Where a wait comes back to: everything is looked at anew."""
        del event
        return self.execute(context)


def has_waited(context: Context) -> bool:
    """Whether this run stood in the queue: only then it may be superseded, else a busy branch would never arrive."""
    store = context.get("task_state_store")
    return store is not None and bool(store.get(WAITED))


class ReleaseProductionOperator(LineOperator):
    """Let the next delivery pass, however this one ended.

    **Retry and clear**: what is free stays free; another run's way is left alone.
    """

    def deliver(self, context: Context) -> dict[str, Any]:
        why = "the delivery is over"
        freed = self.ledger.free(self.place, clock.now(), owner=key_of_run(context), who=who_of(context), why=why)
        with self.told(context) as account:
            account.note("the next delivery may pass" if freed else "the way was not this run's any more")
        return {"schema": 1, "freed": freed is not None}
