"""The terminal picture stands still and fits."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from redstart.cli.screen import fleet_table, picture
from redstart.cli.story import TITLES, Stage

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


@pytest.mark.parametrize("width", [80, 100, 140])
def test_each_stage_has_one_line_whatever_the_heading(width: int) -> None:
    stages = [Stage(title, "done", 65.0) for title in TITLES.values()]
    lines = drawn(picture(f"api_prod 0123456789 {'a long subject ' * 12}\nrun {'x' * 200}", stages, None), width)
    assert len(lines) == 2 + 1 + len(TITLES) + 1 + 1
    assert any(LONG in line and line.endswith("1:05") for line in lines)


def test_columns_do_not_move_with_the_states() -> None:
    before = drawn(picture("run", [Stage("gate", "done", 1.0, "note")], None), 100)[2]
    after = drawn(picture("run", [Stage("gate", "not reached", 1.0, "note")], None), 100)[2]
    assert before.index("note") == after.index("note")


@pytest.mark.parametrize("width", [100, 140])
def test_what_runs_where_is_said_in_full(width: int) -> None:
    row = drawn(fleet_table([ROW], width), width)[2]
    for column in ROW.keys() - ({"version"} if width < 112 else set()):
        assert ROW[column] in row
