"""Whole runs of a DAG in one process: deferred tasks come back when the others have had their turn."""

from __future__ import annotations

from typing import Any

import pytest

from redstart.operators import clock
from redstart.triggers.moment import MomentTrigger
from tests.conftest import ROOT

WAIT_SECONDS = 5.0


class DagRuns:
    """Runs of the shipped DAGs; what the last one did is in `run`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.sdk.definitions import dag as dag_module
        from airflow.utils.session import create_session

        with create_session() as session:
            DagBundlesManager().sync_bundles_to_db(session=session)
        self.bag = DagBag(str(ROOT / "dags"))
        sync_bag_to_db(self.bag, "dags-folder", None)
        self._run_task = dag_module._run_task
        monkeypatch.setattr(dag_module, "_run_task", self.run_task)
        self.run: Any = None

    def __call__(self, dag_id: str = "api_prod", **form: Any) -> dict[str, str]:
        """Run with a form's values to the end; task id -> state (a mapped one: task id[index])."""
        self.run = self.bag.dags[dag_id].test(run_conf=form)
        return self.states()

    def states(self) -> dict[str, str]:
        states = {"run": str(self.run.state)}
        for ti in self.run.get_task_instances():
            states[ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else "")] = str(ti.state)
        return states

    def run_task(self, *, ti: Any, task: Any, run_triggerer: bool = False) -> Any:
        """As Airflow's own; but what a task waits for may be another's work, so it does not wait on the spot."""
        from airflow.sdk.execution_time.comms import DeferTask
        from airflow.utils.session import create_session

        del run_triggerer
        done = self._run_task(ti=ti, task=task, run_triggerer=False)
        if done is not None and isinstance(done.msg, DeferTask):
            clock.sleep(self._wait_of(done.msg))
            with create_session() as session:
                ti.next_method, ti.next_kwargs, ti.state = done.msg.next_method, {"event": None}, "scheduled"
                session.merge(ti)
        return done

    @staticmethod
    def _wait_of(deferral: Any) -> float:
        from airflow.sdk._shared.module_loading import import_string
        from airflow.sdk.serde import deserialize

        trigger = import_string(deferral.classpath)(**deserialize(deferral.trigger_kwargs))
        if isinstance(trigger, MomentTrigger):
            return max(trigger.end_epoch - clock.now().timestamp(), 0.0) + 1
        return WAIT_SECONDS

    def clear(self, *groups: str) -> None:
        """All of the last run, or the tasks whose ids begin so, as a person does it."""
        from airflow.models.taskinstance import clear_task_instances
        from airflow.utils.session import create_session

        with create_session() as session:
            found = self.run.get_task_instances(session=session)
            clear_task_instances([ti for ti in found if ti.task_id.startswith(groups or "")], session)

    def go_on(self) -> str:
        """Run what was cleared to its end; the run's state."""
        from airflow.models.dagrun import DagRun
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.session import create_session
        from sqlalchemy import select

        dag = self.bag.dags[self.run.dag_id]
        with create_session() as session:
            found = session.scalars(select(DagRun).where(DagRun.run_id == self.run.run_id)).one()
            found.dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
            found.state = "running"
            while found.state == "running":
                session.expire_all()
                for ti in found.update_state(session=session)[0]:
                    ti.try_number += 1
                    ti.state = "scheduled"
                session.commit()
                for ti in found.get_task_instances(session=session):
                    if ti.state == "scheduled":
                        self.run_task(ti=ti, task=dag.task_dict[ti.task_id])
            return str(found.state)

    def result(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        ids = {"run_id": self.run.run_id, "dag_ids": self.run.dag_id, "task_ids": task_id, "map_indexes": map_index}
        with create_session() as session:
            query = XComModel.get_many(key=key, **ids)
            row = session.execute(query.with_only_columns(XComModel.value)).first()
        return None if row is None else XComModel.deserialize_value(type("Row", (), {"value": row[0]}))
