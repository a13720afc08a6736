"""A build sees nothing of ours, says why it failed, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from include.adapters.build_process import run_command, sha256_of
from include.errors import RefusedError


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_environment_is_clean_and_output_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leak")
    log = tmp_path / "log"
    script = "import os; print(sorted(os.environ)); print(os.getcwd())"
    run_command(["python3", "-c", script], tmp_path, log, timeout_seconds=20, environment={"GIVEN": "1"})
    said = log.read_text()
    assert "AWS_SECRET_ACCESS_KEY" not in said
    assert "GIVEN" in said
    assert str(tmp_path) in said


def test_failure_shows_the_end_of_the_output(tmp_path: Path) -> None:
    script = "print('first', flush=True); raise SystemExit('the last word')"
    with pytest.raises(RefusedError, match=r"status 1:(.|\n)*the last word"):
        run_command(["python3", "-c", script], tmp_path, tmp_path / "log", timeout_seconds=20)


def test_unknown_command_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no-such-tool"):
        run_command(["no-such-tool"], tmp_path, tmp_path / "log", timeout_seconds=5)


@pytest.mark.parametrize("ending", ["import time; time.sleep(600)", "pass"], ids=["time limit", "success"])
def test_descendants_end_with_the_command_even_in_their_own_session(tmp_path: Path, ending: str) -> None:
    child = "import os, time; os.setsid(); open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    script = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "while not os.path.exists('pid') or not open('pid').read(): time.sleep(.01)\n" + ending
    )
    try:
        run_command(["python3", "-c", script], tmp_path, tmp_path / "log", timeout_seconds=3)
    except RefusedError as error:
        assert "was ended after 3 s" in str(error)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)
    assert pid != os.getpid()


def test_digest_is_of_the_content(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert sha256_of(file).startswith("ba7816bf")
