"""Series in: a grid as a metric store measured it, and the pairs of baseline and canary that the judge reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from include.errors import ConfigError

Floats = npt.NDArray[np.float64]

_FORMAT = 2
_NOTHING: Mapping[str, str] = {}


def _require_aware(start: datetime, source: str) -> None:
    if start.tzinfo is None:
        raise ConfigError("needs a time zone", source=source, key="start", value=start.isoformat())


def _require_distinct(names: Iterable[object], source: str, key: str) -> None:
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise ConfigError("is there twice", source=source, key=key, value=name)
        seen.add(name)


@dataclass(frozen=True)
class MetricGrid:
    """What one metric store answered: every series of every scope on one grid of times.

    `values` is float64 [n_scopes, n_names, n_points], NaN where there is no data; point k was measured in the
    `step_seconds` that begin at `start` (tz-aware) + k * `step_seconds`. A scope is what the store was asked for
    (a group's name). `errors` maps a metric's name to the store's words where its query failed; its rows are NaN.
    Raises ConfigError for a shape that does not fit, a name that is there twice or a start without time zone.
    """

    names: tuple[str, ...]
    scopes: tuple[str, ...]
    start: datetime
    step_seconds: int
    values: Floats
    errors: Mapping[str, str]

    def __post_init__(self) -> None:
        _require_aware(self.start, "metric grid")
        _require_distinct(self.names, "metric grid", "names")
        _require_distinct(self.scopes, "metric grid", "scopes")
        if self.values.ndim != 3 or self.values.shape[:2] != (len(self.scopes), len(self.names)):
            raise ConfigError(
                "must be [scopes, names, points]", source="metric grid", key="values", value=self.values.shape
            )


@dataclass(frozen=True)
class MetricPairs:
    """Baseline and canary of every metric at the same times: all that a judgement reads, and all that is kept of it.

    `baseline` and `canary` are float64 [n_names, n_points], NaN for gaps. `metadata` says whose they are (image
    ids, group names, region) and is carried along unread. `errors` as in MetricGrid. `tags` (empty, or one mapping a
    row) tell several series of one name apart. `lengths` (None, or int64 [n_names, 2]: baseline, canary) says how
    many points of a row were asked for, where they are fewer than the grid has: what lies beyond is no gap.
    """

    names: tuple[str, ...]
    baseline: Floats
    canary: Floats
    start: datetime
    step_seconds: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[Mapping[str, str], ...] = ()
    lengths: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        _require_aware(self.start, "metric pairs")
        if self.tags:
            if len(self.tags) != len(self.names):
                raise ConfigError("must be one a name", source="metric pairs", key="tags", value=len(self.tags))
            marks = (tuple(sorted(tags.items())) for tags in self.tags)
            _require_distinct(zip(self.names, marks, strict=True), "metric pairs", "names")
        else:
            _require_distinct(self.names, "metric pairs", "names")
        if self.lengths is not None and self.lengths.shape != (len(self.names), 2):
            raise ConfigError("must be [names, 2]", source="metric pairs", key="lengths", value=self.lengths.shape)
        if self.step_seconds <= 0:
            raise ConfigError("must be over 0", source="metric pairs", key="step_seconds", value=self.step_seconds)
        for side in ("baseline", "canary"):
            shape = getattr(self, side).shape
            if len(shape) != 2 or shape[0] != len(self.names) or shape != self.baseline.shape:
                raise ConfigError(
                    "must be [names, points], both sides alike", source="metric pairs", key=side, value=shape
                )

    @property
    def points(self) -> int:
        return int(self.baseline.shape[1])

    def tags_of(self, row: int) -> Mapping[str, str]:
        return self.tags[row] if self.tags else _NOTHING

    def to_npz(self, file: IO[bytes]) -> None:
        """Write all of it, compressed, in a form that needs no pickle to read."""
        about = {
            "format": _FORMAT,
            "start": self.start.isoformat(),
            "step_seconds": self.step_seconds,
            "metadata": dict(self.metadata),
            "errors": dict(self.errors),
            "names": list(self.names),
            "tags": [dict(tags) for tags in self.tags],
            "lengths": None if self.lengths is None else self.lengths.tolist(),
        }
        text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        np.savez_compressed(file, about=text, baseline=self.baseline, canary=self.canary)

    @classmethod
    def from_npz(cls, file: IO[bytes]) -> MetricPairs:
        """Read what `to_npz` wrote. Raises ConfigError for a file of another kind or a later format."""
        try:
            with np.load(file, allow_pickle=False) as stored:
                about: dict[str, Any] = json.loads(stored["about"].tobytes())
                baseline, canary = stored["baseline"], stored["canary"]
        except (KeyError, ValueError, OSError, BadZipFile) as error:
            raise ConfigError(f"not a recorded canary: {error}", source="npz") from error
        if about.get("format") not in {1, _FORMAT}:
            raise ConfigError(
                "written in a format that this version cannot read",
                source="npz",
                key="format",
                value=about.get("format"),
            )
        return cls(
            names=tuple(about["names"]),
            baseline=baseline,
            canary=canary,
            start=datetime.fromisoformat(about["start"]),
            step_seconds=about["step_seconds"],
            metadata=about["metadata"],
            errors=about["errors"],
            tags=tuple(about.get("tags", ())),
            lengths=np.array(lengths, dtype=np.int64) if (lengths := about.get("lengths")) is not None else None,
        )


def pair_scopes(grid: MetricGrid, *, baseline: str, canary: str, metadata: Mapping[str, str] = _NOTHING) -> MetricPairs:
    """The pairs of two scopes of a grid.

    A metric that the store only failed on (in `errors`, not in `names`) comes along as a row of gaps, so that the
    verdict can say so. Raises ConfigError for a scope that the grid does not hold.
    """
    for scope in (baseline, canary):
        if scope not in grid.scopes:
            raise ConfigError(
                f"not among {', '.join(grid.scopes) or 'no scopes'}", source="metric grid", key="scope", value=scope
            )
    known = set(grid.names)
    lost = tuple(name for name in grid.errors if name not in known)
    gaps = np.full((len(lost), grid.values.shape[2]), np.nan)
    return MetricPairs(
        names=grid.names + lost,
        baseline=np.concatenate([grid.values[grid.scopes.index(baseline)], gaps]),
        canary=np.concatenate([grid.values[grid.scopes.index(canary)], gaps]),
        start=grid.start,
        step_seconds=grid.step_seconds,
        metadata={"baseline_group": baseline, "canary_group": canary, **metadata},
        errors=dict(grid.errors),
    )
