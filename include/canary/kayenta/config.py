"""Kayenta's canary configuration JSON -> the judge's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.canary.config import JudgeConfig, Profile, Rule
from include.canary.kayenta.lookup import is_finite, lookup
from include.canary.kayenta.reader import CANARY, CONFIG_KEYS, EFFECT_SIZES, METRIC_KEYS, Reader
from include.errors import ConfigError

_DIRECTIONS = {"either": "either", "increase": "increase", "decrease": "decrease"}
_GAPS = {"remove": "remove", "replace": "zero"}
_STRATEGIES = {"remove": "remove", "keep": "keep"}
_MEASURES = {"meanRatio": "ratio", "cles": "cles"}
_JUDGES = {"NetflixACAJudge-v1.0", "RemoteJudge-v1.0", "dredd-v1.0"}
_ALLOWED = 0.10
_OUTLIER_FACTOR = 3.0
_NO_PERCENTAGE = 1e9


@dataclass(frozen=True)
class _Metric:
    """One entry of `metrics`: its options by path, each with its default."""

    reader: Reader
    body: Mapping[str, Any]
    place: tuple[str, ...]

    def path(self, *path: str) -> tuple[str, ...]:
        return (*self.place, *CANARY, *path)

    def find(self, *path: str) -> Any:
        return lookup(self.body, (*CANARY, *path))

    def choice(self, known: Mapping[str, str], default: str, *path: str) -> str:
        found = self.find(*path)
        if found is None:
            return known[default]
        if isinstance(found, str) and found in known:
            return known[found]
        self.reader.oddity(f"must be one of {', '.join(known)}", self.path(*path), found, f"read as {default}")
        return known[default]

    def flag(self, *path: str) -> bool:
        found = self.find(*path)
        if found is not None and not isinstance(found, bool):
            raise self.reader.fault("must be true or false", self.path(*path), found)
        return bool(found)

    def number(self, *path: str) -> float | None:
        found = self.find(*path)
        if found is not None and not is_finite(found):
            raise self.reader.fault("must be a number", self.path(*path), found)
        return None if found is None else float(found)

    def allowance(self, key: str, neutral: float, default: float | None) -> float | None:
        """What an effect size allows beyond `neutral`; profile `redstart` allows no less than nothing."""
        found = self.number("effectSize", key)
        if found is None:
            return default
        # Rounded: 1.05 allows 0.05, not what floats make of the difference.
        beyond = round(found - neutral if key.endswith("Increase") else neutral - found, 12)
        if beyond < 0.0 and self.reader.strict:
            path = self.reader.at(*self.path("effectSize", key))
            self.reader.warnings.append(f"{path}: allows less than no change (found {found!r}); read as {neutral:g}")
            return 0.0
        return beyond

    def outlier_factor(self) -> float | None:
        factor = self.number("outliers", "outlierFactor")
        if factor is not None and factor <= 0.0:
            raise self.reader.fault("must be over 0", self.path("outliers", "outlierFactor"), factor)
        if self.choice(_STRATEGIES, "keep", "outliers", "strategy") == "keep":
            return None
        return _OUTLIER_FACTOR if factor is None else factor

    def effect_sizes(self) -> dict[str, Any]:
        measure = self.choice(_MEASURES, "meanRatio", "effectSize", "measure")
        neutral = 0.5 if measure == "cles" else 1.0
        allowed, critical = (_ALLOWED, None) if self.reader.strict else (0.0, 0.0)
        up, down, critical_up, critical_down = (
            self.allowance(key, neutral, default)
            for key, default in zip(EFFECT_SIZES, (allowed, allowed, critical, critical), strict=True)
        )
        return {
            "measure": measure,
            "allowed": up,
            "allowed_down": down,
            "critical_allowed": critical_up,
            "critical_allowed_down": critical_down,
        }

    def groups(self) -> tuple[str, ...]:
        found = self.body.get("groups")
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(group, str) for group in found):
            raise self.reader.fault("must be a list of names", (*self.place, "groups"), found)
        return tuple(dict.fromkeys(found))

    def rule(self) -> Rule:
        return Rule.model_validate(
            {
                "match": self.body["name"],
                "exact": True,
                "groups": self.groups(),
                "kind": "auto",
                "direction": self.choice(_DIRECTIONS, "either", "direction"),
                "gaps": self.choice(_GAPS, "remove", "nanStrategy"),
                "critical": self.flag("critical"),
                "must_have_data": self.flag("mustHaveData"),
                "muted": self.flag("muted"),
                "outlier_factor": self.outlier_factor(),
                **self.effect_sizes(),
            }
        )


def _rules(reader: Reader, body: Mapping[str, Any]) -> tuple[Rule, ...]:
    metrics = body.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        raise reader.fault("needs at least one metric", ("metrics",), metrics)
    rules: dict[str, Rule] = {}
    for number, metric in enumerate(metrics):
        place = ("metrics", str(number))
        if not isinstance(metric, Mapping):
            raise reader.fault("must be an object", place, metric)
        name = metric.get("name")
        if not isinstance(name, str) or not name:
            raise reader.fault("must be a name", (*place, "name"), name)
        reader.unknown_keys(metric, METRIC_KEYS, *place)
        if name in rules:
            # The value stands in the sentence, which ends as Kayenta's own does.
            reader.oddity(f"the metric name {name!r} is duplicated.", (*place, "name"), None, "the first one holds")
        rules.setdefault(name, _Metric(reader, metric, place).rule())
    return tuple(rules.values())


def _weights(reader: Reader, body: Mapping[str, Any]) -> dict[str, float]:
    path = ("classifier", "groupWeights")
    found = lookup(body, path, {})
    if not isinstance(found, Mapping):
        raise reader.fault("must be an object", path, found)
    for group, weight in found.items():
        if not is_finite(weight) or abs(weight) > _NO_PERCENTAGE:
            raise reader.fault("must be a percentage", (*path, group), weight)
        if weight < 0:
            reader.oddity("a weight must be at least 0", (*path, group), weight, "kept")
    total = sum(found.values())
    if total > 100.0 + 1e-9:
        reader.oddity("the weights add up to more than 100", path, total, "scores may exceed 100")
    return {group: float(weight) for group, weight in found.items()}


def read_canary_config(
    body: Mapping[str, Any], *, source: str, profile: Profile = "redstart", place: str = ""
) -> JudgeConfig:
    """Kayenta's canary configuration as rules, one a metric, in its order; `place` is where in `source` it stands.

    `allowedIncrease` a allows a - 1 (cles: a - 0.5) above the baseline, `allowedDecrease` d allows 1 - d below.
    Profile `redstart` refuses what is not in Kayenta's schema (ConfigError with place and value) and allows 10 % where
    no effect size is given. Profile `kayenta` goes on where Kayenta does, with Kayenta's defaults, and tells in
    `JudgeConfig.warnings`; what makes Kayenta's judge fail raises ConfigError in both. Unknown keys are warnings.
    """
    if not isinstance(body, Mapping):
        raise ConfigError("must be an object", source=source, key=place, value=body)
    reader = Reader(source, place, strict=profile == "redstart")
    reader.unknown_keys(body, CONFIG_KEYS)
    rules, weights = _rules(reader, body), _weights(reader, body)
    used = {group for rule in rules for group in rule.groups}
    for group in weights:
        if group not in used:
            path = reader.at("classifier", "groupWeights", group)
            reader.warnings.append(f"{path}: no metric is in this group, its weight is lost")
    judge = lookup(body, ("judge", "name"))
    if judge and (not isinstance(judge, str) or judge not in _JUDGES):
        reader.warnings.append(f"{reader.at('judge', 'name')}: not a judge of Kayenta's (found {judge!r}), ignored")
    return JudgeConfig(profile=profile, groups=weights, share_rest=True, rules=rules, warnings=tuple(reader.warnings))
