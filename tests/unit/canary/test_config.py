"""Settings are refused by name, and reading them costs the flow's files nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from include.canary import JudgeConfig, judge_config, parse_judge_config
from include.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = ROOT / "include" / "apps" / "api.judge.toml"
GOOD = {"groups": {"all": 1}, "rules": [{"match": "*", "group": "all"}]}


def refused(**change: object) -> str:
    with pytest.raises(ConfigError) as caught:
        judge_config({**GOOD, **change}, source="x.toml")
    return str(caught.value)


def test_unknown_keys_are_refused_by_name() -> None:
    assert "x.toml: treshold: no such setting (found 95)" in refused(treshold=95)
    assert "rules.0.crtical" in refused(rules=[{"match": "*", "group": "all", "crtical": True}])


def test_wrong_values_are_refused_with_place_and_value() -> None:
    message = refused(rules=[{"match": "*", "group": "all", "direction": "up"}])
    assert "rules.0.direction" in message
    assert "'up'" in message


def test_parts_must_fit_together() -> None:
    assert "'none' is not one of all" in refused(rules=[{"match": "*", "group": "none"}])
    assert "the last must match '*'" in refused(rules=[{"match": "http.*", "group": "all"}])
    assert "'later' is not one of shipped, test" in refused(evidence="later")
    assert "over 0" in refused(groups={"all": 0})
    with pytest.raises(ConfigError, match="not TOML"):
        parse_judge_config("groups = [", source="x.toml")


def test_first_matching_rule_holds() -> None:
    config = parse_judge_config(SETTINGS.read_text(), source=SETTINGS.name)
    rules = {name: config.rules[config.rule_index(name)] for name in ("http.5xx", "http.latency_max_ms", "unheard.of")}
    assert (rules["http.5xx"].kind, rules["http.5xx"].critical) == ("count", True)
    assert not rules["http.latency_max_ms"].critical
    assert rules["unheard.of"].match == "*"


def test_evidence_is_chosen_by_name() -> None:
    config = JudgeConfig.model_validate(GOOD)
    assert config.with_evidence("test").minimum.points < config.minimum.points
    with pytest.raises(ConfigError, match="not one of shipped, test"):
        config.with_evidence("none")


def test_settings_load_without_numpy() -> None:
    code = (
        "import sys, include.canary, include.canary.config, include.canary.gate, include.canary.verdict;"
        "from include.canary import JudgeConfig, decide, Thresholds;"
        "sys.exit(bool({'numpy', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_floor_of_counts_grows_with_the_point() -> None:
    shipped = parse_judge_config(SETTINGS.read_text(), source="api.judge.toml")
    coarse = shipped.with_point(60, written_for_seconds=5)
    for name, times in {"http.5xx": 12, "http.latency_p99_ms": 1, "runtime.threads": 1}.items():
        place = shipped.rule_index(name)
        assert coarse.rules[place].floor == pytest.approx(times * shipped.rules[place].floor), name
