"""Requests as Kayenta sends them to a remote judge, small and seeded."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
POINTS = 60


def series(seed: int, *, level: float = 100.0, points: int = POINTS) -> list[float]:
    rng = np.random.default_rng(seed)
    return [round(float(value), 4) for value in rng.normal(level, 0.05 * level, points)]


def pair(name: str, control: list[Any], experiment: list[Any]) -> dict[str, Any]:
    scope = {"startTimeIso": "2026-03-02T09:00:00Z", "startTimeMillis": 1772442000000, "stepMillis": 60000}
    return {
        "name": name,
        "id": f"id-of-{name}",
        "tags": {},
        "values": {"control": control, "experiment": experiment},
        "scopes": {"control": scope, "experiment": scope},
        "attributes": {},
    }


def metric(name: str, **canary: Any) -> dict[str, Any]:
    return {
        "name": name,
        "query": {"type": "prometheus", "metricName": name},
        "groups": ["service"],
        "analysisConfigurations": {"canary": {"direction": "increase", **canary}},
        "scopeName": "default",
    }


def request(changes: Mapping[str, float] | None = None, *, seed: int = 1, points: int = POINTS) -> dict[str, Any]:
    """A canary of three metrics; `changes` says how many times as high the canary's is."""
    names = ("latency", "errors", "cpu")
    by = dict(changes or {})
    pairs = [
        pair(
            name,
            series(seed + 10 * place, points=points),
            series(seed + 10 * place + 5, level=100.0 * by.get(name, 1.0), points=points),
        )
        for place, name in enumerate(names)
    ]
    return {
        "canaryConfig": {
            "name": "shop",
            "applications": ["shop"],
            "configVersion": "1",
            "judge": {"name": "RemoteJudge-v1.0", "judgeConfigurations": {}},
            "metrics": [metric(name) for name in names],
            "classifier": {"groupWeights": {"service": 100}},
        },
        "scoreThresholds": {"pass": 95, "marginal": 75},
        "metricSetPairList": pairs,
    }


def large_request(metrics: int = 1200, points: int = 480) -> dict[str, Any]:
    """As large as the gate's own canaries: about 20 MB of JSON."""
    body = request()
    names = [f"metric-{number}" for number in range(metrics)]
    body["canaryConfig"]["metrics"] = [metric(name) for name in names]
    rng = np.random.default_rng(3)
    values = rng.lognormal(3.0, 0.3, (metrics, 2, points)).tolist()
    body["metricSetPairList"] = [pair(name, *sides) for name, sides in zip(names, values, strict=True)]
    return body


def labels(answer: Mapping[str, Any]) -> dict[str, str]:
    """Metric name -> Kayenta's classification."""
    return {result["name"]: result["classification"] for result in answer["results"]}


def redstart(
    *arguments: str, cwd: Path = ROOT, stdin: bytes = b"", seconds: float = 120.0
) -> subprocess.CompletedProcess[bytes]:
    """The real command, as it would be typed in `cwd`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("REDSTART_")}
    return subprocess.run(
        [str(ROOT / "redstart"), *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=seconds,
        env=environment,
        check=False,
    )


def _no_constant(token: str) -> Any:
    raise AssertionError(f"{token} is not JSON")


def strict(text: str | bytes) -> Any:
    """Read JSON that must not hold NaN or Infinity."""
    return json.loads(text, parse_constant=_no_constant)
