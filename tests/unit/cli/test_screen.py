"""The terminal picture stands still and fits."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from redstart.cli.screen import Screen, fleet_table, picture
from redstart.cli.story import TITLES, RunStory, Stage

LONG = "bake the image, copy it to every region"
ROW = {
    "region": "us-east-1",
    "group": "api-main-v001",
    "state": "black",
    "version": "20260126.110500-c79f9e6",
    "commit": "c79f9e6add",
    "image": "ami-d98bbfb52bddbb443",
    "instances": "2/2",
    "traffic": "100 %",
}


def drawn(what: RenderableType, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return [line.rstrip() for line in capture.get().splitlines()]


def run(*stages: Stage, about: str = "0123456789 a subject", dag_id: str = "api_prod") -> RunStory:
    return RunStory(dag_id, about, f"run {'x' * 200}", stages)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_each_stage_has_one_line_whatever_the_heading(width: int) -> None:
    titles = [title for title in TITLES.values() if title]
    stages = [Stage(title, "done", 65.0) for title in titles]
    lines = drawn(picture([run(*stages, about="a long subject " * 12)], None), width)
    assert len(lines) == 2 + 1 + len(titles) + 1 + 1
    assert any(LONG in line and line.endswith("1:05") for line in lines)


def test_columns_do_not_move_with_the_states() -> None:
    before = drawn(picture([run(Stage("gate", "done", 1.0, "note"))], None), 100)[3]
    after = drawn(picture([run(Stage("gate", "not reached", 1.0, "note"))], None), 100)[3]
    assert before.index("note") == after.index("note") > 0


def test_another_run_beside_the_first_is_one_line() -> None:
    beside = run(Stage("test staging", "running", 3.0), Stage("finish", "waiting", None), dag_id="api_release")
    lines = drawn(picture([run(Stage("gate", "done", 1.0)), beside], None), 100)
    assert lines[-2:] == ["api_release  0123456789 a subject: test staging", "traffic: not answering"]


def test_without_a_terminal_each_change_is_a_line_that_names_its_flow() -> None:
    console = Console(width=150, color_system=None, force_terminal=False)
    with console.capture() as capture, Screen(console) as screen:
        for state in ("waiting", "running", "done", "done"):
            beside = run(Stage("gate", state, 61.0), dag_id="api_release")
            screen.show([run(Stage("gate", state, 60.0)), beside], None)
    assert capture.get().splitlines() == ["✓ api_prod: gate: done (1:00)", "✓ api_release: gate: done (1:01)"]


def test_a_wait_with_a_reason_is_one_line_however_long_it_lasts() -> None:
    console = Console(width=150, color_system=None, force_terminal=False)
    with console.capture() as capture, Screen(console) as screen:
        for left in ("0:57", "0:56", "0:01"):
            note = f"the market is at its peak until 18:57:10 UTC ({left} left)"
            screen.show([run(Stage("push us-west-2", "waiting", None, note, "the market is at its peak"))], None)
        screen.show([run(Stage("push us-west-2", "waiting", None, "waits for its turn"))], None)
        screen.show([run(Stage("push us-west-2", "done", 63.0))], None)
    assert capture.get().splitlines() == [
        "· api_prod: push us-west-2: waiting - the market is at its peak until 18:57:10 UTC (0:57 left)",
        "✓ api_prod: push us-west-2: done (1:03)",
    ]


@pytest.mark.parametrize("width", [100, 140])
def test_what_runs_where_is_said_in_full(width: int) -> None:
    row = drawn(fleet_table([ROW], width), width)[2]
    for column in ROW.keys() - ({"version"} if width < 112 else set()):
        assert ROW[column] in row
