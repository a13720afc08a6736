"""Canary and baseline: two groups of the same size and share, beside the main groups. Same rules as the push.

Launching adopts a pair that this run made of the same images and replaces anything else of the same role; the end
of the soak is an absolute moment kept on the canary group, written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from include.errors import ConfigError
from include.fleet import Capacity, ClusterView, Group
from include.fleet.tags import BASELINE, CANARY, ROLE, RUN, SOAK_END
from include.redblack.goal import Build, CanaryGoal
from include.redblack.health import missing_health, missing_traffic
from include.redblack.look import Look
from include.redblack.names import GroupName, parse_name
from include.redblack.roles import enabled_groups, fenced, next_main_number
from include.redblack.steps import (
    AttachGroups,
    CreateGroup,
    DeleteGroup,
    Done,
    Failed,
    MarkSoakEnd,
    RestoreMain,
    ShareTraffic,
    Step,
    WaitHealthy,
    WaitTakingTraffic,
)
from include.redblack.traffic import are_close, weights_for, with_silent

WEIGHT_TOLERANCE = 0.005
PAIR = (CANARY, BASELINE)


def next_canary_step(look: Look, goal: CanaryGoal) -> Step:
    """The next step of launching the pair; Done when both take their share and the end of the soak is written.

    Failed leaves the pair as it is: taking it down is `next_teardown_step`'s work, on any outcome.
    """
    view, now = look.view, look.now
    pair = {group.tags[ROLE]: group for group in pair_of(view, goal)}
    if not enabled_groups(view):
        return Failed(
            f"no main group of {view.cluster.name} in {view.cluster.region} takes traffic: nothing to compare"
        )
    foreign = [group for group in _pair_groups(view) if group not in pair.values()]
    if step := _remove(view, foreign):
        return step
    for role in PAIR:
        if role not in pair or pair[role].is_partial:
            return _create(view, goal, role, pair)
    canary, baseline = pair[CANARY], pair[BASELINE]
    if SOAK_END not in canary.tags:
        launched_at = max(canary.created_at, baseline.created_at)
        is_late = now >= launched_at + timedelta(seconds=goal.launch_within_seconds)
        if step := _bring_up(view, goal, (canary, baseline), look.served, is_late):
            return step
        end = now.astimezone(UTC) + timedelta(seconds=goal.soak_seconds)
        return MarkSoakEnd(canary.name, {SOAK_END: end.isoformat(timespec="seconds")})
    weights = canary_weights(view, goal, (canary, baseline))
    if not are_close(view.weights, weights, within=WEIGHT_TOLERANCE):
        return ShareTraffic(view.cluster, weights)
    return Done(
        f"{canary.name} and {baseline.name} soak until {canary.tags[SOAK_END]} "
        f"with {goal.share_pct:g} % of the traffic each",
        canary.name,
    )


def next_teardown_step(view: ClusterView, run: str) -> Step:
    """The next step of taking down the pair of `run`: weights back first, then its groups."""
    own = [group for group in _pair_groups(view) if group.tags.get(RUN) == run]
    enabled = [group.name for group in own if group.weight > 0]
    if enabled and not enabled_groups(view):
        return Failed(
            f"{' and '.join(enabled)} cannot be taken down: no main group of {view.cluster.name} "
            f"in {view.cluster.region} takes traffic"
        )
    return _remove(view, own) or Done(f"no canary of {run} is left in {view.cluster.region}")


def pair_of(view: ClusterView, goal: CanaryGoal) -> list[Group]:
    """Canary and baseline (or one of them) that this run made of the goal's images, so far."""
    wanted = {CANARY: goal.canary.image_id, BASELINE: goal.baseline.image_id}
    newest: dict[str, Group] = {}
    for group in sorted(_pair_groups(view), key=lambda one: (one.created_at, one.name)):
        role = group.tags[ROLE]
        is_own = group.tags.get(RUN) == goal.run and not group.is_deleting
        if is_own and (group.is_partial or group.image_id == wanted[role]):
            newest[role] = group
    return [newest[role] for role in PAIR if role in newest]


def soak_end(view: ClusterView, goal: CanaryGoal) -> datetime | None:
    """The absolute end of the pair's soak, tz-aware; None while it has not begun."""
    for group in pair_of(view, goal):
        if group.tags[ROLE] == CANARY and group.tags.get(SOAK_END):
            return datetime.fromisoformat(group.tags[SOAK_END])
    return None


def canary_weights(view: ClusterView, goal: CanaryGoal, pair: tuple[Group, Group]) -> dict[str, int]:
    """Each of the pair gets `share_pct` % of all traffic; main groups keep their ratio among each other."""
    share = goal.share_pct / 100
    if not 0 < share < 0.5:
        raise ConfigError("must be above 0 and below 50", source="canary", key="share_pct", value=goal.share_pct)
    mains = {group.name: group.weight for group in enabled_groups(view)}
    whole = sum(mains.values())
    shares = {name: (1 - 2 * share) * weight / whole for name, weight in mains.items()}
    return with_silent(view, weights_for({**shares, **{group.name: share for group in pair}}))


def _bring_up(
    view: ClusterView,
    goal: CanaryGoal,
    pair: tuple[Group, Group],
    served: Mapping[str, float],
    is_late: bool,
) -> Step | None:
    if not enabled_groups(view):
        return Failed(
            f"no main group of {view.cluster.name} in {view.cluster.region} takes traffic: nothing to compare"
        )
    if not all(group.is_attached for group in pair):
        return AttachGroups(view.cluster, with_silent(view, view.weights, [group.name for group in pair]))
    missing = (*missing_health(pair[0]), *missing_health(pair[1]))
    idle = tuple(one for group in pair for one in missing_traffic(group, served)) if goal.needs_traffic else ()
    weights = canary_weights(view, goal, pair)
    is_shared = are_close(view.weights, weights, within=WEIGHT_TOLERANCE)
    if is_late and (missing or idle):
        lack = (missing or idle)[0]
        return Failed(f"canary and baseline do not serve {goal.launch_within_seconds:.0f} s after launch: {lack}")
    if missing:
        return WaitHealthy("canary and baseline are healthy", missing)
    if not is_shared:
        return ShareTraffic(view.cluster, weights)
    if idle:
        return WaitTakingTraffic("canary and baseline take traffic", idle)
    return None


def _create(view: ClusterView, goal: CanaryGoal, role: str, pair: Mapping[str, Group]) -> Step:
    build: Build = goal.canary if role == CANARY else goal.baseline
    name = pair[role].name if role in pair else _next_name(view, role, pair)
    capacity = Capacity.pinned(goal.size)
    spec = goal.template.spec(
        name, view.cluster, build, capacity, role=role, run=goal.run, extra_tags=fenced(goal.token, {})
    )
    return CreateGroup(spec)


def _next_name(view: ClusterView, role: str, pair: Mapping[str, Group]) -> str:
    """Both of a pair have the same number: that which the push of this code would have, if it is free."""
    partner = next((parse_name(group.name) for group in pair.values()), None)
    if partner is not None:
        number = partner.number
    else:
        number = next_main_number(view)
        taken = {name.number for group in _pair_groups(view) if (name := parse_name(group.name))}
        while number in taken:
            number = (number + 1) % 1000
    return str(GroupName(view.cluster.app, view.cluster.stack, role, number))


def _remove(view: ClusterView, groups: list[Group]) -> Step | None:
    """Weights back first, then one group after the other; a group already on its way out needs no more."""
    names = {group.name for group in groups}
    if names & set(view.weights):
        rest = {name: weight for name, weight in view.weights.items() if name not in names}
        mains = {group.name for group in enabled_groups(view)}
        kept = weights_for(rest) if set(rest) <= mains else rest
        listed = with_silent(view, kept)
        return RestoreMain(view.cluster, {name: weight for name, weight in listed.items() if name not in names})
    for group in groups:
        if not group.is_deleting:
            return DeleteGroup(group.name)
    return None


def _pair_groups(view: ClusterView) -> list[Group]:
    return [group for group in view.groups if group.tags.get(ROLE) in PAIR]
