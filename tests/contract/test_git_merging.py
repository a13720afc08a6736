"""Merges of branches and releases, against real repositories: what the remote has afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from include.adapters.git_repository import GitRepository
from include.errors import ConfigError, RefusedError
from tests.support.git import Origin, git, make_origin
from tests.support.git_remote import refs

ODD_NAMES = ("-n", '"quoted".txt', "new\nline", "caf\u00e9", "$(touch x)", "a b", "{noformat}", "-")


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return make_origin(tmp_path / "remote")


@pytest.fixture
def repository(origin: Origin, tmp_path: Path) -> GitRepository:
    return GitRepository(origin.url, tmp_path / "mirror.git", identity=("Redstart", "cd@example.org"))


def show(origin: Origin, form: str, ref: str) -> str:
    return git(Path(origin.url), "log", "-1", f"--format={form}", ref)


def names(origin: Origin, ref: str) -> set[str]:
    return set(git(Path(origin.url), "ls-tree", "-r", "-z", "--name-only", ref).strip("\0").split("\0"))


def test_prod_ahead_of_release_is_a_fast_forward(origin: Origin, repository: GitRepository) -> None:
    commit = origin.commit("prod", {"fix": "1"})
    result = repository.merge("prod", "release")
    assert (result.outcome, origin.head("release")) == ("fast-forward", commit)
    assert repository.merge("prod", "release").outcome == "nothing to do"


def test_both_moved_makes_a_merge_commit_with_both_parents(origin: Origin, repository: GitRepository) -> None:
    fix = origin.commit("prod", {"fix": "1"})
    work = origin.commit("release", {"feature": "1"})
    result = repository.merge("prod", "release")
    assert (result.outcome, result.source_commit, result.target_commit) == ("merged", fix, work)
    assert origin.head("release") == result.merged_to
    assert show(origin, "%P", "release").split() == [work, fix]
    assert show(origin, "%an %ae %cn %ce", "release") == "Redstart cd@example.org Redstart cd@example.org"
    assert names(origin, "release") == {"README", "feature", "fix"}


def test_conflict_names_its_files_and_leaves_the_remote_as_it_was(origin: Origin, repository: GitRepository) -> None:
    origin.commit("prod", {"README": "prod\n", "fine": "1", **dict.fromkeys(ODD_NAMES, "prod\n")})
    origin.commit("release", {"README": "release\n", **dict.fromkeys(ODD_NAMES, "release\n")})
    before = refs(origin)
    result = repository.merge("prod", "release", tag="release-1")
    assert (result.outcome, set(result.conflicts)) == ("conflict", {"README", *ODD_NAMES})
    assert (result.tag, refs(origin)) == ("", before)


def test_odd_names_on_both_sides_merge(origin: Origin, repository: GitRepository) -> None:
    origin.commit("prod", {f"{name}/x": "1" for name in ODD_NAMES})
    origin.commit("release", {f"{name}/y": "1" for name in ODD_NAMES})
    assert repository.merge("prod", "release").outcome == "merged"
    assert names(origin, "release") == {"README", *(f"{one}/{file}" for one in ODD_NAMES for file in "xy")}


def test_name_that_is_no_utf8_is_shown_in_a_conflict(origin: Origin, repository: GitRepository) -> None:
    for branch in ("prod", "release"):
        git(origin.work, "checkout", "--quiet", branch)
        Path(origin.work, b"caf\xe9".decode("utf-8", "surrogateescape")).write_text(branch)
        origin.commit(branch, {})
    assert repository.merge("prod", "release").conflicts == ("caf\\xe9",)


@pytest.mark.parametrize(
    "message",
    ["-F /etc/passwd", "--help", "a\nb\n\n\"c\" $(d) `e` 'f'", "\x00nul", "# no comment", "caf\u00e9 \U0001f426"],
)
def test_message_is_text_whatever_it_is(origin: Origin, repository: GitRepository, message: str) -> None:
    origin.commit("prod", {"fix": "1"})
    origin.commit("release", {"feature": "1"})
    repository.merge("prod", "release", message=message, tag="v1")
    wanted = message.replace("\0", " ").strip()
    assert show(origin, "%B", "release").rstrip("\n") == wanted
    assert git(Path(origin.url), "tag", "-l", "--format=%(contents)", "v1").rstrip("\n") == wanted


@pytest.mark.parametrize(
    "name", ["-f", "--all", "", "a b", "a..b", "a\nb", "refs/../x", ".x", "a/.b", "x.lock", "a:b", "+a", "a~1"]
)
def test_names_that_are_options_or_more_than_names_are_refused(repository: GitRepository, name: str) -> None:
    with pytest.raises(RefusedError, match="not the name"):
        repository.merge(name, "release")
    with pytest.raises(RefusedError, match="not the name"):
        repository.merge("prod", name)
    if name:
        with pytest.raises(RefusedError, match="not the name"):
            repository.merge("prod", "release", tag=name)


def test_release_is_merged_and_tagged_as_one(origin: Origin, repository: GitRepository) -> None:
    candidate = origin.commit("release", {"feature": "1"})
    origin.commit("release", {"later": "1"})
    patch = origin.commit("prod", {"fix": "1"})
    result = repository.merge(candidate, "prod", message="Release 7", tag="release-7")
    assert (result.outcome, result.tag) == ("merged", "release-7")
    assert show(origin, "%P", "prod").split() == [patch, candidate]
    assert names(origin, "prod") == {"README", "feature", "fix"}, "what came after the candidate stays out"
    tagged = git(Path(origin.url), "cat-file", "-p", "release-7")
    assert tagged.startswith(f"object {candidate}\ntype commit\ntag release-7\ntagger Redstart <cd@example.org> ")
    assert tagged.endswith("\n\nRelease 7")
    before = refs(origin)
    again = repository.merge(candidate, "prod", message="Release 7", tag="release-7")
    assert (again.outcome, again.tag, refs(origin)) == ("nothing to do", "release-7", before)


def test_merged_but_not_tagged_is_tagged(origin: Origin, repository: GitRepository) -> None:
    candidate = origin.commit("release", {"feature": "1"})
    repository.merge(candidate, "prod")
    head = origin.head("prod")
    result = repository.merge(candidate, "prod", tag="release-7")
    assert (result.outcome, origin.head("prod")) == ("nothing to do", head)
    assert git(Path(origin.url), "rev-parse", "release-7^{commit}") == candidate


def test_lightweight_tag_of_the_same_commit_will_do(origin: Origin, repository: GitRepository) -> None:
    candidate = origin.commit("release", {"feature": "1"})
    git(Path(origin.url), "tag", "release-7", candidate)
    assert repository.merge(candidate, "prod", tag="release-7").outcome == "fast-forward"
    assert git(Path(origin.url), "cat-file", "-t", "release-7") == "commit"


def test_tag_of_another_commit_stops_the_merge_before_anything_is_written(
    origin: Origin, repository: GitRepository
) -> None:
    git(Path(origin.url), "tag", "release-7", origin.head("prod"))
    candidate = origin.commit("release", {"feature": "1"})
    before = refs(origin)
    with pytest.raises(RefusedError, match="Tag release-7 .* nothing was written: find out who set it"):
        repository.merge(candidate, "prod", tag="release-7")
    assert refs(origin) == before
    git(Path(origin.url), "tag", "-d", "release-7")
    assert repository.merge(candidate, "prod", tag="release-7").tag == "release-7", "deleted there, gone here"


def test_tags_whose_names_begin_alike_are_told_apart(origin: Origin, repository: GitRepository) -> None:
    git(Path(origin.url), "tag", "release-71", origin.head("prod"))
    candidate = origin.commit("release", {"feature": "1"})
    assert repository.merge(candidate, "prod", tag="release-7").tag == "release-7"


def test_candidate_that_no_branch_contains_any_more_is_merged(origin: Origin, tmp_path: Path) -> None:
    candidate = origin.commit("release", {"feature": "1"})
    git(origin.work, "push", "--quiet", "--force", "origin", "prod:release")
    result = GitRepository(origin.url, tmp_path / "fresh.git").merge(candidate, "prod")
    assert (result.outcome, origin.head("prod")) == ("fast-forward", candidate)


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("f" * 40, "prod", "no longer has f+: was a branch moved by force"),
        ("gone", "prod", "no longer has gone: was a branch"),
        ("prod", "gone", "has no branch gone: create it, or mend `merge_into`"),
    ],
)
def test_what_the_remote_does_not_have_is_named(
    repository: GitRepository, source: str, target: str, sentence: str
) -> None:
    with pytest.raises(RefusedError, match=sentence):
        repository.merge(source, target)


def test_history_that_was_replaced_is_not_merged(origin: Origin, repository: GitRepository) -> None:
    git(origin.work, "checkout", "--quiet", "--orphan", "other")
    git(origin.work, "commit", "--quiet", "-m", "Another beginning")
    git(origin.work, "push", "--quiet", "--force", "origin", "other:release")
    before = refs(origin)
    with pytest.raises(RefusedError, match="no commit in common"):
        repository.merge("prod", "release")
    assert refs(origin) == before


def test_criss_cross_is_merged(origin: Origin, repository: GitRepository) -> None:
    origin.commit("prod", {"fix": "1"})
    origin.commit("release", {"feature": "1"})
    repository.merge("prod", "release")
    first = origin.head("prod")
    repository.merge(git(Path(origin.url), "rev-parse", "release^1"), "prod")
    assert origin.head("prod") != first
    git(origin.work, "fetch", "--quiet")
    assert repository.merge("prod", "release").outcome == "merged"
    assert repository.merge("prod", "release").outcome == "nothing to do"


def test_merge_commit_and_tag_are_signed_with_the_configured_key(origin: Origin, tmp_path: Path) -> None:
    key = tmp_path / "it's the key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cd", "-f", str(key)], check=True)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"cd@example.org {key.with_suffix('.pub').read_text()}")
    who = ("Redstart", "cd@example.org")
    repository = GitRepository(origin.url, tmp_path / "mirror.git", identity=who, signing_key=str(key))
    candidate = origin.commit("release", {"feature": "1"})
    origin.commit("prod", {"fix": "1"})
    repository.merge(candidate, "prod", message="Release caf\u00e9", tag="release-7")
    check = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}")
    git(Path(origin.url), *check, "verify-commit", "prod")
    git(Path(origin.url), *check, "verify-tag", "release-7")


def test_key_that_cannot_sign_is_named_and_nothing_is_written(origin: Origin, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("not a key")
    origin.commit("release", {"feature": "1"})
    origin.commit("prod", {"fix": "1"})
    before = refs(origin)
    with pytest.raises(ConfigError, match="signing_key: cannot sign.*key"):
        GitRepository(origin.url, tmp_path / "mirror.git", signing_key=str(key)).merge("release", "prod")
    assert refs(origin) == before
