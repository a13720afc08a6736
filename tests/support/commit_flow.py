"""Runs of select_commit in one flow's DAG, against a real repository and ledger; fleets in memory."""

from __future__ import annotations

from itertools import count as count_up
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.sdk.exceptions import AirflowSkipException

from include.apps import load_app
from include.fleet import ClusterRef
from include.ledger import EVERY_REGION, Kind, Place
from redstart.operators.source import SelectCommitOperator
from tests.support.delivery_world import DeliveryWorld

PLACE = Place("api", "main", EVERY_REGION)
values = count_up(1000)


def asset_events(*commits: str, branch: str = "prod") -> dict[str, list[Any]]:
    """As Airflow tells a run of the events that started it."""
    payloads = [{"repository": "api", "branch": branch, "commit": commit, "via": "poll"} for commit in commits]
    return {"an asset": [SimpleNamespace(extra={"from_trigger": True, "payload": one}) for one in payloads]}


class Flow:
    """Runs of select_commit in the DAG of one flow."""

    def __init__(self, world: DeliveryWorld, flow: str = "prod") -> None:
        self.world, self.flow = world, flow
        self.words: dict[str, str] = {}

    def select(
        self, run: str, *told: str, by: str = "asset_triggered", form: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The delivery, as other tasks read it; AirflowSkipException with the word where there is nothing to do."""
        context: Any = {
            "ti": SimpleNamespace(xcom_push=lambda key, value: self.words.__setitem__(run, value), task_id="x"),
            "run_id": run,
            "dag_run": SimpleNamespace(run_type=DagRunType(by), dag_id=f"api_{self.flow}", run_after=self.world.now()),
            "params": form or {},
            "triggering_asset_events": asset_events(
                *told,
                branch=load_app("api").flows[self.flow].branch,  # type: ignore[union-attr]
            ),
        }
        return SelectCommitOperator(task_id="select_commit", app="api", flow=self.flow).execute(context)

    def ends(self, run: str, *told: str, by: str = "asset_triggered", form: dict[str, Any] | None = None) -> str:
        """Why the run had nothing to do."""
        with pytest.raises(AirflowSkipException) as ended:
            self.select(run, *told, by=by, form=form)
        assert self.words[run] == str(ended.value)
        return self.words[run]

    def account(self, kind: Kind) -> list[tuple[str, str]]:
        """(commit, run) of every fact of the kind, in order."""
        events = [one.event for one in self.world.ledger.events(kinds={kind})]
        return [(str(one.data["commit"]), one.run) for one in events if one.data["flow"] == self.flow]

    @property
    def subjects(self) -> list[tuple[str, str]]:
        return self.account(Kind.COMMIT_SELECTED)

    @property
    def superseded(self) -> list[tuple[str, str]]:
        return self.account(Kind.COMMIT_SUPERSEDED)


def commits(world: DeliveryWorld, count: int, branch: str = "prod") -> list[str]:
    return [world.origin.commit(branch, {"app.py": f"VALUE = {next(values)}\n"}) for _ in range(count)]


def serve(world: DeliveryWorld, commit: str, environment: str = "prod") -> None:
    """The commit serves in every region of the environment."""
    site = load_app("api").environment(environment)
    for region in site.region_names:
        fleet, name = world.fleet(site.load_balancer, region), f"api-{site.stack}-v000"
        if name not in fleet.records:
            fleet.seed(ClusterRef("api", site.stack, region), name, "ami-1", 1)
        fleet.records[name].tags["redstart:commit"] = commit
