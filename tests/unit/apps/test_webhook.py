"""What a host tells of a push: GitHub's and GitLab's shapes, and everything that is neither."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.apps.webhook import Ignored, NotSignedError, Push, UnreadableError, find_repository, read_push, sign

SECRET = "It's a Secret to Everybody"
COMMIT = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"


def github(told: Any, *, event: str = "push", secret: str = SECRET) -> tuple[dict[str, str], bytes]:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return {"x-github-event": event, "x-hub-signature-256": sign(body, secret)}, body


def gitlab(told: Any, *, event: str = "Push Hook", token: str = SECRET) -> tuple[dict[str, str], bytes]:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return {"x-gitlab-event": event, "x-gitlab-token": token}, body


def github_push(**changed: Any) -> dict[str, Any]:
    """As GitHub writes it, without what nobody here reads."""
    return {
        "ref": "refs/heads/prod",
        "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "after": COMMIT,
        "created": False,
        "deleted": False,
        "forced": False,
        "repository": {"id": 186853002, "name": "api", "full_name": "acme/api", "private": True},
        "pusher": {"name": "ann", "email": "ann@example.org"},
        "commits": [],
    } | changed


def gitlab_push(**changed: Any) -> dict[str, Any]:
    """As GitLab writes it, without what nobody here reads."""
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
        "after": COMMIT,
        "ref": "refs/heads/release/2026",
        "checkout_sha": COMMIT,
        "project_id": 15,
        "project": {"id": 15, "name": "Api", "path_with_namespace": "acme/team/api", "default_branch": "prod"},
        "commits": [],
        "total_commits_count": 4,
    } | changed


def test_the_signature_is_the_one_of_github_s_own_example() -> None:
    expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign(b"Hello, World!", SECRET) == f"sha256={expected}"


def test_a_push_as_github_tells_it() -> None:
    assert read_push(*github(github_push()), SECRET) == Push("acme/api", "prod", COMMIT)


def test_a_push_as_gitlab_tells_it() -> None:
    assert read_push(*gitlab(gitlab_push()), SECRET) == Push("acme/team/api", "release/2026", COMMIT)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (github({"zen": "Keep it logically awesome."}, event="ping"), "ping starts nothing"),
        (github(b"no JSON", event="ping"), "ping starts nothing"),
        (github(github_push(), event="<b>" + "x" * 99), "b" + "x" * 39 + " starts nothing"),
        (github(github_push(ref="refs/tags/v1")), "not a branch"),
        (github(github_push(after="0" * 40, deleted=True)), "the branch was deleted"),
        (gitlab(gitlab_push(), event="Tag Push Hook"), "Tag Push Hook starts nothing"),
        (gitlab(gitlab_push(after="0" * 40, checkout_sha=None)), "the branch was deleted"),
        (gitlab(gitlab_push(after="0" * 64)), "the branch was deleted"),
        (gitlab({}, event=""), "an event without a name starts nothing"),
    ],
)
def test_what_starts_nothing_is_ignored_with_a_word(sent: tuple[dict[str, str], bytes], why: str) -> None:
    assert read_push(*sent, SECRET) == Ignored(why)


@pytest.mark.parametrize(
    "changed",
    [
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": sign(b"another body", SECRET)},
        {"x-hub-signature-256": sign(json.dumps(github_push()).encode(), "guess")},
        {"x-hub-signature-256": sign(json.dumps(github_push()).encode(), SECRET).removeprefix("sha256=")},
        {"x-hub-signature-256": sign(json.dumps(github_push()).encode(), SECRET).upper()},
        {"x-hub-signature-256": "sha256=ÿ☃"},
        # The weaker header that GitHub also sends, and another host's token, stand for nothing.
        {"x-hub-signature-256": "", "x-hub-signature": "sha1=0000000000000000000000000000000000000000"},
        {"x-hub-signature-256": "", "x-gitlab-token": SECRET},
    ],
)
def test_what_is_not_signed_by_github_is_refused(changed: dict[str, str]) -> None:
    headers, body = github(github_push())
    with pytest.raises(NotSignedError):
        read_push(headers | changed, body, SECRET)


@pytest.mark.parametrize("token", ["", "guess", SECRET[:-1], SECRET + "x", SECRET.upper(), "ÿ☃"])
def test_what_does_not_bring_gitlab_s_token_is_refused(token: str) -> None:
    with pytest.raises(NotSignedError):
        read_push(*gitlab(gitlab_push(), token=token), SECRET)


def test_a_token_may_have_letters_of_any_alphabet() -> None:
    """HTTP libraries read the bytes of a header as Latin-1."""
    secret = "schlüssel-☃"
    sent = secret.encode().decode("latin-1")
    assert isinstance(read_push(*gitlab(gitlab_push(), token=sent), secret), Push)
    assert isinstance(read_push(*github(github_push(), secret=secret), secret), Push)


def test_nothing_is_signed_where_there_is_no_secret() -> None:
    for sent in (github(github_push(), secret=""), gitlab(gitlab_push(), token=""), ({}, b"")):
        with pytest.raises(NotSignedError):
            read_push(*sent, "")


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"payload=%7B%7D",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'"push"',
        {},
        github_push(repository=None),
        github_push(repository=[]),
        github_push(repository={"full_name": 1}),
        github_push(repository={"full_name": ""}),
        github_push(ref=None),
        github_push(ref=["refs/heads/prod"]),
        github_push(after="main"),
        github_push(after="--upload-pack=x"),
        github_push(after=COMMIT + "\n"),
        github_push(after=None),
    ],
    ids=str,
)
def test_what_is_signed_and_no_push_is_refused(told: Any) -> None:
    with pytest.raises(UnreadableError):
        read_push(*github(told), SECRET)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(github_push())), inner, max_size=5)
    ),
    max_leaves=10,
)


@given(told=json_values, host=st.sampled_from([github, gitlab]))
def test_whatever_is_signed_gives_a_push_a_word_or_a_refusal(told: Any, host: Any) -> None:
    try:
        found = read_push(*host(told), SECRET)
    except UnreadableError:
        return
    assert isinstance(found, Push | Ignored)


@given(body=st.binary(max_size=100), said=st.text(max_size=80), token=st.text(max_size=80))
def test_nobody_is_believed_without_the_secret(body: bytes, said: str, token: str) -> None:
    headers = {"x-github-event": "push", "x-hub-signature-256": said, "x-gitlab-token": token}
    with pytest.raises(NotSignedError):
        read_push(headers, body, SECRET)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("acme/api", "api"),
        ("api", "api"),
        ("acme/team/web", "team/web"),
        ("acme/team/web.git", "team/web"),
        ("web", None),
        ("acme/my-api", None),
        ("acme/api/docs", None),
        ("", None),
        ("acme/team/api", "team/api"),
        ("Acme/API", "api"),
        ("acme/other", "other.git"),
    ],
)
def test_a_repository_is_known_by_the_end_of_its_path(said: str, found: str | None) -> None:
    assert find_repository(said, ["api", "team/web", "team/api", "other.git"]) == found
