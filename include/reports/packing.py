"""Series small enough to travel inside a page: 12 bits a value, a scale per pair, deflate, base64."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

Floats = npt.NDArray[np.float64]

MISSING = 4095
_TOP = 4094


def pack_series(baseline: Floats, canary: Floats) -> dict[str, Any]:
    """Both sides [metrics, points] as {"low", "quanta": one a metric, "data": base64 of deflated bytes}.

    value = low + code x quantum, code 4095 = gap. The bytes hold, for all metrics and points, baseline before canary,
    first the codes' low bytes, then the high ones: like bytes beside like bytes deflate better. A pair shares its
    scale, so the sides stay comparable to 1 part in 4,094 of their common range.
    """
    both = np.stack([baseline, canary], axis=1)
    finite = np.where(np.isfinite(both), both, np.nan)
    has_data = ~np.isnan(finite).all(axis=(1, 2))
    low, high = np.zeros(len(both)), np.zeros(len(both))
    low[has_data] = np.nanmin(finite[has_data], axis=(1, 2))
    high[has_data] = np.nanmax(finite[has_data], axis=(1, 2))
    quantum = np.where(high > low, (high - low) / _TOP, 1.0)
    codes = np.rint((np.nan_to_num(finite) - low[:, None, None]) / quantum[:, None, None])
    coded = np.where(np.isnan(finite), MISSING, np.clip(codes, 0, _TOP)).astype(np.uint16)
    raw = (coded & 255).astype(np.uint8).tobytes() + (coded >> 8).astype(np.uint8).tobytes()
    return {
        "low": [float(f"{value:.6g}") for value in low],
        "quanta": [float(f"{value:.6g}") for value in quantum],
        "data": base64.b64encode(zlib.compress(raw, 9)).decode(),
    }


def embed_json(value: Any) -> Markup:
    """JSON that is safe inside a script element: `<`, `>`, `&` and the line separators of JavaScript are escaped.

    `value` holds no NaN (raises ValueError): JSON has none.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
