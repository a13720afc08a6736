"""What git says, and what on-call is told about it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 400
CAUSES = (
    (
        (
            "Permission denied",
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "Access denied",
        ),
        "its key or password is not accepted, renew it in the git connection",
    ),
    (("Host key verification failed",), "its host key is not known here, see `known_hosts_file` of the git connection"),
    (
        ("Could not resolve host", "Name or service not known", "Temporary failure in name resolution"),
        "its name is not known here, look at DNS and at the git connection's host",
    ),
    (
        ("does not appear to be a git repository", "not found", "No such file or directory"),
        "there is no such repository, look at the git connection's host and at `repository` in the application's file",
    ),
    (("' not allowed",), "its protocol is not allowed, use ssh, https or a directory"),
)
REMOTE = (
    "Could not read from remote", "unable to access", "early EOF", "hung up", "RPC failed", "Connection ", "curl ",
    "remote error", "fetch-pack: unexpected disconnect", "does not appear to be a git repository",
    *(word for words, _ in CAUSES[:3] for word in words),
)  # fmt: skip
RACES = (
    "stale info", "fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "already exists",
    "incorrect old value", "remote ref updated", "transaction failed",
)  # fmt: skip
PASSING = ("unpacker error", "unpack-objects", "failed to report status", "remote failure", "No space left")


def without_password(text: str) -> str:
    """Addresses as they may be shown."""
    # To the last @: a password may have @ and / of its own.
    return re.sub(r"//\S*@", "//", text)


def one_line(text: str, most: int = MOST) -> str:
    """What a remote said, fit for a sentence: no colours, no control characters, no password, not too long."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", without_password(text))
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in plain).split())
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def is_of_the_remote(problem: str) -> bool:
    """Whether a fetch failed at the remote or on the way there, rather than in the clone."""
    return any(word in problem for word in REMOTE)


def is_harm(problem: str) -> bool:
    """Whether git stumbled over an object that it has, rather than was given a name for no commit or for several."""
    errors = [line for line in problem.splitlines() if line.startswith(("error:", "fatal:"))]
    return any("expected commit type" not in line and "is ambiguous" not in line for line in errors)


def explain_unread(url: str, problem: str) -> str:
    """Why a remote could not be read, and what to do."""
    advice = next((todo for words, todo in CAUSES if any(word in problem for word in words)), "look whether it is up")
    shown = f"{without_password(url)} could not be read: {advice}; this is tried again by itself"
    return f"{shown}. Git said: {one_line(problem)}"


@dataclass(frozen=True)
class Rejection:
    """Why a push did not go through, by `push --porcelain`: the reasons of the refs, and the remote's own words.

    No reasons: the remote was not reached, or the connection broke, and whether it has taken the push is not known.
    """

    reasons: tuple[str, ...]
    words: str

    @classmethod
    def read(cls, output: str, problem: str) -> Rejection:
        """From a failed push's two streams."""
        summaries = [
            line.split("\t")[2] for line in output.splitlines() if line.startswith("!") and line.count("\t") > 1
        ]
        # The others of an atomic push only say that they share the fate of one.
        reasons = tuple(one for one in summaries if "atomic push" not in one) or tuple(summaries)
        remote = [line.removeprefix("remote:").strip() for line in problem.splitlines() if line.startswith("remote:")]
        return cls(reasons, one_line(" ".join(part for part in remote if part) or problem))

    @property
    def reason(self) -> str:
        return one_line(", ".join(self.reasons))

    @property
    def is_race(self) -> bool:
        """Somebody else has moved a ref meanwhile, or holds it right now."""
        return any(word in one for one in self.reasons for word in RACES)

    @property
    def is_passing(self) -> bool:
        """Asking again may help."""
        return not self.reasons or any(word in one for one in self.reasons for word in PASSING)
