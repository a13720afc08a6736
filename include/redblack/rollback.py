"""Going back, a row for each state: the groups to go back to carry the traffic before the bad one leaves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from include.fleet import ClusterView, Group
from include.fleet.tags import BLACK_SINCE, FAILED, PINNED, ROLLED_BACK, SEVERE, WATCHED_UNTIL
from include.redblack.black import let_go, make_black, noted_pin, unpin
from include.redblack.capacity import SizeBounds, pinned
from include.redblack.goal import Need, PushGoal
from include.redblack.health import missing_health, missing_traffic
from include.redblack.look import Look
from include.redblack.roles import (
    BLACK_SUSPENDED,
    GROWING,
    enabled_groups,
    fenced,
    names_of,
    previous_groups,
)
from include.redblack.steps import (
    AttachGroups,
    DeleteRed,
    DisableRed,
    EnableBlack,
    Failed,
    GrowBlack,
    ResumeProcesses,
    Step,
    TagGroup,
    WaitHealthy,
    WaitTakingTraffic,
)
from include.redblack.traffic import are_close, by_health, split_main_traffic, with_silent

QUIET_RPS = 1.0
"""Below it a cluster may well send an instance nothing for half a minute."""
SHIFT = 0.02
"""Of all traffic: smaller changes of what black can carry are not worth a change of weights."""


@dataclass(frozen=True)
class Way:
    """The way back: from `bad` to `good`, both alive. `good` is empty where nothing is left to go back to."""

    good: list[Group]
    bad: list[Group]
    size: SizeBounds
    need: Need
    is_severe: bool
    needs_traffic: bool
    token: int


class WayState(StrEnum):
    """Who has the traffic, of those that the way is about."""

    NOBODY_SERVES = "nobody serves"
    BAD_SERVES = "only the bad group serves"
    BOTH_SERVE = "both serve"
    BACK = "back"


def way_state(way: Way) -> WayState:
    is_good = any(group.is_enabled for group in way.good)
    is_bad = any(group.has_traffic for group in way.bad)  # deleted or dead: its share is lost until it is taken away
    if is_good:
        return WayState.BOTH_SERVE if is_bad else WayState.BACK
    return WayState.BAD_SERVES if is_bad else WayState.NOBODY_SERVES


def step_back(look: Look, way: Way) -> Step | None:
    """The next step on the way; None where the traffic is back and the good groups are as they should be."""
    return ROWS[way_state(way)](look, way)


def _serve_at_once(look: Look, way: Way) -> Step | None:
    """Neither good nor bad serves. Others may (somebody's newer push): then there is nothing to bring back, and a
    group that is kept black for them stays as it is."""
    if not way.good or enabled_groups(look.view):
        return None
    return _all_to_good(look, way, EnableBlack)


def _bring_back(look: Look, way: Way) -> Step:
    """The good group is out of traffic: as big as the traffic of now asks for, then into it."""
    view = look.view
    if loose := [group.name for group in way.good if not group.is_attached]:
        return AttachGroups(view.cluster, with_silent(view, view.weights, loose))
    has_good = any(group.healthy_count for group in way.good)
    if has_good and not any(group.healthy_count for group in way.bad):
        return _all_to_good(look, way, EnableBlack)
    if way.is_severe and _carried(look, way) >= 1:
        return _all_to_good(look, way, EnableBlack)
    if growth := _growth(look, way):
        return growth
    if way.is_severe and has_good:
        return EnableBlack(view.cluster, _split(look, way))
    if missing := _missing(way):
        return WaitHealthy(f"{names_of(way.good)} can take the traffic back", missing)
    return EnableBlack(view.cluster, split_main_traffic(view, by_health([*way.good, *way.bad])))


def _hand_back(look: Look, way: Way) -> Step:
    """Both serve: the bad one leaves as soon as the good one can carry all, or has nothing that is healthy."""
    view = look.view
    if not any(group.healthy_count for group in way.bad):
        return _all_to_good(look, way, DisableRed)
    carried = _carried(look, way)
    if carried < 1:
        if growth := _growth(look, way):
            return growth
        weights = _split(look, way)
        if way.is_severe and not are_close(view.weights, weights, within=SHIFT):
            return EnableBlack(view.cluster, weights)
        return WaitHealthy(f"{names_of(way.good)} can carry all traffic", _missing(way) or ("it is at its maximum",))
    idle = _idle(look, way)
    if idle and not way.is_severe:
        return WaitTakingTraffic(f"every instance of {names_of(way.good)} takes traffic", idle)
    return _all_to_good(look, way, DisableRed)


def _settle(look: Look, way: Way) -> Step | None:
    """The traffic is back: the good groups may grow and replace instances again, are seen to take it, and are let go of
    as a push lets go of red."""
    for group in way.good:
        if group.is_enabled and (step := _let_go(look, way, group)):
            return step
    return None


def _let_go(look: Look, way: Way, group: Group) -> Step | None:
    was_black, was_pinned = bool(group.tags.get(BLACK_SINCE)), bool(group.tags.get(PINNED))
    if not (was_black or was_pinned):
        return None
    if (was_black or noted_pin(group) > group.capacity.desired) and (growth := _growth(look, way)):
        return growth
    if was_black and group.suspended & GROWING:
        return ResumeProcesses(group.name, group.suspended & GROWING)
    if missing := missing_health(group):
        return WaitHealthy(f"{group.name} is as big as it should be", missing)
    if step := let_go(group, way.size, BLACK_SUSPENDED if was_black else ()):
        return step
    idle = _idle(look, way)
    if was_black and idle and not any(look.served.get(one.instance_id) for one in group.instances):
        return WaitTakingTraffic(f"{group.name} is seen to take traffic again", idle)
    return TagGroup(group.name, fenced(way.token, {PINNED: "", BLACK_SINCE: ""}))


ROWS: dict[WayState, Callable[[Look, Way], Step | None]] = {
    WayState.NOBODY_SERVES: _serve_at_once,
    WayState.BAD_SERVES: _bring_back,
    WayState.BOTH_SERVE: _hand_back,
    WayState.BACK: _settle,
}


def keep_bad(look: Look, way: Way, group: Group, tags: dict[str, str]) -> Step | None:
    """A bad group that has served stays for its time to live, still and marked, so that it can be looked into."""
    if unpinned := unpin(group, way.size):
        return unpinned
    if group.tags.get(PINNED) and "AZRebalance" in group.suspended:
        return ResumeProcesses(group.name, frozenset({"AZRebalance"}))
    return make_black(look, group, way.token, {**tags, PINNED: ""})


def roll_back_push(look: Look, goal: PushGoal, red: Group) -> Step:
    """The next step back for the failed push whose new group is `red` (tagged as failed, or being deleted)."""
    view = look.view
    reason = red.tags.get(FAILED) or "somebody deleted it"
    good, is_severe = previous_groups(view, red), red.tags.get(SEVERE) != "no"
    way = Way(good, [red], goal.size, goal.need, is_severe, goal.needs_traffic, goal.token)
    others = [group for group in enabled_groups(view) if group.name != red.name]
    if red.has_traffic and not good and not others:
        return Failed(
            f"{red.name} in {view.cluster.region} failed ({reason}) and stays in traffic: "
            "there is no earlier group to go back to"
        )
    if red.has_traffic and not good:
        return DisableRed(view.cluster, split_main_traffic(view, by_health(others), [red.name]))
    if step := step_back(look, way):
        return step
    if WATCHED_UNTIL not in red.tags or red.is_deleting or red.is_partial:
        return DeleteRed(red.name, reason)
    return keep_bad(look, way, red, {ROLLED_BACK: reason}) or Failed(failure(view, red.name, reason))


def failure(view: ClusterView, red: str, reason: str) -> str:
    """How a rolled back push ends, for the task's error."""
    serving = " and ".join(sorted(name for name in view.weights if name != red)) or "nothing"
    return f"push of {red} to {view.cluster.region} rolled back: {reason}. Serving: {serving}"


def _growth(look: Look, way: Way) -> Step | None:
    """The good groups as big as the traffic of now and of one start time ahead asks for; the pin is noted first."""
    wanted = min(_wanted(look, way), way.size.maximum)
    lack = wanted - sum(group.capacity.desired for group in way.good)
    group = max(way.good, key=lambda one: one.capacity.desired)
    size = max(group.capacity.desired + max(lack, 0), noted_pin(group))  # one noted and not set would never be undone
    if size <= group.capacity.desired:
        lame = next((one for one in way.good if one.suspended & GROWING and one.tags.get(BLACK_SINCE)), None)
        is_short = lame is not None and _missing(way)
        return ResumeProcesses(lame.name, lame.suspended & GROWING) if lame is not None and is_short else None
    if group.tags.get(PINNED) != str(size):
        return TagGroup(group.name, fenced(way.token, {PINNED: str(size)}))
    if group.suspended & GROWING and group.tags.get(BLACK_SINCE):
        return ResumeProcesses(group.name, group.suspended & GROWING)
    return GrowBlack(group.name, pinned(size, way.size))


def _wanted(look: Look, way: Way) -> int:
    """Instances that the good groups should have; where the traffic is not known, as many as serve it now."""
    ahead = look.demand.instances_ahead(way.need.comfortable_rps)
    if ahead is not None:
        return max(ahead, way.need.floor)
    healthy = sum(group.healthy_count for group in (*way.good, *way.bad) if group.is_enabled)
    # Beside each other they have what one of them had, and head room: each half of it, and a little less.
    is_shared = way_state(way) is WayState.BOTH_SERVE
    return max(healthy * 10 // 21 if is_shared else healthy, way.need.floor)


def _carried(look: Look, way: Way) -> float:
    """The share of the traffic that the good groups can carry, 1: all of it. Of now where users are hurt, or where the
    good groups are as big as they will be; else of one start time ahead too."""
    healthy = sum(group.healthy_count for group in way.good)
    is_grown = not _missing(way) and sum(one.capacity.desired for one in way.good) >= way.size.maximum
    of = look.demand.instances if way.is_severe or is_grown else look.demand.instances_ahead
    needed = of(way.need.rps_per_instance)
    if needed is None:
        needed = max(_wanted(look, way), sum(group.capacity.desired for group in way.good))
    return healthy / max(needed, way.need.floor, 1)


def _split(look: Look, way: Way) -> dict[str, int]:
    """Weights that give the good groups what they can carry, and the bad ones the rest."""
    share = min(_carried(look, way), 1.0)
    good, bad = by_health(way.good), by_health([group for group in way.bad if group.has_traffic])
    mains = {name: share * part / sum(good.values()) for name, part in good.items()}
    mains |= {name: (1 - share) * part / sum(bad.values()) for name, part in bad.items()}
    return split_main_traffic(look.view, mains)


def _all_to_good(look: Look, way: Way, change: type[EnableBlack] | type[DisableRed]) -> Step:
    silent = [group.name for group in way.bad]
    return change(look.view.cluster, split_main_traffic(look.view, by_health(way.good), silent))


def _missing(way: Way) -> tuple[str, ...]:
    return tuple(one for group in way.good for one in missing_health(group))


def _idle(look: Look, way: Way) -> tuple[str, ...]:
    """Healthy instances of the good groups on which no request was seen, where there are any and they are counted."""
    expected = look.demand.rps is None or look.demand.rps >= QUIET_RPS
    if not way.needs_traffic or look.blind or not expected:
        return ()
    return tuple(one for group in way.good if group.is_enabled for one in missing_traffic(group, look.served))
