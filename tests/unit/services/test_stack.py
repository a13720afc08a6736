"""What a start refuses before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from include.errors import ConfigError, RefusedError
from include.services.home import Home
from include.services.settings import PROJECT, Settings
from include.services.stack import phases, read_settings, refuse_taken_ports


def test_a_bad_variable_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSTART_CLOUD_PORT", "abc")
    with pytest.raises(ConfigError, match="REDSTART_CLOUD_PORT: input should be a valid integer.*'abc'"):
        read_settings()


def test_a_bad_rate_is_refused_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSTART_TRAFFIC_RPS", "us-east-1=fast")
    with pytest.raises(ConfigError, match="REDSTART_TRAFFIC_RPS.*us-east-1=fast"):
        read_settings()


def test_a_relative_home_is_one_place_for_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSTART_HOME", "elsewhere")
    assert read_settings().home == PROJECT / "elsewhere"
    assert os.environ["REDSTART_HOME"] == str(PROJECT / "elsewhere")


def test_two_settings_with_one_port_are_both_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, cloud_port=29000, traffic_port=29000)
    with pytest.raises(RefusedError, match="REDSTART_TRAFFIC_PORT and REDSTART_CLOUD_PORT are both 29000"):
        refuse_taken_ports(settings, is_cloud_only=True)


def test_one_home_has_one_stack(tmp_path: Path) -> None:
    first, second = Home(Settings(home=tmp_path)), Home(Settings(home=tmp_path))
    assert not second.is_claimed()
    first.claim()
    assert second.is_claimed()
    with pytest.raises(RefusedError, match="already running"):
        second.claim()


def test_a_home_that_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="REDSTART_HOME"):
        Home(Settings(home=tmp_path / "file" / "home")).make()


def test_a_folder_with_other_things_in_it_is_not_taken_for_a_stack(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    (tmp_path / "git" / "precious").write_text("mine")
    with pytest.raises(RefusedError, match="is not empty and not a stack's folder"):
        Home(Settings(home=tmp_path)).make()
    assert (tmp_path / "git" / "precious").read_text() == "mine"


def test_a_stacks_own_folder_is_used_again(tmp_path: Path) -> None:
    home = Home(Settings(home=tmp_path / "stack"))
    home.make()
    (home.path / "git").mkdir()
    home.make()
    home.renew_world()
    assert not (home.path / "git").exists()


def test_no_task_can_start_before_the_api_server_answers(tmp_path: Path) -> None:
    names = [{part.name for part in phase} for phase in phases(Settings(home=tmp_path), is_cloud_only=False)]
    first = next(place for place, phase in enumerate(names) if "api-server" in phase)
    assert all("scheduler" not in phase for phase in names[: first + 1])
    assert {"scheduler", "triggerer", "dag-processor", "traffic"} <= names[-1]
