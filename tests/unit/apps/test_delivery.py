"""Which commit goes where, in which order, and when there is nothing to do."""

from __future__ import annotations

import json

import pytest

from include.apps import load_app
from include.apps.delivery import Delivery, choose_canary_region, flow_key, order_regions, run_key, word_if_live
from include.errors import ConfigError, RefusedError

PROD = load_app("api").prod
DELIVERY = Delivery(
    "api",
    "key",
    "a" * 40,
    "b" * 40,
    "20261105.142233-aaaaaaa",
    "Faster",
    "Ada",
    1793888553,
    ("us-east-1",),
    "us-east-1",
)


@pytest.mark.parametrize(
    ("run_id", "key"),
    [
        ("manual__2026-11-05T14:22:33.5+00:00_ab12", "manual__2026-11-05T14-22-33.5-00-00_ab12"),
        ("../../etc/passwd", "etc-passwd"),
        ("...", "run"),
        ("x" * 300, "x" * 120),
    ],
)
def test_run_key_is_safe_in_paths_and_tags(run_id: str, key: str) -> None:
    assert run_key(run_id) == key


def test_runs_of_two_flows_never_share_a_key() -> None:
    keys = [flow_key(dag_id, "scheduled__1") for dag_id in ("api_prod", "api_release_push", "api_rollback")]
    assert keys == ["scheduled__1", "release_push-scheduled__1", "rollback-scheduled__1"]


def test_delivery_survives_xcom() -> None:
    assert Delivery.from_xcom(json.loads(json.dumps(DELIVERY.to_xcom()))) == DELIVERY


def test_delivery_from_before_it_knew_its_branch_is_read() -> None:
    stored = DELIVERY.to_xcom()
    del stored["branch"]
    assert Delivery.from_xcom({**stored, "images": {"us-east-1": "ami-1"}}) == DELIVERY


def test_delivery_of_another_version_is_not_guessed_at() -> None:
    with pytest.raises(ConfigError, match="schema"):
        Delivery.from_xcom({**DELIVERY.to_xcom(), "schema": 2})
    with pytest.raises(RefusedError, match="select_commit"):
        Delivery.from_xcom(None)


def test_regions_keep_the_order_of_the_push() -> None:
    assert order_regions(PROD, ["eu-west-1", "us-east-1"]) == ("us-east-1", "eu-west-1")
    assert order_regions(PROD, []) == PROD.region_names
    with pytest.raises(ConfigError, match="ap-south-1"):
        order_regions(PROD, ["ap-south-1"])


def test_canary_moves_along_when_its_region_is_not_pushed() -> None:
    assert choose_canary_region(PROD, ("us-east-1", "eu-west-1")) == "us-east-1"
    assert choose_canary_region(PROD, ("us-west-2", "eu-west-1")) == "us-west-2"


def test_nothing_new_only_when_every_region_serves_it() -> None:
    assert "us-east-1, us-west-2" in str(word_if_live({"us-east-1": "t", "us-west-2": "t"}, "t", "c" * 40))
    assert word_if_live({"us-east-1": "t", "us-west-2": "old"}, "t", "c" * 40) is None
    assert word_if_live({"us-east-1": None}, "t", "c" * 40) is None
