"""Which series of baseline and canary belong together: by name and tags, as Kayenta's metric mixer pairs them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from include.canary.kayenta.request import Pair
from include.canary.series import Floats
from include.errors import ConfigError

_SOURCE = "metric sets"


@dataclass(frozen=True)
class MetricSet:
    """One series of one side, float64 [n]. With times given (milliseconds) its length is known, gaps and all."""

    name: str
    values: Floats
    tags: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    start_ms: int = 0
    end_ms: int = 0
    step_ms: int = 0

    @property
    def points(self) -> int:
        """How many points were asked for, 0 if that is not known."""
        return (self.end_ms - self.start_ms) // self.step_ms if self.step_ms else 0


def metric_set_key(name: str, tags: Mapping[str, str]) -> str:
    """Name and tags as one word, whatever the tags' order. Raises ConfigError without a name."""
    if not name:
        raise ConfigError("a metric set needs a name", source=_SOURCE)
    return f"{name} -> {{{', '.join(f'{tag}:{value}' for tag, value in sorted(tags.items()))}}}"


def stable_id(name: str, tags: Mapping[str, str]) -> str:
    """An id that is always the same for this name and these tags."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, metric_set_key(name, tags)))


def _filled(values: Floats, points: int) -> Floats:
    missing = points - len(values)
    return np.append(values, np.full(missing, np.nan)) if missing > 0 else values


def mix_one(control: MetricSet, experiment: MetricSet) -> Pair:
    """The pair of two series of one name and the same tags, each filled up with gaps to the points asked for.

    Raises ConfigError for series that do not belong together.
    """
    if not control.name:
        raise ConfigError("Control metric set name was not set", source=_SOURCE)
    if not experiment.name:
        raise ConfigError("Experiment metric set name was not set", source=_SOURCE)
    if control.name != experiment.name:
        raise ConfigError(
            f"Control metric set name {control.name!r} does not match experiment metric set name {experiment.name!r}",
            source=_SOURCE,
        )
    if dict(control.tags) != dict(experiment.tags):
        raise ConfigError(f"the tags of {control.name!r} differ: {control.tags} and {experiment.tags}", source=_SOURCE)
    return Pair(
        name=control.name,
        baseline=_filled(control.values, control.points),
        canary=_filled(experiment.values, experiment.points),
        tags=dict(control.tags),
        id=stable_id(control.name, control.tags),
        attributes={"control": dict(control.attributes), "experiment": dict(experiment.attributes)},
    )


def _stand_in(one: MetricSet, missing_side: Sequence[MetricSet]) -> MetricSet:
    """A series without a single point in the place of the partner that `one` lacks, over its side's time."""
    known = missing_side[0]
    return MetricSet(one.name, np.empty(0), one.tags, {}, known.start_ms, known.end_ms, known.step_ms)


def _series(sets: Sequence[MetricSet], *, tagged: bool) -> dict[str, MetricSet]:
    """By key; where the metric is split by tags, one without any only says that this side had no answer."""
    return {metric_set_key(one.name, one.tags): one for one in sets if one.tags or not tagged}


def _mix_name(name: str, control: Sequence[MetricSet], experiment: Sequence[MetricSet]) -> list[Pair]:
    for side, sets in (("control", control), ("experiment", experiment)):
        if not sets:
            raise ConfigError(f"No {side} metrics found for {name!r}", source=_SOURCE)
    keys, others = ({tag for one in sets for tag in one.tags} for sets in (control, experiment))
    if keys and others and keys != others:
        raise ConfigError(f"{name!r} has different tag keys: {sorted(keys)} and {sorted(others)}", source=_SOURCE)
    placed, partners = (_series(sets, tagged=bool(keys | others)) for sets in (control, experiment))
    pairs = [mix_one(one, partners.get(key) or _stand_in(one, experiment)) for key, one in placed.items()]
    return pairs + [mix_one(_stand_in(one, control), one) for key, one in partners.items() if key not in placed]


def mix_all(names: Sequence[str], control: Sequence[MetricSet], experiment: Sequence[MetricSet]) -> list[Pair]:
    """The pairs of all series of both sides, metric by metric in the order of `names`.

    A series whose partner is missing is paired with one of gaps. Raises ConfigError for a metric that a side lacks
    altogether, and for sides split by different tags.
    """
    return [
        pair
        for name in names
        for pair in _mix_name(
            name, [one for one in control if one.name == name], [one for one in experiment if one.name == name]
        )
    ]
