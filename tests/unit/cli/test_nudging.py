"""A branch nudged from a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.apps import load_app
from include.errors import ConfigError
from redstart.cli.nudging import branches_of, nudge_branches
from tests.support.ledger import fresh_ledger


def test_every_branch_that_a_flow_follows_is_nudged_or_one(tmp_path: Path) -> None:
    app, ledger = load_app("api"), fresh_ledger(tmp_path / "ledger.db")
    assert nudge_branches(ledger, app, branches_of(app, "")) == "api: test, release, prod will be looked at now."
    assert nudge_branches(ledger, app, branches_of(app, "prod")) == "api: prod will be looked at now."
    assert ledger.nudges() == {("api", "test"): 1, ("api", "release"): 1, ("api", "prod"): 2}


@pytest.mark.parametrize("flow", ["release_push", "staging"])
def test_flow_without_a_branch_is_refused_with_those_that_have_one(flow: str) -> None:
    with pytest.raises(ConfigError, match="must be one of test, release, prod"):
        branches_of(load_app("api"), flow)


def test_command_complains_in_one_sentence() -> None:
    from redstart.cli.app import app

    result = CliRunner().invoke(app, ["nudge", "no-such-app"])
    assert result.exit_code == 2
    assert "no such application" in result.output
