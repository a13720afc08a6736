"""One delivery: which commit goes where. What tasks hand to one another about it is versioned."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

from include.apps.model import Environment, Production
from include.errors import ConfigError, RefusedError

SCHEMA = 1
KEY_LENGTH = 120


def run_key(run_id: str) -> str:
    """The run's id as a name for folders and tags: letters, digits, `.`, `_` and `-`, at most 120, never hidden.

    Two ids that differ only in other characters would share a key; Airflow's own never do.
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", run_id).strip("-.")[:KEY_LENGTH] or "run"


def flow_key(dag_id: str, run_id: str) -> str:
    """The key of a flow's run, under which it locks, pushes and keeps: runs of two flows may have the same id.

    That of the flow `prod` has no prefix, so that what runs of long ago have kept is still found.
    """
    flow = dag_id.partition("_")[2]
    return run_key(run_id) if flow in ("", "prod") else run_key(f"{flow}-{run_key(run_id)}")


@dataclass(frozen=True)
class Delivery:
    """A commit on its way. `regions` of production are as they are listed; none where it does not go there."""

    app: str
    run_key: str
    commit: str
    tree: str
    version: str
    subject: str
    author: str
    committed_epoch: int
    regions: tuple[str, ...]
    canary_region: str
    branch: str = ""

    def to_xcom(self) -> dict[str, Any]:
        """Plain JSON values under a schema number."""
        return {"schema": SCHEMA, **asdict(self), "regions": list(self.regions)}

    @classmethod
    def from_xcom(cls, stored: Mapping[str, Any] | None) -> Delivery:
        """RefusedError when no commit was selected; ConfigError for a schema that this version does not know."""
        if not stored:
            raise RefusedError("No commit was selected: look at select_commit.")
        fields = dict(stored)
        schema = fields.pop("schema", None)
        if schema != SCHEMA:
            raise ConfigError("this version cannot read it", source="XCom delivery", key="schema", value=schema)
        # A candidate's result says more than its delivery.
        known = {one.name for one in dataclass_fields(cls)}
        ours = {key: value for key, value in fields.items() if key in known}
        return cls(**{**ours, "regions": tuple(ours["regions"])})


def order_regions(environment: Environment, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The wanted regions as they are listed; none wanted means all. An unknown one is a ConfigError."""
    known = environment.region_names
    unknown = sorted(set(wanted or ()) - set(known))
    if unknown:
        raise ConfigError(f"must be among {', '.join(known)}", source="the run's form", key="regions", value=unknown)
    return tuple(name for name in known if not wanted or name in wanted)


def choose_canary_region(environment: Production, regions: Sequence[str]) -> str:
    """The settings' canary region if this run pushes it, else the first one pushed."""
    return environment.canary_region if environment.canary_region in regions else regions[0]


def word_if_live(live_trees: Mapping[str, str | None], tree: str, commit: str) -> str | None:
    """Why there is nothing to deliver, or None. `live_trees`: region -> content that takes traffic (None = other)."""
    if not live_trees or any(found != tree for found in live_trees.values()):
        return None
    return f"Already live: what {commit[:10]} contains already serves in {', '.join(live_trees)}."
