"""A rehearsal on a fleet in memory: on a copy of it, so that the fleet itself hears of nothing."""

from __future__ import annotations

import copy
from datetime import datetime

from include.redblack.region_plan import PlannedCall
from tests.support.fake_fleet import FakeFleet


class FakeRehearsal:
    def __init__(self, fleet: FakeFleet, start_seconds: float) -> None:
        self._fleet = copy.deepcopy(fleet)
        self._fleet.calls, self._fleet.boot_seconds = [], start_seconds

    def fleet(self) -> FakeFleet:
        return self._fleet

    def now(self) -> datetime:
        return self._fleet.now

    def advance(self, seconds: float) -> None:
        if seconds:
            self._fleet.advance(seconds)

    def take_calls(self) -> list[PlannedCall]:
        taken, self._fleet.calls = self._fleet.calls, []
        return [PlannedCall(self.now(), "fake", "call", {"of": call}) for call in taken]
