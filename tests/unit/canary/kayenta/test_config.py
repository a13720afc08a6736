"""Canary configurations as people have them: read, refused with place and value, or read as Kayenta reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.canary.kayenta.config import read_canary_config
from include.canary.kayenta.lookup import lookup, number_at
from include.errors import ConfigError


def body(*, canary: Any = None, **more: Any) -> dict[str, Any]:
    metrics = [
        {"name": "cpu", "groups": ["System"], "analysisConfigurations": {}, "scopeName": "default"},
        {"name": "errors", "groups": ["Errors", "All"], "analysisConfigurations": {"canary": canary or {}}},
    ]
    return {"name": "api", "applications": ["api"], "metrics": metrics, **more}


STALE = {
    "configVersion": "1.0",
    "createdTimestamp": 1,
    "updatedTimestampIso": "2020-01-01T00:00:00Z",
    "judge": {"name": "dredd-v1.0", "judgeConfigurations": {"tolerance": 9}},
    "templates": {"t": "x=${y}"},
    "classifier": {"groupWeights": {"Errors": 60}, "scoreThresholds": {"pass": 95, "marginal": 75}},
}


def test_configuration_as_kayenta_exports_it_is_read_without_a_word() -> None:
    exported = body(**STALE)
    exported["metrics"][0]["query"] = {"type": "prometheus", "metricName": "cpu", "serviceType": "prometheus"}
    for profile in ("redstart", "kayenta"):
        config = read_canary_config(exported, source="body", profile=profile)
        assert config.warnings == ()
        assert config.profile == profile
        assert config.groups == {"Errors": 60.0}
        assert config.weights == {"Errors": 60.0, "System": 20.0, "All": 20.0}
        assert [rule.match for rule in config.rules] == ["cpu", "errors"]
        assert all(rule.exact and rule.kind == "auto" and rule.direction == "either" for rule in config.rules)


def test_every_option_arrives() -> None:
    canary = {
        "direction": "decrease",
        "nanStrategy": "replace",
        "critical": True,
        "mustHaveData": True,
        "muted": True,
        "outliers": {"strategy": "remove", "outlierFactor": 2},
        "effectSize": {
            "allowedIncrease": 1.05,
            "allowedDecrease": 0.8,
            "criticalIncrease": 2,
            "criticalDecrease": 0.5,
        },
    }
    rule = read_canary_config(body(canary=canary), source="body").rules[1]
    assert rule.groups == ("Errors", "All")
    assert (rule.direction, rule.gaps, rule.measure) == ("decrease", "zero", "ratio")
    assert (rule.critical, rule.must_have_data, rule.muted, rule.outlier_factor) == (True, True, True, 2.0)
    assert (rule.allowed, rule.allowed_down) == (0.05, 0.2)
    assert (rule.critical_allowed, rule.critical_allowed_down) == (1.0, 0.5)


def test_cles_allows_beyond_a_half() -> None:
    sizes = {"measure": "cles", "allowedIncrease": 0.8, "allowedDecrease": 0.3}
    rule = read_canary_config(body(canary={"effectSize": sizes}), source="body").rules[1]
    assert (rule.measure, rule.allowed, rule.allowed_down) == ("cles", 0.3, 0.2)


def test_what_is_allowed_if_nothing_is_said() -> None:
    ours = read_canary_config(body(), source="body").rules[0]
    theirs = read_canary_config(body(), source="body", profile="kayenta").rules[0]
    assert (ours.allowed, ours.allowed_down, ours.critical_allowed) == (0.10, 0.10, None)
    assert (theirs.allowed, theirs.allowed_down, theirs.critical_allowed) == (0.0, 0.0, 0.0)
    assert ours.outlier_factor is None
    removed = read_canary_config(body(canary={"outliers": {"strategy": "remove"}}), source="body").rules[1]
    assert removed.outlier_factor == 3.0


AT = "metrics.1.analysisConfigurations.canary"
ODD = [
    ({"direction": "up"}, f"{AT}.direction", "up"),
    ({"direction": 3}, f"{AT}.direction", 3),
    ({"nanStrategy": "drop"}, f"{AT}.nanStrategy", "drop"),
    ({"outliers": {"strategy": "trim"}}, f"{AT}.outliers.strategy", "trim"),
    ({"effectSize": {"measure": "cohenD"}}, f"{AT}.effectSize.measure", "cohenD"),
]
WRONG = [
    ({"critical": "true"}, f"{AT}.critical", "true"),
    ({"muted": 1}, f"{AT}.muted", 1),
    ({"mustHaveData": "no"}, f"{AT}.mustHaveData", "no"),
    ({"effectSize": {"allowedIncrease": "1.1"}}, f"{AT}.effectSize.allowedIncrease", "1.1"),
    ({"effectSize": {"allowedDecrease": True}}, f"{AT}.effectSize.allowedDecrease", True),
    ({"outliers": {"outlierFactor": 0}}, f"{AT}.outliers.outlierFactor", 0.0),
]


@pytest.mark.parametrize(("canary", "place", "value"), ODD + WRONG)
def test_profile_redstart_refuses_with_place_and_value(canary: Any, place: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        read_canary_config(body(canary=canary), source="body")
    assert (refused.value.source, refused.value.key, refused.value.value) == ("body", place, value)


@pytest.mark.parametrize(("canary", "place", "value"), ODD)
def test_profile_kayenta_goes_on_and_warns(canary: Any, place: str, value: object) -> None:
    config = read_canary_config(body(canary=canary), source="body", profile="kayenta")
    default = read_canary_config(body(), source="body", profile="kayenta")
    assert config.rules == default.rules
    assert len(config.warnings) == 1
    assert place in config.warnings[0]
    assert repr(value) in config.warnings[0]


@pytest.mark.parametrize(("canary", "place", "value"), WRONG)
def test_what_breaks_kayentas_judge_is_refused_there_too(canary: Any, place: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        read_canary_config(body(canary=canary), source="body", profile="kayenta")
    assert refused.value.key == place


BROKEN = [
    ({"metrics": []}, "metrics"),
    ({"metrics": {"cpu": {}}}, "metrics"),
    ({"metrics": ["cpu"]}, "metrics.0"),
    ({"metrics": [{"groups": []}]}, "metrics.0.name"),
    ({"metrics": [{"name": "cpu", "groups": "System"}]}, "metrics.0.groups"),
    ({"classifier": {"groupWeights": {"Errors": "many"}}}, "classifier.groupWeights.Errors"),
    ({"classifier": {"groupWeights": [1]}}, "classifier.groupWeights"),
]


@pytest.mark.parametrize("profile", ["redstart", "kayenta"])
@pytest.mark.parametrize(("change", "place"), BROKEN)
def test_nothing_can_be_judged_by_it(change: dict[str, Any], place: str, profile: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        read_canary_config(body(**change), source="body", profile=profile)
    assert refused.value.key == place


@pytest.mark.parametrize("weights", [{"Errors": 80, "System": 30}, {"Errors": -5}])
def test_weights_that_make_no_sense(weights: dict[str, float]) -> None:
    weighed = body(classifier={"groupWeights": weights})
    with pytest.raises(ConfigError, match=r"classifier\.groupWeights.*(110|-5)"):
        read_canary_config(weighed, source="body")
    config = read_canary_config(weighed, source="body", profile="kayenta")
    assert config.groups == weights
    assert "classifier.groupWeights" in config.warnings[0]


def test_duplicate_metric_in_profile_kayenta_is_judged_by_the_first() -> None:
    twice = body(canary={"direction": "increase"})
    twice["metrics"].append({"name": "errors", "analysisConfigurations": {"canary": {"direction": "decrease"}}})
    config = read_canary_config(twice, source="body", profile="kayenta")
    assert config.rules[config.rule_index("errors")].direction == "increase"
    assert "metrics.2.name" in config.warnings[0]


def test_unknown_keys_are_told_and_left_alone() -> None:
    odd = body(canary={"directon": "increase", "effectSize": {"allowed": 2}}, metrcs=[])
    for profile in ("redstart", "kayenta"):
        warnings = read_canary_config(odd, source="body", profile=profile).warnings
        assert [warning.split(":")[0] for warning in warnings] == [
            "metrcs",
            f"{AT}.directon",
            f"{AT}.effectSize.allowed",
        ]


def test_weight_that_no_metric_earns_is_told() -> None:
    config = read_canary_config(body(classifier={"groupWeights": {"Latency": 40}}), source="body")
    assert "classifier.groupWeights.Latency" in config.warnings[0]


def test_allowance_below_nothing_is_nothing() -> None:
    """People write 0.1 and mean 10 %; Kayenta would call every rise of the ranks a regression, and so do we."""
    config = read_canary_config(body(canary={"effectSize": {"allowedIncrease": 0.1}}), source="body")
    assert config.rules[1].allowed == 0.0
    assert f"{AT}.effectSize.allowedIncrease" in config.warnings[0]


def test_place_tells_where_in_the_request() -> None:
    with pytest.raises(ConfigError) as refused:
        read_canary_config(body(canary={"direction": "up"}), source="body", place="canaryConfig")
    assert refused.value.key == f"canaryConfig.{AT}.direction"


@pytest.mark.parametrize("level", [None, [], "x", 3])
def test_levels_that_are_no_objects_leave_the_defaults_in_profile_kayenta(level: Any) -> None:
    odd = body()
    odd["metrics"][0]["analysisConfigurations"] = level
    config = read_canary_config(json.loads(json.dumps(odd)), source="body", profile="kayenta")
    assert config.rules == read_canary_config(body(), source="body", profile="kayenta").rules


def test_lookup_says_what_is_no_number() -> None:
    assert lookup({"a": [{"b": 1}, {}, {"b": 2}]}, ["a", "b"]) == [1, 2]
    with pytest.raises(TypeError, match="a.b"):
        number_at({"a": {"b": "1"}}, ["a", "b"], 0.0)
