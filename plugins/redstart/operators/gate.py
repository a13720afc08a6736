"""The gate between canary and production."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

from include.errors import RefusedError
from redstart.operators import clock
from redstart.operators.canary_files import CanaryFiles
from redstart.operators.judgement import CanaryJudge, Judgement, sentence_of
from redstart.operators.production import refuse_if_changed
from redstart.operators.station import DRY, LAUNCH_CANARY, StationOperator, image_in, result_of
from redstart.operators.stopped import StoppedContent
from redstart.ui.links import ApprovalLink, CanaryReportLink, approval_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from include.canary import GateDecision
    from include.canary.approval import Refusal

NO_DATA = "No data of a canary of this image is kept: there is nothing to judge. No evidence, no go."


class GateScoreOperator(StationOperator):
    """Go only if the canary's score reaches the threshold, no critical metric deviates and enough could be judged.

    A no-go ends the run here, with the reasons and the report's address in the error; production is untouched. Behind
    *Approve below threshold* an operator or admin may take it upon them, with a reason; then clear this task. An
    approval holds for this pair of images while the verdict gets no worse. Nor does the gate let anything pass when
    production has changed since the baseline was chosen.

    **Retry and clear**: judges the kept data again, by today's settings; nothing is fetched and no canary runs.
    After a corrected judge setting, or an approval, clear this task (and what follows) to go on.
    """

    operator_extra_links = (CanaryReportLink(), ApprovalLink())

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery, launched = self.selected(context), self.launched(context)
        results, evidence = self.installation.results(), self.installation.evidence()
        files = CanaryFiles(results, self.app, delivery.run_key)
        pairs = files.find_pairs(launched["image"], launched["baseline_image"])
        if pairs is None:
            raise RefusedError(words_without_data(files, launched))
        judge = CanaryJudge(files, self.application, delivery, evidence)
        judgement = judge.judge(pairs)
        decision = judge.conclude(judgement)
        refusal = refusal_of(context, delivery, judgement, decision, files.report_url)
        decision = self.with_approval(files, refusal, decision)
        judge.keep(judgement, decision, files.looks(refusal.image, refusal.baseline_image))
        summary = judge.summary(judgement.verdict, decision)
        for region in delivery.regions if decision.go else ():
            refuse_if_changed(self.view(region), launched, image_in(context, region))
        if decision.outcome != "cannot tell yet":
            StoppedContent(results, self.app).note(delivery, summary)
        if not decision.go:
            self.refuse(files, refusal, summary, decision)
        files.lift_refusal()
        self.log.info("%s; %s", sentence_of(summary), decision.reasons[0])
        return summary

    def rehearse(self, context: Context) -> dict[str, Any]:
        threshold = self.application.prod.gate_threshold
        with self.told(context) as account:
            account.note(f"Dry run: would go on with a score of {threshold:g} or more, no critical metric deviating")
        return dict(DRY)

    def launched(self, context: Context) -> Mapping[str, Any]:
        """The launch's result, of the image that this run would push; RefusedError without one."""
        image = image_in(context, self.selected(context).canary_region)
        found: Mapping[str, Any] | None = context["ti"].xcom_pull(task_ids=LAUNCH_CANARY)
        if not found or found.get("image") != image:
            raise RefusedError(NO_DATA)
        return result_of(context, LAUNCH_CANARY)

    def with_approval(self, files: CanaryFiles, refusal: Refusal, decision: GateDecision) -> GateDecision:
        """The decision, or the go that a person made of it."""
        from include.canary.approval import approve, why_not_covered

        approval = None if decision.go or not refusal.is_approvable else files.approval()
        if approval is None:
            return decision
        if why_not := why_not_covered(approval, refusal):
            self.log.warning("The approval by %s does not hold: %s.", approval.user, why_not)
            return decision
        self.log.warning("Go: %s", approval.sentence)
        return approve(decision, approval)

    def refuse(self, files: CanaryFiles, refusal: Refusal, summary: Mapping[str, Any], decision: GateDecision) -> None:
        site = conf.get("api", "base_url", fallback="").rstrip("/")
        lines = [f"{sentence_of(summary)}. Production is untouched.", *(f"- {reason}" for reason in decision.reasons)]
        lines.append(f"Report: {site}{summary['report']}")
        if refusal.is_approvable:
            files.keep_refusal(refusal)
            lines.append(f"An operator may let it go on: {site}{approval_url(self.app, refusal.run_key)}")
        raise RefusedError("\n".join(lines))


def words_without_data(files: CanaryFiles, launched: Mapping[str, Any]) -> str:
    """Why there is nothing to judge: a store that stayed away, or nothing at all."""
    history = files.looks(launched["image"], launched["baseline_image"])
    if not history or history[-1].outcome != "no answer":
        return NO_DATA
    return (
        f"cannot tell yet: the metric store did not answer at the end of the soak: {history[-1].reason} "
        "Nothing could be judged; production is untouched. When the store answers again, clear canary.analyze_canary "
        "with what follows: it fetches the data of the same soak."
    )


def refusal_of(
    context: Context, delivery: Delivery, judgement: Judgement, decision: GateDecision, report: str
) -> Refusal:
    """What the gate refuses, if it does: whose it is, and what was found."""
    from include.canary.approval import Refusal, open_criticals

    verdict = judgement.verdict
    about = judgement.pairs.metadata
    return Refusal(
        app=delivery.app,
        run_key=delivery.run_key,
        dag_id=str(context["dag_run"].dag_id),
        run_id=str(context["run_id"]),
        task_id=str(context["ti"].task_id),
        version=delivery.version,
        image=about["image"],
        baseline_image=about["baseline_image"],
        score=verdict.score,
        classification=verdict.classification,
        outcome=decision.outcome,
        unknown_weight=verdict.unknown_weight,
        criticals=open_criticals(verdict),
        reasons=decision.reasons,
        report=report,
        at=clock.now(),
    )
