"""Around the push: its waves, and what runs where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.fleet import ClusterView
from include.ledger import Event, Kind
from include.ledger.folds import times_to_safe
from redstart.operators import clock
from redstart.operators.cluster import place_of, who_of
from redstart.operators.line import line_of
from redstart.operators.live import describe_live
from redstart.operators.outlook import OutlookReader
from redstart.operators.station import DRY, StationOperator, key_of_run
from redstart.operators.turn import plan_of, waves_data, waves_of_data
from redstart.operators.verified import note_passed
from redstart.ui.links import LiveLink, RegionsLink, WindowsLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from include.waves import Waves
    from redstart.operators.drive import Account


class OrderRegionsOperator(StationOperator):
    """Say which regions are pushed, and in which waves: those of the form, the one with the least usual traffic first,
    then the rest, as many at a time as the settings say. Where a market's traffic is not known they come as the
    settings list them. And what a failure does with the regions that are finished: as the form says, else the settings.

    **Retry and clear**: the same answer: the waves of a run are planned once.
    """

    operator_extra_links = (RegionsLink(), WindowsLink())

    def deliver(self, context: Context) -> dict[str, Any]:
        with self.told(context) as account:
            waves = self.planned(context, account)
            result = waves_data(waves)
            place, run = line_of(self.application), key_of_run(context)
            event = Event(
                f"{place}/{run}/{Kind.WAVES_PLANNED}",
                Kind.WAVES_PLANNED,
                clock.now(),
                place,
                run,
                who_of(context),
                waves.why,
                result,
            )
            self.ledger.record(event)
            self.tell(account, waves)
        return result

    def rehearse(self, context: Context) -> dict[str, Any]:
        with self.told(context) as account:
            waves = self.plan(context, is_kept=False)
            self.tell(account, waves)
        return {**waves_data(waves), "dry_run": True}

    def planned(self, context: Context, account: Account) -> Waves:
        """The waves that the ledger has for the run; where there are none, planned now."""
        kinds, place = {Kind.WAVES_PLANNED}, line_of(self.application)
        known = self.ledger.events(place=place, run=key_of_run(context), kinds=kinds, newest=1)
        if not known:
            return self.plan(context, is_kept=True)
        account.note("the waves of this run were planned before")
        return waves_of_data(known[-1].event.data)

    def plan(self, context: Context, *, is_kept: bool) -> Waves:
        """The waves; `is_kept`: the windows that are looked at on the way are noted for whoever shows them."""
        wanted = context["params"].get("on_failure") or self.site.waves.on_failure
        regions = self.selected(context).regions
        return plan_of(self.site, regions, self.levels(context, regions, is_kept), takes_back=wanted == "roll_back")

    def levels(self, context: Context, regions: Sequence[str], is_kept: bool) -> dict[str, float | None]:
        """Usual requests per second of each region; none where the order does not depend on them."""
        if self.site.windows is None or self.site.waves.order != "least_traffic" or len(regions) < 2:
            return {}
        reader = OutlookReader(self.application, self.environment, self.ledger)
        found = {region: reader.read(region) for region in regions}
        for one in found.values():
            if is_kept and one is not None:
                reader.note(one, key_of_run(context), who_of(context))
        return {region: None if one is None else one.level for region, one in found.items()}

    def tell(self, account: Account, waves: Waves) -> None:
        account.note(f"pushed in waves: {waves.words} ({waves.why})")
        back = "go back too, the last first" if waves.takes_back else "stay as they are"
        account.note(f"should a region fail: no other is begun, and the finished ones {back}")


class LiveStation(StationOperator):
    """Tells what takes traffic."""

    operator_extra_links = (LiveLink(),)

    def tell_live(self, account: Account, views: Mapping[str, ClusterView]) -> dict[str, list[dict[str, Any]]]:
        """What takes traffic, under the names of `views`."""
        live = describe_live(views)
        for name, groups in live.items():
            for group in groups:
                what = f"{group['group']} {group['version']} ({group['commit'][:10] or 'unknown commit'})"
                account.note(f"{name}: {what}, {group['healthy']} healthy instances")
        return live


class DescribeFleetOperator(LiveStation):
    """Look at every region of this run, in production or in the environments of its flow, and write down what takes
    traffic there. In a `flow` that only verifies: also that its content has passed.

    **Retry and clear**: looks again; a content has passed once.
    """

    def __init__(self, *, app: str, environments: Sequence[str] = ("prod",), flow: str = "", **kwargs: Any) -> None:
        super().__init__(app=app, **kwargs)
        self.environments = tuple(environments)
        self.flow = flow

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery = self.selected(context)
        with self.told(context) as account:
            live = self.tell_live(account, self.views(delivery))
            if self.flow:
                is_new = note_passed(self, context, self.flow, delivery)
                account.note(f"{delivery.version} {'has' if is_new else 'had already'} passed")
        return {"schema": 1, "app": self.app, "commit": delivery.commit, "version": delivery.version, "live": live}

    def rehearse(self, context: Context) -> dict[str, Any]:
        """What the rehearsed pushes said."""
        told = [one for name in self.environments for one in rehearsed_pushes(context, name)]
        with self.told(context) as account:
            account.note(f"Dry run: nothing was changed; {len(told)} pushes were rehearsed")
            for one in told:
                account.note(f"{one.get('region', '')}: {one.get('summary', '')}")
        return {**DRY, "regions": told}

    def views(self, delivery: Delivery) -> dict[str, ClusterView]:
        """Region (of another environment than production: its name before it) -> cluster."""
        app, found = self.application, {}
        for name in self.environments:
            site = app.environment(name)
            for region in delivery.regions if name == "prod" else site.region_names:
                key = region if name == "prod" else f"{name} {region}"
                found[key] = self.view_of(name, region)
        return found


def rehearsed_pushes(context: Context, environment: str) -> list[dict[str, Any]]:
    """What the tasks of an environment's push said in a dry run, region by region."""
    group = "push" if environment == "prod" else f"{environment}.push"
    found = context["ti"].xcom_pull(task_ids=f"{group}.push_red_black")
    several = [found] if isinstance(found, Mapping) else found or ()
    return [dict(one) for one in several if isinstance(one, Mapping)]


class DescribeRollbackOperator(LiveStation):
    """Look at the regions that were taken back and write down what serves, and the time to safe: from the decision,
    and from the click.

    **Retry and clear**: looks again.
    """

    ui_color = "#fbe9e7"

    def deliver(self, context: Context) -> dict[str, Any]:
        run, clicked = key_of_run(context), context["dag_run"].run_after
        regions = [one for one in self.application.prod.region_names if one in context["params"]["regions"]]
        safe: dict[str, dict[str, float]] = {}
        with self.told(context) as account:
            live = self.tell_live(account, {region: self.view(region) for region in regions})
            for region in regions:
                if (found := self.time_to_safe(run, region, clicked)) is not None:
                    safe[region] = found
                    from_decision, from_click = found["decision"], found["click"]
                    account.note(
                        f"{region} safe {from_decision:.1f} s after the decision, {from_click:.1f} s after the click"
                    )
        return {"schema": 1, "app": self.app, "live": live, "seconds_to_safe": safe}

    def time_to_safe(self, run: str, region: str, clicked: datetime) -> dict[str, float] | None:
        """Seconds from the decision and from the click; None where the ledger has no such moment (pushed again)."""
        kinds = {Kind.ROLLBACK_STARTED, Kind.ROLLBACK_SAFE}
        events = self.ledger.events(place=place_of(self.application, region), run=run, kinds=kinds)
        found = times_to_safe(events)
        return {"decision": found[-1].seconds, "click": (found[-1].at - clicked).total_seconds()} if found else None
