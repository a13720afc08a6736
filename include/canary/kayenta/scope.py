"""A canary scope: whose metrics, where and when, as Kayenta's execution requests name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.canary.kayenta.request import read_moment, read_step
from include.errors import ConfigError


@dataclass(frozen=True)
class CanaryScope:
    """`start` and `end` are tz-aware, `params` what the metric store wants to know besides."""

    scope: str
    start: datetime
    end: datetime
    step_seconds: int
    location: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


def parse_scope(body: Mapping[str, Any], *, source: str) -> CanaryScope:
    """A scope from its JSON; unknown keys are left alone. Raises ConfigError with the place and the value."""
    name, params = body.get("scope"), body.get("extendedScopeParams") or {}
    if not isinstance(name, str) or not name:
        raise ConfigError("must be a name", source=source, key="scope", value=name)
    if not isinstance(params, Mapping):
        raise ConfigError("must be an object", source=source, key="extendedScopeParams", value=params)
    return CanaryScope(
        scope=name,
        start=read_moment(body.get("start"), source=source, place="start"),
        end=read_moment(body.get("end"), source=source, place="end"),
        step_seconds=read_step(body.get("step"), source=source, place="step"),
        location=body.get("location") or "",
        params=dict(params),
    )


def scope_json(scope: CanaryScope) -> dict[str, Any]:
    """The JSON of a scope; `parse_scope` reads it back."""
    return {
        "scope": scope.scope,
        "location": scope.location or None,
        "start": scope.start.isoformat(),
        "end": scope.end.isoformat(),
        "step": scope.step_seconds,
        "extendedScopeParams": dict(scope.params),
    }
