"""Branches and flows are settings: what contradicts itself is refused, by file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.apps import DeliverFlow, ReleaseFlow, VerifyFlow, app_names, load_app
from include.apps.loader import FOLDER
from include.errors import ConfigError

SHIPPED = (FOLDER / "api.toml").read_text(encoding="utf-8")


def refusal(folder: Path, *changes: tuple[str, str]) -> ConfigError:
    text = SHIPPED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "api.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_app("api", folder)
    assert str(folder / "api.toml") in str(caught.value)
    return caught.value


def test_three_branches_of_the_shipped_application() -> None:
    app = load_app("api")
    kinds = {name: type(flow) for name, flow in app.flows.items()}
    assert kinds == {"test": VerifyFlow, "release": VerifyFlow, "release_push": ReleaseFlow, "prod": DeliverFlow}
    release = app.flows["release"]
    assert isinstance(release, VerifyFlow)
    assert release.environments == ("integration", "staging")
    assert app.environment("integration").account != app.prod.account
    assert app.environment("staging").account == app.prod.account


def test_a_place_tells_its_environment() -> None:
    app = load_app("api")
    assert app.in_stack("staging") is app.environment("staging")
    assert app.in_stack("main") is app.prod
    with pytest.raises(ConfigError, match="nothing"):
        app.in_stack("nothing")
    with pytest.raises(ConfigError, match="nothing"):
        app.environment("nothing")


def test_images_go_wherever_an_environment_is() -> None:
    assert load_app("api").image_regions == ("us-east-1", "us-west-2", "eu-west-1")


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ('branch = "test"', 'brunch = "test"', "flows.test.branch", "required"),
        ('newer_commit = "wait"', 'newer_commit = "stop"', "flows.prod.newer_commit", "wait"),
        ('kind = "deliver"', 'kind = "diliver"', "flows.prod", "diliver"),
        ('branch = "test"', 'branch = "--upload-pack=x"', "flows.test.branch", "pattern"),
        ('candidates_of = "release"', 'candidates_of = "test"', "", "makes no candidates"),
        ('environments = ["test"]', 'environments = ["staging"]', "", "two flows push to staging"),
        ('environments = ["test"]', 'environments = ["prod"]', "", "'prod' is not"),
        ('environments = ["test"]', 'environments = ["nowhere"]', "", "'nowhere' is not"),
        ('branch = "test"', 'branch = "prod"', "", "prod is the branch of flows.test already"),
        ('merge_into = "release"', 'merge_into = "prod"', "", "flow's own branch"),
        ('merge_into = "prod"', 'merge_into = "release"', "", "the branch that the candidates come from"),
        ("[flows.test]", "[flows.rollback]", "", "has a flow of that name already"),
        ('stack = "staging"', 'stack = "main"', "", "two environments share a stack"),
        ('load_balancer = "api-staging"', 'load_balancer = "api-main"', "", "prod and staging share api-main"),
        ('"{address}", ', "", "environments.test.tests", "{address}"),
    ],
)
def test_contradiction_names_file_key_and_value(tmp_path: Path, old: str, new: str, key: str, words: str) -> None:
    error = refusal(tmp_path, (old, new))
    assert error.key == key
    assert words in str(error)


def test_unknown_key_of_a_flow_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, ('merge_into = "release"', 'merge_into = "release"\nmerge_to = "x"'))
    assert error.key == "flows.prod.merge_to"


def test_no_two_shipped_applications_share_a_load_balancer() -> None:
    used = [
        (site.account, region, site.load_balancer)
        for app in map(load_app, app_names())
        for site in app.environments.by_name.values()
        for region in site.region_names
    ]
    assert len(used) == len(set(used))


def test_trunk_needs_one_branch_and_one_flow(tmp_path: Path) -> None:
    head, rest = SHIPPED.split("[flows.test]", 1)
    rest = rest[rest.index("[build]") :]
    flow = '[flows.prod]\nkind = "deliver"\nbranch = "main"\nenvironments = ["staging"]\n\n'
    (tmp_path / "api.toml").write_text(head + flow + rest, encoding="utf-8")
    (found,) = load_app("api", tmp_path).flows.values()
    assert found == DeliverFlow(kind="deliver", branch="main", environments=("staging",))
