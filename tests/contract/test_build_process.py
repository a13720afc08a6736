"""A build sees nothing of ours, says why it failed, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from include.adapters import build_process
from include.adapters.build_process import end_of, log_tail, read_log, run_command, sha256_of
from include.errors import RefusedError
from tests.support.processes import wait_until

# Each way in which a process leaves those who began it. They write their ids into `pids`, and stay for ever.
STAY = "echo $$ >> pids; trap '' TERM HUP INT; while :; do sleep 600; done"
WAYS = {
    "background": f"sh -c '{STAY.replace(chr(39), chr(34))}' &",
    "nohup": "nohup sh ./stay >/dev/null 2>&1 &",
    "own session": "setsid sh ./stay &",
    "forked twice": "(setsid sh ./stay & ) &",
    "forked thrice, its environment thrown away": "(setsid env -i PATH=\"$PATH\" sh -c 'setsid sh ./stay & exit 0' & )",
    "closed files": "(setsid sh ./stay <&- >&- 2>&- & )",
}
RESTLESS = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
while True:
    with open("pids", "a") as file: file.write(f"{os.getpid()}\\n")
    time.sleep(0.02)
    if os.fork(): os._exit(0)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def script(folder: Path, way: str, last: str) -> list[str]:
    """A shell script that lets a process of `WAYS` go, waits until it is there, and ends with `last`."""
    folder.joinpath("stay").write_text(STAY)
    folder.joinpath("pids").touch()
    folder.joinpath("run").write_text(f"{WAYS[way]}\nwhile ! [ -s pids ]; do sleep 0.01; done\n{last}\n")
    return ["sh", "run"]


def left(folder: Path) -> list[int]:
    """Those of the script's that still run."""
    pids = [int(word) for word in (folder / "pids").read_text().split()]
    assert pids
    return [pid for pid in pids if is_running(pid)]


def test_environment_is_clean_and_output_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leak")
    script = "import os; print(sorted(os.environ)); print(os.getcwd()); print(os.listdir('/proc/self/fd'))"
    said = run_command(["python3", "-c", script], tmp_path, timeout_seconds=20, environment={"GIVEN": "1"}).tail
    assert "AWS_SECRET_ACCESS_KEY" not in said
    assert "GIVEN" in said
    assert str(tmp_path) in said
    assert "['0', '1', '2', '3']" in said, "3 is the folder that is listed: nothing of ours stays open"


def test_failure_shows_the_end_of_the_output(tmp_path: Path) -> None:
    script = "print('first', flush=True); raise SystemExit('the last word')"
    with pytest.raises(RefusedError, match=r"status 1:(.|\n)*the last word"):
        run_command(["python3", "-c", script], tmp_path, timeout_seconds=20)


def test_unknown_command_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="`no-such-tool` cannot be run: .*No such file"):
        run_command(["no-such-tool"], tmp_path, timeout_seconds=5)


def test_end_is_told_whichever_it_is(tmp_path: Path) -> None:
    def end(*command: str, seconds: float = 20) -> tuple[int | None, str]:
        found = end_of(command, tmp_path, timeout_seconds=seconds)
        return found.status, found.words

    assert end("true") == (0, "`true` ended with status 0")
    assert end("sh", "-c", "exit 3")[0] == 3
    assert end("sh", "-c", "kill -9 $$")[1].endswith("was killed by signal 9")
    assert end("sleep", "600", seconds=0.5) == (None, "`sleep 600` was ended after 0.5 s, its time limit")


@pytest.mark.parametrize("last", ["exit 0", "exit 1", "sleep 600"], ids=["success", "failure", "time limit"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_was_started_outlives_the_command(tmp_path: Path, way: str, last: str) -> None:
    began = time.monotonic()
    end = end_of(script(tmp_path, way, last), tmp_path, timeout_seconds=2)
    assert left(tmp_path) == []
    assert end.status == {"exit 0": 0, "exit 1": 1, "sleep 600": None}[last], end.tail
    assert time.monotonic() - began < 10


def test_one_that_forks_on_and_on_is_caught(tmp_path: Path) -> None:
    command = ["python3", "-c", RESTLESS + "\n"]
    tmp_path.joinpath("wait").write_text("while ! [ -s pids ]; do sleep 0.01; done; sleep 0.3")
    tmp_path.joinpath("restless.py").write_text(command[-1])
    end_of(["sh", "-c", "python3 restless.py; . ./wait"], tmp_path, timeout_seconds=20)
    count = len((tmp_path / "pids").read_text().split())
    assert count > 3, "it had forked on"
    time.sleep(0.2)
    assert len((tmp_path / "pids").read_text().split()) == count
    assert left(tmp_path) == []


def test_command_that_kills_its_warden_is_refused_and_ended_all_the_same(tmp_path: Path) -> None:
    command = script(tmp_path, "own session", "kill -9 $PPID; sleep 600")
    with pytest.raises(RefusedError, match="killed the process that watches over it"):
        end_of(command, tmp_path, timeout_seconds=20)
    wait_until(lambda: not left(tmp_path), what="all have ended")


def test_everything_ends_when_the_task_that_runs_the_command_is_killed(tmp_path: Path) -> None:
    command = script(tmp_path, "forked thrice, its environment thrown away", "echo $$ >> pids; sleep 600")
    task = (
        "from pathlib import Path\nfrom include.adapters.build_process import end_of\n"
        f"end_of({command!r}, Path({str(tmp_path)!r}), timeout_seconds=600)"
    )
    process = subprocess.Popen([sys.executable, "-c", task], cwd=Path(build_process.__file__).parents[2])
    try:
        wait_until(lambda: len((tmp_path / "pids").read_text().split()) == 2, what="both run")
        assert len(left(tmp_path)) == 2
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not left(tmp_path), what="all have ended")


def test_processes_of_others_are_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        end_of(script(tmp_path, "forked twice", "exit 0"), tmp_path, timeout_seconds=20)
        assert is_running(other.pid) and is_running(os.getpid())
    finally:
        other.kill()
        other.wait()


def test_of_an_endless_log_both_ends_are_kept() -> None:
    with tempfile.TemporaryFile() as log:
        log.write(b"first\n" + b"x" * 80 * 1024 * 1024 + b"\nlast\n")
        log.flush()
        kept = read_log(log)
        assert log_tail(log).endswith("last")
    assert kept.startswith(b"first\n") and kept.endswith(b"\nlast\n")
    assert len(kept) < 5 * 1024 * 1024 and b"bytes are left out here" in kept


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["yes"], -signal.SIGXFSZ),
        (["sh", "-c", "yes; exit $?"], -signal.SIGXFSZ),  # that yes was killed, it cannot say either
        (["sh", "-c", "yes > ../big; exit $?"], 128 + signal.SIGXFSZ),
        (["python3", "-uc", "while True: print('y' * 999)"], 1),
        (["sh", "-c", "trap '' XFSZ; yes; sleep 600"], None),
    ],
)
def test_no_file_of_it_grows_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], status: int | None
) -> None:
    monkeypatch.setattr(build_process, "MOST_FILE_BYTES", 5 * 2**20)
    kept: list[bytes] = []
    folder = tmp_path / "source"
    folder.mkdir()
    end = end_of(command, folder, timeout_seconds=3, keep=kept.append)
    assert end.status == status
    assert end.words.endswith("; its output, or a file that it wrote, came to 5 MB, the most that one may have")
    big = tmp_path / "big"
    assert not big.exists() or big.stat().st_size == 5 * 2**20
    assert len(kept[0]) < 5 * 2**20


def test_a_limit_that_is_lower_already_is_kept(tmp_path: Path) -> None:
    task = (
        "import resource; from pathlib import Path; from include.adapters.build_process import end_of\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 2**20,) * 2)\n"
        f"print(end_of(['yes'], Path({str(tmp_path)!r}), timeout_seconds=20).words)"
    )
    root = Path(build_process.__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", task], cwd=root, capture_output=True, text=True, timeout=60).stdout
    assert "came to 3 MB, the most" in said


def test_digest_is_of_the_content(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert sha256_of(file).startswith("ba7816bf")
