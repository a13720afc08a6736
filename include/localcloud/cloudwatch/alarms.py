"""Alarms as records: stored, described and deleted, never evaluated (their state says so)."""

from __future__ import annotations

import threading
from typing import Any

from include.localcloud.cloudwatch.protocol import ApiError, missing

NOT_EVALUATED = "Unchecked: the local cloud keeps alarms but does not evaluate them"


class Alarms:
    """Metric alarms of all accounts and regions; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alarms: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    def put(self, account: str, region: str, parameters: dict[str, Any], now: float) -> None:
        name = parameters.get("AlarmName")
        if not name:
            raise missing("AlarmName")
        if parameters.get("MetricName") is None and not parameters.get("Metrics"):
            raise ApiError("ValidationError", "An alarm needs MetricName or Metrics.")
        alarm = {field: value for field, value in parameters.items() if field != "Tags"}
        alarm |= {
            "AlarmArn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
            "ActionsEnabled": parameters.get("ActionsEnabled", True),
            "AlarmConfigurationUpdatedTimestamp": now,
            "StateValue": "INSUFFICIENT_DATA",
            "StateReason": NOT_EVALUATED,
            "StateUpdatedTimestamp": now,
        }
        with self._lock:
            self._alarms.setdefault((account, region), {})[name] = alarm

    def describe(self, account: str, region: str, parameters: dict[str, Any]) -> dict[str, Any]:
        names, prefix = parameters.get("AlarmNames"), parameters.get("AlarmNamePrefix") or ""
        state = parameters.get("StateValue")
        with self._lock:
            alarms = list(self._alarms.get((account, region), {}).values())
        found = [
            alarm
            for alarm in alarms
            if (not names or alarm["AlarmName"] in names)
            and alarm["AlarmName"].startswith(prefix)
            and state in {None, alarm["StateValue"]}
        ]
        return {"MetricAlarms": sorted(found, key=lambda alarm: str(alarm["AlarmName"])), "CompositeAlarms": []}

    def delete(self, account: str, region: str, parameters: dict[str, Any]) -> None:
        with self._lock:
            own = self._alarms.get((account, region), {})
            for name in parameters.get("AlarmNames") or []:
                own.pop(name, None)

    def reset(self) -> None:
        with self._lock:
            self._alarms.clear()
