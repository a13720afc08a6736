"""The red/black push and the canary pair: what to do next, given what AWS says now."""

from include.redblack.canary import canary_weights, next_canary_step, next_teardown_step, pair_of, soak_end
from include.redblack.capacity import SizeBounds, red_size
from include.redblack.drive import Progress, drive_canary, drive_push, drive_teardown
from include.redblack.goal import Build, CanaryGoal, GroupTemplate, PushGoal
from include.redblack.names import GroupName, next_number, parse_name
from include.redblack.perform import perform
from include.redblack.push import next_step
from include.redblack.roles import enabled_groups, main_groups, previous_groups, red_group
from include.redblack.steps import Done, Failed, Step, Wait
from include.redblack.traffic import shares_of, weights_for

__all__ = [
    "Build",
    "CanaryGoal",
    "Done",
    "Failed",
    "GroupName",
    "GroupTemplate",
    "Progress",
    "PushGoal",
    "SizeBounds",
    "Step",
    "Wait",
    "canary_weights",
    "drive_canary",
    "drive_push",
    "drive_teardown",
    "enabled_groups",
    "main_groups",
    "next_canary_step",
    "next_number",
    "next_step",
    "next_teardown_step",
    "pair_of",
    "parse_name",
    "perform",
    "previous_groups",
    "red_group",
    "red_size",
    "shares_of",
    "soak_end",
    "weights_for",
]
