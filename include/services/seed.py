"""Makes the local cloud's world: networks, load balancers, repositories, and a first version of `api` that serves.

    python -m include.services.seed

Idempotent: what is there is left alone. Run by the stack between the local cloud and its traffic. The other
applications are there but for a first version: `./redstart seed APP` makes that (see docs/settings.md).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from examples.create_repository import create_repository
from include.adapters.git_repository import GitRepository
from include.adapters.ledger_store import SqlLedger
from include.apps import App, DeliverFlow, ReleaseFlow, load_app
from include.errors import ConfigError, RedstartError
from include.services.first_version import FirstVersion, clients
from include.services.market_seed import seed_markets
from include.services.network_seed import ACCOUNTS, installed_apps, seed_network
from include.services.settings import APP, PROD_ACCOUNT, PROJECT, REGIONS, Settings


def seed(settings: Settings) -> None:
    """Make what is missing of the world; sentences of progress on stdout."""
    apps = installed_apps()
    for app in apps:
        refuse_unknown_places(app)

    def of_account(account: str, service: str, region: str) -> Any:
        return clients(settings.cloud_url, account)(service, region)

    seed_network(of_account, settings, apps)
    remembered = [region for region in REGIONS if region not in settings.regions_without_history]
    seed_markets(lambda region: of_account(PROD_ACCOUNT, "cloudwatch", region), datetime.now(UTC), regions=remembered)
    for app in apps:
        seed_repository(settings, app)
    serve_first_version(settings, load_app(APP), partial(print, flush=True))


def serve_first_version(settings: Settings, app: App, say: Callable[[str], None]) -> None:
    """Build, bake and serve what is at the head of the application's production branch, in all its environments."""
    seed_repository(settings, app)
    repository = GitRepository(
        str(settings.git_root / app.source.repository), settings.home / "builds" / f"seed-{app.name}.git"
    )
    repository.fetch()
    ledger = SqlLedger(settings.ledger_url)
    FirstVersion(app, branches_of(app)[-1], repository, ledger, settings.cloud_url, say).serve()


def seed_repository(settings: Settings, app: App) -> None:
    """The application's own repository, of the same sample source as every other's."""
    bare = settings.git_root / app.source.repository
    if not bare.exists():
        create_repository(bare, PROJECT / "examples" / "api", branches=branches_of(app), project=app.name.upper())


def branches_of(app: App) -> tuple[str, ...]:
    """Every branch that a flow knows, the one that stands for production last."""
    flows = list(app.flows.values())
    watched = [flow.branch for flow in flows if not isinstance(flow, ReleaseFlow)]
    merged = [flow.merge_into for flow in flows if isinstance(flow, DeliverFlow | ReleaseFlow) and flow.merge_into]
    named = tuple(dict.fromkeys([*watched, *merged]))
    production = _production_branch(app) or named[-1]
    return (*(branch for branch in named if branch != production), production)


def _production_branch(app: App) -> str | None:
    """Whose head is in production: the branch that is delivered, else the one that a release is merged into."""
    flows = app.flows.values()
    delivered = next((flow.branch for flow in flows if isinstance(flow, DeliverFlow)), None)
    return delivered or next((flow.merge_into for flow in flows if isinstance(flow, ReleaseFlow)), None)


def refuse_unknown_places(app: App) -> None:
    """ConfigError where an environment is in an account or a region that the local cloud has not."""
    for name, environment in app.environments.by_name.items():
        source, key = f"{app.name}.toml", f"environments.{name}"
        if environment.account not in ACCOUNTS:
            reason = f"the local cloud has the accounts {', '.join(ACCOUNTS)}"
            raise ConfigError(reason, source=source, key=f"{key}.account", value=environment.account)
        if unknown := sorted(set(environment.region_names) - set(REGIONS)):
            raise ConfigError(
                f"the local cloud has the regions {', '.join(REGIONS)}",
                source=source,
                key=f"{key}.regions",
                value=unknown,
            )


def main() -> int:
    try:
        seed(Settings())
    except RedstartError as error:
        print(f"redstart: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
