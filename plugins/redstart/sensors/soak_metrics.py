"""What a canary and its baseline measured, read from the metric store of their region."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from include.apps import App
from redstart.hooks.fleet import FleetHook
from redstart.operators import clock
from redstart.operators.judgement import JUDGED_UNTIL, LOOKS_PLANNED, SOAK_END, SOAK_START, judge_settings, stat_by_kind

if TYPE_CHECKING:
    from include.canary import MetricPairs
    from include.canary.looks import NextLook

GROUP_DIMENSION = "AutoScalingGroupName"
FINE_SECONDS = 2.9 * 3600
LOOK_PATIENCE_SECONDS = 30.0


class SoakMetrics:
    """Reads the series of both groups of `soak`, the launch's result; `say` writes into the task's log."""

    def __init__(self, app: App, soak: Mapping[str, Any], looks_planned: int, say: Callable[..., None]) -> None:
        self._app, self._soak, self._looks_planned, self._say = app, soak, looks_planned, say

    def fetch(self, window: NextLook) -> MetricPairs:
        """Every series of both groups over the window. RetryableError where the store does not answer."""
        from include.canary import pair_scopes

        settings, soak = self._app.prod, self._soak
        step_seconds = resolution(settings.canary.series_period_seconds, (clock.now() - window.start).total_seconds())
        store = FleetHook(settings.connection_id).metrics(soak["region"])
        scopes = {group: {GROUP_DIMENSION: group} for group in (soak["baseline"], soak["canary"])}
        began = time.monotonic()
        namespace = settings.canary.namespace
        # A look may be missed; only for the end it pays to wait as long as the store can be waited for.
        patience = {} if window.is_end else {"patience_seconds": LOOK_PATIENCE_SECONDS}
        found = [store.discover(namespace, scope, **patience) for scope in scopes.values()]
        names = sorted({name for some in found for name in some})
        stat = stat_by_kind(judge_settings(self._app))
        grid = store.fetch(names, namespace, scopes, window.start, window.at, step_seconds, stat, **patience)
        self._say("%d series of both groups every %d s, in %.1f s", len(names), step_seconds, time.monotonic() - began)
        if trouble := store.health.describe():
            self._say("%s", trouble)
        return pair_scopes(grid, baseline=soak["baseline"], canary=soak["canary"], metadata=self._about(window))

    def _about(self, window: NextLook) -> dict[str, str]:
        about = {name: str(self._soak[name]) for name in ("region", "image", "baseline_image", SOAK_START, SOAK_END)}
        until = self._soak[SOAK_END] if window.is_end else window.at.isoformat(timespec="seconds")
        return {**about, JUDGED_UNTIL: str(until), LOOKS_PLANNED: str(self._looks_planned)}


def resolution(period_seconds: int, age_seconds: float) -> int:
    """The finest step at which a window can still be read: CloudWatch keeps those under 60 s for 3 hours."""
    return period_seconds if age_seconds < FINE_SECONDS else max(period_seconds, 60)
