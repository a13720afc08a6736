"""The world's plan: which load balancers are where, and which branches a repository begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.apps import load_app
from include.apps.loader import FOLDER
from include.errors import ConfigError
from include.services.network_seed import balancer_addresses, installed_apps, load_balancers
from include.services.seed import branches_of, refuse_unknown_places
from include.services.settings import PROD_ACCOUNT, TEST_ACCOUNT, Settings

APPS = installed_apps()


def test_load_balancers_are_where_the_environments_are_and_nowhere_else() -> None:
    assert load_balancers(APPS, PROD_ACCOUNT, "us-west-2") == ("api-main", "search-main")
    assert load_balancers(APPS, TEST_ACCOUNT, "us-east-1") == ("api-test", "api-integration")
    assert load_balancers(APPS, TEST_ACCOUNT, "eu-west-1") == ()


def test_every_load_balancer_has_an_address_of_its_own() -> None:
    settings = Settings(network_octet=10)
    east = balancer_addresses(settings, APPS, PROD_ACCOUNT, "us-east-1")
    assert (east["api-main"], east["api-staging"]) == ("127.10.0.10", "127.10.0.12"), "127.10.0.11 is the router's own"
    assert len(set(east.values())) == len(east) == 4
    assert balancer_addresses(settings, APPS, TEST_ACCOUNT, "us-east-1")["api-test"] == "127.20.0.10"


@pytest.mark.parametrize(
    ("app", "branches"),
    [("api", ("test", "release", "prod")), ("search", ("test", "release", "prod")), ("billing", ("main",))],
)
def test_a_repository_begins_with_every_branch_and_production_last(app: str, branches: tuple[str, ...]) -> None:
    assert branches_of(load_app(app)) == branches


def test_a_region_that_the_local_cloud_lacks_is_refused_by_file_and_key(tmp_path: Path) -> None:
    text = (
        (FOLDER / "billing.toml")
        .read_text()
        .replace('name = "us-east-1", market = "All', 'name = "ap-south-1", market = "All')
    )
    (tmp_path / "billing.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"billing.toml.*environments.prod.regions.*ap-south-1"):
        refuse_unknown_places(load_app("billing", tmp_path))
    for app in APPS:
        refuse_unknown_places(app)
