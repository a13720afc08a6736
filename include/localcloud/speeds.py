"""How slow the local cloud is; changed while it runs to play a bad day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from include.errors import ConfigError


@dataclass
class Speeds:
    """Seconds. `boot_seconds`: the least from launch to running; `image_seconds`: the least an image is pending."""

    boot_seconds: float = 1.0
    image_seconds: float = 2.0

    def change(self, given: Mapping[str, Any]) -> dict[str, float]:
        known = {field.name for field in fields(self)}
        for key, value in given.items():
            if key not in known or not isinstance(value, int | float) or value < 0:
                raise ConfigError("not a speed in seconds", source="settings", key=key, value=value)
        for key, value in given.items():
            setattr(self, key, float(value))
        return self.listed()

    def listed(self) -> dict[str, float]:
        return asdict(self)
