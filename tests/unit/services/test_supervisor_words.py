"""What a dead part's log is boiled down to."""

from __future__ import annotations

from pathlib import Path

from include.services.supervisor import Supervisor


def test_last_words_are_the_last_line_that_says_something(tmp_path: Path) -> None:
    supervisor = Supervisor("none", tmp_path)
    (tmp_path / "cloud.log").write_text("starting\nport 28100 is taken\n\n  \n")
    assert supervisor.last_words("cloud") == "port 28100 is taken"


def test_a_part_without_a_log_says_so(tmp_path: Path) -> None:
    assert Supervisor("none", tmp_path).last_words("cloud") == "no log"
