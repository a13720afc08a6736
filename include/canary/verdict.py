"""The verdict and its words: what the judge found for every metric, every group and the canary as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.errors import ConfigError

VERDICT_FORMAT = 2


class Label(StrEnum):
    """What is said of one metric. Only PASS, HOT and COLD are scored; the others are the lack of an answer."""

    PASS = "PASS"  # noqa: S105  (a label, no password)
    HOT = "HOT"
    COLD = "COLD"
    NO_DATA = "NO_DATA"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"

    @property
    def is_judged(self) -> bool:
        return self in {Label.PASS, Label.HOT, Label.COLD}

    @property
    def is_deviating(self) -> bool:
        return self in {Label.HOT, Label.COLD}


@dataclass(frozen=True)
class Thresholds:
    """Scores from 0 to 100: at least `go` is a pass, at least `marginal` is marginal, less is a fail."""

    go: float = 95.0
    marginal: float = 75.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.marginal <= self.go <= 100.0:
            found = f"go {self.go}, marginal {self.marginal}"
            raise ConfigError("must be 0 <= marginal <= go <= 100", source="thresholds", value=found)


@dataclass(frozen=True)
class MetricVerdict:
    """One metric judged.

    `estimate` and `interval` are the canary's difference from the baseline in the metric's own unit per point;
    `effect` is the estimate as a share of the baseline (0.25 = 25 % above; NaN where it cannot be said, inf where
    the baseline is zero); `superiority` is P(canary > baseline) + P(tie) / 2 of two points picked at random (the
    common language effect size). `points` are those present on both sides (level: the fewer of the two sides),
    `effective_points` what they are worth after autocorrelation. `chance` is the probability of such a difference
    between equals, of the test that spoke: `test` is level, tail, spread, count or stock. `weight` is this metric's
    share of the score in percent, 0 if muted. `fails`: counts against the score (it deviates, or must have data and
    has none). `stops`: alone it makes the canary a no-go. Of several series of one name `tags` tell them apart.
    """

    name: str
    label: Label
    reason: str
    groups: tuple[str, ...]
    critical: bool = False
    muted: bool = False
    fails: bool = False
    stops: bool = False
    weight: float = 0.0
    kind: str = "level"
    test: str = "level"
    estimate: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    effect: float = math.nan
    superiority: float = math.nan
    chance: float = math.nan
    points: int = 0
    effective_points: float = 0.0
    baseline: float = math.nan
    canary: float = math.nan
    tags: Mapping[str, str] = field(default_factory=dict)

    def because(self, reason: str) -> MetricVerdict:
        """The same, with its reason."""
        return MetricVerdict(**{**vars(self), "reason": reason})

    @property
    def is_scored(self) -> bool:
        """Whether it is in the score's denominator: it passed, or it counts against the canary."""
        return not self.muted and (self.label.is_judged or self.fails)


@dataclass(frozen=True)
class GroupScore:
    """`score` is None if nothing in the group could be judged; weights are percent of the whole."""

    name: str
    score: float | None
    weight: float
    unknown_weight: float
    metrics: int
    deviating: int


@dataclass(frozen=True)
class Verdict:
    """The judgement of one canary over one window; metrics stand in order of importance.

    `score` is 0 to 100 over what could be judged; `unknown_weight` is the percentage of the weight that could not
    (more than `unknown_limit` is a "cannot tell yet" at the gate). `advice` says what soak or traffic would give an
    answer, empty if none is missing. `reason` is why the score is 0 where one metric alone decided (profile
    `kayenta`); `warnings` are what the reader of the configuration, or the judge, wants known.
    """

    score: float
    classification: str
    metrics: tuple[MetricVerdict, ...]
    groups: tuple[GroupScore, ...]
    unknown_weight: float
    unknown_limit: float
    thresholds: Thresholds
    start: datetime
    step_seconds: int
    points: int
    advice: str = ""
    profile: str = "redstart"
    reason: str = ""
    warnings: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def metric(self, name: str) -> MetricVerdict | None:
        return next((metric for metric in self.metrics if metric.name == name), None)

    @property
    def counts(self) -> dict[Label, int]:
        """How many unmuted metrics carry each label."""
        found = dict.fromkeys(Label, 0)
        for metric in self.metrics:
            found[metric.label] += not metric.muted
        return found

    @property
    def failed_criticals(self) -> tuple[MetricVerdict, ...]:
        return tuple(m for m in self.metrics if m.stops and not m.muted)

    @property
    def unknown_criticals(self) -> tuple[MetricVerdict, ...]:
        return tuple(m for m in self.metrics if m.critical and not m.muted and not m.stops and not m.label.is_judged)


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: NaN becomes null, infinities the words "inf" and "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """All of a verdict as plain JSON values, under a version; `verdict_from_json` reads it back."""
    body: dict[str, Any] = _plain(asdict(verdict))
    body["start"] = verdict.start.isoformat()
    return {"version": VERDICT_FORMAT, **body}


_FLOATS = ("weight", "estimate", "effect", "superiority", "chance", "effective_points", "baseline", "canary")


def _from_version_1(body: Mapping[str, Any]) -> dict[str, Any]:
    """A metric had one group, one test, and deviating was all that counted against the canary."""
    is_deviating = Label(body["label"]).is_deviating
    rest = {key: value for key, value in body.items() if key != "group"}
    stops = is_deviating and body["critical"]
    return {**rest, "groups": [body["group"]], "test": body["kind"], "fails": is_deviating, "stops": stops}


def _metric_from_json(body: Mapping[str, Any]) -> MetricVerdict:
    numbers = {key: _number(body.get(key)) for key in _FLOATS}
    low, high = body["interval"]
    whole = {**body, **numbers, "label": Label(body["label"]), "interval": (_number(low), _number(high))}
    return MetricVerdict(**{**whole, "groups": tuple(body["groups"])})


def verdict_from_json(body: Mapping[str, Any]) -> Verdict:
    """Read what `verdict_json` made, of this and every earlier version. Raises ConfigError for a later one."""
    version = body.get("version")
    if version not in {1, VERDICT_FORMAT}:
        raise ConfigError("this version cannot read it", source="verdict", key="version", value=version)
    rest = {key: value for key, value in body.items() if key != "version"}
    metrics = body["metrics"] if version == VERDICT_FORMAT else [_from_version_1(metric) for metric in body["metrics"]]
    rest["metrics"] = tuple(_metric_from_json(metric) for metric in metrics)
    rest["warnings"] = tuple(body.get("warnings", ()))
    rest["groups"] = tuple(GroupScore(**group) for group in body["groups"])
    rest["thresholds"] = Thresholds(**body["thresholds"])
    rest["start"] = datetime.fromisoformat(body["start"])
    return Verdict(**rest)
