"""ELBv2: listeners, weights, targets and their health, as the router finds it."""

from __future__ import annotations

from tests.support.cloud_things import Things, refused
from tests.support.local_cloud import LocalCloud


def balancer(things: Things) -> dict:
    return things.elb.describe_load_balancers(Names=["api-main"])["LoadBalancers"][0]


def described(things: Things, arn: str) -> dict:
    return things.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]


def test_a_load_balancer_is_reached_at_its_address(things: Things, local_cloud: LocalCloud) -> None:
    assert balancer(things)["DNSName"] == "127.10.0.10"
    west = Things(local_cloud, "us-west-2")
    assert balancer(west)["DNSName"] == "127.11.0.10"


def test_a_taken_name_is_refused_unless_the_wish_is_the_same(things: Things) -> None:
    subnets = [one["SubnetId"] for one in things.subnets()]
    again = things.elb.create_load_balancer(Name="api-main", Subnets=subnets)["LoadBalancers"][0]
    assert again["LoadBalancerArn"] == balancer(things)["LoadBalancerArn"]
    with refused("DuplicateLoadBalancerName"):
        things.elb.create_load_balancer(Name="api-main", Subnets=subnets[:2])
    things.target_group("g-v000")
    with refused("DuplicateTargetGroupName"):
        things.target_group("g-v000")
    with refused("DuplicateListener"):
        things.elb.create_listener(
            LoadBalancerArn=balancer(things)["LoadBalancerArn"], Protocol="HTTP", Port=8080,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
        )  # fmt: skip


def test_weights_and_target_groups_of_a_listener_are_checked(things: Things) -> None:
    arns = [things.target_group(f"g-v00{number}") for number in range(6)]
    for weight in (-1, 1000):
        with refused("ValidationError"):
            things.forward({arns[0]: weight})
    with refused("TargetGroupNotFound"):
        things.forward({arns[0] + "x": 1})
    with refused("TooManyTargetGroups"):
        things.forward(dict.fromkeys(arns, 1))
    things.forward({arns[0]: 999, arns[1]: 0})
    action = things.elb.describe_listeners(ListenerArns=[things.listener()])["Listeners"][0]["DefaultActions"][0]
    assert {one["TargetGroupArn"]: one["Weight"] for one in action["ForwardConfig"]["TargetGroups"]} == {
        arns[0]: 999,
        arns[1]: 0,
    }


def test_the_router_is_told_weights_and_groups_at_once(things: Things, local_cloud: LocalCloud) -> None:
    first, second = things.target_group("g-v000"), things.target_group("g-v001")
    things.target_group("unused")
    things.forward({first: 90, second: 10})
    router = local_cloud.router()
    assert router.listeners[0].weights == {"g-v000": 90, "g-v001": 10}
    assert (router.listeners[0].address, router.listeners[0].port) == ("127.10.0.10", 8080)
    assert [(group.name, group.health_path, group.interval_seconds) for group in router.groups] == [
        ("g-v000", "/health", 5.0),
        ("g-v001", "/health", 5.0),
    ]
    things.forward({second: 1})
    assert [group.name for group in router.groups] == ["g-v000", "g-v001"], "requests may still be under way"
    local_cloud.advance(31)
    assert [group.name for group in router.groups] == ["g-v001"]


def test_target_health_tells_each_state_and_why(things: Things, local_cloud: LocalCloud) -> None:
    arn, instance = things.target_group("g-v000"), things.run()
    assert things.reason(arn, instance) == ("unused", "Target.NotRegistered")
    with refused("InvalidTarget"):
        things.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])
    local_cloud.advance(2)
    things.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])
    assert things.reason(arn, instance) == ("unused", "Target.NotInUse")
    things.forward({arn: 0})
    local_cloud.advance(1)
    assert things.reason(arn, instance) == ("initial", "Elb.InitialHealthChecking")
    local_cloud.advance(6)
    assert things.reason(arn, instance) == ("healthy", ""), "weight 0 is checked too"
    local_cloud.machines.sicken(instance)
    local_cloud.advance(6)
    assert things.reason(arn, instance) == ("unhealthy", "Target.FailedHealthChecks")
    local_cloud.machines.heal(instance)
    local_cloud.advance(6)
    things.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])
    assert things.reason(arn, instance) == ("draining", "Target.DeregistrationInProgress")
    local_cloud.advance(10)
    assert things.reason(arn, instance) == ("unused", "Target.NotRegistered")
    things.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])
    things.ec2.stop_instances(InstanceIds=[instance])
    local_cloud.advance(2)
    assert things.reason(arn, instance) == ("unused", "Target.InvalidState")


def test_deregistering_twice_or_nobody_succeeds(things: Things) -> None:
    arn, instance = things.target_group("g-v000"), things.run()
    things.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])


def test_a_target_that_is_registered_again_stops_draining(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=1, HealthCheckType="EC2")
    target = [{"Id": things.members()[0]}]
    things.elb.deregister_targets(TargetGroupArn=arn, Targets=target)
    local_cloud.advance(3)
    things.elb.register_targets(TargetGroupArn=arn, Targets=target)
    local_cloud.advance(12)
    assert list(things.health(arn).values()) == ["healthy"]


def test_a_target_group_in_use_is_not_deleted(things: Things) -> None:
    arn = things.target_group("g-v000")
    things.forward({arn: 0})
    assert balancer(things)["LoadBalancerArn"] in described(things, arn)["LoadBalancerArns"]
    with refused("ResourceInUse"):
        things.elb.delete_target_group(TargetGroupArn=arn)
    other = things.target_group("g-v001")
    things.forward({other: 1})
    assert described(things, arn).get("LoadBalancerArns", []) == []
    things.elb.delete_target_group(TargetGroupArn=arn)
    with refused("TargetGroupNotFound"):
        described(things, arn)


def test_target_groups_page_and_carry_up_to_fifty_tags(things: Things) -> None:
    arns = [things.target_group(f"g-v00{number}") for number in range(5)]
    pages = things.elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["TargetGroups"]) for page in pages] == [2, 2, 1]
    things.elb.add_tags(ResourceArns=arns[:1], Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)])
    with refused("TooManyTags"):
        things.elb.add_tags(ResourceArns=arns[:1], Tags=[{"Key": "one-more", "Value": "v"}])


def test_counts_of_the_router_become_metrics(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=2)
    local_cloud.serve(20)
    begun = local_cloud.clock.now()
    local_cloud.advance(30)
    group, load_balancer = arn.rpartition(":")[2], balancer(things)["LoadBalancerArn"].partition(":loadbalancer/")[2]
    for dimensions in ({"LoadBalancer": load_balancer}, {"LoadBalancer": load_balancer, "TargetGroup": group}):
        assert sum(values(local_cloud, "RequestCount", dimensions, "Sum", begun)) == 600
    both = {"LoadBalancer": load_balancer, "TargetGroup": group}
    assert set(values(local_cloud, "HealthyHostCount", both, "Average", begun)) == {2.0}
    assert set(values(local_cloud, "TargetResponseTime", both, "p99", begun)) == {0.025}


def values(cloud: LocalCloud, name: str, dimensions: dict[str, str], stat: str, begun: float) -> list[float]:
    listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": listed}
    found = cloud.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "a", "MetricStat": {"Metric": metric, "Period": 5, "Stat": stat}}],
        StartTime=begun, EndTime=cloud.clock.now(),
    )  # fmt: skip
    return list(found["MetricDataResults"][0]["Values"])
