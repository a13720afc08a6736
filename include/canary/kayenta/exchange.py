"""Kayenta's remote judge, from both ends: its request as values, a verdict as its judgeResult, and the way back.

The seam is `POST /judge` with {canaryConfig, scoreThresholds, metricSetPairList}; the answer is the judgeResult.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from include.canary.config import JudgeConfig, Profile
from include.canary.kayenta.answer import judge_result
from include.canary.kayenta.ask import request_body
from include.canary.kayenta.config import read_canary_config
from include.canary.kayenta.lookup import is_finite
from include.canary.kayenta.request import Pair, gather_pairs, read_pair
from include.canary.series import MetricPairs
from include.canary.verdict import Thresholds
from include.errors import ConfigError

__all__ = ["judge_result", "read_canary_config", "read_request", "request_body"]


def read_request(
    body: Mapping[str, Any], *, source: str, profile: Profile
) -> tuple[JudgeConfig, Thresholds, MetricPairs]:
    """Settings, thresholds and series of the body that Kayenta sends to a remote judge.

    Gaps are null, NaN or "NaN"; infinities Infinity or "Infinity". Sides of unequal length are told apart from gaps by
    `MetricPairs.lengths`. In profile `redstart` a configured metric that the request says nothing about comes along
    without points, so that the verdict misses it; Kayenta judges what it is sent. Raises ConfigError with the place
    (`metricSetPairList.3.values.control.17`) and the value.
    """
    if not isinstance(body, Mapping):
        raise ConfigError("must be an object", source=source, value=body)
    config = read_canary_config(
        _required(body, "canaryConfig", Mapping, source), source=source, profile=profile, place="canaryConfig"
    )
    thresholds = _thresholds(_required(body, "scoreThresholds", Mapping, source), source)
    found = _required(body, "metricSetPairList", list, source)
    pairs = [read_pair(one, source=source, place=f"metricSetPairList.{place}") for place, one in enumerate(found)]
    _require_known(config, pairs, source)
    if profile == "redstart":
        there = {pair.name for pair in pairs}
        pairs += [Pair(rule.match, np.empty(0), np.empty(0)) for rule in config.rules if rule.match not in there]
    return config, thresholds, gather_pairs(pairs)


def _required(body: Mapping[str, Any], key: str, kind: type, source: str) -> Any:
    found = body.get(key)
    if not isinstance(found, kind):
        what = "a list" if kind is list else "an object"
        raise ConfigError("is missing" if found is None else f"must be {what}", source=source, key=key, value=found)
    return found


def _thresholds(body: Mapping[str, Any], source: str) -> Thresholds:
    for key in ("pass", "marginal"):
        if not is_finite(body.get(key)):
            raise ConfigError("must be a number", source=source, key=f"scoreThresholds.{key}", value=body.get(key))
    try:
        return Thresholds(go=float(body["pass"]), marginal=float(body["marginal"]))
    except ConfigError as error:
        what = "must be 0 <= marginal <= pass <= 100"
        raise ConfigError(what, source=source, key="scoreThresholds", value=dict(body)) from error


def _require_known(config: JudgeConfig, pairs: Sequence[Pair], source: str) -> None:
    """Every pair is judged by a metric of the configuration, and told from the others by name and tags."""
    known = {rule.match for rule in config.rules}
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for place, pair in enumerate(pairs):
        key = f"metricSetPairList.{place}"
        if pair.name not in known:
            what = "is no metric of canaryConfig"
            raise ConfigError(what, source=source, key=f"{key}.name", value=pair.name)
        mark = (pair.name, tuple(sorted(pair.tags.items())))
        if mark in seen:
            raise ConfigError("is there twice, with the same tags", source=source, key=f"{key}.name", value=pair.name)
        seen.add(mark)
