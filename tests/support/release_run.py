"""Runs of the flows around a release candidate, task by task: `api_release`, and the weekly push."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from include.apps import load_app
from include.apps.delivery import Delivery, flow_key
from include.bake import ImageRecipe
from include.fleet import ClusterRef, Image
from redstart.operators.candidate import MarkCandidateOperator, SelectCandidateOperator
from redstart.operators.environment_tests import RunEnvironmentTestsOperator
from tests.support.delivery_world import DeliveryWorld
from tests.support.git import git
from tests.support.station_run import Run

RELEASE, PUSH = "api_release", "api_release_push"


class FlowRun(Run):
    """A run of the DAG `dag_id`."""

    def __init__(self, world: DeliveryWorld, dag_id: str, run_id: str = "manual__2026-11-05T14:22:33+00:00") -> None:
        super().__init__(world, run_id)
        self.dag_id = dag_id

    @property
    def key(self) -> str:
        return flow_key(self.dag_id, self.run_id)

    def context(self, task_id: str = "") -> Any:
        dag_run = SimpleNamespace(
            run_type=self.run_type, dag_id=self.dag_id, run_after=self.world.now(), triggering_user_name="ada"
        )
        return {**super().context(task_id), "dag_run": dag_run}


class VerifyRun(FlowRun):
    """A run of api_release about the head of release, whose image is baked."""

    def __init__(self, world: DeliveryWorld, run_id: str = "manual__2026-11-05T14:22:33+00:00") -> None:
        super().__init__(world, RELEASE, run_id)
        self.commit = world.origin.head("release")
        subject = git(world.origin.work, "log", "-1", "--format=%s", self.commit)
        tree = git(world.origin.work, "rev-parse", f"{self.commit}^{{tree}}")
        version = f"20261105.142233-{self.commit[:7]}"
        regions = load_app("api").prod.region_names
        made_of = (self.commit, tree, version, subject, "Ada", 1793888553, regions, regions[0], "release")
        self.delivery = Delivery("api", self.key, *made_of)
        self.results["build.select_commit"] = self.delivery.to_xcom()
        self.recipe = ImageRecipe("api", version, self.commit, tree, "release", "ami-base")
        images = {region: self.bake(region) for region in world.workshops}
        self.results["build.bake_image"] = {"schema": 1, "name": self.recipe.name, "images": images}

    def bake(self, region: str) -> str:
        image_id = f"ami-{region}-{self.commit[:4]}"
        image = Image(image_id, self.recipe.name, "available", self.world.now(), dict(self.recipe.tags))
        self.world.workshops[region].images[self.recipe.name] = image
        return image_id

    def serve(self, environment: str, commit: str = "") -> None:
        """As the environment's push leaves it: its fleet serves the commit of this run, or another."""
        site = load_app("api").environment(environment)
        for region in site.region_names:
            fleet = self.world.fleet(site.load_balancer, region)
            number = len(fleet.records)
            name = f"api-{site.stack}-v{number:03d}"
            fleet.listener.clear()
            fleet.seed(ClusterRef("api", site.stack, region), name, "ami", 1)
            fleet.records[name].tags |= {"redstart:commit": commit or self.commit, "redstart:version": "1.0"}

    def test(self, environment: str) -> Any:
        return self.do(f"{environment}.run_tests", RunEnvironmentTestsOperator, environment=environment)

    def mark(self) -> Any:
        return self.do("mark_candidate", MarkCandidateOperator, flow="release")

    def to_candidate(self) -> VerifyRun:
        """Both stations passed, without running their tests; the image is a candidate."""
        for environment in ("integration", "staging"):
            tests = {"total": 2, "failed": 0, "skipped": 0, "report": f"/report/{environment}"}
            self.results[f"{environment}.run_tests"] = {"schema": 1, "commit": self.commit, **tests}
        self.mark()
        return self


class PushRun(FlowRun):
    """A run of the weekly push."""

    def __init__(self, world: DeliveryWorld, run_id: str = "manual__2026-11-06T09:00:00+00:00", **form: Any) -> None:
        super().__init__(world, PUSH, run_id)
        self.form = {"candidate": None, "reason": "the weekly push", "regions": list(world.fleets), **form}

    def select(self) -> Any:
        return self.do("select_candidate", SelectCandidateOperator, flow="release_push")
