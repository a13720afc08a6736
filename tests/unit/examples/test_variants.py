"""The demo's commits: each applies wherever it may come, changes something, and can be taken back."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sample_application import EXAMPLES, copy_source, load_example

variants = load_example("variants/apply.py")
BAD = ("slow", "errors", "leak", "heat", "contract")
TELLING = re.compile(r"slow|leak|heat|error|bug|fail|break|canary|bad|N\+1", re.IGNORECASE)


def digest(folder: Path, *, below: str = "opt") -> str:
    files = sorted(path for path in (folder / below).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return hashlib.sha256(b"".join(bytes(path) + path.read_bytes() for path in files)).hexdigest()


def compiles(folder: Path) -> None:
    for path in (folder / "opt").rglob("*.py"):
        compile(path.read_text(), str(path), "exec")


def test_thirty_good_commits_in_a_row_are_thirty_changes(tmp_path: Path) -> None:
    tree = copy_source(tmp_path / "tree")
    seen = {digest(tree, below=".")}
    for number in range(1, 31):
        before = [(tree / change.file).read_text() for change in variants.GOOD]
        message = variants.apply_variant(tree, "good", number)
        assert message.startswith(f"API-{100 + number} ")
        assert [(tree / change.file).read_text() for change in variants.GOOD] != before
        seen.add(digest(tree, below="."))
        compiles(tree)
    assert len(seen) == 31


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("goods", [0, 7, 12])
def test_a_bad_commit_applies_after_any_good_ones_and_is_taken_back_by_the_next(
    tmp_path: Path, name: str, goods: int
) -> None:
    tree, twin = copy_source(tmp_path / "tree"), copy_source(tmp_path / "twin")
    for number in range(1, goods + 1):
        variants.apply_variant(tree, "good", number)
        variants.apply_variant(twin, "good", number)
    before = digest(tree)
    variants.apply_variant(tree, name, goods + 1)
    compiles(tree)
    assert digest(tree) != before
    once = digest(tree)
    variants.apply_variant(tree, name, goods + 2)
    assert digest(tree) == once
    message = variants.apply_variant(tree, "good", goods + 3)
    assert "Takes back" in message
    variants.apply_variant(twin, "good", goods + 3)
    assert {path.read_text() for path in (tree / "opt").rglob("*.py")} == {
        path.read_text() for path in (twin / "opt").rglob("*.py")
    }


@pytest.mark.parametrize("name", ["good", *BAD])
def test_messages_read_like_a_developers_and_give_nothing_away(tmp_path: Path, name: str) -> None:
    for number in range(1, 13 if name == "good" else 2):
        subject, blank, *body = variants.apply_variant(copy_source(tmp_path / str(number)), name, number).splitlines()
        assert re.match(r"API-\d+ [A-Z]", subject) and len(subject) <= 50 and not blank and body
        assert not TELLING.search(" ".join([subject, *body]).replace("often", ""))


def test_what_is_not_there_is_said_and_nothing_is_guessed(tmp_path: Path) -> None:
    tree = copy_source(tmp_path / "tree")
    with pytest.raises(ValueError, match="no variant 'worse'"):
        variants.apply_variant(tree, "worse", 1)
    path = tree / "opt/app/api/titles.py"
    path.write_text(path.read_text().replace("not rated", "unrated"))
    with pytest.raises(ValueError, match="expected once, found 0 times"):
        variants.apply_variant(tree, "errors", 1)


def test_the_command_prints_the_message(tmp_path: Path) -> None:
    tree = copy_source(tmp_path / "tree")
    command = [sys.executable, str(EXAMPLES / "variants/apply.py"), str(tree)]
    done = subprocess.run([*command, "heat", "4"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("API-104 ")
    for wrong in (["heat"], ["worse", "1"], ["heat", "x"]):
        assert subprocess.run([*command, *wrong], capture_output=True, check=False).returncode != 0
