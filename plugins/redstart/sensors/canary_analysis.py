"""The soak and its judgement: hours without a worker, then minutes with one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from include.apps import load_app
from redstart.hooks.fleet import FleetHook
from redstart.hooks.installation import InstallationHook
from redstart.operators import clock
from redstart.operators.judgement import CanaryRecord, judge_settings, sentence_of
from redstart.operators.outcome import translated, with_defaults
from redstart.operators.station import LAUNCH_CANARY, result_of, selected
from redstart.triggers.canary_soak import CanarySoakTrigger
from redstart.ui.links import CanaryReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.canary import MetricPairs

GRACE = timedelta(hours=1)
GROUP_DIMENSION = "AutoScalingGroupName"
FINE_SECONDS = 2.9 * 3600


class CanaryAnalysisSensor(BaseSensorOperator):
    """Wait for the end of the soak without holding a worker, then fetch both groups' metrics and judge them.

    The end is a moment, written down when canary and baseline began to take traffic. The verdict is a result, not
    a failure: the gate decides.

    **Retry**: the same end; if it has passed, judges at once. Data once kept is judged again, not fetched again.
    **Clear**: the same end as well. Airflow clears launch_canary and stop_canary with it: a canary that still runs
    is adopted; one whose soak is over is not launched again, its kept data is judged.
    """

    operator_extra_links = (CanaryReportLink(),)
    ui_color = "#fdf3d8"

    def __init__(self, *, app: str, **kwargs: Any) -> None:
        # At least one retry: an event that overtakes the deferral fails the try, not the soak.
        super().__init__(**with_defaults(type(self), kwargs))
        self.app = app

    def execute(self, context: Context) -> Any:
        with translated():
            soak = result_of(context, LAUNCH_CANARY)
            end = self.judged_from(soak)
        left = end - clock.now().timestamp()
        if left <= 0:
            return self.analyze(context, {"end_epoch": end})
        self.log.info("%s and %s soak until %s", soak["canary"], soak["baseline"], soak["soak_end"])
        trigger = CanarySoakTrigger(end_epoch=end, subject=f"{soak['canary']} in {soak['region']}")
        return self.defer(trigger=trigger, method_name="analyze", timeout=timedelta(seconds=left) + GRACE)

    def judged_from(self, soak: Mapping[str, Any]) -> float:
        """The moment (epoch seconds) when the last point of the soak can be expected in the metric store."""
        settle_seconds = load_app(self.app).prod.canary.settle_seconds
        return datetime.fromisoformat(soak["soak_end"]).timestamp() + settle_seconds

    def analyze(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Judge what the soak left behind; runs on a worker, after the trigger or at once."""
        del event  # only says that the time has come; the end is the launch's
        with translated():
            soak = result_of(context, LAUNCH_CANARY)
            installation = InstallationHook()
            app = load_app(self.app)
            record = CanaryRecord(installation.results(), app, selected(context), installation.evidence())
            pairs = record.find_pairs(soak["image"])
            if pairs is None:
                pairs = self.fetch(soak)
                record.keep_pairs(pairs)
            verdict, decision = record.judge(pairs)
            summary = record.summary(verdict, decision)
        self.log.info("%s; report: %s", sentence_of(summary), summary["report"])
        return {**summary, "soak_start": soak["soak_start"], "soak_end": soak["soak_end"]}

    def fetch(self, soak: Mapping[str, Any]) -> MetricPairs:
        """Every series of both groups over the soak, from the metric store of the canary's region."""
        from include.canary import pair_scopes

        settings = load_app(self.app).prod
        start, end = datetime.fromisoformat(soak["soak_start"]), datetime.fromisoformat(soak["soak_end"])
        step_seconds = resolution(settings.canary.series_period_seconds, (clock.now() - start).total_seconds())
        store = FleetHook(settings.connection_id).metrics(soak["region"])
        scopes = {group: {GROUP_DIMENSION: group} for group in (soak["baseline"], soak["canary"])}
        began = time.monotonic()
        namespace = settings.canary.namespace
        names = sorted({name for scope in scopes.values() for name in store.discover(namespace, scope)})
        rules = judge_settings(load_app(self.app))

        def stat_of(name: str) -> str:
            """Events of a group add up over its instances; levels are averaged."""
            return "Sum" if rules.rules[rules.rule_index(name)].kind == "count" else "Average"

        grid = store.fetch(names, namespace, scopes, start, end, step_seconds, stat_of)
        self.log.info(
            "%d series of both groups every %d s, in %.1f s", len(names), step_seconds, time.monotonic() - began
        )
        about = {name: str(soak[name]) for name in ("region", "image", "baseline_image", "soak_start", "soak_end")}
        return pair_scopes(grid, baseline=soak["baseline"], canary=soak["canary"], metadata=about)


def resolution(period_seconds: int, age_seconds: float) -> int:
    """The finest step at which the whole soak can still be read: CloudWatch keeps those under 60 s for 3 hours."""
    return period_seconds if age_seconds < FINE_SECONDS else max(period_seconds, 60)
