"""The tags by which groups, images and builders are known; what the product writes, and what it searches by."""

from __future__ import annotations

import re
from typing import Final

APP: Final = "redstart:app"
STACK: Final = "redstart:stack"
CLUSTER: Final = "redstart:cluster"
ROLE: Final = "redstart:role"
"""main, canary or baseline."""
IMAGE: Final = "redstart:image"
COMMIT: Final = "redstart:commit"
VERSION: Final = "redstart:version"
RUN: Final = "redstart:run"
"""The push or canary that made the group: its owner."""
PREVIOUS: Final = "redstart:previous"
"""On red: names of the main groups that took traffic when it was launched, separated by spaces."""
PINNED: Final = "redstart:pinned"
"""On red: the minimum to which the push pinned it; empty once the push has let go of the group."""
FAILED: Final = "redstart:failed"
"""On red: why its push is being rolled back."""
SOAK_END: Final = "redstart:soak-end"
"""On the canary: the moment (ISO, UTC) at which its soak ends; written once."""
NETWORK: Final = "redstart:network"
BUILDER: Final = "redstart:builder"
TREE: Final = "redstart:tree"
BRANCH: Final = "redstart:branch"
BASE_IMAGE: Final = "redstart:base-image"
BUILD: Final = "redstart:build"

MAIN: Final = "main"
CANARY: Final = "canary"
BASELINE: Final = "baseline"


def tag_value(text: str) -> str:
    """`text` with only what AWS allows in a tag's value: 256 letters, digits, spaces and + - = . _ : / @."""
    return re.sub(r"[^\w\s+\-=.:/@]", " ", text)[:256].strip()
