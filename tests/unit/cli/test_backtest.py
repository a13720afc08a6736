"""`./redstart backtest`: recorded canaries judged again, compared, and what could not be read told."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from include.canary import MetricPairs, Thresholds
from include.canary.backtest import compare, label_changes
from include.canary.judge import judge
from include.canary.verdict import Label
from redstart.cli.app import app
from tests.support.judge_requests import request
from tests.support.recordings import config, pairs, record

MARKUP = "</td><img src=x onerror=alert(1)>"
TOML = """
[groups]
service = 100

[[rules]]
match = "*"
group = "service"
kind = "level"
allowed = {allowed}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["backtest", *arguments])


def found(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_threshold_of_then_holds_now(wrapped: bool, tmp_path: Path) -> None:
    record(tmp_path / "run", 1, wrapped=wrapped)
    (canary,) = found(str(tmp_path))["canaries"]
    assert canary["again"]["as recorded"]["threshold"] == canary["then"]["threshold"] == 90.0


def test_thresholds_are_kept_with_the_settings_too(tmp_path: Path) -> None:
    record(tmp_path / "run", 1, then=False)
    (canary,) = found(str(tmp_path))["canaries"]
    assert canary["then"] is None
    assert canary["again"]["as recorded"]["threshold"] == 90.0


def test_profiles_stand_beside_each_other(tmp_path: Path) -> None:
    record(tmp_path / "run", 1, worse=1.6)
    seen = found(str(tmp_path), "--profile", "redstart", "--profile", "kayenta")
    assert seen["ways"] == ["redstart", "kayenta"]
    (canary,) = seen["canaries"]
    assert set(canary["again"]) == {"redstart", "kayenta"}
    assert canary["again"]["redstart"]["changes"] == []


def test_other_settings_show_which_labels_differ(tmp_path: Path) -> None:
    record(tmp_path / "canaries" / "run", 1, worse=1.3)
    (tmp_path / "loose.toml").write_text(TOML.format(allowed=9.0))
    seen = found(str(tmp_path / "canaries"), "--settings", str(tmp_path / "loose.toml"))
    assert seen["ways"] == ["as recorded", "loose.toml"]
    (canary,) = seen["canaries"]
    assert canary["then"]["outcome"] == "no-go"
    assert canary["again"]["loose.toml"]["outcome"] == "go"
    (change,) = canary["again"]["loose.toml"]["changes"]
    assert (change["metric"], change["before"], change["after"]) == ("latency", "HOT", "PASS")
    done = run(str(tmp_path / "canaries"), "--settings", str(tmp_path / "loose.toml"))
    assert "latency HOT → PASS" in " ".join(done.stdout.split())


def test_series_without_settings_need_some(tmp_path: Path) -> None:
    canaries = tmp_path / "canaries"
    canaries.mkdir()
    with (canaries / "monday.npz").open("wb") as file:
        pairs(1).to_npz(file)
    (tmp_path / "any.toml").write_text(TOML.format(allowed=0.1))
    without = run(str(canaries))
    assert without.exit_code == 2
    assert "--settings" in without.stderr
    seen = found(str(canaries), "--settings", str(tmp_path / "any.toml"))
    assert seen["ways"] == ["any.toml"]
    assert [canary["canary"] for canary in seen["canaries"]] == ["monday.npz"]


def test_counts_floors_follow_the_step(tmp_path: Path) -> None:
    canaries = tmp_path / "canaries"
    canaries.mkdir()
    rng = np.random.default_rng(5)
    sides = [rng.poisson(rate, (1, 120)).astype(float) for rate in (10.0, 20.0)]
    with (canaries / "counts.npz").open("wb") as file:
        MetricPairs(("errors",), *sides, datetime(2026, 3, 1, tzinfo=UTC), 60).to_npz(file)
    text = TOML.format(allowed=0.1).replace('"level"', '"count"') + "floor = 2.0\n"
    (tmp_path / "counts.toml").write_text(text)
    options = (str(canaries), "--settings", str(tmp_path / "counts.toml"))
    as_is = found(*options)["canaries"][0]["again"]["counts.toml"]
    scaled = found(*options, "--point-seconds", "5")["canaries"][0]["again"]["counts.toml"]
    assert as_is["deviating"] == 1  # 10 more a minute, 2 a minute are allowed
    assert scaled["deviating"] == 0  # 2 in 5 s are 24 a minute


def test_requests_of_kayenta_are_judged_among_them(tmp_path: Path) -> None:
    record(tmp_path / "run", 1)
    (tmp_path / "kayenta.json").write_text(json.dumps(request({"latency": 1.6})))
    seen = found(str(tmp_path), "--profile", "kayenta")
    assert [canary["canary"] for canary in seen["canaries"]] == ["kayenta.json", "run"]
    assert seen["canaries"][0]["again"]["kayenta"]["outcome"] == "no-go"


def test_what_cannot_be_read_is_listed_and_the_rest_is_judged(tmp_path: Path) -> None:
    record(tmp_path / "good", 1)
    record(tmp_path / "torn", 2)
    whole = (tmp_path / "torn" / "pair.npz").read_bytes()
    (tmp_path / "torn" / "pair.npz").write_bytes(whole[: len(whole) // 2])
    record(tmp_path / "unset", 3)
    (tmp_path / "unset" / "settings.json").write_text('{"version": 1, "settings": {"groups": {}, "rules": 7}}')
    record(tmp_path / "later", 4)
    (tmp_path / "later" / "settings.json").write_text('{"version": 99}')
    record(tmp_path / "mute", 5)
    (tmp_path / "mute" / "verdict.json").write_text('{"version": 2}')
    (tmp_path / "half.json").write_text(json.dumps(request())[:900])
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "pickle.npz").write_bytes(b"\x80\x04N.")
    (tmp_path / "wrong.json").write_text(json.dumps({**request(), "metricSetPairList": [1]}))
    (tmp_path / "other.json").write_text('{"something": "else"}')
    page = tmp_path / "page.html"
    done = run(str(tmp_path), "--json", "--html", str(page))
    assert done.exit_code == 2
    seen = json.loads(done.stdout)
    assert [canary["canary"] for canary in seen["canaries"]] == ["good", "mute"]
    assert seen["canaries"][1]["then"] is None
    named = {Path(problem["path"]).relative_to(tmp_path).as_posix() for problem in seen["problems"]}
    assert named == {
        "torn/pair.npz", "unset/pair.npz", "later/pair.npz", "mute/pair.npz",
        "half.json", "empty.npz", "pickle.npz", "wrong.json",
    }  # fmt: skip
    assert all(problem["reason"] for problem in seen["problems"])
    assert seen["others"] == 1
    assert "torn" in done.stderr
    assert "Traceback" not in done.stderr
    assert "torn" in page.read_text()


@pytest.mark.parametrize("arguments", [["nowhere"], ["."]])
def test_a_place_without_canaries_is_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "recorded canar" in done.stderr


def test_settings_that_are_wrong_are_refused_before_anything_is_judged(tmp_path: Path) -> None:
    record(tmp_path / "run", 1)
    (tmp_path / "bad.toml").write_text(TOML.format(allowed='"much"'))
    done = run(str(tmp_path), "--settings", str(tmp_path / "bad.toml"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "allowed" in done.stderr
    assert "much" in done.stderr


def test_the_page_shows_names_as_text_and_needs_nothing_else(tmp_path: Path) -> None:
    record(tmp_path / "canaries" / "<b>run", 1, worse=1.3, first=MARKUP)
    (tmp_path / "loose.toml").write_text(TOML.format(allowed=9.0))
    page = tmp_path / "page.html"
    settings = str(tmp_path / "loose.toml")
    done = run(str(tmp_path / "canaries"), "--settings", settings, "--html", str(page))
    assert done.exit_code == 0, done.stderr
    text = page.read_text()
    assert "<b>run" not in text
    assert "<img" not in text
    assert "onerror=alert(1)&gt; HOT → PASS" in text
    assert not re.search(r"""(?:src|href)\s*=\s*["']?http""", text)
    used, known = set(re.findall(r"var\((--[\w-]+)", text)), set(re.findall(r"(--[\w-]+):", text))
    assert used <= known


def test_the_table_tells_a_terminal_nothing_it_would_obey(tmp_path: Path) -> None:
    record(tmp_path / "canaries" / "run\x1b[2J", 1, worse=1.3, first="\x1b[31mlatency")
    (tmp_path / "loose.toml").write_text(TOML.format(allowed=9.0))
    done = run(str(tmp_path / "canaries"), "--settings", str(tmp_path / "loose.toml"))
    assert done.exit_code == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "latency HOT → PASS" in " ".join(done.stdout.split())


def test_changes_are_told_by_importance() -> None:
    before = judge(config(), Thresholds(), pairs(1))
    metrics = tuple(replace(metric, label=Label.HOT) for metric in before.metrics)
    changes = label_changes(before, replace(before, metrics=metrics))
    assert [change.name for change in changes] == ["errors", "cpu", "latency"]
    assert [change.critical for change in changes] == [True, False, False]


def test_a_metric_that_only_one_verdict_has_is_a_change() -> None:
    before = judge(config(), Thresholds(), pairs(1))
    after = replace(before, metrics=before.metrics[:2])
    (lost,) = label_changes(before, after)
    (new,) = label_changes(after, before)
    assert (lost.after, new.before) == (None, None)


def test_series_of_one_name_are_told_apart_by_their_tags() -> None:
    one = judge(config(), Thresholds(), pairs(1))
    first, second = (replace(one.metrics[0], name="cpu", tags={"zone": zone}) for zone in "ab")
    before = replace(one, metrics=(first, second))
    after = replace(one, metrics=(first, replace(second, label=Label.HOT)))
    (change,) = label_changes(before, after)
    assert change.tags == {"zone": "b"}


def test_without_a_verdict_of_then_the_first_way_is_the_reference() -> None:
    good, bad = judge(config(), Thresholds(), pairs(1)), judge(config(), Thresholds(), pairs(1, worse=1.6))
    seen = compare("run", None, {"one": good, "two": bad})
    assert seen.is_changed
    assert not seen.again["one"].changes
    assert [change.name for change in seen.again["two"].changes] == ["latency"]
    with pytest.raises(ValueError, match="nothing"):
        compare("run", None, {})
