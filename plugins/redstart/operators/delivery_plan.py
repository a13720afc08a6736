"""The plan of a whole delivery: every region's push, in waves, each in its window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from include.apps import App
from include.ledger import Ledger
from include.waves import Waves, plan_waves
from include.waves.schedule import Slot, schedule
from redstart.operators import clock
from redstart.operators.goals import cluster_of
from redstart.operators.outlook import OutlookReader, RegionOutlook
from redstart.operators.peak import does_peak_matter, quiet_of
from redstart.operators.plan import Lately, RegionPlanner
from redstart.operators.plan_windows import noted_peak, opening

if TYPE_CHECKING:
    from include.redblack import QuietTime
    from include.redblack.region_plan import RegionPlan
    from redstart.operators.plan_images import Code

ANY_TIME = "at any time: no windows are configured"
RUN = "(this run)"


@dataclass(frozen=True)
class PlannedRegion:
    """A region's place in the delivery. `window`: where its windows come from, or why it may begin at any time."""

    slot: Slot
    plan: RegionPlan
    lately: Lately
    window: str

    @property
    def name(self) -> str:
        return self.slot.region


@dataclass(frozen=True)
class DeliveryPlan:
    """All regions, in the order of the push, as planned at the moment `at`."""

    app: str
    environment: str
    at: datetime
    version: str
    commit: str
    waves: Waves
    regions: tuple[PlannedRegion, ...]

    @property
    def ends(self) -> datetime | None:
        """When the last region is expected to be at its end; None where one has none."""
        ends = [one.slot.ends for one in self.regions]
        return max((end for end in ends if end is not None), default=None) if None not in ends else None


class DeliveryPlanner:
    """Plans deliveries to an environment of an application; see RegionPlanner."""

    def __init__(self, app: App, environment: str, ledger: Ledger, *, most_watch_seconds: float | None = None) -> None:
        self._app, self._environment, self._ledger = app, environment, ledger
        self._site = app.environment(environment)
        self._outlooks = OutlookReader(app, environment, ledger)
        self._planner = RegionPlanner(app, environment, ledger, RUN, most_watch_seconds=most_watch_seconds)

    def plan(self, code: Code, regions: Sequence[str]) -> DeliveryPlan:
        """The plan of `code` in these regions, as they are listed."""
        now = clock.now()
        outlooks = {region: self._outlooks.read(region) for region in regions}
        waves = self._waves(regions, outlooks)
        plans = {region: self._region(region, code) for region in waves.regions}
        slots = _slots(waves, plans, outlooks, now)
        plans |= self._in_their_windows(code, slots, outlooks)
        slots = _slots(waves, plans, outlooks, now)
        plans = {region: self._noted(plan, slots[region].begins, outlooks[region]) for region, plan in plans.items()}
        found = [
            PlannedRegion(slots[region], plans[region], self._planner.lately(region), _source(outlooks[region]))
            for region in waves.regions
        ]
        return DeliveryPlan(self._app.name, self._environment, now, code.version, code.commit, waves, tuple(found))

    def _in_their_windows(
        self, code: Code, slots: Mapping[str, Slot], outlooks: Mapping[str, RegionOutlook | None]
    ) -> dict[str, RegionPlan]:
        """Region -> its plan from its own begin on, where the push is held or taken back at a peak."""
        found = {}
        for region, slot in slots.items():
            outlook, begins, place = outlooks[region], slot.begins, self._planner.place(region)
            if outlook is None or begins is None:
                continue
            if does_peak_matter(self._site, self._ledger, place, RUN, begins):
                found[region] = self._region(region, code, begins, quiet_of(outlook, self._site, begins))
        return found

    def _noted(self, plan: RegionPlan, begins: datetime | None, outlook: RegionOutlook | None) -> RegionPlan:
        return plan if begins is None or outlook is None else noted_peak(plan, self._site, outlook, begins)

    def _region(
        self, region: str, code: Code, begins: datetime | None = None, quiet: QuietTime | None = None
    ) -> RegionPlan:
        from include.redblack.region_plan import RegionPlan

        build = code.builds.get(region)
        if build is None:
            cluster = cluster_of(self._planner.place(region))
            return RegionPlan.refused(
                cluster, f"there is no available image of {code.version or code.commit} in {region}: it is to be copied"
            )
        return self._planner.plan(region, build, begins=begins, quiet=quiet)

    def _waves(self, regions: Sequence[str], outlooks: Mapping[str, RegionOutlook | None]) -> Waves:
        settings = self._site.waves
        levels = {region: found.level if found is not None else None for region, found in outlooks.items()}
        by_traffic = settings.order == "least_traffic" and self._site.windows is not None
        takes_back = settings.on_failure == "roll_back"
        return plan_waves(
            regions,
            levels=levels,
            by_traffic=by_traffic,
            first=settings.first,
            at_once=settings.at_once,
            takes_back=takes_back,
        )


def _slots(
    waves: Waves, plans: Mapping[str, RegionPlan], outlooks: Mapping[str, RegionOutlook | None], now: datetime
) -> dict[str, Slot]:
    seconds = {region: _seconds(plan) for region, plan in plans.items()}
    return schedule(waves, seconds, lambda region, at: opening(outlooks[region], at), now)


def _source(outlook: RegionOutlook | None) -> str:
    return outlook.outlook.why if outlook is not None else ANY_TIME


def _seconds(plan: RegionPlan) -> float | None:
    """What the push takes; None where it does not come to its end."""
    from include.redblack.region_plan import Outcome

    return plan.push.seconds if plan.push.outcome is Outcome.DONE else None
