"""What a repository's host tells of a push, in GitHub's and GitLab's words: is it really from there, and what moved.

GitHub signs the body (`X-Hub-Signature-256`, HMAC-SHA256), GitLab sends the secret itself (`X-Gitlab-Token`). Said
again, by the host or by a thief, a push does nothing new: whoever watches the branch asks the repository itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from include.errors import RefusedError

MOST_BYTES = 1024 * 1024
BRANCHES = "refs/heads/"
COMMIT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class NotSignedError(RefusedError):
    """Nobody who knows the secret has sent this."""


class UnreadableError(RefusedError):
    """It was sent by who knows the secret, and is not what a push looks like."""


@dataclass(frozen=True)
class Push:
    """A branch of a repository is at `commit` now, the sender says."""

    repository: str
    branch: str
    commit: str


@dataclass(frozen=True)
class Ignored:
    """Nothing that a flow could start from, and why."""

    why: str


def read_push(headers: Mapping[str, str], body: bytes, secret: str) -> Push | Ignored:
    """The push that a webhook tells of. `headers`: their names in lower case, their values read as Latin-1.

    NotSignedError unless it is signed with the secret, which is looked at before anything else; UnreadableError where
    it is no push as GitHub or GitLab write it.
    """
    if "x-hub-signature-256" in headers or "x-github-event" in headers:
        _check_signature(headers.get("x-hub-signature-256", ""), body, secret)
        return _github_push(headers.get("x-github-event", ""), body)
    _check_token(headers.get("x-gitlab-token", ""), secret)
    return _gitlab_push(headers.get("x-gitlab-event", ""), body)


def sign(body: bytes, secret: str) -> str:
    """The value of `X-Hub-Signature-256`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def find_repository(said: str, known: Iterable[str]) -> str | None:
    """Which of the repositories that are delivered from is meant.

    Hosts say the whole path (`acme/team/api`); ours may leave out where the git connection's address already ends.
    """
    path = _path(said)
    return max((name for name in known if path.endswith(_path(name))), key=len, default=None)


def _path(repository: str) -> str:
    # Hosts do not tell `Acme/API` from `acme/api`, and say what somebody once typed.
    return f"/{repository.strip('/').removesuffix('.git').casefold()}"


def _check_signature(said: str, body: bytes, secret: str) -> None:
    # An empty key would be one that everybody knows.
    if not secret or not hmac.compare_digest(_sent(said), sign(body, secret).encode()):
        raise NotSignedError(
            "The signature in X-Hub-Signature-256 is missing, or not made with this installation's secret."
        )


def _check_token(said: str, secret: str) -> None:
    if not secret or not hmac.compare_digest(_sent(said), secret.encode()):
        raise NotSignedError("No valid X-Hub-Signature-256 (GitHub) or X-Gitlab-Token (GitLab) came with this.")


def _sent(value: str) -> bytes:
    """A header's bytes, as they came: compare_digest refuses text that is not ASCII."""
    return value.encode("latin-1", errors="backslashreplace")


def _github_push(event: str, body: bytes) -> Push | Ignored:
    if event != "push":
        return Ignored(f"{_short(event) or 'an event without a name'} starts nothing")
    told = _object(body)
    return _push(told, _text(_mapping(told, "repository"), "full_name"))


def _gitlab_push(event: str, body: bytes) -> Push | Ignored:
    if event != "Push Hook":
        return Ignored(f"{_short(event) or 'an event without a name'} starts nothing")
    told = _object(body)
    return _push(told, _text(_mapping(told, "project"), "path_with_namespace"))


def _push(told: Mapping[str, Any], repository: str) -> Push | Ignored:
    ref, commit = _text(told, "ref"), _text(told, "after")
    if not ref.startswith(BRANCHES):
        return Ignored("not a branch")
    if not COMMIT_ID.fullmatch(commit):
        raise UnreadableError("`after` must be a commit id of 40 or 64 hex digits.")
    if set(commit) == {"0"}:
        return Ignored("the branch was deleted")
    return Push(repository, ref.removeprefix(BRANCHES), commit)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError("The body must be JSON: choose application/json as the webhook's content type.") from None
    if not isinstance(told, dict):
        raise UnreadableError("The body must be a JSON object.")
    return told


def _mapping(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = told.get(key)
    if not isinstance(found, dict):
        raise UnreadableError(f"`{key}` must be an object.")
    return found


def _text(told: Mapping[str, Any], key: str) -> str:
    found = told.get(key)
    if not isinstance(found, str) or not found:
        raise UnreadableError(f"`{key}` must be a text.")
    return found


def _short(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum() or letter in " _-.")[:40]
