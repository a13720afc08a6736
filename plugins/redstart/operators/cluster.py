"""A cluster under a task's lock: claimed, fenced, and with every deed written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.apps import App
from include.fleet import Fleet
from include.ledger import Claim, Holder, LockedError, Place
from redstart.hooks.fleet import FleetHook
from redstart.operators import clock
from redstart.operators.station import DRY, StationOperator, fence, key_of_run, purpose_of
from redstart.ui.links import push_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from include.ledger import Lease, Ledger
    from include.redblack.ledger_journal import LedgerJournal
    from redstart.operators.drive import Account

HUNG_SECONDS = 300
LOCK_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Held:
    """What a task changes a cluster with: each change is preceded by a look at the lease, and by a beat of the task."""

    ledger: Ledger
    lease: Lease
    journal: LedgerJournal
    fleet: Fleet


class ClusterOperator(StationOperator):
    """A task about the cluster of one region."""

    template_fields: Sequence[str] = ("region",)
    holder: Holder

    def __init__(self, *, app: str, region: Any, **kwargs: Any) -> None:
        super().__init__(app=app, **kwargs)
        self.region = region

    def rehearse(self, context: Context) -> Any:
        context["region"] = self.region
        with self.told(context, push_file(self.app, key_of_run(context), self.region, self.environment)) as account:
            account.note(f"Dry run: {context['ti'].task_id.rpartition('.')[2]} would {purpose_of(type(self))}")
        return {**DRY, "region": self.region}

    @property
    def place(self) -> Place:
        return place_of(self.application, self.region, self.environment)

    def regions(self, delivery: Delivery) -> tuple[str, ...]:
        """The regions of the push, in its order: of production those that were asked for, elsewhere all."""
        return delivery.regions if self.environment == "prod" else self.site.region_names

    def claimant(self, context: Context) -> str:
        """Who the lock is claimed for: the same at every retry."""
        return key_of_run(context)

    def attempt(self, context: Context) -> int:
        """How often this run has failed here and was begun again by a person."""
        return 0

    def take(self, context: Context, ledger: Ledger, why: str, *, takes_over: bool = False, run: str = "") -> Held:
        """Claim the cluster, or go on under the claim; LockedError where another has it. `run`: see hold_cluster."""
        claim = self.claim(context, why, takes_over=takes_over)
        attempt = 0 if run else self.attempt(context)
        return hold_cluster(self.application, ledger, self.place, claim, fence(context), attempt=attempt, run=run)

    def claim(self, context: Context, why: str, *, takes_over: bool = False) -> Claim:
        seconds = self.site.push.lease_seconds
        return Claim(self.claimant(context), self.holder, who_of(context), why, seconds, takes_over)


def hold_cluster(
    app: App,
    ledger: Ledger,
    place: Place,
    claim: Claim,
    beat: Callable[[], None],
    *,
    attempt: int = 0,
    run: str = "",
) -> Held:
    """The place under the claim's lease; LockedError where another has it. `beat` too is called before each change.
    `run`: whose deeds these are in the ledger, where it is not the claim's owner."""
    from include.redblack.ledger_journal import LedgerJournal

    lease = ledger.claim(place, claim, clock.now())

    def check() -> None:
        beat()
        ledger.check(lease, clock.now())

    journal = LedgerJournal(
        ledger,
        lease,
        run or claim.owner,
        claim.who,
        clock.now,
        lease_seconds=claim.seconds,
        attempt=attempt,
        heeds_holds=claim.holder is not Holder.ROLLBACK,
    )
    site = app.in_stack(place.stack)
    fleet = FleetHook(site.connection_id).fleet(place.region, site.load_balancer, fence=check)
    return Held(ledger, lease, journal, fleet)


def claim_patiently(hold: Callable[[], Held], account: Account, limit_seconds: float) -> Held:
    """`hold`, asked again while another has the cluster; LockedError where that lasts longer than the limit."""
    deadline, said = clock.now() + timedelta(seconds=limit_seconds), ""
    while True:
        try:
            return hold()
        except LockedError as error:
            if clock.now() >= deadline:
                raise
            if str(error) != said:
                said = str(error)
                account.note(f"waiting for the lock: {said}")
        clock.sleep(LOCK_POLL_SECONDS)


def place_of(app: App, region: str, environment: str = "prod") -> Place:
    return Place(app.name, app.environment(environment).stack, region)


def who_of(context: Context) -> str:
    """The person who started the run; where nobody did, the DAG."""
    run = context["dag_run"]
    return str(getattr(run, "triggering_user_name", None) or run.dag_id)
