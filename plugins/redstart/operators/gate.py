"""The gate between canary and production."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

from include.errors import RefusedError
from redstart.operators.judgement import CanaryRecord, StoppedContent, sentence_of
from redstart.operators.station import StationOperator, image_in
from redstart.ui.links import CanaryReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class GateScoreOperator(StationOperator):
    """Go only if the canary's score reaches the threshold, no critical metric deviates and enough could be judged.

    A no-go ends the run here, with the reasons and the report's address in the error; production is untouched.

    **Retry and clear**: judges the kept data again, by today's settings; nothing is fetched and no canary runs.
    After a corrected judge setting, clear this task (and what follows) to go on with the same evidence.
    """

    operator_extra_links = (CanaryReportLink(),)

    def deliver(self, context: Context) -> dict[str, Any]:
        installation = self.installation
        delivery, evidence = self.selected(context), installation.evidence()
        record = CanaryRecord(installation.results(), self.application, delivery, evidence)
        pairs = record.find_pairs(image_in(context, delivery.canary_region))
        if pairs is None:
            raise RefusedError(
                "No data of a canary of this image is kept: there is nothing to judge. No evidence, no go."
            )
        verdict, decision = record.judge(pairs)
        summary = record.summary(verdict, decision)
        if decision.outcome != "cannot tell yet":
            StoppedContent(installation.results(), self.app).note(delivery, summary)
        if not decision.go:
            reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
            where = f"{conf.get('api', 'base_url', fallback='').rstrip('/')}{summary['report']}"
            raise RefusedError(f"{sentence_of(summary)}. Production is untouched.\n{reasons}\nReport: {where}")
        self.log.info("%s", sentence_of(summary))
        return summary
