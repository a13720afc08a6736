"""After the push: is the new version as sound as it was found to be? Red beside previous, and red alone.

The judge compares, by the application's own rules; of its metrics only the critical ones speak here. Pure: no I/O,
no clock. What is compared with what is include/canary/stretches.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from include.canary.config import JudgeConfig
from include.canary.judge import judge
from include.canary.series import MetricGrid, MetricPairs
from include.canary.stretches import beside_previous, beside_recorded, watched_pairs
from include.canary.verdict import Label, MetricVerdict, Thresholds, Verdict
from include.canary.words import DOUBT

State = Literal["sound", "unsound", "unknown"]
_LEAST_TO_STOP = 4
_CLEARLY = 2.0
_NAMED = 3


@dataclass(frozen=True)
class WatchVerdict:
    """What a watch found: `reasons` are sentences, the worst first; `is_severe`: users are clearly hurt."""

    state: State
    reasons: tuple[str, ...] = ()
    is_severe: bool = False


_NOTHING_YET = WatchVerdict("unknown", ("nothing has been measured yet",))


def watch_side_by_side(config: JudgeConfig, pairs: MetricPairs, least_points: int = 6) -> WatchVerdict:
    """Red (`pairs.canary`) against previous (`pairs.baseline`) over the same minutes.

    Counts are compared at the same number of requests, point by point, whatever share of the traffic each side has.
    Unsound: a critical metric deviates as surely as stops a canary, by `watch.margin` times what a canary may. Unknown:
    a critical metric in doubt, too few points, or a metric that users feel has no answer.
    """
    if not pairs.points:
        return _NOTHING_YET
    return _conclude(config, [_judged(config, watched_pairs(config, pairs))], least_points, "previous")


def watch_levels(
    config: JudgeConfig,
    recorded: MetricPairs,
    red: MetricGrid,
    previous: MetricGrid | None = None,
    least_points: int = 6,
) -> WatchVerdict:
    """Red alone (the only scope of `red`) against the canary's recorded levels: the worst stretch of its soak.

    `previous`: the outgoing group here before it left the traffic. Regions and hours differ from those of the soak, so
    a metric only speaks against red that is beyond the canary's worst stretch and beyond previous as well, where
    previous has it. All three have points of the same length. Counts are compared at the same number of requests,
    stocks by how much they have grown. States as in `watch_side_by_side`.
    """
    if not red.values.size:
        return _NOTHING_YET
    verdicts = [_judged(config, beside_recorded(config, recorded, red))]
    if previous is not None:
        verdicts.append(_judged(config, beside_previous(config, previous, red)))
    return _conclude(config, verdicts, least_points, "the canary's worst stretch")


def _judged(config: JudgeConfig, pairs: MetricPairs) -> Verdict:
    return judge(_for_watch(config), Thresholds(), pairs)


def _for_watch(config: JudgeConfig) -> JudgeConfig:
    """The settings of a watch: its own alarm rate, and more allowed than to a canary.

    A canary was compared with a group as young as itself; red's reference is older, or of another hour.
    """
    keys = ("allowed", "allowed_down", "critical_allowed", "critical_allowed_down", "floor")
    rules = []
    for rule in config.rules:
        wider = {key: value * config.watch.margin for key in keys if (value := getattr(rule, key)) is not None}
        rules.append(rule.model_copy(update=wider))
    rate = config.watch.alarm
    level = config.minimum.model_copy(
        update={"critical_alarm": rate, "canary_alarm": rate, "trusts_drift": False}  # fresh groups do drift
    )
    levels = {**config.evidence_levels, config.evidence: level}
    return config.model_copy(update={"rules": tuple(rules), "evidence_levels": levels})


def _conclude(config: JudgeConfig, verdicts: Sequence[Verdict], least_points: int, reference: str) -> WatchVerdict:
    """Of several verdicts the first is the one whose words are told; the others must agree where they have data."""
    first, *others = verdicts
    against = [metric for metric in first.metrics if _stops(metric) and all(_agrees(one, metric) for one in others)]
    if against:
        reasons = tuple(_words(metric, reference) for metric in against[:_NAMED])
        more = len(against) - _NAMED
        reasons += (f"{more} more critical metrics deviate",) if more > 0 else ()
        return WatchVerdict("unsound", reasons, any(_is_severe(config, metric) for metric in against))
    lacks = _lacking(config, verdicts, least_points, reference)
    return WatchVerdict("unknown", lacks) if lacks else WatchVerdict("sound")


def _stops(metric: MetricVerdict) -> bool:
    return metric.stops and metric.points >= _LEAST_TO_STOP


def _agrees(verdict: Verdict, metric: MetricVerdict) -> bool:
    """Whether another reference points the same way, be it less surely, or has nothing to say."""
    other = verdict.metric(metric.name)
    return other is None or not _has_data(other) or other.label.is_deviating or _is_doubtful(other)


def _has_data(metric: MetricVerdict) -> bool:
    return metric.label not in {Label.NO_DATA, Label.ERROR}


def _lacking(config: JudgeConfig, verdicts: Sequence[Verdict], least_points: int, reference: str) -> tuple[str, ...]:
    """Why nothing good can be said of red yet; empty where it can."""
    first, *others = verdicts
    felt = [metric for metric in first.metrics if config.watch.users in metric.groups]
    if not felt:
        return ("no critical metric that users feel has been measured",)
    silent = [metric for metric in felt if not _has_data(metric)]
    short = [metric for metric in felt if _has_data(metric) and metric.points < least_points]
    in_doubt = [one for one in first.metrics if _is_doubtful(one) and all(_agrees(other, one) for other in others)]
    return (
        *(f"{metric.name}: nothing that can be compared with {reference}" for metric in silent[:1]),
        *(f"{one.name}: {one.points} points so far, {least_points} are needed" for one in short[:1]),
        *(f"not sure yet: {_words(metric, reference)}" for metric in in_doubt[:_NAMED]),
    )


def _words(metric: MetricVerdict, reference: str) -> str:
    """The judge's reason without its statistics: it goes onto a tag and into a chat."""
    reason = metric.reason.removeprefix(f"{DOUBT}: ").partition(";")[0]
    return f"{metric.name} {reason.replace('in the canary', f'in red than in {reference}')}"


def _is_doubtful(metric: MetricVerdict) -> bool:
    return metric.label is Label.INCONCLUSIVE and metric.reason.startswith(DOUBT)


def _is_severe(config: JudgeConfig, metric: MetricVerdict) -> bool:
    """A metric that users feel, by twice what a watch allows."""
    if config.watch.users not in metric.groups:
        return False
    rule = config.rules[config.rule_index(metric.name)]
    upward = metric.label is Label.HOT
    share = config.watch.margin * rule.allowance(upward=upward)
    limit = max(share * abs(metric.baseline), config.watch.margin * rule.floor)
    return abs(metric.estimate) > _CLEARLY * limit
