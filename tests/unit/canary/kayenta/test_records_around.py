"""The numbers of Kayenta's own tests (tests/golden/kayenta): pairing of series, windows, configuration, scopes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from include.canary.kayenta.config import read_canary_config
from include.canary.kayenta.mix import MetricSet, metric_set_key, mix_all, mix_one
from include.canary.kayenta.request import Pair
from include.canary.kayenta.scope import parse_scope, scope_json
from include.canary.kayenta.windows import Schedule, Window, decide_finally, lifetime_of, order_runs
from include.errors import ConfigError
from tests.unit.canary.kayenta.records import Record, cases, numbers

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
COUNTS = {
    "config": 4,
    "metric_mixer": 26,
    "scheduling": 36,
}


def jsonable(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def metric_set(body: Mapping[str, Any]) -> MetricSet:
    times = {key: body[key] for key in ("start_ms", "end_ms", "step_ms") if key in body}
    return MetricSet(body["name"], numbers(body["values"]), body["tags"], body.get("attributes", {}), **times)


def require_pair(expected: Mapping[str, Any], pair: Pair) -> None:
    values = {"control": jsonable(pair.baseline), "experiment": jsonable(pair.canary)}
    found = {"name": pair.name, "tags": pair.tags, "values": values, "attributes": pair.attributes}
    assert {key: found[key] for key in expected} == expected


def mix_one_record(record: Record) -> None:
    inputs, expected = record["inputs"], record["expected"]
    control, experiment = metric_set(inputs["control"]), metric_set(inputs["experiment"])
    if "error_contains" in expected or "error" in expected:
        with pytest.raises(ConfigError, match=expected.get("error_contains", "metric set name|tags")):
            mix_one(control, experiment)
    elif "id_non_empty" in expected:
        assert mix_one(control, experiment).id
    else:
        require_pair(expected, mix_one(control, experiment))


def mix_all_record(record: Record) -> None:
    inputs, expected = record["inputs"], record["expected"]
    sides = ([metric_set(one) for one in inputs[side]] for side in ("control", "experiment"))
    if "error_contains" in expected:
        with pytest.raises(ConfigError, match=expected["error_contains"]):
            mix_all(inputs["metric_names"], *sides)
        return
    for wanted, pair in zip(expected["pairs"], mix_all(inputs["metric_names"], *sides), strict=True):
        require_pair(wanted, pair)


def metric_set_key_record(record: Record) -> None:
    name, tags = record["inputs"]["name"], dict(record["inputs"]["tags"])
    if "error" in record["expected"]:
        with pytest.raises(ConfigError):
            metric_set_key(name, tags)
    else:
        assert metric_set_key(name, tags) == record["expected"]["value"]


def moment(minutes: float | None) -> datetime | None:
    return None if minutes is None else NOW + timedelta(minutes=minutes)


def iso(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def calculate_lifetime(record: Record) -> None:
    inputs = record["inputs"]
    minutes = inputs["lifetime_duration_mins"]
    given = {
        "start": moment(inputs["start_min"]),
        "end": moment(inputs["end_min"]),
        "lifetime": None if minutes is None else timedelta(minutes=minutes),
    }
    if "error" in record["expected"]:
        with pytest.raises(ConfigError, match="lifetime"):
            lifetime_of(**given)
    else:
        assert lifetime_of(**given) == timedelta(minutes=record["expected"]["lifetime_mins"])


def judgement_window(record: Record) -> None:
    inputs, expected = record["inputs"], record["expected"]
    exact = "start_iso" in inputs
    schedule = Schedule(
        interval=timedelta(minutes=inputs["interval_mins"]),
        start=iso(inputs["start_iso"]) if exact else moment(inputs["start_min"]),
        end=iso(inputs["end_iso"]) if exact else moment(inputs["end_min"]),
        begin_after=timedelta(minutes=inputs["begin_after_mins"]),
        lookback=timedelta(minutes=inputs["lookback_mins"]),
    )
    wanted = [iso(expected[f"{end}_iso"]) if exact else moment(expected[f"{end}_min"]) for end in ("start", "end")]
    assert schedule.window(inputs["judgement_number"], now=NOW) == Window(*wanted)


def request_scopes(record: Record) -> None:
    inputs, expected = record["inputs"], record["expected"]
    schedule = Schedule(timedelta(minutes=inputs["interval_mins"]), start=iso(inputs["start_iso"]))
    window = schedule.window(inputs["judgement_number"], now=NOW)
    assert window.start == iso(expected["experiment_start_iso"])
    control = window.earlier(timedelta(minutes=inputs["control_offset_mins"]))
    assert control.start == iso(expected["control_start_iso"])


def aggregated_judgement(record: Record) -> None:
    inputs = record["inputs"]
    found = decide_finally(inputs["final_score"], marginal=inputs["marginal"], passing=inputs["passing"])
    assert found.passed == record["expected"]["did_pass_thresholds"]


def order_runs_record(record: Record) -> None:
    assert order_runs([tuple(stage) for stage in record["inputs"]["stages"]]) == record["expected"]["order"]


def validate_config(record: Record) -> None:
    with pytest.raises(ConfigError) as refused:
        read_canary_config(record["inputs"]["config"], source="body")
    assert str(refused.value).endswith(record["expected"]["message_ends_with"])
    assert refused.value.key == "metrics.1.name"


def initiate_canary(record: Record) -> None:
    for profile in ("kayenta", "redstart"):
        with pytest.raises(ConfigError, match=record["expected"]["message_contains"]):
            read_canary_config(record["inputs"]["config"], source="body", profile=profile)


def parse_scope_record(record: Record) -> None:
    scope = parse_scope(record["inputs"]["json"], source="body")
    assert scope.params == record["expected"]["extendedScopeParams"]
    assert scope.step_seconds == record["inputs"]["json"]["step"]


def roundtrip_scope(record: Record) -> None:
    scope = parse_scope(record["inputs"]["scope"], source="body")
    assert (parse_scope(scope_json(scope), source="body") == scope) == record["expected"]["equal"]


CHECKS: dict[str, Callable[[Record], None]] = {
    "aggregated_judgement": aggregated_judgement,
    "calculate_lifetime": calculate_lifetime,
    "initiate_canary": initiate_canary,
    "judgement_window": judgement_window,
    "metric_set_key": metric_set_key_record,
    "mix_all": mix_all_record,
    "mix_one": mix_one_record,
    "order_runs": order_runs_record,
    "parse_scope": parse_scope_record,
    "request_scopes": request_scopes,
    "roundtrip_scope": roundtrip_scope,
    "validate_config": validate_config,
}


def records() -> list[Record]:
    return [record for name in COUNTS for record in cases(name)]


@pytest.mark.parametrize("record", records(), ids=lambda record: record["id"])
def test_record_of_kayenta(record: Record) -> None:
    CHECKS[record["function"]](record)


@pytest.mark.parametrize("name", COUNTS)
def test_no_record_was_lost(name: str) -> None:
    assert len(cases(name)) == COUNTS[name]
