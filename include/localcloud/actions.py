"""Actions of ELBv2 listeners and rules: which target groups they name, with which weights, and what AWS refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.elbv2.exceptions import ELBClientError

MOST_TARGET_GROUPS = 5
HIGHEST_WEIGHT = 999


def forwards(action: Any) -> list[tuple[str, int]]:
    """(target group ARN, weight) of one action, moto's or the request's."""
    data = getattr(action, "data", action)
    if data.get("Type") != "forward":
        return []
    listed = data.get("ForwardConfig", {}).get("TargetGroups", ())
    if listed:
        return [(one["TargetGroupArn"], int(one.get("Weight", 1))) for one in listed]
    return [(data["TargetGroupArn"], 1)] if data.get("TargetGroupArn") else []


def weights(given: Iterable[Any]) -> dict[str, int]:
    return {arn: weight for action in given for arn, weight in forwards(action)}


def check(given: Iterable[Any], known: Mapping[str, Any]) -> None:
    """Raise AWS's refusal of actions that it would not take."""
    for action in given:
        listed = forwards(action)
        if len(listed) > MOST_TARGET_GROUPS:
            raise ELBClientError(
                "TooManyTargetGroups", f"You can specify up to {MOST_TARGET_GROUPS} target groups per forward action"
            )
        if len({arn for arn, _ in listed}) != len(listed):
            raise ELBClientError("ValidationError", "A target group may be listed once per forward action")
        for arn, weight in listed:
            if arn not in known:
                raise ELBClientError("TargetGroupNotFound", f"Target group '{arn}' not found")
            if not 0 <= weight <= HIGHEST_WEIGHT:
                raise ELBClientError(
                    "ValidationError", f"Weight '{weight}' must be between 0 and {HIGHEST_WEIGHT} inclusive"
                )
