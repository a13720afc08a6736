"""`./redstart judge`: requests in Kayenta's form, answered or refused with their place."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from redstart.cli.app import app
from tests.support.judge_requests import labels, metric, pair, request, series, strict

MARKUP = '</script><img src=x onerror="alert(1)">'


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["judge", *arguments], input=stdin)


def test_a_score_of_nothing_is_an_answer_too() -> None:
    done = run("-", stdin=json.dumps(request({"latency": 3.0, "errors": 3.0, "cpu": 3.0})))
    assert done.exit_code == 0
    assert strict(done.stdout)["score"]["score"] == 0.0


def test_gaps_may_be_written_in_three_ways() -> None:
    answers = []
    for gap in (None, math.nan, "NaN"):
        body = request({"latency": 1.6})
        for each in body["metricSetPairList"]:
            each["values"]["experiment"][3:9] = [gap] * 6
        done = run("-", stdin=json.dumps(body))
        assert done.exit_code == 0, done.stderr
        answers.append(strict(done.stdout))
    assert answers[0] == answers[1] == answers[2]
    latency = answers[0]["results"][0]
    assert latency["experimentMetadata"]["stats"]["count"] == 54


@pytest.mark.parametrize("profile", ["redstart", "kayenta"])
def test_an_infinite_point_leaves_the_answer_strict_json(profile: str) -> None:
    body = request()
    body["metricSetPairList"][0]["values"]["experiment"][0] = math.inf
    body["metricSetPairList"][1]["values"]["control"][0] = "-Infinity"
    done = run("-", "--profile", profile, stdin=json.dumps(body))
    assert done.exit_code == 0, done.stderr
    strict(done.stdout)


def test_pretty_is_the_same_answer_in_more_lines() -> None:
    text = json.dumps(request())
    pretty, plain = run("-", "--pretty", stdin=text).stdout, run("-", stdin=text).stdout
    assert len(plain.splitlines()) == 1 < len(pretty.splitlines())
    assert strict(pretty) == strict(plain)


def test_profile_kayenta_takes_what_kayenta_takes() -> None:
    body = request()
    body["canaryConfig"]["metrics"][0] = metric("latency", direction="sideways")
    text = json.dumps(body)
    refused, taken = run("-", stdin=text), run("-", "--profile", "kayenta", stdin=text)
    assert (refused.exit_code, taken.exit_code) == (2, 0)
    assert "sideways" in refused.stderr
    answer = strict(taken.stdout)
    assert answer["redstart"]["profile"] == "kayenta"
    assert "sideways" in " ".join(answer["redstart"]["warnings"])


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    body = request()
    change(body)
    return json.dumps(body)


def values_of(body: dict[str, Any], side: str = "control") -> list[Any]:
    return body["metricSetPairList"][1]["values"][side]


HOSTILE = {
    "truncated": (json.dumps(request())[:5000], "not JSON"),
    "empty": ("", "not JSON"),
    "a list": ("[1, 2]", "object"),
    "a number": ("17", "object"),
    "nested too deep": ("[" * 100_000, "nested"),
    "thousands of digits": ('{"canaryConfig": ' + "9" * 5000 + "}", "digits"),
    "no configuration": (changed(lambda body: body.pop("canaryConfig")), "canaryConfig"),
    "no pairs": (changed(lambda body: body.pop("metricSetPairList")), "metricSetPairList"),
    "pairs are text": (changed(lambda body: body.update(metricSetPairList="x" * 5000)), "metricSetPairList"),
    "a pair is a number": (changed(lambda body: body["metricSetPairList"].append(5)), "metricSetPairList.3"),
    "no metrics": (changed(lambda body: body["canaryConfig"].update(metrics=[])), "metrics"),
    "metrics are text": (changed(lambda body: body["canaryConfig"].update(metrics="all")), "metrics"),
    "a metric twice": (
        changed(lambda body: body["canaryConfig"]["metrics"].append(metric("cpu"))),
        "cpu",
    ),
    "unknown direction": (
        changed(lambda body: body["canaryConfig"]["metrics"].append(metric("x", direction="up"))),
        "direction",
    ),
    "weights over 100": (
        changed(lambda body: body["canaryConfig"]["classifier"].update(groupWeights={"service": 170})),
        "170",
    ),
    "thresholds upside down": (
        changed(lambda body: body.update(scoreThresholds={"pass": 50, "marginal": 75})),
        "hresholds",
    ),
    "a threshold in words": (
        changed(lambda body: body.update(scoreThresholds={"pass": "high", "marginal": 75})),
        "scoreThresholds.pass",
    ),
    "values are an object": (
        changed(lambda body: body["metricSetPairList"][1].update(values={"control": {}, "experiment": []})),
        "metricSetPairList.1.values.control",
    ),
    "a word among the numbers": (
        changed(lambda body: values_of(body).insert(17, "fast")),
        "metricSetPairList.1.values.control.17",
    ),
    "a list among the numbers": (
        changed(lambda body: values_of(body, "experiment").insert(3, [1.0])),
        "metricSetPairList.1.values.experiment.3",
    ),
    "a truth among the numbers": (
        changed(lambda body: values_of(body).insert(2, True)),
        "metricSetPairList.1.values.control.2",
    ),
    "a start beyond all time": (
        changed(lambda body: body["metricSetPairList"][0].update(scopes={"control": {"startTimeMillis": 1e30}})),
        "",
    ),
    "a weight beyond any float": (
        changed(lambda body: body["canaryConfig"]["classifier"].update(groupWeights={"service": 10**400})),
        "",
    ),
    "groups that are lists": (
        changed(lambda body: body["canaryConfig"]["metrics"][0].update(groups=[["service"]])),
        "",
    ),
    "half a letter for a name": (
        changed(lambda body: body["canaryConfig"]["metrics"][0].update(name="\ud800")),
        "",
    ),
    "a number beyond any float": (
        changed(lambda body: values_of(body).insert(4, 10**400)),
        "metricSetPairList.1.values.control.4",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_bad_input_is_refused_with_its_place(case: str) -> None:
    text, place = HOSTILE[case]
    done = run("-", stdin=text)
    assert done.exit_code == 2, done.exception
    assert done.stdout == ""
    assert place in done.stderr
    assert len(done.stderr) < 800
    assert "Traceback" not in done.stderr


def test_bytes_that_are_no_text_are_refused() -> None:
    done = run("-", stdin=b'{"canaryConfig": "\xff\xfe\x00"}')
    assert (done.exit_code, done.stdout) == (2, "")
    assert "not " in done.stderr


def test_a_terminal_is_told_no_escape_sequences() -> None:
    body = request()
    body["canaryConfig"]["metrics"][0]["name"] = "\x1b[2Jgone"
    body["metricSetPairList"][0]["name"] = "\x1b[2Jgone"
    body["canaryConfig"]["metrics"].append(metric("\x1b[2Jgone"))
    done = run("-", stdin=json.dumps(body))
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr


def test_sides_without_points_are_no_data() -> None:
    body = request()
    values = body["metricSetPairList"][0]["values"]
    values["control"], values["experiment"] = [], []
    done = run("-", stdin=json.dumps(body))
    assert done.exit_code == 0, done.stderr
    assert labels(strict(done.stdout))["latency"] == "Nodata"


def test_no_series_at_all_is_judged_and_no_pass() -> None:
    body = request()
    body["metricSetPairList"] = []
    done = run("-", stdin=json.dumps(body))
    assert done.exit_code == 0, done.stderr
    answer = strict(done.stdout)
    assert answer["score"]["classification"] == "Fail"
    assert set(labels(answer).values()) == {"Nodata"}


def test_numbers_near_the_end_of_all_floats_are_judged() -> None:
    body = request()
    body["metricSetPairList"][0]["values"]["experiment"][5] = 1e308
    body["metricSetPairList"][1]["values"]["experiment"][5] = -1e308
    done = run("-", stdin=json.dumps(body))
    assert done.exit_code == 0, done.stderr
    strict(done.stdout)


def test_a_name_with_markup_stays_text_in_the_report(tmp_path: Path) -> None:
    body = request()
    body["canaryConfig"]["name"] = MARKUP
    body["canaryConfig"]["applications"] = [MARKUP]
    body["canaryConfig"]["metrics"].append(metric(MARKUP))
    body["metricSetPairList"].append(pair(MARKUP, series(1), series(2, level=200.0)))
    page = tmp_path / "report.html"
    done = run("-", "--html", str(page), stdin=json.dumps(body))
    assert done.exit_code == 0, done.stderr
    assert labels(strict(done.stdout))[MARKUP] == "High"
    assert "<img" not in page.read_text()
    assert "onerror" in page.read_text()


def test_many_requests_leave_a_report_each(tmp_path: Path) -> None:
    lines = "\n".join([json.dumps(request()), "", "[]", json.dumps(request({"cpu": 2.0})), ""])
    done = run("-", "--jsonl", "--html", str(tmp_path / "report.html"), stdin=lines)
    assert done.exit_code == 2
    assert [strict(line).get("line") for line in done.stdout.splitlines()] == [None, 3, None]
    assert {path.name for path in tmp_path.iterdir()} == {"report-1.html", "report-4.html"}


def test_a_report_that_cannot_be_kept_does_not_lose_the_answer(tmp_path: Path) -> None:
    done = run("-", "--html", str(tmp_path / "nowhere" / "report.html"), stdin=json.dumps(request()))
    assert done.exit_code == 2
    assert strict(done.stdout)["score"]["classification"] == "Pass"
    assert "report.html" in done.stderr


def test_a_file_that_is_not_there_is_named() -> None:
    done = run("nowhere.json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "nowhere.json" in done.stderr


def test_other_commands_start_without_the_judge() -> None:
    code = "import sys, redstart.cli.app; print({'numpy', 'scipy', 'numba', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
