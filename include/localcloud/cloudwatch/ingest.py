"""PutMetricData: a request's datums checked as CloudWatch checks them, all or nothing, then stored.

Differences from AWS, on purpose: data may be as old as 63 days (AWS: 14), so that a local cloud can be given the
traffic history that a real account would have; a namespace's first datum is visible at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.localcloud.cloudwatch.aggregate import StatisticSet
from include.localcloud.cloudwatch.protocol import ApiError, invalid_value, missing
from include.localcloud.cloudwatch.store import Dimensions, Row

MAX_DATUMS = 1000
MAX_VALUES = 150
MAX_DIMENSIONS = 30
MAX_NAME_LENGTH = 255
MAX_DIMENSION_VALUE_LENGTH = 1024
OLDEST_SECONDS = 63 * 86400
NEWEST_SECONDS = 2 * 3600
_LARGEST = 2.0**360
_VALUE_KINDS = ("Value", "Values", "StatisticValues")
_UNITS_OF_SIZE = ("Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes")
_UNITS_OF_SIZE_IN_BITS = ("Bits", "Kilobits", "Megabits", "Gigabits", "Terabits")
_PLAIN_UNITS = ("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None")
_RATES = tuple(f"{unit}/Second" for unit in _UNITS_OF_SIZE + _UNITS_OF_SIZE_IN_BITS)
UNITS = frozenset(_PLAIN_UNITS + _UNITS_OF_SIZE + _UNITS_OF_SIZE_IN_BITS + _RATES)


def read_put(parameters: dict[str, Any], now: float) -> tuple[str, list[Row]]:
    """(namespace, rows) of a PutMetricData request; ApiError names the first datum that is wrong."""
    namespace = check_namespace(parameters.get("Namespace"))
    if namespace.startswith("AWS/"):
        raise invalid_value("Namespace", "AWS/", "It is reserved for AWS's own services.")
    data = parameters.get("MetricData")
    entities = parameters.get("EntityMetricData")
    if data is None and entities is None:
        raise missing("MetricData")
    prefixed: list[tuple[str, list[Any]]] = [("MetricData", data)] if data is not None else []
    for number, entity in enumerate(entities or [], 1):
        prefixed.append((f"EntityMetricData.member.{number}.MetricData", entity.get("MetricData") or []))
    if sum(len(datums) for _, datums in prefixed) > MAX_DATUMS:
        raise ApiError(
            "InvalidParameterValue", f"The collection MetricData must not have a size greater than {MAX_DATUMS}."
        )
    rows = []
    for prefix, datums in prefixed:
        for number, datum in enumerate(datums, 1):
            try:
                rows.append(_read_datum(datum, now))
            except _DatumError as error:
                raise error.located(f"{prefix}.member.{number}") from None
    return namespace, rows


def check_namespace(namespace: object) -> str:
    if namespace is None:
        raise missing("Namespace")
    if not isinstance(namespace, str) or not 1 <= len(namespace) <= MAX_NAME_LENGTH or namespace[0] == ":":
        raise invalid_value("Namespace", namespace)
    return namespace


class _DatumError(Exception):
    """What is wrong inside one datum; the datum's place in the request is added by the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def located(self, place: str) -> ApiError:
        return ApiError(self.code, self.message.replace("{}", place))


def _read_datum(datum: dict[str, Any], now: float) -> Row:
    name = datum.get("MetricName")
    if type(name) is not str or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise _wrong("MetricName", name) if name else _absent("MetricName")
    dimensions = datum.get("Dimensions")
    key = (name, _read_dimensions(dimensions) if dimensions else ())
    resolution = datum.get("StorageResolution", 60)
    if resolution not in {1, 60}:
        raise _wrong("StorageResolution", resolution)
    timestamp = datum.get("Timestamp", now)
    if type(timestamp) not in {int, float}:
        raise _DatumError("SerializationException", "{}.Timestamp is not a number (seconds since the epoch)")
    if not now - OLDEST_SECONDS <= timestamp <= now + NEWEST_SECONDS:
        raise _wrong("Timestamp", timestamp)
    time = int(timestamp)
    if resolution == 60:
        time -= time % 60
    unit = datum.get("Unit", "None")
    if unit not in UNITS:
        raise _wrong("Unit", unit)
    value = datum.get("Value")
    if value is not None and "Values" not in datum and "StatisticValues" not in datum:
        if type(value) not in {int, float} or not -_LARGEST <= value <= _LARGEST:
            raise _wrong("Value", value)
        return Row(key, time, (value,), None, unit, resolution == 1)
    values, counts, statistic_set = _read_rare_values(datum, time)
    return Row(key, time, values, counts, unit, resolution == 1, statistic_set)


def _read_dimensions(dimensions: list[dict[str, Any]]) -> Dimensions:
    if len(dimensions) > MAX_DIMENSIONS:
        raise _DatumError(
            "InvalidParameterValue",
            f"The collection {{}}.Dimensions must not have a size greater than {MAX_DIMENSIONS}.",
        )
    pairs = []
    for dimension in dimensions:
        name, value = dimension.get("Name"), dimension.get("Value")
        if type(name) is not str or not 0 < len(name) <= MAX_NAME_LENGTH or name[0] == ":":
            raise _wrong("Dimensions.Name", name)
        if type(value) is not str or not 0 < len(value) <= MAX_DIMENSION_VALUE_LENGTH:
            raise _wrong("Dimensions.Value", value)
        pairs.append((name, value))
    if len(pairs) > 1:
        pairs.sort()
        if len({name for name, _ in pairs}) < len(pairs):
            raise _wrong("Dimensions", [name for name, _ in pairs])
    return tuple(pairs)


def _read_rare_values(
    datum: dict[str, Any], time: int
) -> tuple[Sequence[float], Sequence[float] | None, StatisticSet | None]:
    given = [kind for kind in _VALUE_KINDS if datum.get(kind) is not None]
    if not given:
        raise _absent("Value")
    if len(given) > 1:
        raise _DatumError(
            "InvalidParameterCombination",
            f"The parameters {{}}.{given[0]} and {{}}.{given[1]} are mutually exclusive and you have specified both.",
        )
    if given == ["StatisticValues"]:
        return _read_statistic_values(datum["StatisticValues"], time)
    values, counts = datum["Values"], datum.get("Counts")
    if not 0 < len(values) <= MAX_VALUES:
        raise _DatumError(
            "InvalidParameterValue", f"The collection {{}}.Values must have a size between 1 and {MAX_VALUES}."
        )
    values = [_read_number("Values", value) for value in values]
    if counts is None:
        return values, None, None
    if len(counts) != len(values):
        raise _DatumError("InvalidParameterValue", "The parameters {}.Values and {}.Counts must be of the same size.")
    counts = [_read_number("Counts", count) for count in counts]
    if min(counts) <= 0:
        raise _wrong("Counts", min(counts))
    return values, counts, None


def _read_statistic_values(
    given: dict[str, Any], time: int
) -> tuple[Sequence[float], Sequence[float] | None, StatisticSet | None]:
    absent = [field for field in ("SampleCount", "Sum", "Minimum", "Maximum") if given.get(field) is None]
    if absent:
        raise _absent(f"StatisticValues.{absent[0]}")
    count, total, low, high = (
        _read_number(f"StatisticValues.{field}", given[field]) for field in ("SampleCount", "Sum", "Minimum", "Maximum")
    )
    if count <= 0:
        raise _wrong("StatisticValues.SampleCount", count)
    if low > high:
        raise _wrong("StatisticValues.Minimum", low)
    if low == high and total == low * count:
        return (low,), (count,), None  # nothing is hidden: percentiles are known, as AWS documents
    return (), None, StatisticSet(time, count, total, low, high)


def _read_number(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST <= value <= _LARGEST:
        raise _wrong(field, value)
    return float(value)


def _wrong(field: str, value: object) -> _DatumError:
    # Braces in what the client sent must not be taken for the datum's place.
    shown = str(value).replace("{}", "{ }")
    return _DatumError("InvalidParameterValue", f"The value {shown} for parameter {{}}.{field} is invalid.")


def _absent(field: str) -> _DatumError:
    return _DatumError("MissingParameter", f"The parameter {{}}.{field} is required.")
