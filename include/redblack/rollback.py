"""Going back, a row for each state a failed push can be in: previous serves again before red is taken away."""

from __future__ import annotations

from include.fleet import ClusterView, Group
from include.fleet.tags import FAILED
from include.redblack.health import missing_health
from include.redblack.roles import BLACK_SUSPENDED, enabled_groups, previous_groups
from include.redblack.steps import DeleteRed, Failed, RestorePrevious, ResumeProcesses, Step, WaitHealthy
from include.redblack.traffic import by_health, split_main_traffic


def roll_back(view: ClusterView, red: Group) -> Step:
    """The next step back for the failed push whose new group is `red` (tagged as failed, or being deleted).

    DeleteRed is the last: the push has failed once it is carried out.
    """
    reason = red.tags.get(FAILED) or "it was being deleted"
    previous = previous_groups(view, red)
    if red.is_enabled:
        return _leave_traffic(view, red, previous, reason)
    if previous and not enabled_groups(view):
        return RestorePrevious(view.cluster, split_main_traffic(view, by_health(previous)))
    for group in previous:
        if group.suspended >= BLACK_SUSPENDED:  # by a push; a person who suspends one of them has a reason
            return ResumeProcesses(group.name, BLACK_SUSPENDED)
    return DeleteRed(red.name, reason)


def _leave_traffic(view: ClusterView, red: Group, previous: list[Group], reason: str) -> Step:
    """Red takes traffic. It goes at once where previous can serve, and not before where red is all there is."""
    others = [group for group in enabled_groups(view) if group.name != red.name]
    if red.healthy_count and not any(group.healthy_count for group in (*previous, *others)):
        return _heal(view, red, previous, reason)
    return RestorePrevious(view.cluster, split_main_traffic(view, by_health(previous), [red.name]))


def _heal(view: ClusterView, red: Group, previous: list[Group], reason: str) -> Step:
    if not previous:
        return Failed(
            f"{red.name} in {view.cluster.region} failed ({reason}) and stays in traffic: "
            "there is no earlier group to go back to"
        )
    for group in previous:
        if group.suspended >= BLACK_SUSPENDED:
            return ResumeProcesses(group.name, BLACK_SUSPENDED)
    missing = tuple(one for group in previous for one in missing_health(group))
    return WaitHealthy("an earlier group has a healthy instance to go back to", missing)


def failure(view: ClusterView, red: str, reason: str) -> str:
    """How a rolled back push ends, for the task's error."""
    serving = " and ".join(sorted(name for name in view.weights if name != red)) or "nothing"
    return f"push of {red} to {view.cluster.region} rolled back: {reason}. Serving: {serving}"
