"""The traffic service's counters, rates and board, without processes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import ConfigError, RefusedError
from include.loadgen import Counters, FailureSample, Histogram
from include.services.settings import Settings
from include.services.traffic import Traffic, read_mix, read_rates, site_of
from include.services.traffic_counts import Ledger, summary

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EAST = Counters(10, {200: 6, 404: 1, 503: 1}, {"timeout": 1}, {"g/i/v1": 8}, Histogram.of([5.0] * 9), Histogram())


def test_counters_survive_a_restart_and_what_was_under_way_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "traffic.json"
    ledger = Ledger(path, START)
    sample = {"us-east-1": (FailureSample(START.timestamp(), "/home", "timeout", ""),)}
    ledger.write(ledger.report({"us-east-1": EAST}, {"us-east-1": 140.0}, sample), {"us-east-1": EAST})
    again = Ledger(path, datetime.now(UTC))
    report = again.report({"us-east-1": EAST, "eu-west-1": EAST}, {"us-east-1": 140.0, "eu-west-1": 1.0}, {})
    assert again.since == START
    assert (report["total"]["sent"], report["total"]["failed"], report["total"]["under_way"]) == (30, 6, 2)
    assert report["regions"]["us-east-1"]["abandoned"] == 1
    assert [failure["path"] for failure in report["failures"]] == ["/home"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 99}', '{"format": 1, "kept": 3, "since": "x"}'])
def test_a_file_that_cannot_be_used_is_no_past(tmp_path: Path, text: str) -> None:
    (tmp_path / "traffic.json").write_text(text)
    ledger = Ledger(tmp_path / "traffic.json", START)
    assert (ledger.earlier, ledger.since) == ({}, START)


def test_a_404_is_an_answer_and_a_503_a_failure() -> None:
    shown = summary(EAST)
    assert (shown["ok"], shown["failed"], shown["by_group"], shown["by_version"]) == (7, 2, {"g": 8}, {"v1": 8})
    assert shown["latency_p50_ms"] == pytest.approx(5.0, rel=0.03)


def test_nothing_yet_is_zeros() -> None:
    shown = summary(Counters())
    assert (shown["latency_p50_ms"], shown["latency_p99_ms"], shown["sent"]) == (0.0, 0.0, 0)


def test_rates_are_read_from_the_settings() -> None:
    assert read_rates(" us-east-1=140, eu-west-1=0.5,") == {"us-east-1": 140.0, "eu-west-1": 0.5}
    for wrong in ("us-east-1", "us-east-1=x", "us-east-1=-1", "us-east-1=nan", "us-east-1=1e9"):
        with pytest.raises(ConfigError, match="REDSTART_TRAFFIC_RPS"):
            read_rates(wrong)


def test_traffic_of_another_application_is_named_and_never_awaited(tmp_path: Path) -> None:
    assert read_rates("search/eu-west-1=40") == {"search/eu-west-1": 40.0}
    with pytest.raises(ConfigError, match=r"search runs in us-west-2, eu-west-1.*search/us-east-1=1"):
        read_rates("search/us-east-1=1")
    site, region = site_of("search/eu-west-1")
    assert (site.load_balancer, region, site_of("us-east-1")[0].load_balancer) == ("search-main", region, "api-main")
    board = asyncio.run(_board(tmp_path))
    board.waiting_for = {"search/eu-west-1": "its load balancer"}
    assert board.health()[0] is True


async def _board(home: Path) -> Traffic:
    return Traffic(Settings(home=home), read_mix())


def test_a_rate_is_changed_for_all_named_regions_or_for_none(tmp_path: Path) -> None:
    board = asyncio.run(_board(tmp_path))
    assert board.set_rps({"us-west-2": 7})["us-west-2"] == 7.0
    for wrong in ({"us-west-2": 9, "moon": 1}, {"us-west-2": "9"}, {"us-west-2": True}):
        with pytest.raises(RefusedError):
            board.set_rps(wrong)
    assert board.rps["us-west-2"] == 7.0
    assert board.health()[0] is False
