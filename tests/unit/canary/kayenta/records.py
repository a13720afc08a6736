"""The numbers of Kayenta's own tests as tests/golden/kayenta keeps them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "kayenta"
Record = dict[str, Any]


def cases(name: str) -> list[Record]:
    """All records of one file."""
    found: list[Record] = json.loads((GOLDEN / f"{name}.json").read_text())["cases"]
    return found


def numbers(values: list[float | None]) -> np.ndarray:
    """A record's list, in which null is NaN."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
