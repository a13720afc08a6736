"""The metadata service, asked by hand and by botocore's own client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from botocore.credentials import InstanceMetadataProvider
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher

from include.localcloud.metadata import PREFIX, InstanceFacts, MetadataService

FACTS = InstanceFacts(
    "i-1",
    "123456789012",
    "us-west-2",
    "us-west-2b",
    "127.11.2.4",
    "ami-1",
    tags={"redstart:app": "api", "aws:autoscaling:groupName": "api-main-v000"},
    access_key_id="AKIA1",
)


class Caller:
    def __init__(self) -> None:
        self.service = MetadataService(lambda instance_id: {"i-1": FACTS, "i-2": FACTS}.get(instance_id))

    def call(self, path: str, method: str = "GET", instance: str = "i-1", **headers: str) -> tuple[int, str]:
        said: list[str] = []
        environ = {"PATH_INFO": f"{PREFIX}{instance}/{path}", "REQUEST_METHOD": method}
        environ |= {f"HTTP_X_AWS_EC2_METADATA_{name.upper()}": value for name, value in headers.items()}
        body = b"".join(self.service(environ, lambda status, headers: said.append(status)))
        return int(said[0].split()[0]), body.decode()

    def token(self) -> str:
        status, token = self.call("latest/api/token", "PUT", token_ttl_seconds="60")
        assert status == 200
        return token


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("latest/meta-data/instance-id", "i-1"),
        ("latest/meta-data/local-ipv4", "127.11.2.4"),
        ("latest/meta-data/ami-id", "ami-1"),
        ("latest/meta-data/placement/region", "us-west-2"),
        ("latest/meta-data/placement/availability-zone", "us-west-2b"),
        ("latest/meta-data/placement/availability-zone/", "us-west-2b"),
        ("latest/meta-data/tags/instance/aws:autoscaling:groupName", "api-main-v000"),
        ("latest/meta-data/tags/instance/", "redstart:app\naws:autoscaling:groupName"),
        ("latest/meta-data/iam/security-credentials/", "redstart-instance"),
        ("latest/meta-data/placement", "availability-zone\nregion"),
    ],
)
def test_paths_are_aws_s(caller: Caller, path: str, body: str) -> None:
    assert caller.call(path, token=caller.token()) == (200, body)


def test_identity_names_the_account(caller: Caller) -> None:
    _, document = caller.call("latest/dynamic/instance-identity/document", token=caller.token())
    assert json.loads(document)["accountId"] == "123456789012"


def test_without_a_valid_token_nothing_is_told(caller: Caller) -> None:
    path = "latest/meta-data/instance-id"
    assert caller.call(path)[0] == 401
    assert caller.call(path, token="guess")[0] == 401
    assert caller.call(path, instance="i-2", token=caller.token())[0] == 401, "a token is one machine's"


def test_what_aws_refuses_is_refused(caller: Caller) -> None:
    assert caller.call("latest/api/token", "PUT")[0] == 400
    assert caller.call("latest/api/token", "PUT", token_ttl_seconds="21601")[0] == 400
    assert caller.call("latest/api/token")[0] == 405
    assert caller.call("latest/meta-data/instance-id", "POST", token=caller.token())[0] == 405
    assert caller.call("latest/meta-data/spot", token=caller.token())[0] == 404
    assert caller.call("latest/user-data", token=caller.token())[0] == 404
    assert caller.call("latest/meta-data/instance-id", instance="i-9")[0] == 404


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def endpoint(caller: Caller) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, caller.service, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{PREFIX}i-1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_botocore_finds_credentials_and_region(endpoint: str) -> None:
    config = {"ec2_metadata_service_endpoint": endpoint}
    fetcher = InstanceMetadataFetcher(timeout=20, num_attempts=1, env={}, config=config)
    credentials = InstanceMetadataProvider(iam_role_fetcher=fetcher).load()
    assert credentials is not None
    assert credentials.get_frozen_credentials().access_key == "AKIA1"
    region = InstanceMetadataRegionFetcher(timeout=20, num_attempts=1, env={}, config=config)
    assert region.retrieve_region() == "us-west-2"
