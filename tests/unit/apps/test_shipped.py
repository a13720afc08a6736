"""Every application file that is shipped: read whole, and closed to what nobody knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.apps import DeliverFlow, ReleaseFlow, app_names, load_app, read_fragment
from include.apps.loader import FOLDER
from include.canary import parse_judge_config
from include.errors import ConfigError


@pytest.mark.parametrize("name", app_names())
def test_shipped_file_is_read_whole(name: str) -> None:
    app = load_app(name)
    assert app.flows
    for one, environment in app.environments.by_name.items():
        assert environment.load_balancer == f"{name}-{environment.stack}", one
        assert one == "prod" or environment.tests is not None, "what is not tested needs no environment"
    text, source = read_fragment(app.prod.canary.judge_file)
    parse_judge_config(text, source=source)


@pytest.mark.parametrize("name", app_names())
@pytest.mark.parametrize("table", ["source", "build", "bake", "flows.prod", "environments.prod.canary"])
def test_unknown_key_is_refused_with_file_and_key(tmp_path: Path, name: str, table: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text()
    changed = re.sub(rf"^\[{re.escape(table)}\]$", f"[{table}]\nsurprise = 1", text, count=1, flags=re.MULTILINE)
    assert changed != text
    (tmp_path / f"{name}.toml").write_text(changed)
    with pytest.raises(ConfigError) as caught:
        load_app(name, tmp_path)
    assert caught.value.key == f"{table}.surprise"
    assert str(tmp_path / f"{name}.toml") in str(caught.value)


def test_a_second_application_has_other_regions_and_sizes_by_settings_alone() -> None:
    api, search = load_app("api"), load_app("search")
    assert search.prod.region_names == ("us-west-2", "eu-west-1") != api.prod.region_names
    assert (search.prod.min_size, search.prod.max_size) == (1, 4) != (api.prod.min_size, api.prod.max_size)
    assert search.prod.canary_region == "eu-west-1"
    assert search.prod.canary.soak_seconds != api.prod.canary.soak_seconds
    assert search.flows.keys() == api.flows.keys()
    assert search.paused and not api.paused


def test_a_third_application_is_trunk_based() -> None:
    billing = load_app("billing")
    ((name, flow),) = billing.flows.items()
    assert isinstance(flow, DeliverFlow) and not isinstance(flow, ReleaseFlow)
    assert (name, flow.branch, flow.environments, flow.merge_into) == ("prod", "main", ("staging",), None)
    assert billing.paused
