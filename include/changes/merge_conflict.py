"""A merge that two branches did not agree on, as an issue: its label, and the words that a person acts on."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

MOST_FILES = 100
MOST_SUMMARY = 250
MOST_NAME = 300
LABEL = "redstart-conflict"


@dataclass(frozen=True)
class MergeConflict:
    """`source` and `target` are branches; `files` are those that both have changed. `run` says where it was seen."""

    app: str
    source: str
    target: str
    source_commit: str
    target_commit: str
    files: tuple[str, ...]
    run: str


@dataclass(frozen=True)
class IssueText:
    """`label` finds the issue again; `comment` is what is added to one that is open already and says something else."""

    label: str
    summary: str
    description: str
    comment: str


def label_of(app: str, source: str, target: str) -> str:
    """The same for every conflict between the two branches: letters, digits, `.`, `_` and `-` only.

    Names that would have become the same by that are told apart by a digest.
    """
    raw = f"{app}-{source}-{target}"
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", raw)[:120]
    digest = "" if clean == raw else f"-{hashlib.sha256(raw.encode(errors='replace')).hexdigest()[:8]}"
    return f"{LABEL}-{clean}{digest}"


def issue_of(conflict: MergeConflict) -> IssueText:
    """The issue's texts in Jira's wiki notation; what others wrote stands in blocks where nothing is notation."""
    source, target = plain(conflict.source), plain(conflict.target)
    sides = f"{source} at {conflict.source_commit[:10]}, {target} at {conflict.target_commit[:10]}"
    files = block(conflict.files)
    description = (
        f"Redstart could not merge {source} into {target} of {plain(conflict.app)}: both changed the same lines. "
        f"Nothing was written.\n\n"
        f"Commits: {sides}\n\nFiles:\n{files}\n\n"
        f"What to do: merge {source} into {target} by hand and push it.\n{commands(conflict)}\n\n"
        f"The next run finds it merged, and says so here. Seen by {plain(conflict.run)}."
    )
    comment = f"Still in conflict: {sides}. Files:\n{files}"
    summary = f"{conflict.app}: {conflict.source} does not merge into {conflict.target}"
    label = label_of(conflict.app, conflict.source, conflict.target)
    return IssueText(label, _printable(summary, MOST_SUMMARY), description, comment)


def describe_merged(source: str, target: str, merged_to: str, run: str) -> str:
    """The comment on an open issue once the merge has gone through."""
    return f"Merged since: {plain(target)} contains {plain(source)} as of {merged_to[:10]}. Seen by {plain(run)}."


def commands(conflict: MergeConflict) -> str:
    """The merge by hand, of just that commit, and beside any work of the person's own; branches have harmless names."""
    return block((
        "git fetch origin",
        f"git switch --detach origin/{conflict.target}",
        f"git merge {conflict.source_commit}",
        f"git push origin HEAD:refs/heads/{conflict.target}",
    ))  # fmt: skip


def block(lines: tuple[str, ...]) -> str:
    """Lines as they are, whatever they contain."""
    shown = [_printable(line, MOST_NAME).replace("{noformat}", "{ noformat }") for line in lines[:MOST_FILES]]
    if len(lines) > MOST_FILES:
        shown.append(f"and {len(lines) - MOST_FILES} more")
    return "\n".join(("{noformat}", *shown, "{noformat}"))


def plain(text: str) -> str:
    """A few words in running text, with nothing that Jira would take for notation, a link or a mention."""
    return re.sub(r"[^A-Za-z0-9 .,:;+_/-]", "?", _printable(text, MOST_NAME))


def _printable(text: str, most: int) -> str:
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"
