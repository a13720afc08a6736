"""Listener weights: whole numbers (0-999) that give each group its share of the traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from include.fleet import ClusterView, Group
from include.fleet.tags import BASELINE, CANARY, ROLE

HIGHEST_WEIGHT = 999
MOST_GROUPS = 5
CLOSE_ENOUGH = 0.0005
"""Of all traffic: 0.05 % point between a share and what its weight gives."""


def weights_for(shares: Mapping[str, float]) -> dict[str, int]:
    """Weights whose ratios are those of `shares` (any scale, >= 0), the smallest total from 100 up that is close.

    A positive share never becomes weight 0. All shares 0: all weights 0.
    """
    whole = sum(shares.values())
    if whole <= 0:
        return dict.fromkeys(shares, 0)
    parts = {name: share / whole for name, share in shares.items()}
    best: dict[str, int] = {}
    best_error = float("inf")
    for total in range(100, HIGHEST_WEIGHT * 2):
        weights = {name: max(round(part * total), 1 if part > 0 else 0) for name, part in parts.items()}
        if max(weights.values()) > HIGHEST_WEIGHT:
            break
        given = sum(weights.values())
        error = max(abs(weights[name] / given - part) for name, part in parts.items())
        if error < best_error - 1e-12:
            best, best_error = weights, error
        if best_error <= CLOSE_ENOUGH:
            break
    return best


def shares_of(weights: Mapping[str, int]) -> dict[str, float]:
    """The share (0-1) of all traffic that each weight gives; nothing enabled: no shares."""
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items() if weight > 0} if whole else {}


def are_close(weights: Mapping[str, int], other: Mapping[str, int], *, within: float = 0.005) -> bool:
    """Whether two sets of weights share traffic out alike, to `within` of all traffic."""
    left, right = shares_of(weights), shares_of(other)
    return left.keys() == right.keys() and all(abs(left[name] - right[name]) <= within for name in left)


def split_main_traffic(view: ClusterView, mains: Mapping[str, float], silent: Iterable[str] = ()) -> dict[str, int]:
    """Weights that split what main groups get by `mains` (any scale), and leave everybody else's share alone.

    `silent` groups get none. A group that is being deleted, or of which only the target group is left, keeps no share;
    where nobody but others had traffic, the main groups get it all.
    """
    quiet = [*silent, *(group.name for group in view.groups if group.is_deleting or group.is_partial)]
    shares = shares_of(view.weights)
    others = {name: share for name, share in shares.items() if name not in mains and name not in quiet}
    rest = 1.0 - sum(others.values())
    if rest <= 0:
        others, rest = {}, 1.0
    whole = sum(mains.values())
    wanted = {name: rest * part / whole for name, part in mains.items()} if whole > 0 else dict.fromkeys(mains, 0.0)
    return with_silent(view, weights_for({**others, **wanted}), [name for name in silent if name not in mains])


def with_silent(view: ClusterView, weights: Mapping[str, int], silent: Iterable[str] = ()) -> dict[str, int]:
    """`weights`, and with weight 0 whoever is to be listed without traffic: only what a listener lists is
    health-checked. AWS lists five groups at most: `silent` come first, then a pair that is being launched, then what
    is listed already, the youngest first."""
    listed = [group for group in view.groups if group.is_attached and not group.is_deleting and not group.is_partial]
    youngest = sorted(listed, key=lambda one: (_is_pair(one), one.created_at, one.name), reverse=True)
    found = dict(weights)
    for name in [*silent, *(group.name for group in youngest)]:
        if name not in found and len(found) < MOST_GROUPS:
            found[name] = 0
    return found


def by_health(groups: Iterable[Group]) -> dict[str, float]:
    """Shares in proportion to healthy instances, so that each instance serves as much as any other.

    Where none is healthy, shares in proportion to the wish: the best that can be said.
    """
    chosen = list(groups)
    counts = {group.name: float(group.healthy_count) for group in chosen}
    if any(counts.values()):
        return counts
    return {group.name: float(max(group.capacity.desired, 1)) for group in chosen}


def _is_pair(group: Group) -> bool:
    return group.tags.get(ROLE, "") in (CANARY, BASELINE)
