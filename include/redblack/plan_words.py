"""A region's plan in words: calls as people read them, durations, and the lines of an account."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from include.fleet.tags import FENCE
from include.redblack.region_plan import Outcome, PlannedCall, RegionPlan, Rehearsed

TARGET_GROUP = re.compile(r"(?:targetgroup/([^/]+)/|\(target group of ([^)]+)\))")
PREFIX = "redstart:"
ENDS: Final = {
    Outcome.DONE: "",
    Outcome.FAILED: "would fail: ",
    Outcome.REFUSED: "would be refused: ",
    Outcome.WAITS: "would wait: ",
    Outcome.UNREADABLE: "cannot be told: ",
}


def operation_of(call: PlannedCall) -> str:
    """`create_target_group` -> `CreateTargetGroup`."""
    return "".join(word.capitalize() for word in call.operation.split("_"))


def words_of(call: PlannedCall) -> str:
    """What the call is about: the parameters that matter."""
    if call.operation == "create_or_update_tags":
        return _tags(call)
    tell = TELLERS.get(call.operation)
    return (
        tell(call.parameters) if tell is not None else ", ".join(f"{key} {one}" for key, one in call.parameters.items())
    )


def lasts(seconds: float) -> str:
    """`0:42`, `12:05`, `1:02:00`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def end_of(rehearsed: Rehearsed) -> str:
    """How it ends, in a sentence."""
    return f"{ENDS[rehearsed.outcome]}{rehearsed.word}"


def summary_of(plan: RegionPlan) -> str:
    """The plan in one sentence, without its region."""
    calls = len(plan.push.calls)
    if plan.push.outcome is not Outcome.DONE:
        return end_of(plan.push)
    if not calls:
        return f"nothing to do: {plan.push.word}"
    users = f", users are on it after {lasts(plan.users_seconds)}" if plan.users_seconds is not None else ""
    return f"{calls} calls, {lasts(plan.push.seconds)}{users}; {plan.push.word}"


def lines_of(plan: RegionPlan, *, has_calls: bool = True) -> Iterator[str]:
    """The whole plan, a line each."""
    yield from plan.notes
    yield from _steps(plan.push, has_calls=has_calls)
    yield f"{plan.cluster.region}: {summary_of(plan)}"
    if plan.back is not None:
        safe = f", safe after {lasts(plan.safe_seconds)}" if plan.safe_seconds is not None else ""
        yield f"the way back from there: {len(plan.back.calls)} calls{safe}"
        yield from _steps(plan.back, has_calls=has_calls)
        yield f"the way back: {end_of(plan.back)}"


def _steps(rehearsed: Rehearsed, *, has_calls: bool) -> Iterator[str]:
    for step in rehearsed.steps:
        took = f" ({lasts(step.seconds)})" if step.seconds else ""
        yield f"+{lasts(step.after_seconds)} {step.sentence}{took}"
        for call in step.calls if has_calls else ():
            yield f"    {call.service} {operation_of(call)} {words_of(call)}"


def group_of(arn: str) -> str:
    """The group's name, of a target group's ARN or of the words that stand for one."""
    found = TARGET_GROUP.search(arn)
    return (found[1] or found[2]) if found else arn


def _listener(asked: Mapping[str, Any]) -> str:
    targets = [
        one for action in asked["DefaultActions"] for one in action.get("ForwardConfig", {}).get("TargetGroups", ())
    ]
    weights = [f"{group_of(one['TargetGroupArn'])} {one['Weight']}" for one in targets]
    return f"weights {', '.join(weights)}" if weights else "answer 503: no group is enabled"


def _tags(call: PlannedCall) -> str:
    """Without the lock's token, which is on all of them."""
    tags: Sequence[Mapping[str, Any]] = call.parameters["Tags"]
    told = [
        f"{tag['Key'].removeprefix(PREFIX)} = {_value(tag['Value'], call.at)}" for tag in tags if tag["Key"] != FENCE
    ]
    return f"{tags[0]['ResourceId']}: {', '.join(told)}"


def _value(value: str, at: datetime) -> str:
    """A tag's value; a moment by its distance, for the push may begin at another time than its plan."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value or '""'
    later = (moment - at.replace(microsecond=0)).total_seconds()
    return f"then + {lasts(later)}" if later >= 1 else "then"


def _bounds(asked: Mapping[str, Any]) -> str:
    return f"{asked['DesiredCapacity']} instances ({asked['MinSize']} to {asked['MaxSize']})"


def _new_group(asked: Mapping[str, Any]) -> str:
    subnets = len(str(asked["VPCZoneIdentifier"]).split(","))
    return f"{asked['AutoScalingGroupName']}: {_bounds(asked)} in {subnets} subnets, {len(asked['Tags'])} tags"


def _template(asked: Mapping[str, Any]) -> str:
    data = asked["LaunchTemplateData"]
    return f"{asked['LaunchTemplateName']}: {data['ImageId']} on {data['InstanceType']}"


def _policy(asked: Mapping[str, Any]) -> str:
    target, warmup = asked["TargetTrackingConfiguration"]["TargetValue"] / 60, asked["EstimatedInstanceWarmup"]
    return f"{asked['AutoScalingGroupName']}: {target:g} requests/s an instance, {warmup} s warm-up"


def _attributes(asked: Mapping[str, Any]) -> str:
    told = ", ".join(f"{one['Key']} = {one['Value']}" for one in asked["Attributes"])
    return f"{group_of(asked['TargetGroupArn'])}: {told}"


def _processes(asked: Mapping[str, Any]) -> str:
    return f"{asked['AutoScalingGroupName']}: {', '.join(asked['ScalingProcesses'])}"


TELLERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "create_target_group": lambda asked: (
        f"{asked['Name']}: {asked['Protocol']} {asked['Port']}, {asked['HealthCheckPath']}"
    ),
    "modify_target_group_attributes": _attributes,
    "create_launch_template": _template,
    "create_auto_scaling_group": _new_group,
    "suspend_processes": _processes,
    "resume_processes": _processes,
    "modify_listener": _listener,
    "put_scaling_policy": _policy,
    "update_auto_scaling_group": lambda asked: f"{asked['AutoScalingGroupName']}: {_bounds(asked)}",
    "detach_load_balancer_target_groups": lambda asked: f"{asked['AutoScalingGroupName']}",
    "delete_target_group": lambda asked: group_of(asked["TargetGroupArn"]),
    "delete_launch_template": lambda asked: str(asked["LaunchTemplateId"]),
    "delete_auto_scaling_group": lambda asked: f"{asked['AutoScalingGroupName']} with its instances",
}
