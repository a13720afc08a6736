"""The application file is read whole, and every mistake in it names file, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.apps import app_names, load_app
from include.apps.loader import FOLDER
from include.errors import ConfigError

SHIPPED = (FOLDER / "api.toml").read_text(encoding="utf-8")


def read(folder: Path, text: str) -> ConfigError:
    (folder / "api.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_app("api", folder)
    assert str(folder / "api.toml") in str(caught.value)
    return caught.value


def test_shipped_application_is_the_one_of_the_issue() -> None:
    app = load_app("api")
    prod = app.prod
    assert (app.environment_names[0], prod.stack) == ("prod", "main")
    assert prod.region_names == ("us-east-1", "us-west-2", "eu-west-1")
    assert prod.canary.soak_seconds == 8 * 3600
    assert prod.canary.share_pct == 15
    assert (prod.canary.look_every_seconds, prod.canary.lookback_seconds) == (1800, 0)
    assert prod.push.head_room_pct == 10
    assert prod.gate_threshold == 95


def test_canary_runs_in_the_region_listed_first_unless_said_otherwise(tmp_path: Path) -> None:
    assert load_app("api").prod.canary_region == "us-east-1"
    text = SHIPPED.replace("[environments.prod.canary]", '[environments.prod.canary]\nregion = "eu-west-1"')
    (tmp_path / "api.toml").write_text(text, encoding="utf-8")
    assert load_app("api", tmp_path).prod.canary_region == "eu-west-1"


def test_fragments_are_not_applications() -> None:
    assert "api" in app_names()
    assert not [name for name in app_names() if "." in name]


def test_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    error = read(tmp_path, SHIPPED.replace("poll_seconds", "pol_seconds"))
    assert error.key == "source.pol_seconds"


def test_impossible_value_is_shown(tmp_path: Path) -> None:
    error = read(tmp_path, SHIPPED.replace("share_pct = 15", "share_pct = 55"))
    assert error.key == "environments.prod.canary.share_pct"
    assert error.value == 55
    assert "55" in str(error)


def test_missing_key_is_named(tmp_path: Path) -> None:
    error = read(tmp_path, SHIPPED.replace('namespace = "Api"\n', ""))
    assert error.key == "environments.prod.canary.namespace"


def test_canary_region_must_be_a_region_of_the_environment(tmp_path: Path) -> None:
    error = read(
        tmp_path,
        SHIPPED.replace("[environments.prod.canary]", '[environments.prod.canary]\nregion = "ap-south-1"'),
    )
    assert error.key == "environments.prod"
    assert "us-east-1" in str(error)


def test_build_command_must_say_where_the_artifact_goes(tmp_path: Path) -> None:
    error = read(tmp_path, SHIPPED.replace("{artifact}", "out.tar.gz"))
    assert error.key == "build"


def test_text_that_is_not_toml_names_the_file(tmp_path: Path) -> None:
    assert "not TOML" in str(read(tmp_path, "name = "))


def test_unknown_application_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: api"):
        load_app("nothing")


def test_sliding_window_leaves_nothing_of_the_soak_unseen(tmp_path: Path) -> None:
    text = SHIPPED.replace("look_every_seconds = 1800", "look_every_seconds = 1800\nlookback_seconds = 900")
    error = read(tmp_path, text)
    assert error.key == "environments.prod.canary"
    assert "lookback_seconds must be 0 or at least look_every_seconds" in str(error)
