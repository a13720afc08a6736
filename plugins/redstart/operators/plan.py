"""The plan of a region's push: what its tasks would do now, by their own code, with nothing changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from include.apps import App
from include.errors import RedstartError, RefusedError, RetryableError
from include.ledger import EVERY_REGION, Claim, Hold, Holder, Kind, Ledger, Place
from redstart.hooks.fleet import FleetHook
from redstart.operators import clock
from redstart.operators.cluster import place_of
from redstart.operators.goals import cluster_of, need_of, push_goal, rollback_goal
from redstart.operators.outlook import OutlookReader
from redstart.operators.peak import does_peak_matter, quiet_of
from redstart.operators.plan_windows import noted_peak, opening
from redstart.operators.station import image_in

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.ledger import Lease
    from include.redblack import Build, QuietTime
    from include.redblack.region_plan import RegionPlan
    from include.redblack.rehearsal import Stage
    from redstart.operators.station import StationOperator

BACK_RUN = "(rollback)"
BACK_REASON = "the reason given"
PUSHES_COMPARED = 5
EVENTS_COMPARED = 100
STARTS_COMPARED = 20


@dataclass(frozen=True)
class Lately:
    """What the ledger knows of a region's pushes: seconds of those that were finished, the shortest and the longest of
    the last `count`; and whether the time that a start takes was measured."""

    start_seconds: float
    is_start_measured: bool
    count: int = 0
    shortest_seconds: float = 0.0
    longest_seconds: float = 0.0


class RegionPlanner:
    """Plans pushes of an application's environment by the run `run`. The ledger is read, and never written.

    `most_watch_seconds`: as the installation shortens watches; None: as the settings say.
    """

    def __init__(
        self, app: App, environment: str, ledger: Ledger, run: str, *, most_watch_seconds: float | None = None
    ) -> None:
        self._app, self._environment, self._ledger, self._run = app, environment, ledger, run
        self._site = app.environment(environment)
        self._most_watch_seconds = most_watch_seconds

    def plan(
        self, region: str, build: Build, *, begins: datetime | None = None, quiet: QuietTime | None = None
    ) -> RegionPlan:
        """What the push of `build` would do; where something stands in its way, the plan says so.

        `begins`: when it would begin, on AWS as it is now (None: now); `quiet`: the market's quiet time then, where the
        push must not run into a peak.
        """
        from include.redblack.region_plan import Outcome, RegionPlan

        place = self.place(region)
        try:
            return self._plan(place, build, begins or clock.now(), quiet)
        except RetryableError as error:
            return RegionPlan.refused(cluster_of(place), str(error), Outcome.UNREADABLE)
        except RedstartError as error:
            return RegionPlan.refused(cluster_of(place), str(error))

    def place(self, region: str) -> Place:
        return place_of(self._app, region, self._environment)

    def lately(self, region: str) -> Lately:
        from include.ledger.folds import TOLD_OF_PUSHES, Outcome, pushes, start_seconds

        place = self.place(region)
        starts = self._ledger.events(place=place, kinds={Kind.RED_HEALTHY}, newest=STARTS_COMPARED)
        told = self._ledger.events(place=place, kinds=TOLD_OF_PUSHES, newest=EVENTS_COMPARED)
        took = [
            (one.ended - one.started).total_seconds()
            for one in pushes(told)
            if one.outcome is Outcome.FINISHED and one.ended is not None
        ][:PUSHES_COMPARED]
        measured = start_seconds(starts, place)
        start = self._site.capacity.start_seconds if measured is None else measured
        if not took:
            return Lately(start, measured is not None)
        return Lately(start, measured is not None, len(took), min(took), max(took))

    def _plan(self, place: Place, build: Build, begins: datetime, quiet: QuietTime | None) -> RegionPlan:
        from include.redblack.rehearsal import plan_push

        need, now = need_of(self._app, self._ledger, place), clock.now()
        hook = FleetHook(self._site.connection_id)
        stage = hook.rehearsal(
            place.region,
            self._site.load_balancer,
            start=begins,
            start_seconds=need.start_seconds,
            ahead_seconds=max((begins - now).total_seconds(), 0.0),
        )
        lease = self._lease(place, stage)
        goal = push_goal(self._app, lease, build, need, self._run, most_watch_seconds=self._most_watch_seconds)
        later = replace(lease, token=lease.token + 1)
        back = rollback_goal(self._app, later, need, BACK_RUN, BACK_REASON)
        limit, hold = self._site.push.timeout_seconds, self._ledger.hold(place, now)
        plan = plan_push(stage, replace(goal, quiet=quiet), back, limit_seconds=limit, hold=hold)
        return replace(plan, notes=self._hindrances(place, hold))

    def _lease(self, place: Place, stage: Stage) -> Lease:
        """As the push would get it from the ledger."""
        from include.ledger.locks import decide_claim
        from include.redblack.roles import newest_fence

        seen = newest_fence(stage.fleet().view_cluster(cluster_of(place), health_of=()))
        claim = Claim(self._run, Holder.PUSH, "", "a plan", self._site.push.lease_seconds, takes_over=True)
        return decide_claim(self._ledger.lease(place), place, claim, clock.now(), last_token=seen)

    def _hindrances(self, place: Place, hold: Hold | None) -> tuple[str, ...]:
        """Who is in the way: whoever has the region, or all regions together."""
        now, line = clock.now(), Place(place.app, place.stack, EVERY_REGION)
        found = [f"The push would wait: {hold.describe()}"] if hold is not None else []
        if (of_all := self._ledger.hold(line, now)) is not None:
            found.append(f"The push would wait: {of_all.describe()}")
        for one in (place, line):
            lease = self._ledger.lease(one)
            if lease is not None and lease.is_running(now) and lease.owner != self._run:
                found.append(f"The push would wait: {lease.describe()}")
        return tuple(found)


def plan_of_run(station: StationOperator, context: Context, region: str) -> RegionPlan:
    """The plan of what the run's push of a region would do."""
    from include.redblack import Build
    from include.redblack.region_plan import RegionPlan

    delivery = station.selected(context)
    watch_seconds = station.installation.watch_seconds()
    planner = RegionPlanner(
        station.application,
        station.environment,
        station.ledger,
        delivery.run_key,
        most_watch_seconds=watch_seconds,
    )
    try:
        build = Build(image_in(context, region), delivery.version, delivery.commit)
    except RefusedError as error:
        return RegionPlan.refused(cluster_of(planner.place(region)), str(error))
    return _in_its_window(station, planner, region, build, delivery.run_key)


def _in_its_window(station: StationOperator, planner: RegionPlanner, region: str, build: Build, run: str) -> RegionPlan:
    """The plan of a push in the region's next window, whichever regions come before it."""
    site, ledger = station.application.environment(station.environment), station.ledger
    found = OutlookReader(station.application, station.environment, ledger, clock.now).read(region)
    begins = opening(found, clock.now()).begins
    if found is None or begins is None:
        return planner.plan(region, build)
    matters = does_peak_matter(site, ledger, planner.place(region), run, begins)
    quiet = quiet_of(found, site, begins) if matters else None
    return noted_peak(planner.plan(region, build, begins=begins, quiet=quiet), site, found, begins)
