"""Packed series: what is lost, and what never is."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from include.reports.packing import MISSING, embed_json, pack_series
from tests.unit.reports.verdicts import HOSTILE


def unpacked(packed: dict, points: int) -> np.ndarray:
    """[metrics, sides, points], as a browser reads them."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), dtype=np.uint8).astype(np.uint16)
    codes = (raw[: len(raw) // 2] + 256 * raw[len(raw) // 2 :]).reshape(-1, 2, points)
    low, quanta = (np.array(packed[key])[:, None, None] for key in ("low", "quanta"))
    return np.where(codes == MISSING, np.nan, low + codes * quanta)


def test_packing_constants_gaps_and_infinities() -> None:
    baseline = np.array([[5.0, 5.0], [np.nan, np.nan], [np.inf, 1.0]])
    packed = pack_series(baseline, baseline)
    assert packed["low"] == [5.0, 0.0, 1.0]
    json.dumps(packed, allow_nan=False)
    np.testing.assert_array_equal(unpacked(packed, 2)[:, 0], [[5.0, 5.0], [np.nan, np.nan], [np.nan, 1.0]])


def test_counts_come_back_exactly() -> None:
    counts = np.random.default_rng(1).poisson([[0.1], [40.0], [900.0]], (3, 50)).astype(float) + 1e6
    np.testing.assert_array_equal(unpacked(pack_series(counts, counts + 2), 50)[:, 1], counts + 2)


@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1.0), (1e9, 1.0), (-3e12, 0.5), (0.0, 1e-9), (1e-300, 1e-300)])
def test_a_small_range_far_from_zero_keeps_its_shape(offset: float, spread: float) -> None:
    values = offset + spread * np.random.default_rng(2).random((1, 200))
    error = np.abs(unpacked(pack_series(values, values), 200)[0, 0] - values[0])
    assert error.max() <= spread / 4000 + abs(offset) * 1e-12


def test_the_largest_floats_do_not_overflow() -> None:
    values = np.array([[-1.7e308, 0.0, 1.7e308]])
    with np.errstate(all="raise", under="ignore"):
        back = unpacked(pack_series(values, values), 3)[0, 0]
    assert np.isfinite(back).all()
    assert back[0] < -7e307 < 7e307 < back[2]


@pytest.mark.parametrize("name", HOSTILE)
def test_embedded_json_cannot_end_its_element(name: str) -> None:
    text = embed_json({"name": name})
    assert not set("<>&\u2028\n") & set(text)
    assert json.loads(text) == {"name": name}


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        embed_json(float("nan"))
