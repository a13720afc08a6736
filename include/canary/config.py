"""The judge's settings. No numpy here: the flow's files read this while Airflow parses them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from fnmatch import translate
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.errors import ConfigError

Direction = Literal["increase", "decrease", "either"]
Kind = Literal["auto", "level", "count", "stock"]
Profile = Literal["redstart", "kayenta"]
UNGROUPED = "(no group)"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rule(_Strict):
    """How metrics whose name matches the glob `match` (`exact`: whose name it is) are judged; the first rule that
    matches holds.

    - `groups` (or `group`): where it counts; a metric in several groups counts in each.
    - `kind`: `level` (latency, utilisation: a distribution of values), `count` (events per point, 0 when idle),
      `stock` (memory, threads: wanders or creeps; judged by where it stands at the end of the window), or `auto`:
      a count where the values are small whole numbers, else a level.
    - `direction`: the side on which a difference is bad. HOT is only said for increase or either, COLD only for
      decrease or either.
    - `allowed` (a share of the baseline: 0.25 = 25 %; `allowed_down` for a decrease, the same unless set) and `floor`
      (the metric's own unit, per point): a difference must exceed both to matter. With `measure` `cles` the shares
      are of P(canary > baseline), beyond 1/2.
    - `critical`: deviating alone stops the canary, if it exceeds `critical_allowed` (and `critical_allowed_down`) too.
      `must_have_data`: no data counts against the canary. `muted`: reported, not scored.
    - `gaps`: `remove`, or `zero` where a gap means that nothing happened. `outlier_factor`: points further than that
      many interquartile ranges outside the quartiles are set aside (None: all are kept).
    """

    match: str = Field(min_length=1)
    exact: bool = False
    groups: tuple[str, ...] = ()
    kind: Kind = "auto"
    direction: Direction = "increase"
    measure: Literal["ratio", "cles"] = "ratio"
    allowed: float = 0.25
    allowed_down: float | None = None
    critical_allowed: float | None = None
    critical_allowed_down: float | None = None
    floor: float = Field(0.0, ge=0.0)
    critical: bool = False
    must_have_data: bool = False
    muted: bool = False
    gaps: Literal["remove", "zero"] = "remove"
    outlier_factor: float | None = Field(None, gt=0.0)

    @model_validator(mode="before")
    @classmethod
    def _one_group(cls, body: Any) -> Any:
        if isinstance(body, Mapping) and "group" in body:
            if "groups" in body:
                raise ValueError("give group or groups, not both")
            return {**{key: value for key, value in body.items() if key != "group"}, "groups": (body["group"],)}
        return body

    def allowance(self, *, upward: bool) -> float:
        """The share that a difference in that direction may have."""
        return self.allowed if upward or self.allowed_down is None else self.allowed_down


class Evidence(_Strict):
    """How much data an answer needs, and how rarely equals may be told apart by chance.

    `points` and `effective_points` (after autocorrelation) are the least for a PASS, per metric. `alarm` is the
    probability that a metric of an identical canary deviates, all its tests together. A critical metric is held to
    `critical_alarm`, and all critical ones of a canary together to `canary_alarm`, shared out over the critical rules
    and then over a rule's metrics (Bonferroni). `trusts_drift`: up to 15 points count as exchangeable even where both
    sides drift, which is no accident only in tests.
    """

    points: int = Field(ge=2)
    effective_points: float = Field(ge=1.0)
    alarm: float = Field(gt=0.0, lt=1.0)
    critical_alarm: float = Field(gt=0.0, lt=1.0)
    canary_alarm: float = Field(gt=0.0, lt=1.0)
    trusts_drift: bool = False


class WatchRules(_Strict):
    """How a version is watched after its push (watch.py).

    `requests` is the metric that counts requests: other counts are compared per request. `users` is the group of
    metrics that users feel. A watch allows `margin` times what a canary may differ, as its references are older than
    red, or of another hour. `alarm` is the probability that a look finds a critical metric of an identical red
    deviating, all of them together and before the margin; docs/judging.md says how rarely a watch does.
    """

    requests: str = "http.requests"
    users: str = "service"
    margin: float = Field(2.0, ge=1.0)
    alarm: float = Field(0.005, gt=0.0, lt=1.0)


_SHIPPED = Evidence(points=12, effective_points=4.0, alarm=0.008, critical_alarm=0.00002, canary_alarm=0.0005)
_TEST = Evidence(points=4, effective_points=1.0, alarm=0.002, critical_alarm=0.002, canary_alarm=0.5, trusts_drift=True)


class JudgeConfig(_Strict):
    """All settings of one application's judge.

    `groups` are weights, relative to one another; with `share_rest` they are percent, and groups that only rules
    name share evenly what is left to 100. Metrics without a group form one of their own. `profile` is whose rules
    judge: `redstart`, or `kayenta` for NetflixACAJudge-v1.0 as it is. `warnings` are what the reader of the file
    wants known. `evidence` names the one of `evidence_levels` that is in force: `shipped` is for real canaries,
    `test` for the one-minute soaks of system tests. `unknown_limit_pct` is the share of the weight that may stay
    without an answer. `watch` is for what comes after the push.
    """

    profile: Profile = "redstart"
    groups: dict[str, float]
    share_rest: bool = False
    rules: tuple[Rule, ...] = Field(min_length=1)
    warnings: tuple[str, ...] = ()
    evidence: str = "shipped"
    evidence_levels: dict[str, Evidence] = Field(default_factory=lambda: {"shipped": _SHIPPED, "test": _TEST})
    confidence: float = Field(0.98, gt=0.5, lt=1.0)
    unknown_limit_pct: float = Field(20.0, ge=0.0, le=100.0)
    watch: WatchRules = Field(default_factory=WatchRules)

    @model_validator(mode="after")
    def _fits_together(self) -> JudgeConfig:
        for name, weight in self.groups.items():
            if weight <= 0.0 and not self.share_rest:
                raise ValueError(f"groups.{name}: a weight must be over 0, found {weight}")
        for place, rule in enumerate(self.rules):
            for group in rule.groups:
                if group not in self.groups and not self.share_rest:
                    raise ValueError(f"rules.{place}.group: {group!r} is not one of {', '.join(self.groups)}")
            if not rule.groups and not self.share_rest:
                raise ValueError(f"rules.{place}.group: is missing")
        if not self.rules[-1].exact and self.rules[-1].match != "*":
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

    @cached_property
    def weights(self) -> dict[str, float]:
        """The weight of every group that a rule names."""
        named = dict.fromkeys(group for rule in self.rules for group in (rule.groups or (UNGROUPED,)))
        rest = [group for group in named if group not in self.groups]
        left = max(100.0 - sum(self.groups.values()), 0.0)
        return {**self.groups, **{group: left / len(rest) for group in rest}}

    @cached_property
    def _places(self) -> tuple[dict[str, int], re.Pattern[str]]:
        exact: dict[str, int] = {}
        for place, rule in enumerate(self.rules):
            if rule.exact:
                exact.setdefault(rule.match, place)
        globs = (f"(?P<r{place}>{translate(rule.match)})" for place, rule in enumerate(self.rules) if not rule.exact)
        return exact, re.compile("|".join(globs) or "(?!)")

    def rule_index(self, name: str) -> int:
        """Which rule judges the metric `name`. Raises ConfigError where none does (only exact rules, and not its)."""
        exact, globs = self._places
        found = globs.match(name)
        places = [exact[name]] if name in exact else []
        if found is not None and found.lastgroup is not None:
            places.append(int(found.lastgroup[1:]))
        if not places:
            raise ConfigError("is not in the configuration", source="judge", key="metric", value=name)
        return min(places)


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
