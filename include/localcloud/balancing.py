"""ELBv2 of the local cloud: what is registered, who listens to it, and how healthy the router finds it.

Mended gaps of moto 5.2.5 (elbv2/models.py): targets are always healthy and gone at once when deregistered; weights,
number and existence of target groups in modify_listener are not looked at; names of load balancers and ports of
listeners may be taken twice; a load balancer's DNS name leads nowhere; a target group never learns which load
balancers use it after modify_listener; tags end at 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    TargetGroupNotFoundError,
    TooManyTagsError,
)
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, elbv2_backends
from moto.elbv2.responses import ELBV2Response

from include.localcloud import actions
from include.localcloud.addresses import balancer_hosts
from include.localcloud.moto_library import made_backends, replace_backend
from include.localcloud.routing import Place, RouterSpec
from include.localcloud.seams import ListenerSpec, TargetHealth
from include.localcloud.stage import current
from include.localcloud.targets import Targets, group_spec, status_of

LOOPBACK = IPv4Network("127.0.0.0/8")
LINGER_SECONDS = 30.0  # a group that left its last listener may still have requests under way
MOST_TAGS = 50


class BalancingBackend(ELBv2Backend):
    """One account and region."""

    def targets_of(self, arn: str) -> Targets:
        """What is registered and draining in a target group."""
        group = self.target_groups.get(arn)
        if group is None:
            raise TargetGroupNotFoundError()
        if not hasattr(group, "members"):
            group.members = Targets()
        return group.members

    def create_load_balancer(
        self, name: str, security_groups: list[str], subnet_ids: list[str], *a: Any, **k: Any
    ) -> Any:
        for known in self.load_balancers.values():
            if known.name == name:
                if {subnet.id for subnet in known.subnets} == set(subnet_ids):
                    return known  # AWS: the same wish again succeeds
                raise DuplicateLoadBalancerName()
        balancer = super().create_load_balancer(name, security_groups, subnet_ids, *a, **k)
        network = IPv4Network(self.ec2_backend.get_vpc(balancer.vpc_id).cidr_block)
        if network.subnet_of(LOOPBACK):
            balancer.dns_name = self._free_address(network)
        return balancer

    def _free_address(self, network: IPv4Network) -> str:
        taken = {balancer.dns_name for balancer in self.load_balancers.values()}
        free = (address for host in balancer_hosts() if (address := str(network[host])) not in taken)
        return next(free)

    def create_listener(self, load_balancer_arn: str, protocol: str, port: str, *a: Any, **k: Any) -> Any:
        balancer = self.load_balancers.get(load_balancer_arn)
        if balancer and any(str(listener.port) == str(port) for listener in balancer.listeners.values()):
            raise DuplicateListenerError()
        given = k.get("actions", a[2] if len(a) > 2 else [])
        actions.check(given, self.target_groups)
        listener = super().create_listener(load_balancer_arn, protocol, port, *a, **k)
        self._note_users()
        return listener

    def modify_listener(self, arn: str, *a: Any, **k: Any) -> Any:
        actions.check(k.get("actions") or (a[4] if len(a) > 4 else []) or [], self.target_groups)
        listener = super().modify_listener(arn, *a, **k)
        self._note_users()
        return listener

    def create_rule(self, listener_arn: str, conditions: Any, priority: int, given: Any, *a: Any, **k: Any) -> Any:
        actions.check(given, self.target_groups)
        rule = super().create_rule(listener_arn, conditions, priority, given, *a, **k)
        self._note_users()
        return rule

    def delete_listener(self, listener_arn: str) -> Any:
        listener = super().delete_listener(listener_arn)
        self._note_users()
        return listener

    def delete_load_balancer(self, arn: str) -> None:
        super().delete_load_balancer(arn)
        self._note_users()

    def register_targets(self, target_group_arn: str, instances: list[Any]) -> None:
        targets = self.targets_of(target_group_arn)
        super().register_targets(target_group_arn, instances)
        for target in instances:
            targets.draining.pop(target["Id"], None)

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        targets, group = self.targets_of(target_group_arn), self.target_groups[target_group_arn]
        now = current().clock.now()
        delay = float(group.attributes["deregistration_delay.timeout_seconds"])
        for target in instances:
            known = group.targets.pop(target["Id"], None)
            if known is None:
                continue  # AWS: deregistering what is not registered succeeds
            targets.known.pop(target["Id"], None)
            instance = self.ec2_backend.get_instance_by_id(target["Id"])
            has_connections = group.load_balancer_arns and instance is not None and instance.state == "running"
            if has_connections and delay > 0:
                targets.draining[target["Id"]] = (known, now + delay)

    def is_draining(self, arn: str, instance_id: str) -> bool:
        return arn in self.target_groups and instance_id in self.targets_of(arn).draining

    def describe_target_health(self, target_group_arn: str, targets: list[dict[str, Any]]) -> list[FakeHealthStatus]:
        state, group = self.targets_of(target_group_arn), self.target_groups[target_group_arn]
        asked = [target["Id"] for target in targets] or [*group.targets, *state.draining]
        return [status_of(one, group, state, self.ec2_backend.get_instance_by_id(one)) for one in asked]

    def target_state(self, arn: str, instance_id: str) -> str:
        """The word of describe_target_health; `unused` where there is no such group."""
        if arn not in self.target_groups:
            return "unused"
        return self.describe_target_health(arn, [{"Id": instance_id}])[0].status

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Terminated targets leave in `settle`."""

    def add_tags(self, resource_arns: list[str], tags: list[dict[str, str]]) -> None:
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
            known = self.tagging_service.get_tag_dict_for_resource(arn)
            if len({*known, *(tag["Key"] for tag in tags)}) > MOST_TAGS:
                raise TooManyTagsError()
        for arn in resource_arns:
            self.tagging_service.tag_resource(arn, tags)

    def settle(self, now: float, health: Mapping[tuple[str, str], TargetHealth]) -> None:
        """Note what the router says; end what has drained; let go of terminated instances."""
        for group in self.target_groups.values():
            targets = self.targets_of(group.arn)
            if group.load_balancer_arns:
                targets.used_at = now
            targets.known = (
                {one: health[group.name, one] for one in group.targets if (group.name, one) in health}
                if now - targets.used_at <= LINGER_SECONDS
                else {}
            )
            for one in list(group.targets):
                instance = self.ec2_backend.get_instance_by_id(one)
                if instance is None or instance.state in {"shutting-down", "terminated"}:
                    self.deregister_targets(group.arn, [{"Id": one}])
            for one, (_, until) in list(targets.draining.items()):
                instance = self.ec2_backend.get_instance_by_id(one)
                if now >= until or instance is None or instance.state != "running":
                    del targets.draining[one]

    def router_spec(self, now: float) -> RouterSpec:
        groups = [
            group_spec(group, self.targets_of(group.arn), self.ec2_backend)
            for group in self.target_groups.values()
            if now - self.targets_of(group.arn).used_at <= LINGER_SECONDS
        ]
        listeners = [
            ListenerSpec(
                name=f"{balancer.name}-{listener.port}",
                address=balancer.dns_name,
                port=int(listener.port),
                weights={
                    self.target_groups[arn].name: weight
                    for arn, weight in actions.weights(listener.default_actions).items()
                    if arn in self.target_groups
                },
            )
            for balancer in self.load_balancers.values()
            if balancer.dns_name.startswith("127.")
            for listener in balancer.listeners.values()
        ]
        return RouterSpec(tuple(sorted(groups, key=lambda group: group.name)), tuple(listeners))

    def _note_users(self) -> None:
        users: dict[str, list[str]] = {}
        for balancer in self.load_balancers.values():
            for listener in balancer.listeners.values():
                for rule in listener.rules.values():
                    for arn in actions.weights(rule.actions):
                        users.setdefault(arn, [])
                        if balancer.arn not in users[arn]:
                            users[arn].append(balancer.arn)
        now = current().clock.now()
        for arn, group in self.target_groups.items():
            group.load_balancer_arns = users.get(arn, [])
            if group.load_balancer_arns:
                self.targets_of(arn).used_at = now


class BalancingResponse(ELBV2Response):
    """moto shows all target groups in one page, whatever PageSize says."""

    def describe_target_groups(self) -> ActionResult:
        found = list(super().describe_target_groups().result["TargetGroups"])
        start, size = int(self._get_param("Marker", "0")), int(self._get_param("PageSize", 400))
        more = str(start + size) if len(found) > start + size else None
        return ActionResult({"TargetGroups": found[start : start + size], "NextMarker": more})


@dataclass(frozen=True)
class MetricView:
    """A target group as its metrics name it: AWS's dimension values, and its hosts."""

    name: str
    dimension: str
    balancers: tuple[str, ...]
    healthy: int
    unhealthy: int


def install() -> None:
    replace_backend(elbv2_backends, BalancingBackend)


def settle(now: float, health: Mapping[Place, Mapping[tuple[str, str], TargetHealth]]) -> None:
    for account, region, backend in made_backends(elbv2_backends):
        backend.settle(now, health.get((account, region), {}))


def all_specs(now: float) -> dict[Place, RouterSpec]:
    return {(account, region): backend.router_spec(now) for account, region, backend in made_backends(elbv2_backends)}


def metric_views() -> dict[Place, list[MetricView]]:
    with current().lock:
        return {
            (account, region): [_view(backend, group) for group in backend.target_groups.values()]
            for account, region, backend in made_backends(elbv2_backends)
        }


def _view(backend: BalancingBackend, group: Any) -> MetricView:
    states = [status.status for status in backend.describe_target_health(group.arn, [])]
    return MetricView(
        name=group.name,
        dimension=group.arn.rpartition(":")[2],
        balancers=tuple(arn.partition(":loadbalancer/")[2] for arn in group.load_balancer_arns),
        healthy=states.count("healthy"),
        unhealthy=states.count("unhealthy"),
    )
