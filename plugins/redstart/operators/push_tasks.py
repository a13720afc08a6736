"""How the tasks of a run's push stand, region by region, by Airflow's own word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redstart.operators.runs import ENDED, states_in_run

if TYPE_CHECKING:
    from airflow.sdk import Context

CLAIM = "claim_cluster"
PUSH = ("push_red_black", "watch_red")
OTHERS = ("roll_back", "release_cluster")


@dataclass(frozen=True)
class PushTasks:
    """Regions by how their tasks stand, of those that Airflow has tasks of. `begun_again`: cleared (or never begun),
    and not locked yet. `ended`: nothing is done there any more."""

    known: frozenset[str] = frozenset()
    begun_again: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()

    @classmethod
    def of(cls, context: Context, group: str, regions: Sequence[str]) -> PushTasks:
        """`group`: what comes before the tasks' names; `regions`: those that they are mapped over, in their order."""
        states = states_in_run(context, [f"{group}{name}" for name in (CLAIM, *PUSH, *OTHERS)])
        known = {index for _, index in states if index < len(regions)}
        left: dict[int, set[str]] = {index: set() for index in known}
        for (task_id, index), state in states.items():
            if state not in ENDED and index in left:
                left[index].add(task_id.removeprefix(group))
        # A push that is failing has open tasks too; but Airflow clears the claim with whatever of it is begun again.
        again = {index for index, names in left.items() if CLAIM in names and names & set(PUSH)}
        ended = {index for index, names in left.items() if not names}
        return cls(*(frozenset(regions[index] for index in found) for found in (known, again, ended)))
