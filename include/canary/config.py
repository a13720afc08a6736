"""The judge's settings. No numpy here: the flow's files read this while Airflow parses them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.errors import ConfigError

Direction = Literal["increase", "decrease", "either"]
Kind = Literal["level", "count", "stock"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rule(_Strict):
    """How metrics whose name matches the glob `match` are judged; of several rules the first that matches holds.

    - `kind`: `level` (latency, utilisation: a distribution of values), `count` (events per point, 0 when idle), or
      `stock` (memory, threads: wanders or creeps; judged by where it stands at the end of the window).
    - `direction`: the side on which a difference is bad. HOT is only said for increase or either, COLD only for
      decrease or either.
    - `allowed` (a share of the baseline: 0.25 = 25 %) and `floor` (the metric's own unit, per point): a difference
      must exceed both to matter.
    - `critical`: deviating alone stops the canary. `muted`: reported, not scored.
    """

    match: str = Field(min_length=1)
    group: str
    kind: Kind = "level"
    direction: Direction = "increase"
    allowed: float = Field(0.25, ge=0.0)
    floor: float = Field(0.0, ge=0.0)
    critical: bool = False
    muted: bool = False


class Evidence(_Strict):
    """How much data an answer needs, and how rarely equals may be told apart by chance.

    `points` and `effective_points` (after autocorrelation) are the least for a PASS, per metric. `critical_alarm`
    is the probability that any critical metric of an identical canary deviates, shared out over the critical rules
    and then over a rule's metrics (Bonferroni). `false_share` bounds the expected share of false ones among the
    other deviating metrics (Benjamini-Yekutieli).
    """

    points: int = Field(ge=2)
    effective_points: float = Field(ge=1.0)
    critical_alarm: float = Field(gt=0.0, lt=1.0)
    false_share: float = Field(gt=0.0, lt=1.0)


_SHIPPED = Evidence(points=12, effective_points=4.0, critical_alarm=0.002, false_share=0.05)
_TEST = Evidence(points=4, effective_points=1.0, critical_alarm=0.05, false_share=0.1)


class JudgeConfig(_Strict):
    """All settings of one application's judge; group weights are relative to one another.

    `evidence` names the one of `evidence_levels` that is in force: `shipped` is for real canaries, `test` for the
    one-minute soaks of system tests. `unknown_limit_pct` is the share of the weight that may stay without an answer.
    """

    groups: dict[str, float] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)
    evidence: str = "shipped"
    evidence_levels: dict[str, Evidence] = Field(default_factory=lambda: {"shipped": _SHIPPED, "test": _TEST})
    confidence: float = Field(0.98, gt=0.5, lt=1.0)
    unknown_limit_pct: float = Field(20.0, ge=0.0, le=100.0)

    @model_validator(mode="after")
    def _fits_together(self) -> JudgeConfig:
        for name, weight in self.groups.items():
            if weight <= 0.0:
                raise ValueError(f"groups.{name}: a weight must be over 0, found {weight}")
        for place, rule in enumerate(self.rules):
            if rule.group not in self.groups:
                raise ValueError(f"rules.{place}.group: {rule.group!r} is not one of {', '.join(self.groups)}")
        if self.rules[-1].match != "*":
            raise ValueError(
                f"rules: the last must match '*' so that no metric goes unjudged, found {self.rules[-1].match!r}"
            )
        if self.evidence not in self.evidence_levels:
            raise ValueError(f"evidence: {self.evidence!r} is not one of {', '.join(self.evidence_levels)}")
        return self

    @property
    def minimum(self) -> Evidence:
        """The evidence setting in force."""
        return self.evidence_levels[self.evidence]

    def with_evidence(self, name: str) -> JudgeConfig:
        """The same settings under another named evidence setting. Raises ConfigError for one that is not there."""
        if name not in self.evidence_levels:
            known = ", ".join(self.evidence_levels)
            raise ConfigError(f"not one of {known}", source="judge", key="evidence", value=name)
        return self.model_copy(update={"evidence": name})

    def with_point(self, seconds: float, *, written_for_seconds: float) -> JudgeConfig:
        """The same settings for points of `seconds`: a count's floor is per point, and events add up over a longer one.

        A level's floor is in the level's own unit, and so is a stock's: they stay.
        """
        scale = seconds / written_for_seconds
        rules = tuple(
            rule.model_copy(update={"floor": rule.floor * scale}) if rule.kind == "count" else rule
            for rule in self.rules
        )
        return self.model_copy(update={"rules": rules})

    def rule_index(self, name: str) -> int:
        """Which rule judges the metric `name` (there always is one)."""
        return next(place for place, rule in enumerate(self.rules) if fnmatchcase(name, rule.match))


def judge_config(body: Mapping[str, Any], *, source: str) -> JudgeConfig:
    """Validated settings from plain values. Raises ConfigError with the place and the value of the first fault."""
    try:
        return JudgeConfig.model_validate(dict(body))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        what = "no such setting" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
        found = fault["input"] if key else None
        raise ConfigError(what, source=source, key=key, value=found) from error


def parse_judge_config(text: str, *, source: str) -> JudgeConfig:
    """Settings from TOML. Raises ConfigError, also for text that is not TOML."""
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", source=source) from error
    return judge_config(body, source=source)
