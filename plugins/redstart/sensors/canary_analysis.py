"""The soak and its judgements: hours without a worker, then minutes with one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSkipException

from include.apps import DeliverFlow, load_app
from include.canary.looks import LookPlan
from redstart.hooks.git import GitRepositoryHook
from redstart.hooks.installation import InstallationHook
from redstart.operators import clock
from redstart.operators.canary_files import CanaryFiles
from redstart.operators.judgement import SOAK_END, SOAK_START, CanaryJudge
from redstart.operators.outcome import translated, with_defaults
from redstart.operators.runs import is_by_hand
from redstart.operators.source import newer_head
from redstart.operators.station import DRY, LAUNCH_CANARY, is_dry, key_of_run, purpose_of, result_of, selected
from redstart.sensors.soak import Soak
from redstart.sensors.soak_metrics import SoakMetrics
from redstart.triggers.canary_soak import CanarySoakTrigger
from redstart.ui.links import CanaryReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

GRACE = timedelta(hours=1)


class CanaryAnalysisSensor(BaseSensorOperator):
    """Judge the canary at intervals during its soak and at its end, without holding a worker in between.

    All moments follow from the soak's start and end, which were written down when canary and baseline began to take
    traffic. The verdict is a result, not a failure: the gate decides. A look that finds a critical metric deviating,
    or a score below marginal, ends the soak early. A metric store that does not answer at a look costs that look; at
    the end it is asked again, and if it stays away the gate says so.

    Where the flow says `newer_commit = "cancel"`, each look also asks whether the branch has a newer commit; if so, the
    soak ends there, the run ends green with a word, and nothing is pushed. A run started by hand is not cancelled.

    **Retry**: the same moments; looks that were taken are not taken again. Data once kept is judged again, not
    fetched again.
    **Clear**: the same moments as well. Airflow clears launch_canary and stop_canary with it: a canary that still runs
    is adopted; one whose soak is over is not launched again, its kept data is judged. After a look has ended the
    soak, a judge setting that was wrong may be corrected first: the soak then goes on to its end, with a new pair.
    """

    operator_extra_links = (CanaryReportLink(),)
    ui_color = "#fdf3d8"

    def __init__(self, *, app: str, flow: str = "prod", **kwargs: Any) -> None:
        # At least one retry: an event that overtakes the deferral fails the try, not the soak.
        super().__init__(**with_defaults(type(self), kwargs))
        self.app = app
        self.flow = flow

    def execute(self, context: Context) -> Any:
        if is_dry(context):
            self.log.info("Dry run: would %s", purpose_of(type(self)))
            return dict(DRY)
        return self.analyze(context)

    def analyze(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Judge what is due, on a worker, and wait for the next moment; also where a wait of old comes back to."""
        del event  # only says that a time has come; the moments are the launch's
        with translated():
            launched = result_of(context, LAUNCH_CANARY)
            soak = self.soak(context, launched)
            summary = soak.advance()
            if summary is not None:
                return summary
            self.end_if_superseded(context)
            window = soak.next()
        self.log.info(
            "%s and %s soak until %s; judged next at %s",
            launched["canary"],
            launched["baseline"],
            launched[SOAK_END],
            f"{window.due:%H:%M:%S}",
        )
        due = window.due.timestamp()
        trigger = CanarySoakTrigger(end_epoch=due, subject=f"{launched['canary']} in {launched['region']}")
        left = timedelta(seconds=due - clock.now().timestamp())
        return self.defer(trigger=trigger, method_name="analyze", timeout=left + GRACE)

    def end_if_superseded(self, context: Context) -> None:
        """AirflowSkipException where the flow does not go on with a canary whose branch has a newer commit."""
        app, delivery = load_app(self.app), selected(context)
        flow = app.flows[self.flow]
        if not isinstance(flow, DeliverFlow) or flow.newer_commit != "cancel" or is_by_hand(context):
            return
        newer = newer_head(GitRepositoryHook().repository(app.source.repository), flow, delivery)
        if newer is not None:
            word = (
                f"Superseded: {newer[:10]} came to {flow.branch} while {delivery.commit[:10]} soaked; "
                "its own run takes it. Nothing was pushed."
            )
            context["ti"].xcom_push(key="word", value=word)
            raise AirflowSkipException(word)

    def soak(self, context: Context, launched: Mapping[str, Any]) -> Soak:
        installation, app = InstallationHook(), load_app(self.app)
        files = CanaryFiles(installation.results(), app.name, key_of_run(context))
        judge = CanaryJudge(files, app, selected(context), installation.evidence())
        plan = self.plan(launched, installation.look_seconds())
        metrics = SoakMetrics(app, launched, len(plan.moments), self.log.info)
        return Soak(launched, plan, judge, metrics, self.log.info, is_last_try=is_last_try(context))

    def plan(self, launched: Mapping[str, Any], every_seconds: int | None) -> LookPlan:
        """When the soak is judged: as often as the installation says, else the application."""
        canary = load_app(self.app).prod.canary
        start, end = (datetime.fromisoformat(launched[key]) for key in (SOAK_START, SOAK_END))
        every = canary.look_every_seconds if every_seconds is None else every_seconds
        return LookPlan(start, end, every, canary.lookback_seconds, canary.settle_seconds)


def is_last_try(context: Context) -> bool:
    """Whether Airflow would not try this task again."""
    ti = context["ti"]
    return bool(ti.try_number > ti.max_tries)
