"""When the demo writes the history of its first region's market, and for when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from include.services.settings import Settings
from redstart.cli import evening as room
from redstart.cli.airflow_api import TaskState
from redstart.cli.evening import GATE_SECONDS, WAIT_SECONDS, Evening, gate_seconds

NOW = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)


class NotedEvening(Evening):
    """Notes for when it would write."""

    def __init__(self, left_out: str, *, is_there: bool = True) -> None:
        self.said: list[str] = []
        demo = SimpleNamespace(settings=Settings(markets_without_history=left_out), say=self.said.append)
        super().__init__(demo)  # type: ignore[arg-type]
        self.is_there = is_there
        self.written: list[datetime] = []

    def _write(self, moment: datetime) -> datetime | None:
        self.written.append(moment)
        return moment if self.is_there else None


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "now_utc", lambda: NOW)
    monkeypatch.setattr(room.os, "getloadavg", lambda: (0.5, 0.5, 0.5))


def at(state: str) -> list[TaskState]:
    return [TaskState("canary.launch_canary", -1, "", "success"), TaskState("canary.analyze_canary", -1, "", state)]


@pytest.mark.parametrize("end", ["success", "failed"])
def test_the_evening_is_over_a_minute_after_the_gate_and_is_written_once(end: str) -> None:
    evening = NotedEvening("us-west-2")
    for state in ("none", "scheduled", "deferred", "running", "deferred"):
        evening.look(at(state))
    assert evening.written == []
    for _ in range(3):
        evening.look(at(end))
    assert evening.written == [NOW + timedelta(seconds=GATE_SECONDS + WAIT_SECONDS)]
    assert evening.said == []


def test_where_no_evening_ends_in_time_it_is_said_once() -> None:
    evening = NotedEvening("us-west-2", is_there=False)
    for _ in range(3):
        evening.look(at("success"))
    assert len(evening.written) == len(evening.said) == 1
    assert "us-west-2 will not be seen waiting" in evening.said[0]


@pytest.mark.parametrize("left_out", ["", "eu-west-1"])
def test_a_market_that_has_its_history_is_left_alone(left_out: str) -> None:
    evening = NotedEvening(left_out)
    evening.look(at("success"))
    assert evening.written == []


@pytest.mark.parametrize(("load", "seconds"), [(0.1, 5), (2.0, 5), (4.0, 10), (13.0, 32.5), (99.0, 60)])
def test_a_busy_machines_gate_is_awaited_longer(monkeypatch: pytest.MonkeyPatch, load: float, seconds: float) -> None:
    monkeypatch.setattr(room.os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(room.os, "cpu_count", lambda: 2)
    assert gate_seconds() == seconds
