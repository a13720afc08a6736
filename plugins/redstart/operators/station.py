"""What all stations of a delivery share: the application, the delivery, retries, and how errors are told."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from include.apps import App, Environment, load_app
from include.apps.delivery import Delivery, flow_key
from include.errors import RedstartError, RefusedError
from include.fleet import ClusterRef, ClusterView, Fleet
from include.ledger import Ledger
from redstart.hooks.fleet import FleetHook
from redstart.hooks.git import GitRepositoryHook
from redstart.hooks.installation import InstallationHook
from redstart.hooks.ledger import LedgerHook
from redstart.operators.drive import Account
from redstart.operators.outcome import translated, with_defaults
from redstart.ui.links import station_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redstart.hooks.fleet import ArtifactStore
    from redstart.hooks.git import GitRepository

# Task ids by which results are found; dags/ uses the same groups and names.
SELECT_COMMIT = "build.select_commit"
SELECT_CANDIDATE = "select_candidate"
BAKE_IMAGE = "build.bake_image"
BUILD_ARTIFACT = "build.build_artifact"
CHOOSE_BASELINE = "canary.choose_baseline"
LAUNCH_CANARY = "canary.launch_canary"

DRY: Mapping[str, Any] = {"schema": 1, "dry_run": True}
"""The result of a task that has only said what it would do."""


class StationOperator(BaseOperator):
    """A task of the delivery of `app`, in one of its environments where it is about one; subclasses write `deliver`.

    Every station may be cleared or retried at any time: it looks at the world and goes on from there; its
    `doc_md` says how. Results of other tasks are pulled by task id rather than wired as arguments: an argument
    would draw an edge from select_commit to every task, and nobody could read the graph.

    In a dry run `rehearse` is called instead: it says what would be done, and changes nothing but the task's account.
    """

    ui_color = "#eef3f8"

    def __init__(self, *, app: str, environment: str = "prod", **kwargs: Any) -> None:
        super().__init__(**with_defaults(type(self), kwargs))
        self.app = app
        self.environment = environment

    def execute(self, context: Context) -> Any:
        with translated():
            return self.rehearse(context) if is_dry(context) else self.deliver(context)

    def deliver(self, context: Context) -> Any:
        """The work. RedstartErrors are translated by the caller."""
        raise NotImplementedError

    def rehearse(self, context: Context) -> Any:
        """What `deliver` would do, in words. It may read; what it returns says that it is of a dry run."""
        with self.told(context) as account:
            account.note(f"Dry run: would {purpose_of(type(self))}")
        return dict(DRY)

    @contextmanager
    def told(self, context: Context, file: str | None = None) -> Iterator[Account]:
        """An account for the task's log that, on any end, is also kept where the task's link leads.

        What an earlier try, or a cleared one, told stays above it. That an account cannot be kept stops nothing.
        """
        account = Account(self.log.info)
        try:
            yield account
        except RedstartError as error:
            account.add(f"ended without success: {error}")
            raise
        finally:
            name = file or station_file(self.app, key_of_run(context), self.task_id)
            try:
                self.installation.results().append(name, account.text().encode())
            except (OSError, RedstartError) as error:
                self.log.warning("The account could not be kept as %s: %s", name, error)

    @property
    def application(self) -> App:
        return load_app(self.app)

    @property
    def site(self) -> Environment:
        """The environment that the task is about."""
        return self.application.environment(self.environment)

    def selected(self, context: Context) -> Delivery:
        return selected(context)

    @property
    def fleet_hook(self) -> FleetHook:
        return FleetHook(self.site.connection_id)

    def fleet(self, region: str) -> Fleet:
        """The environment's groups in a region."""
        return self.fleet_hook.fleet(region, self.site.load_balancer)

    def view(self, region: str) -> ClusterView:
        """The environment's cluster in a region, as it is now."""
        return self.fleet(region).view_cluster(self.cluster(region))

    def view_of(self, environment: str, region: str) -> ClusterView:
        """The same of another environment of the application."""
        site = self.application.environment(environment)
        fleet = FleetHook(site.connection_id).fleet(region, site.load_balancer)
        return fleet.view_cluster(ClusterRef(self.application.name, site.stack, region))

    def cluster(self, region: str) -> ClusterRef:
        return ClusterRef(self.application.name, self.site.stack, region)

    @property
    def artifacts(self) -> ArtifactStore:
        """Where builds are kept: production's bucket in the region where images are baked."""
        app = self.application
        return FleetHook(app.prod.connection_id).artifacts(app.prod.account, app.image_regions[0])

    @property
    def ledger(self) -> Ledger:
        """Who did what, and who may: opened anew at each call."""
        return LedgerHook().ledger()

    @property
    def installation(self) -> InstallationHook:
        return InstallationHook()

    @property
    def repository(self) -> GitRepository:
        return GitRepositoryHook().repository(self.application.source.repository)


def is_dry(context: Context) -> bool:
    """Whether the run's form asks only for what would be done. A form does not change: nor does a cleared task's."""
    return bool((context.get("params") or {}).get("dry_run"))


def purpose_of(task: type) -> str:
    """The first sentence of a task's documentation, to follow "would"."""
    words = " ".join((inspect.getdoc(task) or task.__name__).partition("\n\n")[0].split())
    first = re.split(r"(?<=[a-z\d])[.;:](?=\s|$)", words, maxsplit=1)[0]
    return f"{first[:1].lower()}{first[1:]}"


def selected(context: Context) -> Delivery:
    """The delivery under way, of a commit or of a candidate; RefusedError when nothing was selected."""
    ti = context["ti"]
    return Delivery.from_xcom(ti.xcom_pull(task_ids=SELECT_COMMIT) or ti.xcom_pull(task_ids=SELECT_CANDIDATE))


def key_of_run(context: Context) -> str:
    """The run's key, under which this run's canary, push and results are kept."""
    return flow_key(str(context["dag_run"].dag_id), str(context["run_id"]))


def fence(context: Context) -> Callable[[], None]:
    """To be called right before every change to the world: raises if this task has been given up.

    A task whose supervisor died runs on beside its second copy; its next word to Airflow fails, and so it
    stops before it acts. Without a store (a bare unit test) it does nothing.
    """
    store = context.get("task_state_store")
    count = 0

    def beat() -> None:
        nonlocal count
        if store is not None:
            count += 1
            store.set("beat", count)

    return beat


def result_of(context: Context, task_id: str, schema: int = 1) -> Mapping[str, Any]:
    """Another task's result, of the same region where there is one for each; RefusedError when it left none or in a
    schema that this version does not know."""
    ti = context["ti"]
    is_sibling = ti.map_index >= 0 and task_id.rpartition(".")[0] == ti.task_id.rpartition(".")[0]
    of_region = {"map_indexes": ti.map_index} if is_sibling else {}
    value: Mapping[str, Any] | None = ti.xcom_pull(task_ids=task_id, **of_region)
    if not value or value.get("schema") != schema:
        raise RefusedError(f"{task_id} left no result that this version can read (found {value!r}).")
    return value


def sibling(context: Context, name: str) -> str:
    """The id of the task `name` in the group of the task that runs."""
    group = context["ti"].task_id.rpartition(".")[0]
    return f"{group}.{name}" if group else name


def images_of_run(context: Context) -> Mapping[str, str]:
    """Region -> id of the image that this run brings: the baked one, or the candidate's."""
    candidate: Mapping[str, Any] | None = context["ti"].xcom_pull(task_ids=SELECT_CANDIDATE)
    images: Mapping[str, str] = (candidate or result_of(context, BAKE_IMAGE))["images"]
    return images


def image_in(context: Context, region: str) -> str:
    """The id of this run's image in `region`; RefusedError when there is none."""
    image_id = images_of_run(context).get(region)
    if not image_id:
        raise RefusedError(f"This run has no image in {region}; clear the task that baked or chose it.")
    return str(image_id)
