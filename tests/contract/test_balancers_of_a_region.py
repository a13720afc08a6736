"""Several load balancers of a region, each at an address of its own."""

from __future__ import annotations

from tests.support.cloud_things import Things
from tests.support.local_cloud import LocalCloud


def test_load_balancers_on_the_same_port_have_addresses_of_their_own(things: Things, local_cloud: LocalCloud) -> None:
    subnets = [one["SubnetId"] for one in things.subnets()]

    def make(name: str) -> dict:
        made = things.elb.create_load_balancer(Name=name, Subnets=subnets, Scheme="internal")["LoadBalancers"][0]
        things.elb.create_listener(
            LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=8080,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
        )  # fmt: skip
        return made

    staging, other = make("api-staging"), make("billing-main")
    assert (staging["DNSName"], other["DNSName"]) == ("127.10.0.12", "127.10.0.13"), "127.10.0.11 is the router's own"
    things.forward({things.target_group("g-v000"): 1})
    listening = {one.name: (one.address, one.port) for one in local_cloud.router().listeners}
    assert listening == {
        "api-main-8080": ("127.10.0.10", 8080),
        "api-staging-8080": ("127.10.0.12", 8080),
        "billing-main-8080": ("127.10.0.13", 8080),
    }
    things.elb.delete_load_balancer(LoadBalancerArn=staging["LoadBalancerArn"])
    assert make("search-main")["DNSName"] == "127.10.0.12", "what is free is given again"
