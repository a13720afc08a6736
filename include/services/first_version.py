"""A first version of an application by the product's own means: built, baked, pushed into its empty clusters.

Idempotent: what is built, baked or served is left alone.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from include.adapters.artifact_store import Artifact as StoredArtifact
from include.adapters.artifact_store import ArtifactStore, bucket_name
from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_images import AwsImages
from include.adapters.build_process import run_command, sha256_of
from include.adapters.builder_report import BuilderReport
from include.adapters.git_repository import GitRepository
from include.apps import App, Environment
from include.bake import Artifact, BakeGoal, ImageRecipe, builder_script, drive_bake
from include.errors import RedstartError
from include.fleet import ClusterRef
from include.ledger import Claim, Holder, Ledger, Place
from include.redblack import Build, GroupTemplate, Need, PushGoal, SizeBounds, drive_push
from include.redblack.ledger_journal import LedgerJournal
from include.services.settings import PROD_ACCOUNT

RUN = "seed"
Clients = Callable[[str, str], Any]
"""(service, region) -> boto3 client."""


@cache
def clients(cloud_url: str, account: str) -> Clients:
    """Clients of the local cloud; any account but production's is reached by its role. Safe to ask from any thread."""
    config = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=5, read_timeout=60)
    session, lock = _session(account, cloud_url), threading.Lock()
    made: dict[tuple[str, str], Any] = {}

    def make(service: str, region: str) -> Any:
        with lock:
            if (service, region) not in made:
                client: Any = session.client  # its overloads want the service's name as a literal
                made[service, region] = client(service, region, endpoint_url=cloud_url, config=config)
            return made[service, region]

    return make


def _session(account: str, url: str) -> boto3.Session:
    if account == PROD_ACCOUNT:
        return boto3.Session("local", "local")
    sts = boto3.Session("local", "local").client("sts", "us-east-1", endpoint_url=url)
    role = f"arn:aws:iam::{account}:role/redstart"
    keys = sts.assume_role(RoleArn=role, RoleSessionName=RUN)["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


@dataclass(frozen=True)
class FirstVersion:
    """Brings the head of `branch` into every environment of `app`."""

    app: App
    branch: str
    repository: GitRepository
    ledger: Ledger
    cloud_url: str
    say: Callable[[str], None]

    def serve(self) -> None:
        """Bake, then push into all regions of all environments at once, and say so. RedstartError where one fails."""
        recipe, images = self.bake()
        sites = [(one, region) for one in self.app.environments.by_name.values() for region in one.region_names]
        with ThreadPoolExecutor(len(sites)) as pool:
            list(pool.map(lambda site: self.push(recipe, images[site[1]], *site), sites))

    def build(self, commit: str, store: ArtifactStore) -> StoredArtifact:
        """The commit's artifact by the application's own command, or the one that was stored before."""
        if found := store.find(self.app.name, commit):
            return found
        with tempfile.TemporaryDirectory(prefix="redstart-seed-") as scratch:
            source, output = Path(scratch, "source"), Path(scratch, "artifact")
            self.repository.export(commit, source)
            words = [word.replace("{artifact}", str(output)) for word in self.app.build.command]
            run_command(
                words,
                source,
                timeout_seconds=self.app.build.build_timeout_seconds,
                environment=self.repository.commit_info(commit).build_environment,
            )
            return store.put(self.app.name, commit, output, sha256_of(output))

    def bake(self) -> tuple[ImageRecipe, dict[str, str]]:
        """Recipe and image id per region of the branch's head."""
        app, make = self.app, clients(self.cloud_url, self.app.prod.account)
        regions, home = app.image_regions, app.image_regions[0]
        commit = self.repository.head(self.branch)
        info = self.repository.commit_info(commit)
        store = ArtifactStore(make("s3", home), bucket_name(app.prod.account, home))
        stored = self.build(commit, store)
        workshops = {region: AwsImages(region, partial(_turned, make, region)) for region in regions}
        base = workshops[home].find_base_image(app.bake.base_image)
        recipe = ImageRecipe(app.name, info.version, commit, info.tree, self.branch, base.image_id)
        script = builder_script(
            recipe, Artifact(store.get_url(stored.key), stored.sha256), store.put_url(recipe.report_key)
        )
        goal = BakeGoal(
            recipe, home, regions, script, app.bake.builder_type, app.bake.share_accounts, app.bake.timeout_seconds
        )
        end = self.last_word(drive_bake(workshops, goal, BuilderReport(store, recipe.report_key), _now))
        return recipe, dict(end.images)

    def push(self, recipe: ImageRecipe, image_id: str, site: Environment, region: str) -> None:
        """Push the first version into an empty cluster; where something serves already, leave it."""
        place, cluster = Place(self.app.name, site.stack, region), ClusterRef(self.app.name, site.stack, region)
        fleet = AwsFleet(region, partial(_turned, clients(self.cloud_url, site.account), region), site.load_balancer)
        if fleet.view_cluster(cluster).weights:
            self.say(f"{place}: something serves already")
            return
        claim = Claim(RUN, Holder.PUSH, RUN, "the first version", site.push.lease_seconds)
        lease = self.ledger.claim(place, claim, _now())
        goal = PushGoal(
            cluster=cluster,
            build=Build(image_id, recipe.version, recipe.commit),
            run=RUN,
            template=GroupTemplate(site.instance_type, site.port, site.health_path),
            size=SizeBounds(site.min_size, site.max_size),
            need=Need(site.capacity.rps_per_instance, floor=site.min_size),
            needs_traffic=False,
            token=lease.token,
        )
        journal = LedgerJournal(self.ledger, lease, RUN, RUN, _now, lease_seconds=claim.seconds)
        self.last_word(drive_push(fleet, goal, _now, journal))
        self.ledger.free(place, _now(), owner=RUN, who=RUN, why="it serves")

    def last_word(self, loop: Iterable[Any]) -> Any:
        """Follow a loop of observe, decide, do; RedstartError where it failed."""
        for progress in loop:
            if progress.is_news:
                self.say(progress.sentence)
            if progress.end is not None:
                if not hasattr(progress.end, "images") and not hasattr(progress.end, "summary"):
                    raise RedstartError(progress.end.sentence)
                return progress.end
            time.sleep(min(progress.pause_seconds, 1.0))
        raise RedstartError("the loop stopped without saying how it ended")


def _now() -> datetime:
    return datetime.now(UTC)


def _turned(make: Clients, region: str, service: str) -> Any:
    return make(service, region)
