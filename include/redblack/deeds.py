"""Deeds as the ledger keeps them: what a verb is to do, by what it is the same deed, and whether it shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from include.fleet import ClusterView, Group
from include.fleet.tags import SCALING
from include.ledger import Json
from include.redblack.steps import (
    CreateGroup,
    DeleteGroup,
    PutScalingPolicy,
    ResizeGroup,
    ResumeProcesses,
    SetWeights,
    SuspendProcesses,
    TagGroup,
    Verb,
)


def describe(step: Verb) -> dict[str, Json]:
    """The deed as JSON, enough to tell from a later look whether it was done."""
    name = "" if isinstance(step, SetWeights) else step.spec.name if isinstance(step, CreateGroup) else step.name
    told: dict[str, Json] = {"step": type(step).__name__, "group": name, "sentence": step.sentence}
    match step:
        case SetWeights():
            told |= {"verb": "set_weights", "weights": dict(step.weights)}
        case CreateGroup():
            told |= {"verb": "create_group", "suspended": [*sorted(step.spec.suspended)]}
        case ResizeGroup():
            wanted = step.capacity
            told |= {"verb": "resize", "capacity": [wanted.minimum, wanted.desired, wanted.maximum]}
        case PutScalingPolicy():
            told |= {"verb": "put_policy", "policy": step.policy.words}
        case SuspendProcesses():
            told |= {"verb": "suspend", "processes": [*sorted(step.processes)]}
        case ResumeProcesses():
            told |= {"verb": "resume", "processes": [*sorted(step.processes)]}
        case TagGroup():
            told |= {"verb": "tag", "tags": dict(step.tags)}
        case DeleteGroup():
            told |= {"verb": "delete"}
    return told


def digest(told: Mapping[str, Json]) -> str:
    """The deed's identity: the same for a deed that is tried again. Moments and tokens in tags are not part of it."""
    own = {key: value for key, value in told.items() if key != "sentence"}
    if isinstance(tags := own.get("tags"), Mapping):
        own["tags"] = [*sorted(tags)]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]


def is_effected(view: ClusterView, told: Mapping[str, Any]) -> bool:
    """Whether the cluster looks as the deed would leave it."""
    if told["verb"] == "set_weights":
        return view.listed == dict(told["weights"])
    group = view.group(told["group"])
    if told["verb"] == "delete":
        return group is None or group.is_deleting
    return group is not None and not group.is_partial and _shows(group, told)


def _shows(group: Group, told: Mapping[str, Any]) -> bool:
    match told["verb"]:
        case "resize":
            found = group.capacity
            return [found.minimum, found.desired, found.maximum] == list(told["capacity"])
        case "put_policy":
            return group.tags.get(SCALING) == told["policy"]
        case "suspend":
            return group.suspended >= set(told["processes"])
        case "resume":
            return not group.suspended & set(told["processes"])
        case "tag":
            return all(group.tags.get(key) == value for key, value in told["tags"].items())
        case _:  # a group is made when nothing of it is missing
            return group.suspended >= set(told["suspended"])
