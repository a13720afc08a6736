"""From a step to the one verb of the fleet that carries it out."""

from __future__ import annotations

from include.fleet import Fleet
from include.redblack.steps import (
    CreateGroup,
    DeleteGroup,
    PutScalingPolicy,
    ResizeGroup,
    ResumeProcesses,
    SetWeights,
    Step,
    SuspendProcesses,
    TagGroup,
)


def perform(fleet: Fleet, step: Step) -> None:
    """Carry out `step`; waits and ends do nothing. Errors are the port's."""
    match step:
        case CreateGroup():
            fleet.create_group(step.spec)
        case SetWeights():
            fleet.set_weights(step.cluster, step.weights)
        case ResizeGroup():
            fleet.resize_group(step.name, step.capacity)
        case PutScalingPolicy():
            fleet.put_scaling_policy(step.name, step.policy)
        case SuspendProcesses():
            fleet.suspend_processes(step.name, sorted(step.processes))
        case ResumeProcesses():
            fleet.resume_processes(step.name, sorted(step.processes))
        case TagGroup():
            fleet.tag_group(step.name, step.tags)
        case DeleteGroup():
            fleet.delete_group(step.name)
        case _:
            pass
