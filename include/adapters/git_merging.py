"""A branch, or a commit, into another branch of the remote: all or nothing, and never a forced history."""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from include.adapters.git_command import Ended
from include.adapters.git_mirror import COMMIT_ID, HEADS, TAGS, BrokenMirrorError, GitMirror
from include.adapters.git_words import Rejection, without_password
from include.apps.source import MergeResult
from include.errors import ConfigError, RefusedError, RetryableError

TRIES = 3
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$")


@dataclass(frozen=True)
class Signature:
    """Who merges, and the SSH key that signs for it ("" for none)."""

    name: str
    mail: str
    key: str = ""


@dataclass(frozen=True)
class Sides:
    """What is to be merged, as commit ids: `theirs` into `ours`; `tagged` is where the tag is already."""

    theirs: str
    ours: str
    tagged: str | None


class GitMerge:
    """One merge of `source`, a branch or a commit's id, into the branch `target`; `tag` is for the source's commit."""

    def __init__(
        self, mirror: GitMirror, source: str, target: str, *, message: str, tag: str, signature: Signature
    ) -> None:
        for name in (source, target, *([tag] if tag else [])):
            check_name(name)
        self.mirror, self.source, self.target = mirror, source, target
        self.message, self.tag, self.signature = message, tag, signature
        self.url = without_password(mirror.url)

    def run(self) -> MergeResult:
        """Look, merge, push; from the beginning where somebody else was quicker, three times in all.

        A conflict is a value, and nothing is written. RefusedError where a person has to decide; RetryableError where
        the same may work later.
        """
        why = ""
        for _ in range(TRIES):
            try:
                result, why = self._try()
            except BrokenMirrorError as error:
                why = str(error)
                continue
            if result is not None:
                return result
        raise RetryableError(
            f"{self.target} of {self.url} moved {TRIES} times while {self.source} was being merged, and nothing was "
            f"written; this is tried again by itself. The last time: {why}"
        )

    def _try(self) -> tuple[MergeResult | None, str]:
        self.mirror.fetch(tag=self.tag, maintain=False)
        sides = self._sides()
        result = self._merge(sides)
        if result.outcome == "conflict":
            return result, ""
        refs = []
        if result.merged_to != sides.ours:
            refs.append((f"refs/heads/{self.target}", sides.ours, result.merged_to))
        if self.tag and sides.tagged is None:
            refs.append((f"refs/tags/{self.tag}", "", self._make_tag(sides.theirs)))
        if not refs:
            return result, ""
        leases = [f"--force-with-lease={ref}:{expected}" for ref, expected, _ in refs]
        ended = self.mirror.push(*leases, "--", self.mirror.url, *(f"{new}:{ref}" for ref, _, new in refs))
        return (result, "") if ended.status == 0 else (None, self._raced(ended))

    def _sides(self) -> Sides:
        is_commit = bool(COMMIT_ID.match(self.source))
        names = [self.source if is_commit else f"{HEADS}{self.source}", f"{HEADS}{self.target}"]
        if self.tag:
            names.append(f"{TAGS}{self.tag}")
        theirs, ours, *tags = self.mirror.resolve_all(names)
        if theirs is None and is_commit and self.mirror.fetch_commit(self.source):
            theirs = self.source
        if ours is None:
            raise RefusedError(
                f"{self.url} has no branch {self.target}: create it, or mend `merge_into` in the application's file; "
                "then clear this task."
            )
        if theirs is None:
            raise RefusedError(
                f"{self.url} no longer has {self.source}: was a branch moved by force or deleted? Put it back, or "
                f"merge into {self.target} by hand."
            )
        tagged = tags[0] if tags else None
        if self.tag and tagged not in (None, theirs):
            raise RefusedError(
                f"Tag {self.tag} of {self.url} is at {str(tagged)[:10]}, not at {theirs[:10]}, and nothing was "
                "written: find out who set it, delete it there if it is wrong, and clear this task."
            )
        return Sides(theirs, ours, tagged)

    def _merge(self, sides: Sides) -> MergeResult:
        theirs, ours, tag = sides.theirs, sides.ours, self.tag
        base = self.mirror.local("merge-base", ours, theirs, statuses=(0, 1)).output.strip()
        if base == theirs:
            return MergeResult("nothing to do", theirs, ours, ours, tag=tag)
        if base == ours:
            return MergeResult("fast-forward", theirs, ours, theirs, tag=tag)
        if not base:
            raise RefusedError(
                f"{self.source} and {self.target} of {self.url} have no commit in common: was one of them replaced by "
                "force? Put it back, or merge them by hand."
            )
        arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
        ended = self.mirror.local(*arguments, statuses=(0, 1))
        tree, *names = ended.output.split("\0")
        # Status 1 is a conflict only if a tree was written: an unusable object gives 1 as well.
        if not COMMIT_ID.match(tree):
            raise self.mirror.broken("merge-tree", ended)
        if ended.status == 1:
            return MergeResult("conflict", theirs, ours, conflicts=tuple(sorted({name for name in names if name})))
        return MergeResult("merged", theirs, ours, self._make_commit(tree, sides), tag=tag)

    def _make_commit(self, tree: str, sides: Sides) -> str:
        arguments = ("commit-tree", tree, "-p", sides.ours, "-p", sides.theirs, "-F", "-")
        text = _clean(self.message)
        if not self.signature.key:
            return self.mirror.local(*arguments, stdin=text).output.strip()
        settings = ("gpg.format=ssh", f"user.signingkey={self.signature.key}")
        ended = self.mirror.local(*arguments, "-S", stdin=text, settings=settings, statuses=(0, 1, 128))
        if ended.status:
            raise _no_signature(self.signature, ended)
        return ended.output.strip()

    def _make_tag(self, commit: str) -> str:
        who = f"{self.signature.name} <{self.signature.mail}> {time.time():.0f} +0000"
        text = f"object {commit}\ntype commit\ntag {self.tag}\ntagger {who}\n\n{_clean(self.message)}"
        return self.mirror.local("mktag", stdin=text + self._signature_of(text)).output.strip()

    def _signature_of(self, text: str) -> str:
        """What `git tag -s` would put below the text; mktag itself does not sign."""
        if not self.signature.key:
            return ""
        with tempfile.TemporaryDirectory(prefix="redstart-tag-") as scratch:
            payload = Path(scratch, "tag")
            payload.write_bytes(text.encode(errors="replace"))
            command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", self.signature.key, str(payload)]
            ended = self.mirror.git.run_program(command)
            if ended.status:
                raise _no_signature(self.signature, ended)
            return payload.with_suffix(".sig").read_text(encoding="ascii")

    def _raced(self, ended: Ended) -> str:
        """Why the push is to be tried again; raises where that would not help now."""
        rejection = Rejection.read(ended.output, ended.problem)
        what = f"the push of {self.target}" + (f" and tag {self.tag}" if self.tag else "")
        if rejection.is_race:
            return f"{rejection.reason} {rejection.words}"
        if rejection.is_passing:
            raise RetryableError(
                f"{self.url} did not take {what}; this is tried again by itself, and finds out whether it has after "
                f"all. It said: {rejection.reason} {rejection.words}"
            )
        raise RefusedError(
            f"{self.url} refuses {what} {rejection.reason}, and nothing was written. Mend what it says, or let the git "
            f"connection's account push there, then clear this task. It said: {rejection.words}"
        )


def check_name(name: str) -> None:
    """RefusedError where `name` is none that a branch or a tag may have here."""
    unfit = not NAME.match(name) or ".." in name or "//" in name or name.endswith((".lock", "/", "."))
    if unfit or any(part.startswith(".") for part in name.split("/")):
        raise RefusedError(f"{name!r} is not the name of a branch or tag.")


def _clean(message: str) -> str:
    """A message as git takes it: without NUL, ended by one line feed."""
    return message.replace("\0", " ").strip() + "\n"


def _no_signature(signature: Signature, ended: Ended) -> ConfigError:
    return ConfigError(
        f"cannot sign: {ended.words}", source="the git connection", key="signing_key", value=signature.key
    )
