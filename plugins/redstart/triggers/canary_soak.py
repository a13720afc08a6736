"""Waits for a moment of a canary's soak: its next look, or its end."""

from __future__ import annotations

from redstart.triggers.moment import MomentTrigger


class CanarySoakTrigger(MomentTrigger):
    """A soak's moment."""

    what = "judged"
