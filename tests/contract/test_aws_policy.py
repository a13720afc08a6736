"""The role's rights in docs/aws.md against the calls in include/adapters: nothing is missing, nothing is too much."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
from botocore import xform_name

from include.adapters.aws_errors import iam_action

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("autoscaling", "cloudwatch", "ec2", "elbv2")
S3 = {
    "list_objects_v2": {"s3:ListBucket"},
    "upload_file": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "put_object": {"s3:PutObject"},
    "get_object": {"s3:GetObject"},
    "delete_object": {"s3:DeleteObject"},
}
ASKED_BESIDES = {
    "iam:PassRole": "the launch template names the instance profile",
    "ec2:CreateTags": "templates, builders, images and their snapshots are made with tags",
    "ec2:DeleteSnapshot": "an image is deregistered together with its snapshots",
    "ec2:RunInstances": "whoever makes a group of a launch template must be allowed to launch it",
    "elasticloadbalancing:AddTags": "target groups are made with tags",
}
"""Rights that AWS asks for beside those of the call itself, and why."""


def operations() -> dict[str, dict[str, str]]:
    """Service -> method of its client -> operation."""
    session = botocore.session.get_session()
    names = {service: session.get_service_model(service).operation_names for service in SERVICES}
    return {service: {xform_name(name): name for name in known} for service, known in names.items()}


def words(path: Path) -> Iterator[str]:
    """String constants and attributes: a call to AWS is the one or the other."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Attribute):
            yield node.attr


def pairs(path: Path) -> Iterator[tuple[str, str]]:
    """(service, method) of calls that name both."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and len(node.args) >= 2:
            first, second = node.args[:2]
            if isinstance(first, ast.Constant) and first.value in SERVICES and isinstance(second, ast.Constant):
                yield str(first.value), str(second.value)


def asked_actions() -> set[str]:
    """By the adapters' source. A method without its service beside it counts for the one service that has it."""
    known, found = operations(), set(ASKED_BESIDES)
    for path in sorted((ROOT / "include" / "adapters").glob("*.py")):
        named = set(pairs(path))
        found |= {iam_action(service, known[service][method]) for service, method in named}
        for word in set(words(path)) - {method for _, method in named}:
            found |= S3.get(word, set())
            owners = [service for service in SERVICES if word in known[service]]
            # The fleet's own verbs are called as AWS calls them; each is a call that is named in full elsewhere.
            if len(owners) == 1:
                found.add(iam_action(owners[0], known[owners[0]][word]))
    return found


def policy() -> list[dict[str, object]]:
    (text,) = re.findall(r"```json\n(\{\s*\"Version\".*?)```", (ROOT / "docs" / "aws.md").read_text(), re.DOTALL)
    statements: list[dict[str, object]] = json.loads(text)["Statement"]
    return statements


def allowed_actions() -> list[str]:
    return [
        action
        for statement in policy()
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])  # type: ignore[attr-defined]
    ]


def test_the_role_may_do_what_the_adapters_call_and_no_more() -> None:
    assert sorted(set(allowed_actions())) == sorted(asked_actions())


def test_the_scan_sees_the_calls() -> None:
    asked = asked_actions()
    assert len(asked) > 30
    assert {
        "autoscaling:ResumeProcesses", "elasticloadbalancing:DescribeTags", "cloudwatch:ListMetrics",
        "ec2:CreateTags", "s3:ListBucket",
    } <= asked  # fmt: skip


def test_everything_that_changes_something_is_narrowed() -> None:
    """To names, tags or the making call; launching and building alone cannot be."""
    for statement in policy():
        if statement["Sid"] not in ("Look", "LaunchAndBuild"):
            assert statement["Resource"] != "*" or "Condition" in statement, statement["Sid"]
    looks = next(statement for statement in policy() if statement["Sid"] == "Look")
    assert all(str(action).split(":")[1].startswith(("Describe", "Get", "List")) for action in looks["Action"])  # type: ignore[attr-defined]


def test_no_right_is_given_twice() -> None:
    twice = {action for action in allowed_actions() if allowed_actions().count(action) > 1}
    assert twice == {"ec2:CreateTags"}  # on what is made, and on copied images
