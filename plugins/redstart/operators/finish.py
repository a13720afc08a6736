"""The end of a delivery: the order of the push, and what runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redstart.operators.source import describe_live
from redstart.operators.station import StationOperator
from redstart.ui.links import LiveLink, RegionsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


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


class DescribeFleetOperator(StationOperator):
    """Look at every region of this run and write down what takes traffic there.

    **Retry and clear**: looks again.
    """

    operator_extra_links = (LiveLink(),)

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery = self.selected(context)
        views = {region: self.view(region) for region in delivery.regions}
        live = describe_live(views)
        with self.told(context) as account:
            for region, groups in live.items():
                for group in groups:
                    what = f"{group['group']} {group['version']} ({group['commit'][:10] or 'unknown commit'})"
                    account.note(f"{region}: {what}, {group['healthy']} healthy instances")
        return {"schema": 1, "app": self.app, "commit": delivery.commit, "version": delivery.version, "live": live}
