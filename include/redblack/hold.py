"""What a hold stops: new code getting in front of users, and what could no longer be gone back from."""

from __future__ import annotations

from include.redblack.look import Look
from include.redblack.steps import CreateGroup, DisablePrevious, RetireOlder, ShareTraffic, Step, Unpin, WaitHeld

HELD = (CreateGroup, ShareTraffic, DisablePrevious, Unpin, RetireOlder)
"""Not: notes, watches, what makes a group keep still, and the way back."""


def unless_held(look: Look, step: Step) -> Step:
    """`step`, or a wait for the end of the hold."""
    if not look.hold or not isinstance(step, HELD):
        return step
    return WaitHeld(f"the hold on {look.view.cluster.name} in {look.view.cluster.region} is lifted", (look.hold,))
