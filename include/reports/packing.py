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
_LARGEST = 8e307  # the range of a pair must be a float too


def pack_series(baseline: Floats, canary: Floats) -> dict[str, Any]:
    """Both sides [metrics, points] as {"low", "quanta": one a metric, "data": base64 of deflated bytes}.

    value = low + code x quantum, code 4095 = gap. The bytes hold, for all metrics and points, baseline before canary,
    first the codes' low bytes, then the high ones: like bytes beside like bytes deflate better. A pair shares its
    scale, so the sides stay comparable to 1 part in 4,094 of their common range; whole numbers in a range of up to
    4,094 are kept as they are. Infinities are gaps here, values beyond 8e307 are cut to it.
    """
    both = np.stack([baseline, canary], axis=1)
    finite = np.clip(np.where(np.isfinite(both), both, np.nan), -_LARGEST, _LARGEST)
    low, quantum = _scales(finite)
    codes = np.rint((np.nan_to_num(finite) - low[:, None, None]) / quantum[:, None, None])
    coded = np.where(np.isnan(finite), MISSING, np.clip(codes, 0, _TOP)).astype(np.uint16)
    raw = (coded & 255).astype(np.uint8).tobytes() + (coded >> 8).astype(np.uint8).tobytes()
    return {
        "low": low.tolist(),
        "quanta": quantum.tolist(),
        "data": base64.b64encode(zlib.compress(raw, 9)).decode(),
    }


def _scales(finite: Floats) -> tuple[Floats, Floats]:
    """The least value and the step of every pair, in no more digits than matter: they travel as text."""
    is_gap = np.isnan(finite)
    has_data = ~is_gap.all(axis=(1, 2))
    low = np.where(has_data, np.min(finite, axis=(1, 2), initial=np.inf, where=~is_gap), 0.0)
    high = np.where(has_data, np.max(finite, axis=(1, 2), initial=-np.inf, where=~is_gap), 0.0)
    is_whole = ((np.floor(finite) == finite) | is_gap).all(axis=(1, 2)) & (high - low <= _TOP)
    # Rounded up a little: the highest value must not need a code above the last.
    steps = (high - low) / _TOP * (1.0 + 1e-6)
    quantum = np.where(is_whole, 1.0, np.where(steps > 0.0, steps, 1.0))
    short = [[float(f"{value:.{digits}g}") for value in values] for values, digits in ((low, 13), (quantum, 7))]
    return np.array(short[0]), np.array(short[1])


def embed_json(value: Any) -> Markup:
    """JSON that is safe inside a script element: `<`, `>`, `&` and the line separators of JavaScript are escaped.

    `value` holds no NaN (raises ValueError): JSON has none.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
