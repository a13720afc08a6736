"""Reading a canary configuration: what is refused, what is warned of, which keys there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.canary.kayenta.lookup import lookup
from include.errors import ConfigError

CANARY = ("analysisConfigurations", "canary")
EFFECT_SIZES = ("allowedIncrease", "allowedDecrease", "criticalIncrease", "criticalDecrease")

# What Kayenta, its user interface and its older versions write; nothing of it that is not read changes the judgement.
CONFIG_KEYS: dict[tuple[str, ...], set[str]] = {
    (): {
        *("id", "name", "description", "configVersion", "applications", "judge", "metrics", "templates", "classifier"),
        *("createdTimestamp", "updatedTimestamp", "createdTimestampIso", "updatedTimestampIso", "isNew", "owner"),
    },
    ("judge",): {"name", "judgeConfigurations"},
    ("classifier",): {"groupWeights", "scoreThresholds"},
}
METRIC_KEYS: dict[tuple[str, ...], set[str]] = {
    (): {"id", "name", "query", "groups", "analysisConfigurations", "scopeName", "serviceType"},
    ("analysisConfigurations",): {"canary"},
    CANARY: {"direction", "nanStrategy", "critical", "mustHaveData", "muted", "effectSize", "outliers"},
    (*CANARY, "effectSize"): {"measure", *EFFECT_SIZES},
    (*CANARY, "outliers"): {"strategy", "outlierFactor"},
}


@dataclass
class Reader:
    """One body being read: what is refused names its place, what is not is gathered as warnings."""

    source: str
    place: str
    strict: bool
    warnings: list[str] = field(default_factory=list)

    def at(self, *path: str) -> str:
        return ".".join(part for part in (self.place, *path) if part)

    def fault(self, why: str, path: Sequence[str], value: object) -> ConfigError:
        return ConfigError(why, source=self.source, key=self.at(*path), value=value)

    def oddity(self, why: str, path: Sequence[str], value: object, instead: str) -> None:
        """Refuse it, or, where Kayenta goes on, warn what it goes on with."""
        if self.strict:
            raise self.fault(why, path, value)
        self.warnings.append(f"{self.at(*path)}: {why} (found {value!r}); {instead}")

    def unknown_keys(self, body: Any, known: Mapping[tuple[str, ...], set[str]], *place: str) -> None:
        for path, keys in known.items():
            node = lookup(body, path)
            if isinstance(node, Mapping):
                for key in node:
                    if key not in keys:
                        self.warnings.append(f"{self.at(*place, *path, str(key))}: no such key, ignored")
            elif node is not None and self.strict:
                raise self.fault("must be an object", (*place, *path), node)
