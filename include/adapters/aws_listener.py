"""The cluster's listener: weighted target groups read and written as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.adapters.aws_errors import AwsCalls, AwsRefusedError
from include.errors import RefusedError

MOST_TARGET_GROUPS = 5
HIGHEST_WEIGHT = 999
NOBODY = {
    "Type": "fixed-response",
    "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "no group is enabled"},
}


def name_of(target_group_arn: str) -> str:
    """`arn:...:targetgroup/api-main-v042/0123` -> `api-main-v042`."""
    return target_group_arn.split(":targetgroup/", 1)[-1].split("/", 1)[0]


def find_target_groups(calls: AwsCalls, names: Sequence[str]) -> dict[str, str]:
    """ARN per name, of those that exist (asked one by one: AWS refuses the whole list for one that is missing)."""
    found: dict[str, str] = {}
    for name in names:
        try:
            answer = calls.call("elbv2", "describe_target_groups", subject=name, Names=[name])
        except AwsRefusedError as error:
            if not error.code.startswith("TargetGroupNotFound"):
                raise
            continue
        found |= {group["TargetGroupName"]: group["TargetGroupArn"] for group in answer["TargetGroups"]}
    return found


class AwsListener:
    """The first listener of the load balancer named `load_balancer`; its address never changes, so it is kept."""

    def __init__(self, calls: AwsCalls, load_balancer: str) -> None:
        self._calls = calls
        self.load_balancer = load_balancer
        self._balancer_arn = ""

    def read(self) -> tuple[str, dict[str, int], list[dict[str, Any]]]:
        """Listener ARN, weight per target group ARN (0 = listed without traffic), and its default actions."""
        listener = self._first()
        actions = list(listener.get("DefaultActions", ()))
        weights: dict[str, int] = {}
        for action in actions:
            forward = action.get("ForwardConfig", {}).get("TargetGroups", ())
            for target in forward:
                weights[target["TargetGroupArn"]] = int(target.get("Weight", 1))
            if not forward and action.get("TargetGroupArn"):
                weights[action["TargetGroupArn"]] = 1
        return listener["ListenerArn"], weights, actions

    def write(self, wanted: Mapping[str, int], known_arns: Mapping[str, str]) -> None:
        """Exactly these weights per group name, in one change; nothing where they are already there."""
        self._refuse_impossible(wanted)
        listener_arn, current, actions = self.read()
        if {name_of(arn): weight for arn, weight in current.items()} == dict(wanted):
            return
        arns = {**known_arns, **{name_of(arn): arn for arn in current}}
        arns |= self.find_target_groups([name for name in wanted if name not in arns])
        unknown = sorted(set(wanted) - set(arns))
        if unknown:
            raise RefusedError(f"modify_listener in {self._calls.region}: no target group {', '.join(unknown)}")
        action = self._forward({arns[name]: weight for name, weight in wanted.items()}, actions) if wanted else NOBODY
        self._calls.call(
            "elbv2",
            "modify_listener",
            subject=self.load_balancer,
            ListenerArn=listener_arn,
            DefaultActions=[action],
        )

    def find_target_groups(self, names: Sequence[str]) -> dict[str, str]:
        return find_target_groups(self._calls, names)

    def balancer_arn(self) -> str:
        if not self._balancer_arn:
            self._balancer_arn = self._balancer()["LoadBalancerArn"]
        return self._balancer_arn

    def address(self) -> str:
        """`http://<DNS name>:<port>`, as AWS says it now; https where the listener speaks TLS."""
        listener = self._first()
        scheme = "https" if listener.get("Protocol") in ("HTTPS", "TLS") else "http"
        return f"{scheme}://{self._balancer()['DNSName']}:{listener['Port']}"

    def _balancer(self) -> dict[str, Any]:
        found = self._calls.call(
            "elbv2", "describe_load_balancers", subject=self.load_balancer, Names=[self.load_balancer]
        )
        return dict(found["LoadBalancers"][0])

    def _first(self) -> dict[str, Any]:
        listeners = list(
            self._calls.pages(
                "elbv2",
                "describe_listeners",
                "Listeners",
                subject=self.load_balancer,
                LoadBalancerArn=self.balancer_arn(),
            )
        )
        if not listeners:
            raise RefusedError(f"load balancer {self.load_balancer} in {self._calls.region} has no listener")
        first: dict[str, Any] = min(listeners, key=lambda one: (one.get("Port", 0), one["ListenerArn"]))
        return first

    def _forward(self, weights: Mapping[str, int], actions: list[dict[str, Any]]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        }
        for action in actions:
            stickiness = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig")
            if stickiness:
                config["TargetGroupStickinessConfig"] = stickiness
        return {"Type": "forward", "ForwardConfig": config}

    def _refuse_impossible(self, wanted: Mapping[str, int]) -> None:
        place = f"modify_listener in {self._calls.region} for {self.load_balancer}"
        if len(wanted) > MOST_TARGET_GROUPS:
            names = ", ".join(sorted(wanted))
            raise RefusedError(f"{place}: AWS forwards to {MOST_TARGET_GROUPS} groups at most, asked for {names}")
        for name, weight in wanted.items():
            if not 0 <= weight <= HIGHEST_WEIGHT:
                raise RefusedError(f"{place}: weight {weight} of {name} is not within 0 and {HIGHEST_WEIGHT}")
