"""Options by path in a JSON body, as tolerant as Kayenta's own lookup of analysis configurations."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def lookup(data: Any, path: Sequence[str], default: Any = None) -> Any:
    """What stands at `path`, or `default` where a level is missing, null or no object.

    A list on the way is mapped over: the answer is then the list of what its members have there, without those that
    have nothing, and `default` if none has anything. An empty path is the data itself.
    """
    if data is None:
        return default
    if not path:
        return data
    if isinstance(data, Mapping):
        return lookup(data.get(path[0]), path[1:], default)
    if isinstance(data, list | tuple):
        found = [value for value in (lookup(member, path) for member in data) if value is not None]
        return found or default
    return default


def is_number(value: Any) -> bool:
    """Whether JSON would call it a number and a float can hold it: an int or a float, but no bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or -sys.float_info.max <= value <= sys.float_info.max


def is_finite(value: Any) -> bool:
    """Whether it is a number, and neither NaN nor infinite."""
    return is_number(value) and math.isfinite(value)


def number_at(data: Any, path: Sequence[str], default: float) -> float:
    """The number at `path`, whole ones as floats too, or `default`. Raises TypeError for anything but a number."""
    found = lookup(data, path)
    if found is None:
        return default
    if not is_number(found):
        raise TypeError(f"{'.'.join(path)} is no number: {found!r}")
    return float(found)
