"""The end of a delivery: the order of the push, and what runs where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.fleet import ClusterView
from include.ledger import Kind
from include.ledger.folds import times_to_safe
from redstart.operators.cluster import place_of
from redstart.operators.live import describe_live
from redstart.operators.station import StationOperator, key_of_run
from redstart.operators.verified import note_passed
from redstart.ui.links import LiveLink, RegionsLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from redstart.operators.drive import Account


class OrderRegionsOperator(StationOperator):
    """Say which regions are pushed, in which order: those of the form, in the order of the settings.

    **Retry and clear**: the same answer.
    """

    operator_extra_links = (RegionsLink(),)

    def deliver(self, context: Context) -> list[str]:
        regions = list(self.selected(context).regions)
        with self.told(context) as account:
            account.note(f"pushed in this order: {', '.join(regions)}")
        return regions


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

    def views(self, delivery: Delivery) -> dict[str, ClusterView]:
        """Region (of another environment than production: its name before it) -> cluster."""
        app, found = self.application, {}
        for name in self.environments:
            site = app.environment(name)
            for region in delivery.regions if name == "prod" else site.region_names:
                key = region if name == "prod" else f"{name} {region}"
                found[key] = self.view_of(name, region)
        return found


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
