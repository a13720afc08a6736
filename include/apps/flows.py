"""Flows: what a branch's commits, or a person, set going. Each is a DAG, `<app>_<flow>`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from include.apps.section import Name, Section

if TYPE_CHECKING:
    from include.apps.model import Environment

FlowName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=40)]
Branch = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,100}$")]
RESERVED = ("rollback", "janitor", "override", "windows")
"""DAGs that every application has anyway."""


class VerifyFlow(Section):
    """A commit on `branch`: built, unit tested, baked, pushed to each of `environments` side by side and tested there.

    With `makes_candidates` an image that passed everywhere is a release candidate.
    """

    kind: Literal["verify"]
    branch: Branch
    environments: Annotated[tuple[Name, ...], Field(min_length=1)]
    makes_candidates: bool = False


class DeliverFlow(Section):
    """A commit on `branch`: built, tested, baked, verified in `environments`, judged as a canary, pushed to `prod`.

    `merge_into`: the branch that gets the commit as soon as it is seen. `schedule`: also by the clock (cron, UTC).
    `newer_commit`: whether a soaking canary goes on to its end when a newer commit arrives, or is cancelled for it.
    """

    kind: Literal["deliver"]
    branch: Branch
    environments: tuple[Name, ...] = ()
    merge_into: Branch | None = None
    schedule: str | None = None
    newer_commit: Literal["wait", "cancel"] = "wait"


class ReleaseFlow(Section):
    """A person's start: a candidate of the flow `candidates_of` is judged as a canary and pushed to `prod`.

    When it serves everywhere, its commit is merged into `merge_into` and tagged `<tag_prefix><version>`.
    """

    kind: Literal["release"]
    candidates_of: FlowName
    merge_into: Branch | None = None
    tag_prefix: str = Field("release-", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)


Flow = Annotated[VerifyFlow | DeliverFlow | ReleaseFlow, Field(discriminator="kind")]
KINDS = ("verify", "deliver", "release")


def check_flows(flows: Mapping[str, VerifyFlow | DeliverFlow | ReleaseFlow], known: Mapping[str, Environment]) -> None:
    """ValueError where flows contradict one another or name what is not there."""
    branches: dict[str, str] = {}
    for name, flow in flows.items():
        if name in RESERVED:
            raise ValueError(f"flows.{name}: every application has a flow of that name already")
        if isinstance(flow, ReleaseFlow):
            _check_release(name, flow, flows)
            continue
        if flow.branch in branches:
            raise ValueError(f"flows.{name}: {flow.branch} is the branch of flows.{branches[flow.branch]} already")
        branches[flow.branch] = name
        _check_environments(name, flow.environments, known)
        if isinstance(flow, DeliverFlow) and flow.merge_into == flow.branch:
            raise ValueError(f"flows.{name}: merge_into is the flow's own branch")
    used = [one for flow in flows.values() if not isinstance(flow, ReleaseFlow) for one in flow.environments]
    if shared := sorted({one for one in used if used.count(one) > 1}):
        raise ValueError(f"two flows push to {', '.join(shared)}: each would replace the other's version")


def _check_release(name: str, flow: ReleaseFlow, flows: Mapping[str, object]) -> None:
    source = flows.get(flow.candidates_of)
    if not isinstance(source, VerifyFlow) or not source.makes_candidates:
        raise ValueError(f"flows.{name}: flows.{flow.candidates_of} makes no candidates")
    if flow.merge_into == source.branch:
        raise ValueError(f"flows.{name}: merge_into is the branch that the candidates come from")


def _check_environments(name: str, wanted: Collection[str], known: Mapping[str, Environment]) -> None:
    for one in wanted:
        if one == "prod" or one not in known:
            others = ", ".join(sorted(set(known) - {"prod"})) or "none"
            raise ValueError(f"flows.{name}: environments must be among {others}; {one!r} is not")
    if len(set(wanted)) != len(wanted):
        raise ValueError(f"flows.{name}: an environment is listed twice")
