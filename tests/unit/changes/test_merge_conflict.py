"""What an issue about a conflict says, whatever the branches and files are called."""

from __future__ import annotations

import re

import pytest

from include.changes import MergeConflict, describe_merged, issue_of, label_of


def conflict(**change: object) -> MergeConflict:
    known: dict[str, object] = {
        "app": "api", "source": "prod", "target": "release", "source_commit": "a" * 40, "target_commit": "b" * 40,
        "files": ("README", "src/app.py"), "run": "run manual__2026-11-05T14:22:33+00:00 of api_prod",
    }  # fmt: skip
    return MergeConflict(**{**known, **change})  # type: ignore[arg-type]


def test_issue_says_what_where_and_what_to_do() -> None:
    text = issue_of(conflict())
    assert text.label == "redstart-conflict-api-prod-release"
    assert text.summary == "api: prod does not merge into release"
    for part in (
        "prod at aaaaaaaaaa, release at bbbbbbbbbb", "README\nsrc/app.py", "Nothing was written", "of api_prod",
        "git switch --detach origin/release\ngit merge aaaaaaaaaa", "git push origin HEAD:refs/heads/release",
    ):  # fmt: skip
        assert part in text.description


def test_same_conflict_gives_the_same_text_and_another_another() -> None:
    assert issue_of(conflict()) == issue_of(conflict())
    assert issue_of(conflict(target_commit="c" * 40)).description != issue_of(conflict()).description
    assert issue_of(conflict(target_commit="c" * 40)).label == issue_of(conflict()).label


@pytest.mark.parametrize("branch", ["feature/one two", 'x" OR 1=1', "caf\u00e9", "a\nb", "x" * 500])
def test_label_is_one_word_of_harmless_letters(branch: str) -> None:
    assert re.fullmatch(r"redstart-conflict-[A-Za-z0-9._-]{1,140}", label_of("api", branch, "release"))


def test_names_that_would_share_a_label_do_not() -> None:
    names = ["a/b", "a-b", "a b", "a\u00e9b"]
    assert len({label_of("api", name, "release") for name in names}) == len(names)


def test_what_others_wrote_is_no_notation() -> None:
    files = ("{noformat}", "!image.png!", "[~admin]", "a\nb", "\u202egnp.exe", "x" * 999)
    text = issue_of(conflict(files=files, run="run [~admin] {color:red} !x! of api_prod"))
    assert text.description.count("{noformat}") == 4, "two blocks, each opened and closed once"
    inside = text.description.split("{noformat}\n")[1]
    assert inside.splitlines()[:5] == ["{ noformat }", "!image.png!", "[~admin]", "a?b", "?gnp.exe"]
    assert all(len(line) <= 300 for line in inside.splitlines())
    assert not re.search(r"[\[\]{}!~|*]", text.description.rpartition("{noformat}")[2])


def test_thousands_of_files_are_counted_and_not_listed() -> None:
    text = issue_of(conflict(files=tuple(f"file{count}" for count in range(3000))))
    assert "and 2900 more" in text.description
    assert len(text.description) < 5000


def test_summary_fits_into_one_line_of_jira() -> None:
    summary = issue_of(conflict(source="x\n" * 400)).summary
    assert len(summary) <= 250 and summary.isprintable()


def test_later_merge_says_where_the_target_is() -> None:
    assert describe_merged("prod", "release", "d" * 40, "run 2 of api_prod") == (
        "Merged since: release contains prod as of dddddddddd. Seen by run 2 of api_prod."
    )
