"""The evening of the demo's first region: its market's peak ends a minute after the gate.

A world that is just made has no past. The demo gives this market one, and nothing more: the region learns its curve
from the metric store, and its push waits, as in any other week.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from redstart.cli.connected import open_ledger
from redstart.cli.story import now_utc

if TYPE_CHECKING:
    from redstart.cli.airflow_api import TaskState
    from redstart.cli.demo import Demo

REGION = "us-west-2"
"""The market with the least traffic: it is pushed first."""
VERDICT = "canary.analyze_canary"
GATE_SECONDS = 5
"""From the canary's verdict to the gate's word, on a machine that has nothing else to do. Until the regions are ordered
the canary has to be gone too."""
MOST_GATE_SECONDS = 60
WAIT_SECONDS = 60


class Evening:
    """Writes the market's history once, when the canary has its verdict: a machine that is busy judges longer."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.is_written = False

    def look(self, tasks: Sequence[TaskState]) -> None:
        """Called again and again while a run is followed."""
        if self.is_written or REGION not in self.demo.settings.regions_without_history:
            return
        if any(task.task_id == VERDICT and task.state in {"success", "failed"} for task in tasks):
            self.is_written = True
            if self._write(now_utc() + timedelta(seconds=gate_seconds() + WAIT_SECONDS)) is None:
                self.demo.say(f"{REGION} will not be seen waiting: its clock changes, and no evening ends in a minute.")

    def _write(self, moment: datetime) -> datetime | None:
        """By the rules by which the product will judge what it reads; when the region's window begins, None where no
        market has it begin there."""
        ledger = open_ledger()  # first: Airflow reads its settings when it is imported
        from include.services.first_version import clients
        from include.services.market_seed import seed_evening
        from include.services.settings import PROD_ACCOUNT
        from redstart.operators.outlook import OutlookReader

        found = OutlookReader(self.demo.app, "prod", ledger).read(REGION)
        assert found is not None
        client = clients(self.demo.settings.cloud_url, PROD_ACCOUNT)("cloudwatch", REGION)
        return seed_evening(client, REGION, moment, now_utc(), found.outlook.calendar, found.rules)


def gate_seconds() -> float:
    """Until the gate's word on this machine: as many times longer as it has more to do than it can do at once."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(GATE_SECONDS * max(1.0, load), MOST_GATE_SECONDS)
