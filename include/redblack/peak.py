"""A push that will run into a peak: it is finished, held where it can wait, or goes back, as the settings say.

Held it is out of traffic or beside previous, never alone: a peak is no time to have half the choice. Only new code
getting in front of users, and what could no longer be gone back from quickly, is held; growth, the traffic guard and
the way back are not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from include.fleet import Group
from include.fleet.tags import PAUSED, RESUMED, SIDE_BY_SIDE_UNTIL, WATCHED_UNTIL
from include.redblack.goal import AtPeak, PushGoal
from include.redblack.health import missing_health
from include.redblack.hold import unless_held
from include.redblack.look import Look
from include.redblack.roles import fenced, is_paused, previous_groups
from include.redblack.steps import CreateGroup, DisablePrevious, MarkFailed, ShareTraffic, Step, TagGroup, WaitPeak
from include.redblack.watching import mark_failed

FORWARD = (ShareTraffic, DisablePrevious)


def seconds_left(look: Look, goal: PushGoal, red: Group | None) -> float:
    """How long the push will still take, as far as it has come: the start, both watches."""
    beside, alone = goal.side_by_side_seconds, goal.watch_seconds
    if red is None:
        return goal.need.start_seconds + beside + alone
    if is_alone(look, red):
        return _rest(look, red, WATCHED_UNTIL, alone)
    if red.is_enabled:
        return _rest(look, red, SIDE_BY_SIDE_UNTIL, beside) + alone
    started = (look.now - red.created_at).total_seconds()
    start = max(goal.need.start_seconds - started, 0.0) if missing_health(red) else 0.0
    return start + beside + alone


def runs_into_peak(look: Look, goal: PushGoal, red: Group | None) -> bool:
    """Whether the market will not be quiet any more when the push is over."""
    left = seconds_left(look, goal, red)
    return goal.quiet is not None and left > 0 and look.now + timedelta(seconds=left) > goal.quiet.until


def waits_for_peak(look: Look, goal: PushGoal, red: Group | None) -> bool:
    """Whether the push is held for a peak where it is. Without a group yet, it is with `roll_back` as well."""
    if goal.quiet is None or goal.quiet.at_peak is AtPeak.FINISH or not runs_into_peak(look, goal, red):
        return False
    if red is None:
        return goal.quiet.at_peak is AtPeak.ROLL_BACK or not goal.quiet.may_begin
    goes_on = goal.quiet.are_all_short and look.now < goal.quiet.until
    return goal.quiet.at_peak is AtPeak.HOLD and not goes_on and not is_alone(look, red)


def leave_before_peak(look: Look, goal: PushGoal, red: Group) -> MarkFailed | None:
    """With `roll_back`: the first step of the way back of a push that would run into the peak. Where nobody is left to
    go back to, it goes on."""
    if goal.quiet is None or goal.quiet.at_peak is not AtPeak.ROLL_BACK or not runs_into_peak(look, goal, red):
        return None
    if not previous_groups(look.view, red):
        return None
    reason = f"the peak of {look.view.cluster.region} at {_words(goal.quiet.until)} came before the end of its push"
    return mark_failed(red, reason, goal.token, is_severe=False)


def unless_stopped(look: Look, goal: PushGoal, red: Group | None, step: Step) -> Step:
    """`step`, or a wait for the end of the hold, or of the peak. That it waits, and that it goes on, is noted on
    red."""
    allowed = _unless_peak(look, goal, red, unless_held(look, step))
    if red is None:
        return allowed
    if allowed is not step and isinstance(step, FORWARD) and not is_paused(red):
        return TagGroup(red.name, fenced(goal.token, {PAUSED: _iso(look.now)}))
    if is_paused(red) and not look.hold and not waits_for_peak(look, goal, red):
        return TagGroup(red.name, fenced(goal.token, {PAUSED: "", RESUMED: _iso(look.now)}))
    return allowed


def _unless_peak(look: Look, goal: PushGoal, red: Group | None, step: Step) -> Step:
    is_stopped = isinstance(step, FORWARD if red is not None else CreateGroup)
    if goal.quiet is None or not is_stopped or not waits_for_peak(look, goal, red):
        return step
    again, region = goal.quiet.again, look.view.cluster.region
    when = f" at {_words(again)}" if again is not None else ""
    why = f"its quiet time ends at {_words(goal.quiet.until)}, before the push would"
    return WaitPeak(f"it is quiet again in {region}{when}", (why,), again)


def is_alone(look: Look, red: Group) -> bool:
    """Red has the traffic, and nobody beside it."""
    return red.is_enabled and not any(group.is_enabled for group in previous_groups(look.view, red))


def _rest(look: Look, red: Group, tag: str, seconds: float) -> float:
    until = red.tags.get(tag)
    if until is None:
        return seconds
    return max((datetime.fromisoformat(until) - look.now).total_seconds(), 0.0) if seconds > 0 else 0.0


def _words(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M:%S} UTC"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
