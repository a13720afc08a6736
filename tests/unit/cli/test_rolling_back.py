"""The rollback from a terminal: through Airflow's API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.errors import RefusedError
from include.services.settings import Settings
from redstart.cli import rolling_back
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.rolling_back import Wanted, login, roll_back_there, told

WANTED = Wanted(("eu-west-1",), "errors", to="api-main-v001")
FINISHED = {
    "live": {"eu-west-1": [{"group": "api-main-v000", "version": "1.0"}]},
    "seconds_to_safe": {"eu-west-1": {"decision": 1.25, "click": 3.5}},
}


def api_of(answer: Callable[[httpx.Request], httpx.Response]) -> AirflowApi:
    api = AirflowApi("http://airflow", "oncall", "x")
    api._client = httpx.Client(base_url=api.url, transport=httpx.MockTransport(answer))
    api._client.headers["Authorization"] = "Bearer x"
    return api


def test_rollback_is_started_by_the_form_and_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling_back, "FOLLOW_SECONDS", 0)
    states, asked = iter(["running", "success"]), []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "POST":
            asked.append(json.loads(request.content))
            return httpx.Response(200, json={"dag_run_id": "run 1"})
        if path.endswith("/taskInstances"):
            task = {
                "task_id": "region.roll_back",
                "map_index": 2,
                "rendered_map_index": "eu-west-1",
                "state": "running",
            }
            return httpx.Response(
                200, json={"task_instances": [{**task, "start_date": None, "end_date": None, "try_number": 1}]}
            )
        if "xcomEntries" in path:
            return httpx.Response(200, json={"value": FINISHED})
        return httpx.Response(200, json={"dag_run_id": "run 1", "state": next(states), "start_date": None})

    said: list[str] = []
    assert roll_back_there(api_of(answer), "api_rollback", WANTED, said.append) == []
    form = {"regions": ["eu-west-1"], "reason": "errors", "to": "api-main-v001", "severe": True, "take_over": False}
    assert asked == [{"logical_date": None, "conf": form}]
    assert said[1:] == [
        "eu-west-1: running",
        "eu-west-1 serves api-main-v000 1.0; safe 1.2 s after the decision, 3.5 s after the click",
    ]


def test_form_that_is_refused_is_said_in_airflows_words() -> None:
    api = api_of(lambda request: httpx.Response(400, text="'no' is too short"))
    with pytest.raises(RefusedError, match="'no' is too short"):
        roll_back_there(api, "api_rollback", WANTED)


def test_nothing_is_told_of_a_run_without_an_end() -> None:
    assert told(None) == []


def test_login_is_as_said_else_this_machines(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert login(settings, "ann", "secret") == ("ann", "secret")
    with pytest.raises(RefusedError, match="REDSTART_PASSWORD"):
        login(settings, "ann", "")
    settings.airflow_home.mkdir(parents=True)
    (settings.airflow_home / "passwords.json").write_text(json.dumps({"oncall": "o", "ann": "a"}))
    assert login(settings, "ann", "") == ("ann", "a")
    assert login(settings, "root", "") == ("oncall", "o")


def test_wanted_is_the_form() -> None:
    known: dict[str, Any] = {"regions": ["us-east-1"], "reason": "x" * 5, "to": "", "severe": False, "take_over": True}
    assert Wanted(("us-east-1",), "x" * 5, severe=False, take_over=True).form() == known
