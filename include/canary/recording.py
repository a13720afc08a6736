"""The judge's settings as they are kept beside a recorded canary, so that it can be judged again exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from include.canary.config import JudgeConfig, judge_config
from include.canary.verdict import Thresholds
from include.errors import ConfigError

SETTINGS_FORMAT = 1


def settings_json(config: JudgeConfig, thresholds: Thresholds) -> dict[str, Any]:
    """The settings in force, under a version: with these, `judge(config, thresholds, pairs)` gives the same verdict."""
    return {"version": SETTINGS_FORMAT, "settings": config.model_dump(mode="json"), "thresholds": asdict(thresholds)}


def settings_from_json(body: Mapping[str, Any], *, source: str = "settings") -> tuple[JudgeConfig, Thresholds]:
    """Raises ConfigError for a version that this one does not know, or settings that it does not have."""
    if body.get("version") != SETTINGS_FORMAT:
        raise ConfigError("this version cannot read it", source=source, key="version", value=body.get("version"))
    return judge_config(body["settings"], source=source), Thresholds(**body["thresholds"])
