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
ATTEMPT: Final = "redstart:attempt"
"""How often the push that made the group had failed before and was begun again by a person; absent: never."""
PREVIOUS: Final = "redstart:previous"
"""On red: names of the main groups that took traffic when it was launched, separated by spaces."""
PINNED: Final = "redstart:pinned"
"""The minimum to which a push or rollback pinned the group; empty once it has let go of it."""
FAILED: Final = "redstart:failed"
"""On red: why its push is being rolled back."""
SEVERE: Final = "redstart:severe"
"""On red, beside it: "yes" where users are hurt, so that its rollback does not wait for capacity."""
FENCE: Final = "redstart:fence"
"""The fencing token of the lease under which the group was last changed; a smaller one may change it no more."""
SCALING: Final = "redstart:scaling"
"""The scaling policy that was put on the group, in words; written once it is there."""
SIDE_BY_SIDE_UNTIL: Final = "redstart:side-by-side-until"
"""On red: the moment (ISO, UTC) until which red and previous are watched side by side; written once."""
WATCHED_UNTIL: Final = "redstart:watched-until"
"""On red: the moment (ISO, UTC) until which red is watched once it serves alone; written once."""
BLACK_SINCE: Final = "redstart:black-since"
"""On black: when it went out of traffic (ISO, UTC); its time to live counts from there."""
ROLLED_BACK: Final = "redstart:rolled-back"
"""Why a group that served was taken out of traffic: nobody goes back to it unless a person names it."""
ROLLED_BACK_BY: Final = "redstart:rolled-back-by"
"""On such a group: the rollback that did it."""
RESTORED_BY: Final = "redstart:restored-by"
"""On the group that a rollback goes back to: that rollback."""
SOAK_END: Final = "redstart:soak-end"
"""On the canary: the moment (ISO, UTC) at which its soak ends; written once."""
NETWORK: Final = "redstart:network"
BUILDER: Final = "redstart:builder"
TREE: Final = "redstart:tree"
BRANCH: Final = "redstart:branch"
BASE_IMAGE: Final = "redstart:base-image"
BUILD: Final = "redstart:build"
"""On an image: the address of the Airflow run that had it made."""
IDENTITY: Final = (APP, COMMIT, VERSION)
"""Which code is in an image: two that agree in these are the same, whoever made them."""

MAIN: Final = "main"
CANARY: Final = "canary"
BASELINE: Final = "baseline"


def tag_value(text: str) -> str:
    """`text` with only what AWS allows in a tag's value: 256 letters, digits, spaces and + - = . _ : / @; % is pct."""
    return re.sub(r"[^\w\s+\-=.:/@]", " ", text.replace(" %", "%").replace("%", " pct"))[:256].strip()
