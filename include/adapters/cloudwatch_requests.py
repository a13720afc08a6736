"""Requests served by each instance of a group, as CloudWatch counted them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from include.adapters.aws_metric_data import WrongQueryError, as_list, dimensions_of, get_metric_data, list_metrics
from include.adapters.metric_store import NoAnswerError, Patience, StoreHealth
from include.errors import RefusedError

INSTANCE_NAMESPACE = "Redstart/Instance"
QUERIES_PER_CALL = 500


def count_requests_per_instance(
    client: Any,
    group: str,
    seconds: int,
    *,
    instance_ids: Sequence[str] | None = None,
    now: datetime | None = None,
) -> dict[str, float]:
    """Requests served per instance id of `group` in the last `seconds`; an instance without data is absent.

    Give `instance_ids` where they are known: without them the instances are looked up by ListMetrics, which on AWS
    shows a new one only after up to 15 minutes. `now` defaults to the wall clock. Raises RetryableError
    where CloudWatch did not answer, RefusedError where it refuses.
    """
    patience = Patience(0, StoreHealth())  # whoever counts requests looks again soon
    end = (now or datetime.now(UTC)) + timedelta(seconds=5)  # the running 5 s period belongs to "now" as well
    if instance_ids is None:
        instance_ids = _list_instances(client, group, patience)
    counts: dict[str, float] = {}
    for index in range(0, len(instance_ids), QUERIES_PER_CALL):
        some = instance_ids[index : index + QUERIES_PER_CALL]
        queries = [_instance_query(f"q{number}", group, instance) for number, instance in enumerate(some)]
        try:
            for result in get_metric_data(client, queries, end - timedelta(seconds=seconds + 5), end, patience):
                if result["Values"]:
                    instance = some[int(result["Id"][1:])]
                    counts[instance] = counts.get(instance, 0.0) + sum(result["Values"])
        except WrongQueryError as error:
            raise RefusedError(f"{INSTANCE_NAMESPACE} RequestCount of {group}: {error}") from error
        except NoAnswerError as error:
            raise patience.away(f"CloudWatch left {INSTANCE_NAMESPACE} RequestCount of {group}", error) from error
    return counts


def _instance_query(query_id: str, group: str, instance_id: str) -> dict[str, Any]:
    dimensions = as_list({"AutoScalingGroupName": group, "InstanceId": instance_id})
    metric = {"Namespace": INSTANCE_NAMESPACE, "MetricName": "RequestCount", "Dimensions": dimensions}
    return {"Id": query_id, "MetricStat": {"Metric": metric, "Period": 5, "Stat": "Sum"}}


def _list_instances(client: Any, group: str, patience: Patience) -> list[str]:
    asked = [{"Name": "AutoScalingGroupName", "Value": group}]
    metrics = list_metrics(
        client,
        patience,
        Namespace=INSTANCE_NAMESPACE,
        MetricName="RequestCount",
        Dimensions=asked,
        RecentlyActive="PT3H",
    )
    found = (dimensions_of(metric) for metric in metrics)
    return sorted({own["InstanceId"] for own in found if own.keys() == {"AutoScalingGroupName", "InstanceId"}})
