"""The source of a delivery: which commit, and prod's changes back into release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.apps.delivery import Delivery, choose_canary_region, order_regions, word_if_live
from include.errors import RefusedError
from include.fleet import ClusterView
from redstart.operators.station import StationOperator, key_of_run
from redstart.operators.stopped import StoppedContent
from redstart.ui.links import CommitLink, MergeLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redstart.hooks.git import GitRepository


class SelectCommitOperator(StationOperator):
    """Take the newest commit of the prod branch (or the one named in the form) if it is not yet live everywhere.

    **Nothing new**: when its content already serves in every region of this run, everything after is skipped and
    the run succeeds; XCom `word` says so. The same when a canary has stopped this content before: a branch's event
    and the clock do not try it again. A person does, by starting a run.

    **Retry and clear**: looks at the branch and at what is live again, so a cleared run may take a newer commit.
    """

    operator_extra_links = (CommitLink(),)

    def deliver(self, context: Context) -> dict[str, Any]:
        app, repository = self.application, self.repository
        repository.fetch()
        commit = choose_commit(repository, app.source.prod_branch, context["params"].get("commit"))
        info = repository.commit_info(commit)
        regions = order_regions(app.prod, context["params"].get("regions"))
        live = self.live_trees(repository, regions)
        if word := word_if_live(live, info.tree, commit) or self.word_if_stopped(context, info.tree, commit):
            context["ti"].xcom_push(key="word", value=word)
            with self.told(context) as account:
                account.add(word)
            raise AirflowSkipException(word)
        with self.told(context) as account:
            account.note(f"{commit} by {one_line(info.author)}: {one_line(info.subject)}")
            account.note(f"version {info.version}, to {', '.join(regions)}")
            account.note(f"content {info.tree[:10]}; live now: {describe_trees(live)}")
        return Delivery(
            app=app.name,
            run_key=key_of_run(context),
            commit=commit,
            tree=info.tree,
            version=info.version,
            subject=one_line(info.subject),
            author=one_line(info.author),
            committed_epoch=int(info.committed_at.timestamp()),
            regions=regions,
            canary_region=choose_canary_region(app.prod, regions),
        ).to_xcom()

    def word_if_stopped(self, context: Context, tree: str, commit: str) -> str | None:
        """Why a canary's no-go keeps this content from being tried again, or None."""
        stopped = StoppedContent(self.installation.results(), self.app).find(tree)
        if stopped is None or stopped["run"] == key_of_run(context) or context["dag_run"].run_type == "manual":
            return None
        return (
            f"Nothing new: a canary stopped what {commit[:10]} contains (run {stopped['run']}, "
            f"{stopped['report']}). A run started by hand tries it again."
        )

    def live_trees(self, repository: GitRepository, regions: Sequence[str]) -> dict[str, str | None]:
        """Region -> the content that takes its traffic; None where that is not one known content."""
        found: dict[str, str | None] = {}
        for region in regions:
            view = self.view(region)
            trees = {tree_of(repository, commit) for commit in live_commits(view)}
            found[region] = trees.pop() if len(trees) == 1 else None
        return found


class MergeBranchOperator(StationOperator):
    """Merge the prod branch back into release, so that the next release contains what runs in production.

    A conflict, or a remote that stays away, fails this task, names the files, writes nothing - and does not stop
    the delivery.

    **Retry and clear**: safe; what is already merged is "nothing to do".
    """

    operator_extra_links = (MergeLink(),)

    def deliver(self, context: Context) -> dict[str, Any]:
        source, target = self.application.source.prod_branch, self.application.source.release_branch
        with self.told(context) as account:
            result = self.repository.merge_branch(source, target)
            if result.outcome == "conflict":
                names = one_line(", ".join(result.conflicts), 2000)
                sides = f"{source} ({result.source_commit[:10]}) and {target} ({result.target_commit[:10]})"
                raise RefusedError(
                    f"{sides} disagree in: {names}. "
                    f"Nothing was written; merge {source} into {target} by hand. The delivery goes on."
                )
            account.note(f"{source} into {target}: {result.outcome}, {target} is at {result.merged_to[:10]}")
        return {"schema": 1, "outcome": result.outcome, "merged_to": result.merged_to}


def choose_commit(repository: GitRepository, branch: str, wanted: str | None) -> str:
    """The wanted commit, which must be on `branch`, else the branch's head."""
    head = repository.head(branch)
    if not wanted:
        return head
    commit = repository.resolve(wanted)
    if not repository.is_ancestor(commit, head):
        raise RefusedError(f"{commit[:10]} is not on branch {branch}: only what is there can be delivered.")
    return commit


def one_line(text: str, most: int = 200) -> str:
    """What somebody else wrote, fit for a line of a log: without control characters, and not longer than `most`."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def describe_trees(live: Mapping[str, str | None]) -> str:
    """Region and content, in words."""
    return ", ".join(f"{region} {tree[:10] if tree else 'something else'}" for region, tree in live.items())


def live_commits(view: ClusterView) -> set[str]:
    """Commits of the groups that take a cluster's traffic, canary and baseline aside; '' where untagged."""
    main = (group for group in view.groups if group.tags.get("redstart:role", "main") == "main")
    return {group.tags.get("redstart:commit", "") for group in main if group.is_enabled}


def tree_of(repository: GitRepository, commit: str) -> str | None:
    """The content of a commit that may no longer be known."""
    try:
        return repository.tree_id(commit)
    except RefusedError:
        return None


def describe_live(views: Mapping[str, ClusterView]) -> dict[str, list[dict[str, Any]]]:
    """Region -> what takes traffic there: group, version, commit, healthy instances."""
    return {
        region: [
            {
                "group": group.name,
                "version": group.tags.get("redstart:version", ""),
                "commit": group.tags.get("redstart:commit", ""),
                "healthy": group.healthy_count,
            }
            for group in view.groups
            if group.is_enabled
        ]
        for region, view in views.items()
    }
