"""`./redstart judge` and `backtest` as real processes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.judge_requests import labels, redstart, request, strict
from tests.support.recordings import record


def test_a_file_is_judged_by_the_real_command(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(request({"latency": 1.6})))
    done = redstart("judge", "bad.json", "--html", "report.html", cwd=tmp_path)  # relative to whoever calls
    assert (done.returncode, done.stderr) == (0, b"")
    answer = strict(done.stdout)
    assert labels(answer) == {"latency": "High", "errors": "Pass", "cpu": "Pass"}
    assert answer["score"]["classification"] == "Fail"
    assert answer["redstart"]["profile"] == "redstart"
    assert "latency" in (tmp_path / "report.html").read_text()


def test_a_pipe_of_requests_is_answered_line_by_line() -> None:
    lines = [json.dumps(request()), '{"canaryConfig": {', json.dumps(request({"cpu": 2.0}))]
    done = redstart("judge", "-", "--jsonl", stdin="\n".join(lines).encode())
    assert done.returncode == 2
    good, wrong, bad = (strict(line) for line in done.stdout.decode().splitlines())
    assert good["score"]["classification"] == "Pass"
    assert wrong["line"] == 2
    assert "not JSON" in wrong["error"]
    assert labels(bad)["cpu"] == "High"
    assert b"line 2" in done.stderr


def test_recorded_canaries_come_to_the_same_outcome_by_the_same_settings(tmp_path: Path) -> None:
    record(tmp_path / "api" / "run-1", 1)
    record(tmp_path / "api" / "run-2", 2, worse=1.6, wrapped=False)
    done = redstart("backtest", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert re.search(r"api/run-1\s+2026-03-02 09:00\s+100 go\s+100 go", text)
    assert re.search(r"api/run-2\s+2026-03-03 09:00\s+\S+ no-go\s+\S+ no-go", text)
    assert re.search(r"2 canaries, 0 with another outcome; .* canaries/s", text)


def test_many_canaries_in_several_processes_say_the_same(tmp_path: Path) -> None:
    for seed in range(1, 15):
        record(tmp_path / f"run-{seed:02d}", seed, worse=1.0 + 0.3 * (seed % 2))
    one, two = (strict(redstart("backtest", str(tmp_path), "--json", "--jobs", jobs).stdout) for jobs in ("1", "2"))
    assert one["canaries"] == two["canaries"]
    assert len(one["canaries"]) == 14
