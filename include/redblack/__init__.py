"""The red/black push and the canary pair: what to do next, given what AWS says now."""

from include.redblack.by_hand import groups_to_leave, groups_to_restore, next_rollback_step
from include.redblack.canary import canary_weights, next_canary_step, next_teardown_step, pair_of, soak_end
from include.redblack.capacity import SizeBounds, red_size
from include.redblack.demand import Demand, forecast
from include.redblack.drive import (
    Milestone,
    drive_canary,
    drive_janitor,
    drive_push,
    drive_rollback,
    drive_teardown,
)
from include.redblack.goal import (
    AtPeak,
    Build,
    CanaryGoal,
    GroupTemplate,
    JanitorGoal,
    Need,
    PushGoal,
    QuietTime,
    RollbackGoal,
)
from include.redblack.janitor import BlackGroup, black_groups, next_janitor_step
from include.redblack.journal import Journal, NoJournal
from include.redblack.ledger_journal import LedgerJournal
from include.redblack.look import Finding, Look, Watched, WatchKind, WatchRequest
from include.redblack.loop import Progress
from include.redblack.names import GroupName, next_number, parse_name
from include.redblack.perform import perform
from include.redblack.push import next_step
from include.redblack.roles import enabled_groups, main_groups, previous_groups, red_group
from include.redblack.steps import Done, Failed, Step, Wait
from include.redblack.traffic import shares_of, weights_for

__all__ = [
    "AtPeak",
    "BlackGroup",
    "Build",
    "CanaryGoal",
    "Demand",
    "Done",
    "Failed",
    "Finding",
    "GroupName",
    "GroupTemplate",
    "JanitorGoal",
    "Journal",
    "LedgerJournal",
    "Look",
    "Milestone",
    "Need",
    "NoJournal",
    "Progress",
    "PushGoal",
    "QuietTime",
    "RollbackGoal",
    "SizeBounds",
    "Step",
    "Wait",
    "WatchKind",
    "WatchRequest",
    "Watched",
    "black_groups",
    "canary_weights",
    "drive_canary",
    "drive_janitor",
    "drive_push",
    "drive_rollback",
    "drive_teardown",
    "enabled_groups",
    "forecast",
    "groups_to_leave",
    "groups_to_restore",
    "main_groups",
    "next_canary_step",
    "next_number",
    "next_rollback_step",
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
    "next_janitor_step",
]
