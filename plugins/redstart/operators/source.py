"""The source of a delivery: which commit of the flow's branch this run is about."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.apps import DeliverFlow, VerifyFlow
from include.apps.delivery import Delivery, choose_canary_region, order_regions, word_if_live
from include.apps.selection import (
    MOST_SUPERSEDED,
    Choice,
    Verdict,
    Wish,
    choose_commit,
    next_number,
    range_start,
    superseded,
)
from include.apps.webhook import COMMIT_ID
from include.errors import RefusedError, RetryableError
from include.fleet import ClusterView
from redstart.operators import clock
from redstart.operators.accounting import CommitAccounts, Teller, one_line
from redstart.operators.cluster import who_of
from redstart.operators.line import line_of
from redstart.operators.live import describe_trees, live_trees
from redstart.operators.released import word_if_release_is_lost
from redstart.operators.runs import is_by_hand
from redstart.operators.station import StationOperator, key_of_run
from redstart.operators.stopped import StoppedContent
from redstart.operators.verified import has_passed
from redstart.ui.links import CommitLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.source import CommitInfo
    from redstart.hooks.git import GitRepository
    from redstart.operators.drive import Account

TRIES = 5
log = logging.getLogger(__name__)


class SelectCommitOperator(StationOperator):
    """Take the newest commit of the flow's branch, or the one named in the form.

    Each commit is the subject of one run, or named there as superseded: those between the last subject and this one,
    and those whose events started this run, give way to it. The ledger has both.

    **Nothing to do**: everything after is skipped and the run succeeds; XCom `word` says why. *Already the subject of
    run X*: another run has taken the newest commit; a run started by hand takes it again. *Already live*: its content
    (not its author: a merge of ours changes none) serves in every region of this run; in a flow that only verifies, in
    all its environments, and it has passed there, or serves in production. *A canary stopped this content*: neither a
    branch's event nor the clock tries it again, a person does, by starting a run.

    **Refused**: a patch without a release that serves in production and whose merge is not done: users would lose it.

    **Retry and clear**: looks at the branch and at what is live again. The run keeps its commit, unless there is a
    newer one: it takes that, or, where another run has, ends as superseded. What it keeps is verified once more.
    """

    operator_extra_links = (CommitLink(),)

    def __init__(self, *, app: str, flow: str, **kwargs: Any) -> None:
        super().__init__(app=app, **kwargs)
        self.flow = flow

    @property
    def followed(self) -> VerifyFlow | DeliverFlow:
        flow = self.application.flows[self.flow]
        assert isinstance(flow, VerifyFlow | DeliverFlow)
        return flow

    def deliver(self, context: Context) -> dict[str, Any]:
        repository = self.repository
        with self.told(context) as account:
            choice = self.choose(context, repository, account)
            info = repository.commit_info(choice.commit)
            account.note(f"{info.commit} by {one_line(info.author)}: {one_line(info.subject)}")
            delivery = self.delivery(context, info)
            word = self.word_if_nothing_to_do(context, repository, choice, info, account)
            if word := word or self.word_if_release_is_lost(context, account, delivery):
                context["ti"].xcom_push(key="word", value=word)
                account.add(word)
                raise AirflowSkipException(word)
            where = delivery.regions or getattr(self.followed, "environments", ())
            account.note(f"version {info.version}, to {', '.join(where)}")
            return delivery.to_xcom()

    def rehearse(self, context: Context) -> dict[str, Any]:
        """The same choice, which nobody keeps; where the run would end, it is told, and the plan goes on."""
        repository = self.repository
        with self.told(context) as account:
            repository.fetch()
            accounts = CommitAccounts(self.ledger, self.application, self.flow, self.followed.branch)
            choice = choose_commit(accounts.selections(), self.wish(context, repository))
            info = repository.commit_info(choice.commit)
            account.note(f"Dry run: would take {info.commit} by {one_line(info.author)}: {one_line(info.subject)}")
            delivery = self.delivery(context, info)
            try:
                word = self.word_if_nothing_to_do(context, repository, choice, info, account)
                word = word or self.word_if_release_is_lost(context, account, delivery)
            except RefusedError as error:
                word = str(error)
            account.note(f"the run would end here: {word}" if word else f"version {info.version}")
        return {**delivery.to_xcom(), "dry_run": True}

    def choose(self, context: Context, repository: GitRepository, account: Account) -> Choice:
        """What the rules say, and the ledger keeps. Who is overtaken by another run's selection looks again."""
        accounts = CommitAccounts(self.ledger, self.application, self.flow, self.followed.branch)
        teller = Teller(key_of_run(context), who_of(context))
        told = list(told_commits(context, self.followed.branch))
        for _ in range(TRIES):
            selections = accounts.selections()  # before the branch, see include/apps/selection.py
            repository.fetch()
            wish = self.wish(context, repository)
            choice = choose_commit(selections, wish)
            if choice.verdict is not Verdict.TAKE:
                passed_over = superseded([], told, choice.commit, selections)
                accounts.name_superseded(teller, passed_over, choice.commit)
                return choice
            between = repository.commits_between(range_start(selections), choice.commit, MOST_SUPERSEDED + 1)
            passed_over = superseded(between, told, choice.commit, selections)
            info, number = repository.commit_info(choice.commit), next_number(selections)
            if accounts.take(teller, number, info, passed_over, is_named=wish.names_another):
                self.tell_superseded(account, passed_over, is_all=len(between) <= MOST_SUPERSEDED)
                return choice
        raise RetryableError(f"Other runs of {self.flow} have selected a commit {TRIES} times meanwhile.")

    def wish(self, context: Context, repository: GitRepository) -> Wish:
        branch = self.followed.branch
        head = repository.head(branch)
        named = context["params"].get("commit")
        return Wish(
            key_of_run(context),
            branch,
            head,
            named=commit_on(repository, branch, head, named) if named else "",
            is_by_hand=is_by_hand(context),
        )

    def tell_superseded(self, account: Account, commits: list[str], *, is_all: bool) -> None:
        if commits:
            names = ", ".join(commit[:10] for commit in commits[:10])
            account.note(f"superseded: {len(commits)} earlier ({names}{', ...' if len(commits) > 10 else ''})")
        if not is_all:
            account.note(f"more than {MOST_SUPERSEDED} commits came at once; the oldest are not named one by one")

    def word_if_nothing_to_do(
        self, context: Context, repository: GitRepository, choice: Choice, info: CommitInfo, account: Account
    ) -> str | None:
        """Why the run ends here, or None."""
        is_delivery = isinstance(self.followed, DeliverFlow)
        stopped = self.word_if_stopped(context, info.tree, info.commit) if is_delivery else None
        if choice.verdict is Verdict.END:
            return stopped or choice.why
        live = live_trees(repository, self.views(context))
        account.note(f"content {info.tree[:10]}; live now: {describe_trees(live)}")
        word = word_if_live(live, info.tree, info.commit)
        if word and not is_delivery and (why := self.why_verify(context, repository, choice, info.tree)):
            account.note(f"it serves already, and {why}: verified again")
            word = None
        return word or stopped

    def views(self, context: Context) -> dict[str, ClusterView]:
        """The clusters that the flow is about: production's in the form's regions, or those of all its environments."""
        if isinstance(self.followed, DeliverFlow):
            return {region: self.view(region) for region in self.regions(context)}
        environments = self.followed.environments
        return {
            f"{name} {region}": self.view_of(name, region)
            for name in environments
            for region in self.application.environment(name).region_names
        }

    def why_verify(self, context: Context, repository: GitRepository, choice: Choice, tree: str) -> str:
        """Why the flow is gone through with a content that serves in all its environments; "" where it need not be."""
        if is_by_hand(context):
            return "a person has started the run"
        if choice.verdict is Verdict.KEEP:
            return "the run was cleared or tried again"
        production = {region: self.view_of("prod", region) for region in self.application.prod.region_names}
        is_done = has_passed(self, self.flow, tree) or word_if_live(live_trees(repository, production), tree, "")
        return "" if is_done else "its tests have not passed"

    def word_if_release_is_lost(self, context: Context, account: Account, delivery: Delivery) -> str | None:
        """As the function. While another delivery has the way, its merge may be still to come: asked there again."""
        if isinstance(self.followed, VerifyFlow):
            return None
        lease, now = self.ledger.lease(line_of(self.application)), clock.now()
        if lease is not None and lease.is_running(now) and lease.owner != delivery.run_key:
            account.note("another delivery is on its way into production; whether this one lacks it is asked later")
            return None
        return word_if_release_is_lost(self, context, account, delivery)

    def word_if_stopped(self, context: Context, tree: str, commit: str) -> str | None:
        """Why a canary's no-go keeps this content from being tried again, or None."""
        stopped = StoppedContent(self.installation.results(), self.app).find(tree)
        if stopped is None or stopped["run"] == key_of_run(context) or is_by_hand(context):
            return None
        return (
            f"Nothing new: a canary stopped what {commit[:10]} contains (run {stopped['run']}, "
            f"{stopped['report']}). A run started by hand tries it again."
        )

    def regions(self, context: Context) -> tuple[str, ...]:
        """Of production, as they are listed; none where the flow only verifies."""
        if isinstance(self.followed, VerifyFlow):
            return ()
        return order_regions(self.application.prod, context["params"].get("regions"))

    def delivery(self, context: Context, info: CommitInfo) -> Delivery:
        regions = self.regions(context)
        return Delivery(
            app=self.app,
            run_key=key_of_run(context),
            commit=info.commit,
            tree=info.tree,
            version=info.version,
            subject=one_line(info.subject),
            author=one_line(info.author),
            committed_epoch=int(info.committed_at.timestamp()),
            regions=regions,
            canary_region=choose_canary_region(self.application.prod, regions) if regions else "",
            branch=self.followed.branch,
        )


def told_commits(context: Context, branch: str) -> Iterator[str]:
    """Commits of the events that started the run. Anybody who may send Airflow events may have said them."""
    events: Mapping[Any, Any] = context.get("triggering_asset_events") or {}
    for of_asset in events.values():
        for event in of_asset:
            payload = (event.extra or {}).get("payload")
            if not isinstance(payload, Mapping) or payload.get("branch") != branch:
                continue
            commit = payload.get("commit")
            if isinstance(commit, str) and COMMIT_ID.fullmatch(commit):
                yield commit


def newer_head(repository: GitRepository, flow: DeliverFlow, delivery: Delivery) -> str | None:
    """The branch's head where it is a newer content than the delivery's; None also where the remote does not answer.

    A branch that was moved back behind the delivery's commit has nothing newer.
    """
    try:
        repository.fetch()
        head = repository.head(flow.branch)
        is_newer = head != delivery.commit and not repository.is_ancestor(head, delivery.commit)
        return head if is_newer and repository.tree_id(head) != delivery.tree else None
    except (RetryableError, RefusedError) as error:
        log.warning("Whether there is a newer commit than %s is not known: %s", delivery.commit[:10], error)
        return None


def commit_on(repository: GitRepository, branch: str, head: str, named: str) -> str:
    """The id of the commit that a person named; RefusedError unless it is on `branch`."""
    commit = repository.resolve(named)
    if not repository.is_ancestor(commit, head):
        raise RefusedError(f"{commit[:10]} is not on branch {branch}: only what is there can be delivered.")
    return commit
