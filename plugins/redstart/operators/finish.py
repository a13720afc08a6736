"""The end of a delivery: the order of the push, and what runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redstart.operators.source import describe_live
from redstart.operators.station import StationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class OrderRegionsOperator(StationOperator):
    """Say which regions are pushed, in which order: those of the form, in the order of the settings.

    **Retry and clear**: the same answer.
    """

    def deliver(self, context: Context) -> list[str]:
        return list(self.selected(context).regions)


class DescribeFleetOperator(StationOperator):
    """Look at every region of this run and write down what takes traffic there.

    **Retry and clear**: looks again.
    """

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery = self.selected(context)
        views = {region: self.view(region) for region in delivery.regions}
        live = describe_live(views)
        for region, groups in live.items():
            for group in groups:
                self.log.info("%s: %s %s, %d healthy", region, group["group"], group["version"], group["healthy"])
        return {"schema": 1, "app": self.app, "commit": delivery.commit, "version": delivery.version, "live": live}
