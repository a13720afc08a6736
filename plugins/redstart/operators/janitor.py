"""The sweep of clusters: locks that nobody frees, groups out of traffic, canaries that nobody looks after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.ledger import EVERY_REGION, Event, Holder, Json, Kind, LockedError
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator, place_of, who_of
from redstart.operators.goals import cluster_of, need_of
from redstart.operators.runs import runs_over
from redstart.operators.station import StationOperator, is_dry, key_of_run
from redstart.ui.links import LocksLink, SweepLink, region_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.fleet import ClusterView, Fate
    from include.ledger import Lease
    from include.redblack import CanaryGoal, JanitorGoal, Progress
    from redstart.operators.cluster import Held
    from redstart.operators.drive import Account

LIMIT_SECONDS = 600
RETRIES = 2
"""What is not swept now is swept in an hour."""


class FreeLocksOperator(StationOperator):
    """Free the locks of runs that are over and did not free them: those that have run out, and the one that lets a
    delivery into production. A person's lock is never touched, nor is one of a run under way.

    **Retry and clear**: looks again; what is free is free.
    """

    operator_extra_links = (LocksLink(),)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"retries": RETRIES, **kwargs})

    def rehearse(self, context: Context) -> dict[str, Any]:
        """It looks at the form itself."""
        return self.deliver(context)

    def deliver(self, context: Context) -> dict[str, Any]:
        ledger, freed = self.ledger, []
        leases = [lease for lease in map(ledger.lease, self.places()) if lease is not None]
        owners = {lease.owner for lease in leases if lease.holder is not Holder.PERSON}
        over = runs_over(context["ti"], self.application, owners)
        with self.told(context) as account:
            if not leases:
                account.note("nobody has a lock")
            for lease in leases:
                if self.judge(context, account, lease, over):
                    freed.append(str(lease.place))
        return {"schema": 1, "freed": freed}

    def places(self) -> list[Any]:
        app = self.application
        regions = [(region, name) for name in app.environment_names for region in app.environment(name).region_names]
        return [place_of(app, *one) for one in [*regions, (EVERY_REGION, "prod")]]

    def judge(self, context: Context, account: Account, lease: Lease, over: Mapping[str, str]) -> bool:
        from include.ledger.stale import judge_lease

        goes, why = judge_lease(lease, over, clock.now())
        account.note(f"{lease.place}: its lock {'goes' if goes else 'stays'}: {why}")
        if not goes or is_dry(context):
            return goes
        ledger, now, who = self.ledger, clock.now(), who_of(context)
        freed = ledger.free(lease.place, now, owner=lease.owner, who=who, why=f"stale: {why}")
        if freed is not None:
            data: dict[str, Json] = {"owner": lease.owner, "holder": str(lease.holder), "token": lease.token}
            key = f"{lease.place}/{lease.token}/{Kind.LOCK_STALE}"
            ledger.record(Event(key, Kind.LOCK_STALE, now, lease.place, lease.owner, who, why, data))
        return freed is not None


class SweepClusterOperator(ClusterOperator):
    """Delete the groups of an environment's region that are out of traffic for longer than their time to live, or are
    more than are to be kept; and canaries and baselines whose run is over. Say of each other one why it stays, and
    what it costs. A cluster that is locked is left for the next time.

    **Retry and clear**: looks again; what is gone is gone.
    """

    operator_extra_links = (SweepLink(),)
    template_fields: Sequence[str] = ("environment", "region")
    holder = Holder.JANITOR

    def __init__(self, *, app: str, region: Any, **kwargs: Any) -> None:
        super().__init__(app=app, region=region, **{"retries": RETRIES, **kwargs})

    def rehearse(self, context: Context) -> dict[str, Any]:
        """It looks at the form itself."""
        return self.deliver(context)

    def deliver(self, context: Context) -> dict[str, Any]:
        label = f"{self.environment}-{self.region}"
        context["place"] = label
        with self.told(context, region_file(self.app, key_of_run(context), self.task_id, label)) as account:
            swept = self.would_sweep(context, account) if is_dry(context) else self.sweep(context, account)
        return {"schema": 1, "environment": self.environment, "region": self.region, **swept}

    def would_sweep(self, context: Context, account: Account) -> dict[str, Any]:
        """Only looks, and locks nothing."""
        lease = self.ledger.lease(self.place)
        if lease is not None and lease.is_running(clock.now()):
            account.note(f"would do nothing: {lease.describe()}")
            return {"summary": lease.describe(), "deleted": [], "stays": []}
        view = self.view(self.region)
        return self.tell(account, "dry run, nothing was deleted", self.fates(context, view))

    def sweep(self, context: Context, account: Account) -> dict[str, Any]:
        ledger = self.ledger
        try:
            held = self.take(context, ledger, "deletes what nobody needs any more")
        except LockedError as error:
            account.note(f"nothing done: {error}")
            return {"summary": str(error), "deleted": [], "stays": []}
        try:
            view = held.fleet.view_cluster(cluster_of(self.place))
            fates = self.fates(context, view)
            told = self.tell(account, "", fates)
            for run in sorted({run_of(view, fate) for fate in fates if fate.goes and is_pair(fate)}):
                account.follow(self.teardown(held, view, run, fates), limit_seconds=LIMIT_SECONDS)
            done = account.follow(self.janitor(held, view, fates), limit_seconds=LIMIT_SECONDS)
        finally:
            why = "the sweep is over"
            ledger.free(self.place, clock.now(), owner=self.claimant(context), who=who_of(context), why=why)
        return {**told, "summary": done.summary}

    def fates(self, context: Context, view: ClusterView) -> list[Fate]:
        from include.redblack.janitor import black_fates, pair_fates, runs_of_pairs

        over, now = runs_over(context["ti"], self.application, runs_of_pairs(view)), clock.now()
        launch_seconds = self.application.prod.canary.launch_timeout_seconds
        return [*black_fates(view, self.goal(), now), *pair_fates(view, over, launch_seconds, now)]

    def tell(self, account: Account, summary: str, fates: Iterable[Fate]) -> dict[str, Any]:
        going = [fate for fate in fates if fate.goes]
        staying = [fate for fate in fates if not fate.goes]
        for fate in (*going, *staying):
            account.note(fate.sentence)
        names = {"deleted": [fate.name for fate in going], "stays": [fate.name for fate in staying]}
        return {"summary": summary or f"{len(going)} to delete, {len(staying)} stay", **names}

    def goal(self, token: int = 0) -> JanitorGoal:
        from include.redblack import JanitorGoal

        push, place = self.site.push, self.place
        need = need_of(self.application, self.ledger, place)
        return JanitorGoal(cluster_of(place), push.black_hours * 3600, push.keep_black, need, token)

    def janitor(self, held: Held, view: ClusterView, fates: Sequence[Fate]) -> Iterator[Progress]:
        from include.redblack import drive_janitor

        loop = drive_janitor(held.fleet, self.goal(held.lease.token), clock.now, held.journal)
        return self.recorded(loop, held, view, fates)

    def teardown(self, held: Held, view: ClusterView, run: str, fates: Sequence[Fate]) -> Iterator[Progress]:
        from include.redblack import drive_teardown

        loop = drive_teardown(held.fleet, self.canary_goal(held, run), clock.now, held.journal)
        return self.recorded(loop, held, view, fates)

    def canary_goal(self, held: Held, run: str) -> CanaryGoal:
        """As much of it as taking a pair down asks for: whose it is."""
        from include.redblack import Build, CanaryGoal, GroupTemplate

        site, place = self.site, self.place
        return CanaryGoal(
            cluster=cluster_of(place),
            canary=Build(""),
            baseline=Build(""),
            run=run,
            template=GroupTemplate(site.instance_type, site.port, site.health_path),
            size=0,
            share_pct=0,
            soak_seconds=0,
            need=need_of(self.application, held.ledger, place),
            token=held.lease.token,
        )

    def recorded(
        self, loop: Iterable[Progress], held: Held, view: ClusterView, fates: Sequence[Fate]
    ) -> Iterator[Progress]:
        """The loop; each group that it deletes becomes a fact, with why and what it has cost."""
        from include.fleet import Fate
        from include.redblack.steps import DeleteGroup

        known = {fate.name: fate for fate in fates}
        for progress in loop:
            step = progress.step
            if isinstance(step, DeleteGroup):
                fate = known.get(step.name) or Fate("black group", step.name, True, "due meanwhile")
                self.record(held, progress.view or view, fate)
            yield progress

    def record(self, held: Held, view: ClusterView, fate: Fate) -> None:
        group = view.group(fate.name)
        if group is None:
            return
        kind = Kind.CANARY_DELETED if is_pair(fate) else Kind.BLACK_DELETED
        # Names come round again after a thousand pushes.
        key = f"{self.place}/{fate.name}/{group.created_at.isoformat(timespec='seconds')}/{kind}"
        count, hours = len(group.instances), round(fate.instance_hours, 1)
        data: dict[str, Json] = {
            "group": fate.name,
            "image": group.image_id,
            "instances": count,
            "instance_hours": hours,
        }
        run, who = held.lease.owner, held.lease.who
        held.ledger.record(Event(key, kind, clock.now(), self.place, run, who, fate.why, data))


def is_pair(fate: Fate) -> bool:
    return fate.kind in ("canary", "baseline")


def run_of(view: ClusterView, fate: Fate) -> str:
    from include.fleet.tags import RUN

    group = view.group(fate.name)
    return group.tags.get(RUN, "") if group is not None else ""
