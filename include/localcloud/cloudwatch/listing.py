"""ListMetrics: names and dimensions of what was published, 500 a page."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from include.localcloud.cloudwatch.protocol import invalid_value, read_token, write_token
from include.localcloud.cloudwatch.store import MetricStore, SeriesKey

PAGE = 500
RECENTLY = "PT3H"
_RECENT_SECONDS = 3 * 3600
_LISTED_SECONDS = 14 * 86400


def list_metrics(
    store: MetricStore, account: str, region: str, parameters: dict[str, Any], now: float
) -> dict[str, Any]:
    """One page. A metric is listed for 14 days after its newest sample; `RecentlyActive` asks for 3 hours."""
    recently = parameters.get("RecentlyActive")
    if recently not in {None, RECENTLY}:
        raise invalid_value("RecentlyActive", recently, f"The only valid value is {RECENTLY}.")
    namespace = parameters.get("Namespace")
    namespaces = sorted(store.list_namespaces(account, region)) if namespace is None else [namespace]
    since = now - (_RECENT_SECONDS if recently else _LISTED_SECONDS)
    asked = {name: value for name, value in parameters.items() if name != "NextToken"}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    offset = read_token(parameters["NextToken"], digest=digest)["offset"] if parameters.get("NextToken") else 0
    found: list[tuple[str, SeriesKey]] = []
    for name in namespaces:
        partition = store.find_partition(account, region, name)
        if partition is not None:
            keys = partition.list_series(active_since=since)
            found += [(name, key) for key in keys if _matches(key, parameters)]
    answer: dict[str, Any] = {"Metrics": [_show(*one) for one in found[offset : offset + PAGE]]}
    if len(found) > offset + PAGE:
        answer["NextToken"] = write_token({"digest": digest, "offset": offset + PAGE})
    return answer


def _matches(key: SeriesKey, parameters: dict[str, Any]) -> bool:
    name, dimensions = key
    if parameters.get("MetricName") not in {None, name}:
        return False
    own = dict(dimensions)
    for wanted in parameters.get("Dimensions") or []:
        if wanted["Name"] not in own or wanted.get("Value") not in {None, own[wanted["Name"]]}:
            return False
    return True


def _show(namespace: str, key: SeriesKey) -> dict[str, Any]:
    name, dimensions = key
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": dimension, "Value": value} for dimension, value in dimensions],
    }
