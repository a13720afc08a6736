"""What only the local cloud has: faults, killed instances, slow boots, health, and counts of calls."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.ec2.models import ec2_backends

from include.errors import ConfigError
from include.localcloud.faults import CallCounts, Faults
from include.localcloud.metadata import InstanceFacts
from include.localcloud.moto_library import made_backends
from include.localcloud.wire import StartResponse, answer_json
from include.localcloud.world import World

PREFIX = "/_localcloud/"


class Admin:
    """WSGI callable for paths under PREFIX; bodies and answers are JSON."""

    def __init__(self, world: World, faults: Faults, calls: CallCounts) -> None:
        self._world, self._faults, self._calls = world, faults, calls

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(PREFIX).rstrip("/")
        try:
            found = self._answer(method, path, environ)
        except (ConfigError, ValueError, TypeError) as error:
            return answer_json(start, {"error": str(error)}, "400 Bad Request")
        if found is None:
            return answer_json(start, {"error": f"there is no {method} {environ['PATH_INFO']}"}, "404 Not Found")
        return answer_json(start, found)

    def _answer(self, method: str, path: str, environ: dict[str, Any]) -> Any | None:
        match method, path.split("/"):
            case "GET", ["health"]:
                return {"status": "healthy", "now": self._world.clock.now(), "instances": count_instances()}
            case "GET", ["faults"]:
                return self._faults.listed()
            case "POST", ["faults"]:
                given = _body(environ)
                self._faults.add(given if isinstance(given, list) else [given])
                return self._faults.listed()
            case "DELETE", ["faults"]:
                self._faults.clear()
                return []
            case "POST", ["instances", instance_id, "kill"]:
                return self._kill(instance_id)
            case "GET", ["settings"]:
                return self._world.speeds.listed()
            case "POST", ["settings"]:
                return self._world.speeds.change(_body(environ))
            case "GET", ["calls"]:
                query = parse_qs(environ.get("QUERY_STRING", ""))
                return self._calls.since(float(next(iter(query.get("since", ["0"])))))
        return None

    def _kill(self, instance_id: str) -> Any | None:
        if find_instance(instance_id) is None:
            return None
        self._world.machines.kill(instance_id)
        self._world.wake()
        return {"killed": instance_id}


def _body(environ: dict[str, Any]) -> Any:
    return json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")


def find_instance(instance_id: str) -> Any | None:
    for _, _, backend in made_backends(ec2_backends):
        if instance := backend.get_instance_by_id(instance_id):
            return instance
    return None


def count_instances() -> dict[str, int]:
    """State -> how many, everywhere."""
    counts: dict[str, int] = {}
    for _, _, backend in made_backends(ec2_backends):
        for instance in list(backend.kept_instances()):
            counts[instance.state] = counts.get(instance.state, 0) + 1
    return counts


def instance_facts(world: World, instance_id: str) -> InstanceFacts | None:
    """What the metadata service may tell an instance of itself; None for one that ended or never was."""
    instance = find_instance(instance_id)
    if instance is None or instance.state == "terminated":
        return None
    backend = instance.ec2_backend
    with world.lock:
        keys = world.instance_keys.of(backend.account_id, backend.region_name)
        tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return InstanceFacts(
        instance_id=instance_id,
        account_id=backend.account_id,
        region=backend.region_name,
        zone=instance.availability_zone,
        address=instance.private_ip,
        image_id=instance.image_id,
        instance_type=instance.instance_type,
        tags=tags,
        user_data=instance.user_data_bytes,
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        session_token=keys.session_token,
    )
