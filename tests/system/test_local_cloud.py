"""The local cloud as a process: an image is baked, a group of it serves through Envoy, is moved, killed and ended."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from include.apps import load_app
from include.services.network_seed import seed_network
from include.services.settings import PROD_ACCOUNT, PROJECT, Settings

pytestmark = pytest.mark.system
PORT, OCTET = 28390, 170
APPS = (load_app("api"),)
BUILDER = """#!/bin/sh
mkdir -p "${INSTANCE_ROOT}/opt/app"
cat > "${INSTANCE_ROOT}/opt/app/run" <<'END'
#!/usr/bin/env python3
import http.server, os, urllib.request
base = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "/latest/"
ask = urllib.request.Request(base + "api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
token = urllib.request.urlopen(ask).read().decode()
def metadata(path):
    request = urllib.request.Request(base + "meta-data/" + path, headers={"X-aws-ec2-metadata-token": token})
    return urllib.request.urlopen(request).read()
name = metadata("instance-id")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer((metadata("local-ipv4").decode(), 8080), Handler).serve_forever()
END
chmod +x "${INSTANCE_ROOT}/opt/app/run"
shutdown -h now
"""


class Cloud:
    def __init__(self, home: Path) -> None:
        self.settings = Settings(cloud_port=PORT, network_octet=OCTET, home=home)
        self.home = home
        environment = {
            **os.environ, "REDSTART_CLOUD_PORT": str(PORT), "REDSTART_NETWORK_OCTET": str(OCTET),
            "REDSTART_HOME": str(home), "PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}",
        }  # fmt: skip
        self.command = [sys.executable, "-m", "include.services.local_cloud"]
        self.environment = environment
        self.process = subprocess.Popen(self.command, env=environment, cwd=PROJECT)
        self.client = cache(self._client)

    def _client(self, service: str, region: str = "us-east-1", account: str = PROD_ACCOUNT) -> Any:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        if account != PROD_ACCOUNT:
            role = f"arn:aws:iam::{account}:role/redstart"
            found = self.client("sts").assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
            keys = {
                "aws_access_key_id": found["AccessKeyId"],
                "aws_secret_access_key": found["SecretAccessKey"],
                "aws_session_token": found["SessionToken"],
            }
        config = Config(retries={"mode": "standard", "max_attempts": 3})
        return boto3.client(service, region, endpoint_url=self.settings.cloud_url, config=config, **keys)

    def is_up(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.settings.cloud_url}/_localcloud/health", timeout=5).read()
        except OSError:
            return False
        return True

    def admin(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"{self.settings.cloud_url}/_localcloud/{path}", method=method)
        return json.loads(urllib.request.urlopen(request, timeout=10).read())

    def left_over(self) -> list[str]:
        """Command lines of processes whose command or environment names this cloud's home."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in {os.getpid(), self.process.pid}:
                try:
                    known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if str(self.home).encode() in known:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path / "home")
    try:
        wait(cloud.is_up, "the local cloud is up")
        yield cloud
    finally:
        cloud.process.terminate()
        cloud.process.wait(20)


def wait(is_so: Callable[[], bool], what: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)


class Traffic:
    """Requests one after the other, each on a new connection every 20; counts answers by status and body."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.answers: Counter[tuple[int, str]] = Counter()
        self._is_over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            connection = http.client.HTTPConnection(self._address, 8080, timeout=5)
            for _ in range(20):
                connection.request("GET", "/")
                response = connection.getresponse()
                self.answers[response.status, response.read().decode()] += 1
                time.sleep(0.002)
            connection.close()

    def end(self) -> Counter[tuple[int, str]]:
        self._is_over = True
        self._thread.join()
        return self.answers


class Region:
    def __init__(self, cloud: Cloud) -> None:
        self.ec2, self.scaling, self.elb = cloud.client("ec2"), cloud.client("autoscaling"), cloud.client("elbv2")
        wanted = [{"Name": "tag:redstart:network", "Values": ["main"]}]
        self.subnets = self.ec2.describe_subnets(Filters=wanted)["Subnets"]

    def bake(self) -> str:
        base = self.ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
        builder = self.ec2.run_instances(
            ImageId=base, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=BUILDER,
            SubnetId=self.subnets[0]["SubnetId"],
        )["Instances"][0]["InstanceId"]  # fmt: skip
        wait(lambda: self.state(builder) == "stopped", "the builder switched itself off")
        image = self.ec2.create_image(InstanceId=builder, Name="app-1", NoReboot=True)["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[builder])
        shown = lambda: self.ec2.describe_images(ImageIds=[image])["Images"][0]["State"]  # noqa: E731
        wait(lambda: shown() == "available", "the image is available")
        return str(image)

    def state(self, instance: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    def group(self, name: str, image: str, size: int) -> str:
        made = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=self.subnets[0]["VpcId"], HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )  # fmt: skip
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "2"}
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
        data = {"ImageId": image, "InstanceType": "t3.micro"}
        self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, LaunchTemplate={"LaunchTemplateName": name}, MinSize=0, MaxSize=6,
            DesiredCapacity=size, VPCZoneIdentifier=",".join(one["SubnetId"] for one in self.subnets),
            TargetGroupARNs=[arn], HealthCheckType="ELB", HealthCheckGracePeriod=10,
        )  # fmt: skip
        return arn

    def forward(self, weights: dict[str, int]) -> None:
        balancer = self.elb.describe_load_balancers(Names=["api-main"])["LoadBalancers"][0]
        listener = self.elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self.elb.modify_listener(ListenerArn=listener["ListenerArn"], DefaultActions=[action])

    def health(self, arn: str) -> list[str]:
        found = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return sorted(one["TargetHealth"]["State"] for one in found)

    def members(self, name: str) -> list[str]:
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return [one["InstanceId"] for group in found for one in group["Instances"]]


def test_a_version_is_baked_serves_gives_way_and_all_ends(cloud: Cloud) -> None:
    seed_network(lambda account, service, region: cloud.client(service, region, account), cloud.settings, APPS)
    region = Region(cloud)
    image = region.bake()
    old, new = region.group("g-v000", image, 3), region.group("g-v001", image, 3)
    region.forward({old: 100, new: 0})
    wait(lambda: region.health(old) == region.health(new) == ["healthy"] * 3, "both groups are healthy")

    traffic = Traffic(f"127.{OCTET}.0.10")
    wait(lambda: len(traffic.answers) == 3, "all of the old group serve")
    region.forward({old: 0, new: 100})
    wait(lambda: len(traffic.answers) == 6, "all of the new group serve")
    region.scaling.set_desired_capacity(AutoScalingGroupName="g-v001", DesiredCapacity=2)
    wait(lambda: len(region.members("g-v001")) == 2, "one drained and went")
    region.forward({new: 100})
    region.scaling.delete_auto_scaling_group(AutoScalingGroupName="g-v000", ForceDelete=True)
    wait(lambda: not region.members("g-v000"), "the old group is gone")
    region.elb.delete_target_group(TargetGroupArn=old)
    answers = traffic.end()
    assert {status for status, _ in answers} == {200}, answers

    victim = region.members("g-v001")[0]
    assert cloud.admin("POST", f"instances/{victim}/kill") == {"killed": victim}
    wait(lambda: victim not in region.members("g-v001"), "the killed one is replaced")
    wait(lambda: region.health(new) == ["healthy"] * 2, "its successor is healthy")

    begun = time.monotonic()
    cloud.process.send_signal(signal.SIGTERM)
    assert cloud.process.wait(10) == 0
    assert time.monotonic() - begun < 6
    wait(lambda: cloud.left_over() == [], f"no process is left: {cloud.left_over()}", 5)


def test_a_second_local_cloud_on_the_same_port_says_so_and_ends(cloud: Cloud) -> None:
    second = subprocess.run(
        cloud.command, env=cloud.environment, cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 2
    assert second.stderr.strip().splitlines()[-1].startswith(f"local cloud: 127.0.0.1:{PORT} is in use")
    assert cloud.is_up()


def test_nothing_is_left_of_a_local_cloud_that_was_killed(cloud: Cloud) -> None:
    seed_network(lambda account, service, region: cloud.client(service, region, account), cloud.settings, APPS)
    region = Region(cloud)
    arn = region.group("g-v000", region.bake(), 2)
    region.forward({arn: 1})
    wait(lambda: region.health(arn) == ["healthy"] * 2, "the group is healthy")
    assert len(cloud.left_over()) >= 3, "machines and a router"
    cloud.process.kill()
    cloud.process.wait()
    wait(lambda: cloud.left_over() == [], f"no process is left: {cloud.left_over()}", 10)
