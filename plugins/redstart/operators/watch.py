"""What is read and compared while red is watched: the application's series by the judge, the balancer's by limits.

Judge and numpy are imported by the calls: no DAG file may load them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

from include.apps import App, Environment
from include.errors import RefusedError, RetryableError
from redstart.hooks.fleet import FleetHook
from redstart.hooks.installation import InstallationHook
from redstart.operators import clock
from redstart.operators.canary_files import CanaryFiles
from redstart.operators.judgement import judge_settings, stat_by_kind
from redstart.sensors.soak_metrics import GROUP_DIMENSION

if TYPE_CHECKING:
    from include.canary import JudgeConfig, MetricGrid, MetricPairs
    from include.canary.watch import WatchVerdict
    from include.redblack.look import Watched, WatchRequest
    from redstart.hooks.installation import ResultStore

PATIENCE_SECONDS = 5.0
_LEAST_POINTS = 3


def make_watch(
    app: App, environment: str, results: ResultStore, run_key: str, region: str
) -> Callable[[WatchRequest], Watched]:
    """The watch of a push of `app` by the run `run_key` in `region`: asked at every turn, it looks now and then.

    Beside previous red is compared with it; alone with what the run's canary recorded. Where nothing was recorded,
    nothing is published, or it is not production, the settings' limits stand, and alone they hold besides. A store that
    stays away, or refuses, is UNKNOWN with its words, and asked again at the next turn.
    """
    series = _Series(app, CanaryFiles(results, app.name, run_key), region) if environment == "prod" else None
    return _Watch(app.environment(environment), series, region)


class _Watch:
    def __init__(self, site: Environment, series: _Series | None, region: str) -> None:
        self._site, self._series, self._region = site, series, region
        self._taken: tuple[WatchRequest, Watched] | None = None

    def __call__(self, request: WatchRequest) -> Watched:
        from include.canary.watch_looks import is_look_due
        from include.redblack.look import Finding, Watched

        now = clock.now()
        if self._taken is not None and self._taken[0] == request:
            last = self._taken[1]
            if not is_look_due(request.since, request.until, last.at, now):
                return last
        try:
            verdict = self._look(request, now)
        except (RetryableError, RefusedError) as error:
            self._taken = None
            return Watched(Finding.UNKNOWN, now, str(error))
        found = Watched(Finding(verdict.state), now, "; ".join(verdict.reasons), verdict.is_severe)
        self._taken = (request, found)
        return found

    def _look(self, request: WatchRequest, now: datetime) -> WatchVerdict:
        from include.redblack.look import WatchKind

        if self._series is None:
            return self._limits(request, now)
        if request.kind is WatchKind.SIDE_BY_SIDE:
            return self._series.side_by_side(request, now) or self._limits(request, now)
        limits = self._limits(request, now)
        return limits if limits.state == "unsound" else self._series.alone(request, now) or limits

    def _limits(self, request: WatchRequest, now: datetime) -> WatchVerdict:
        from include.canary.limits import WatchLimits, watch_limits

        site = self._site
        balancer = FleetHook(site.connection_id).balancer(self._region, site.load_balancer)
        allowed = site.push.limits
        served = balancer.served(request.red, request.since, now)
        # As many points as there can be in the time, the last of them late: on AWS a watch of a minute has one.
        most = (request.until - request.since) // timedelta(seconds=balancer.period_seconds) - 1
        least = max(min(_LEAST_POINTS, most), 1)
        return watch_limits(WatchLimits(allowed.error_pct, allowed.latency_mean_ms), served, least)


class _Series:
    """The application's own series: read by group, judged by the rules of its canaries.

    They are read to the moment: what an instance has not published yet is missing from requests and errors alike.
    """

    def __init__(self, app: App, files: CanaryFiles, region: str) -> None:
        self._app, self._files, self._region = app, files, region

    def side_by_side(self, request: WatchRequest, now: datetime) -> WatchVerdict | None:
        """Red beside previous; None where neither publishes anything that a watch looks at."""
        from include.canary.stretches import beside, merged
        from include.canary.watch import watch_side_by_side

        step = self._app.prod.canary.series_period_seconds
        config, grid = self._config(step), self._read(request, request.since, now, step)
        if grid is None:
            return None
        previous, red = (merged(config, grid, groups) for groups in (request.previous, (request.red,)))
        return watch_side_by_side(config, beside(previous, red), self._least(config, step))

    def alone(self, request: WatchRequest, now: datetime) -> WatchVerdict | None:
        """Red against the recorded canary, and previous as it was just before.

        None where no canary was recorded, or in points as long as the watch: a long soak is kept by the minute.
        """
        from include.canary.stretches import merged, part_of
        from include.canary.watch import watch_levels

        recorded = self._recorded
        length = request.until - request.since
        if recorded is None or length < 2 * timedelta(seconds=recorded.step_seconds):
            return None
        step, start = recorded.step_seconds, request.since - length
        config, grid = self._config(step), self._read(request, start, now, step)
        if grid is None:
            return None
        # The point in which previous left the traffic belongs to neither.
        red = merged(config, part_of(grid, request.since, now), (request.red,))
        previous = merged(config, part_of(grid, start, request.since), request.previous) if request.previous else None
        return watch_levels(config, recorded, red, previous, self._least(config, step))

    @cached_property
    def _recorded(self) -> MetricPairs | None:
        return self._files.kept_pairs()

    def _read(self, request: WatchRequest, start: datetime, now: datetime, step: int) -> MetricGrid | None:
        """The watched series of red and previous; None where there is none."""
        from include.canary.stretches import is_watched

        config, namespace = judge_settings(self._app), self._app.prod.canary.namespace
        store = FleetHook(self._app.prod.connection_id).metrics(self._region)
        scopes = {group: {GROUP_DIMENSION: group} for group in (request.red, *request.previous)}
        # The canary published what red does, and AWS lists the names of a new group only after a quarter of an hour.
        found = set(self._recorded.names) if self._recorded is not None else set()
        for scope in scopes.values() if not found else ():
            found |= set(store.discover(namespace, scope, patience_seconds=PATIENCE_SECONDS))
        names = sorted(name for name in found if is_watched(config, name) or name == config.watch.requests)
        if not names:
            return None
        stat = stat_by_kind(config)
        return store.fetch(names, namespace, scopes, start, now, step, stat, patience_seconds=PATIENCE_SECONDS)

    def _config(self, step: int) -> JudgeConfig:
        config = judge_settings(self._app).with_evidence(InstallationHook().evidence())
        return config.with_point(step, written_for_seconds=self._app.prod.canary.series_period_seconds)

    def _least(self, config: JudgeConfig, step: int) -> int:
        """Half of the application's own points that a canary needs: that one has been passed. In points of `step`."""
        points = config.minimum.points / 2
        return ceil(points * self._app.prod.canary.series_period_seconds / step)
