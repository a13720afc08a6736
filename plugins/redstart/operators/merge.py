"""Branches merged by the system: production's commits back into the next release, a release forward into production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.apps import DeliverFlow, ReleaseFlow
from include.changes import MergeConflict, describe_merged, issue_of, label_of
from include.errors import RedstartError, RefusedError
from include.ledger import EVERY_REGION, Event, Kind
from redstart.hooks.jira import JiraHook
from redstart.operators import clock
from redstart.operators.cluster import place_of, who_of
from redstart.operators.live import live_commits
from redstart.operators.released import contains
from redstart.operators.source import one_line
from redstart.operators.station import DRY, StationOperator, key_of_run
from redstart.ui.links import MergeLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.source import MergeResult
    from include.ledger import Json
    from redstart.operators.drive import Account

MOST_NAMES = 20
MOST_LETTERS = 2000


@dataclass(frozen=True)
class Merge:
    """`source` (a branch, or a commit shown as of branch `of`) into `target`; `tag` is for the source's commit."""

    source: str
    of: str
    target: str
    message: str
    tag: str = ""


class MergeOperator(StationOperator):
    """Merges for a flow; subclasses say what into what."""

    operator_extra_links = (MergeLink(),)
    on_conflict: str

    def __init__(self, *, app: str, flow: str, **kwargs: Any) -> None:
        super().__init__(app=app, **kwargs)
        self.flow = flow

    def wanted(self, context: Context) -> Merge:
        raise NotImplementedError

    def deliver(self, context: Context) -> dict[str, Any]:
        wanted = self.wanted(context)
        with self.told(context) as account:
            result = self.repository.merge(wanted.source, wanted.target, message=wanted.message, tag=wanted.tag)
            if result.outcome == "conflict":
                self.report(context, account, wanted, result)
            at = f"{wanted.target} is at {result.merged_to[:10]}"
            account.note(f"{wanted.of} into {wanted.target}: {result.outcome}, {at}")
            if result.tag:
                account.note(f"{result.source_commit[:10]} has the tag {result.tag}")
            self.note_merged(context, account, wanted, result)
        return {
            "schema": 1, "outcome": result.outcome, "source": result.source_commit, "merged_to": result.merged_to,
            "target": wanted.target, "tag": result.tag,
        }  # fmt: skip

    def rehearse(self, context: Context) -> dict[str, Any]:
        wanted, repository = self.wanted(context), self.repository
        with self.told(context) as account:
            repository.fetch()
            source = repository.head(wanted.source) if wanted.source == wanted.of else wanted.source
            is_done = contains(repository, repository.head(wanted.target), source)
            what = f"{wanted.of} ({source[:10]}) into {wanted.target}"
            account.note(f"Dry run: {what} is merged already" if is_done else f"Dry run: would merge {what}")
            if wanted.tag:
                account.note(f"Dry run: {source[:10]} would have the tag {wanted.tag}")
        return {**DRY, "source": source, "target": wanted.target}

    def report(self, context: Context, account: Account, wanted: Merge, result: MergeResult) -> None:
        """Tell Jira and the ledger of the conflict; RefusedError with the files and what to do."""
        sides = f"{wanted.of} ({result.source_commit[:10]}) and {wanted.target} ({result.target_commit[:10]})"
        names = one_line(", ".join(result.conflicts[:MOST_NAMES]), MOST_LETTERS)
        if len(result.conflicts) > MOST_NAMES:
            names += f" and {len(result.conflicts) - MOST_NAMES} more"
        issue = self.open_issue(context, account, wanted, result)
        data: dict[str, Json] = {
            "files": list(result.conflicts[:MOST_NAMES]), "file_count": len(result.conflicts), "issue": issue,
        }  # fmt: skip
        self.record(context, Kind.MERGE_CONFLICT, wanted, result, f"{sides} disagree in: {names}", data)
        raise RefusedError(
            f"{sides} disagree in: {names}. Nothing was written; merge {wanted.of} into {wanted.target} by hand, then "
            f"clear this task. {self.on_conflict}{f' Issue {issue}.' if issue else ''}"
        )

    def note_merged(self, context: Context, account: Account, wanted: Merge, result: MergeResult) -> None:
        """Into the ledger; and on the issue of the conflict before, where that was the last that was heard of it."""
        if self.was_conflict(wanted):
            text = describe_merged(wanted.of, wanted.target, result.merged_to, self.name_of(context))
            self.ask_jira(account, lambda jira: jira.comment_if_open(self.label(wanted), text))
        data: dict[str, Json] = {"outcome": result.outcome, "merged_to": result.merged_to, "tag": result.tag}
        why = f"{wanted.of} into {wanted.target}: {result.outcome}"
        self.record(context, Kind.BRANCH_MERGED, wanted, result, why, data)

    def was_conflict(self, wanted: Merge) -> bool:
        """Whether the last that is known of a merge between these branches is that it did not go."""
        kinds = {Kind.BRANCH_MERGED, Kind.MERGE_CONFLICT}
        events = self.ledger.events(place=place_of(self.application, EVERY_REGION), kinds=kinds, newest=100)
        ours = [one.event for one in events if _is_of(one.event, wanted)]
        return bool(ours) and ours[-1].kind is Kind.MERGE_CONFLICT

    def open_issue(self, context: Context, account: Account, wanted: Merge, result: MergeResult) -> str:
        """The key of the conflict's issue; "" where there is no Jira, or none that answers."""
        sides = (result.source_commit, result.target_commit, result.conflicts)
        text = issue_of(MergeConflict(self.app, wanted.of, wanted.target, *sides, run=self.name_of(context)))
        ticket = self.ask_jira(account, lambda jira: jira.open_or_update(text))
        return str(ticket.key) if ticket else ""

    def ask_jira(self, account: Account, ask: Any) -> Any:
        """What Jira's issues answer. A Jira that is away, or refuses, is told and stops nothing."""
        try:
            jira = JiraHook().issues()
            ticket = jira and ask(jira)
        except RedstartError as error:
            account.note(f"not told in Jira: {error}")
            return None
        if ticket:
            account.note(f"Jira: {ticket}")
        return ticket

    def record(
        self, context: Context, kind: Kind, wanted: Merge, result: MergeResult, why: str, data: dict[str, Json]
    ) -> None:
        """Once for a run and what it found, however often the task is cleared."""
        run, source, target = key_of_run(context), result.source_commit, result.target_commit
        between = source if kind is Kind.BRANCH_MERGED else f"{source}/{target}"
        about: dict[str, Json] = {"flow": self.flow, "source": wanted.of, "target": wanted.target}
        about |= {"source_commit": source, "target_commit": target, **data}
        place = place_of(self.application, EVERY_REGION)
        key = f"{self.app}/{run}/{kind.value}/{wanted.target}/{between}"
        self.ledger.record(Event(key, kind, clock.now(), place, run, who_of(context), why, about))

    def label(self, wanted: Merge) -> str:
        return label_of(self.app, wanted.of, wanted.target)

    def name_of(self, context: Context) -> str:
        return f"run {context['run_id']} of {context['dag_run'].dag_id}"


class MergeBackOperator(MergeOperator):
    """Merge the flow's branch into the branch of the next release, so that it contains what runs in production.

    A conflict, or a remote that stays away, fails this task, names the files, writes nothing - and does not stop
    the delivery. Where a Jira is configured, an issue says the same.

    **Retry and clear**: safe; what is already merged is "nothing to do".
    """

    on_conflict = "The delivery goes on."

    def wanted(self, context: Context) -> Merge:
        flow = self.application.flows[self.flow]
        assert isinstance(flow, DeliverFlow) and flow.merge_into
        message = f"Merge {flow.branch} into {flow.merge_into}\n\nBy {self.name_of(context)}."
        return Merge(flow.branch, flow.branch, flow.merge_into, message)


class MergeReleaseOperator(MergeOperator):
    """Merge the release that serves everywhere now into production's branch, and tag its commit with the version.

    Branch and tag are pushed as one. A conflict fails this task and writes nothing; production serves on. While a
    region serves something else (it was left out in the form, or went back), nothing is merged: the task is skipped.

    **Retry and clear**: safe; what is merged and tagged already is "nothing to do", and a tag that is missing is added.
    Cleared after the missing regions were pushed, it merges.
    """

    on_conflict = "Production serves the release already; until it is merged, no patch goes there by itself."

    def deliver(self, context: Context) -> dict[str, Any]:
        commit = self.selected(context).commit
        if others := self.elsewhere(commit):
            shown = ", ".join(f"{region} serves {_words_of(found)}" for region, found in others.items())
            todo = self.what_to_do(commit, set().union(*others.values()))
            word = f"not merged, as it is not everywhere: {shown}. {todo}; then clear this task."
            context["ti"].xcom_push(key="word", value=word)
            with self.told(context) as account:
                account.add(word)
            raise AirflowSkipException(word)
        return super().deliver(context)

    def elsewhere(self, commit: str) -> dict[str, set[str]]:
        """Production's regions that do not serve this commit, or one that contains it, alone -> what they serve."""
        live = {region: live_commits(self.view(region)) for region in self.application.prod.region_names}
        others = {region: found for region, found in live.items() if found != {commit}}
        if not others:
            return {}
        repository = self.repository
        repository.fetch()
        return {
            region: found
            for region, found in others.items()
            if not found or not all(contains(repository, one, commit) for one in found)
        }

    def what_to_do(self, commit: str, serving: set[str]) -> str:
        """So that the release comes everywhere, and takes no patch away."""
        flow, repository = self.application.flows[self.flow], self.repository
        assert isinstance(flow, ReleaseFlow) and flow.merge_into
        branch, short = flow.merge_into, commit[:10]
        head = repository.head(branch)
        known = [one for one in sorted(serving) if contains(repository, head, one)]
        if patches := [one[:10] for one in known if not contains(repository, commit, one)]:
            return (
                f"On {branch} and not in the release: {', '.join(patches)}; merge {short} into {branch} by hand, "
                "the merge's own run delivers both"
            )
        return "Push it there too"

    def wanted(self, context: Context) -> Merge:
        flow = self.application.flows[self.flow]
        assert isinstance(flow, ReleaseFlow) and flow.merge_into
        delivery, run = self.selected(context), self.name_of(context)
        about = (
            f"Commit: {delivery.commit}\nSubject: {one_line(delivery.subject)}\nRun: {run}\n"
            f"Started by: {one_line(who_of(context))}"
        )
        what = f"{self.app} {delivery.version}"
        message = f"Merge release {what} into {flow.merge_into}\n\n{about}"
        tag = f"{flow.tag_prefix}{delivery.version}"
        return Merge(delivery.commit, delivery.branch or "release", flow.merge_into, message, tag)


def _words_of(commits: set[str]) -> str:
    return " and ".join(sorted(one[:10] or "an untagged group" for one in commits)) or "nothing"


def _is_of(event: Event, wanted: Merge) -> bool:
    return (event.data.get("source"), event.data.get("target")) == (wanted.of, wanted.target)
