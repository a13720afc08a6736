"""Makes the local cloud's world, by the product's own means: network, repository, a first version that serves.

Idempotent: what is there is left alone. Run by the stack between the local cloud and its traffic.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from examples.create_repository import create_repository
from include.adapters.artifact_store import Artifact as StoredArtifact
from include.adapters.artifact_store import ArtifactStore, bucket_name
from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_images import AwsImages
from include.adapters.build_process import run_command, sha256_of
from include.adapters.builder_report import BuilderReport
from include.adapters.git_repository import GitRepository
from include.adapters.ledger_store import SqlLedger
from include.apps import App, load_app
from include.bake import Artifact, BakeGoal, ImageRecipe, builder_script, drive_bake
from include.errors import RedstartError
from include.fleet import ClusterRef
from include.ledger import Claim, Holder, Ledger, Place
from include.redblack import Build, GroupTemplate, Need, PushGoal, SizeBounds, drive_push
from include.redblack.ledger_journal import LedgerJournal
from include.services.market_seed import seed_markets
from include.services.network_seed import seed_network
from include.services.settings import PROJECT, TEST_ACCOUNT, Settings

RUN = "seed"
Clients = Callable[[str, str], Any]


@cache
def _session(account: str | None, url: str) -> boto3.Session:
    if account is None:
        return boto3.Session("local", "local")
    sts = boto3.Session("local", "local").client("sts", "us-east-1", endpoint_url=url)
    role = f"arn:aws:iam::{account}:role/redstart"
    keys = sts.assume_role(RoleArn=role, RoleSessionName=RUN)["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def clients(settings: Settings, account: str | None = None) -> Clients:
    """(service, region) -> boto3 client of the local cloud; `account` is reached by its role."""
    config = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=5, read_timeout=60)

    @cache
    def make(service: str, region: str) -> Any:
        session = _session(account, settings.cloud_url)
        return session.client(service, region, endpoint_url=settings.cloud_url, config=config)

    return make


def build_first_artifact(app: App, repository: GitRepository, commit: str, store: ArtifactStore) -> StoredArtifact:
    """The commit's artifact by the application's own command, or the one that was stored before."""
    if found := store.find(app.name, commit):
        return found
    with tempfile.TemporaryDirectory(prefix="redstart-seed-") as scratch:
        source, output = Path(scratch, "source"), Path(scratch, "artifact")
        repository.export(commit, source)
        words = [word.replace("{artifact}", str(output)) for word in app.build.command]
        run_command(
            words,
            source,
            Path(scratch, "log"),
            timeout_seconds=app.build.build_timeout_seconds,
            environment=repository.commit_info(commit).build_environment,
        )
        return store.put(app.name, commit, output, sha256_of(output))


def bake_first_image(app: App, repository: GitRepository, make: Clients) -> tuple[ImageRecipe, dict[str, str]]:
    """Recipe and image id per region of the prod branch's head."""
    regions, home = app.prod.region_names, app.prod.region_names[0]
    commit = repository.head(app.source.prod_branch)
    info = repository.commit_info(commit)
    store = ArtifactStore(make("s3", home), bucket_name(app.prod.account, home))
    stored = build_first_artifact(app, repository, commit, store)
    workshops = {region: AwsImages(region, partial(_turned, make, region)) for region in regions}
    base = workshops[home].find_base_image(app.bake.base_image)
    recipe = ImageRecipe(app.name, info.version, commit, info.tree, app.source.prod_branch, base.image_id, RUN)
    script = builder_script(
        recipe, Artifact(store.get_url(stored.key), stored.sha256), store.put_url(recipe.report_key)
    )
    goal = BakeGoal(recipe, home, regions, script, app.bake.builder_type, app.bake.share_accounts)
    end = last_word(drive_bake(workshops, goal, BuilderReport(store, recipe.report_key)))
    return recipe, dict(end.images)


def serve_first_version(
    app: App, recipe: ImageRecipe, image_id: str, region: str, make: Clients, ledger: Ledger
) -> str:
    """Push the first version into an empty cluster; where something serves already, leave it."""
    prod, place = app.prod, Place(app.name, app.stack, region)
    fleet = AwsFleet(region, partial(_turned, make, region), prod.load_balancer)
    cluster = ClusterRef(app.name, app.stack, region)
    if fleet.view_cluster(cluster).weights:
        return f"{region}: something serves already"
    claim = Claim(RUN, Holder.PUSH, RUN, "the first version", prod.push.lease_seconds)
    lease = ledger.claim(place, claim, _now())
    goal = PushGoal(
        cluster=cluster,
        build=Build(image_id, recipe.version, recipe.commit),
        run=RUN,
        template=GroupTemplate(prod.instance_type, prod.port, prod.health_path),
        size=SizeBounds(prod.min_size, prod.max_size),
        need=Need(prod.capacity.rps_per_instance, floor=prod.min_size),
        needs_traffic=False,
        token=lease.token,
    )
    journal = LedgerJournal(ledger, lease, RUN, RUN, _now, lease_seconds=claim.seconds)
    summary = str(last_word(drive_push(fleet, goal, _now, journal)).summary)
    ledger.free(place, _now(), owner=RUN, who=RUN, why="it serves")
    return summary


def _now() -> datetime:
    return datetime.now(UTC)


def _turned(make: Clients, region: str, service: str) -> Any:
    return make(service, region)


def last_word(loop: Iterable[Any]) -> Any:
    """Follow a loop of observe, decide, do; RedstartError where it failed."""
    for progress in loop:
        if progress.is_news:
            print(progress.sentence, flush=True)
        if progress.end is not None:
            if not hasattr(progress.end, "images") and not hasattr(progress.end, "summary"):
                raise RedstartError(progress.end.sentence)
            return progress.end
        time.sleep(min(progress.pause_seconds, 1.0))
    raise RedstartError("the loop stopped without saying how it ended")


def seed(settings: Settings) -> None:
    app = load_app("api")
    make, make_test = clients(settings), clients(settings, TEST_ACCOUNT)

    def of_account(account: str, service: str, region: str) -> Any:
        return (make_test if account == TEST_ACCOUNT else make)(service, region)

    seed_network(of_account, settings)
    seed_markets(lambda region: make("cloudwatch", region), _now())
    bare = settings.git_root / app.source.repository
    if not bare.exists():
        create_repository(bare, PROJECT / "examples" / "api")
    repository = GitRepository(str(bare), settings.home / "builds" / "seed.git")
    repository.fetch()
    recipe, images = bake_first_image(app, repository, make)
    ledger = SqlLedger(settings.ledger_url)
    with ThreadPoolExecutor() as pool:
        words = pool.map(lambda region: serve_first_version(app, recipe, images[region], region, make, ledger), images)
        for word in words:
            print(word, flush=True)


def main() -> int:
    try:
        seed(Settings())
    except RedstartError as error:
        print(f"redstart: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
