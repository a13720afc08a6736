"""What a push or a rollback of a region is to reach, from settings, ledger and lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.apps import App
from include.fleet import ClusterRef, ScalingPolicy

if TYPE_CHECKING:
    from include.ledger import Lease, Ledger, Place
    from include.redblack import Build, Need, PushGoal, RollbackGoal


def need_of(app: App, ledger: Ledger, place: Place) -> Need:
    """What the cluster must be able to serve; how long a start takes is measured, where it has been."""
    from include.ledger import Kind
    from include.ledger.folds import start_seconds
    from include.redblack import Need

    site = app.in_stack(place.stack)
    capacity = site.capacity
    measured = start_seconds(ledger.events(place=place, kinds={Kind.RED_HEALTHY}, newest=20), place)
    seconds = capacity.start_seconds if measured is None else measured
    return Need(capacity.rps_per_instance, capacity.target_rps, round(seconds), site.min_size)


def push_goal(
    app: App, lease: Lease, build: Build, need: Need, run: str, *, most_watch_seconds: float | None = None
) -> PushGoal:
    """`build` in the lease's cluster; `most_watch_seconds` shortens both watches (0: none)."""
    from include.redblack import GroupTemplate, PushGoal, SizeBounds

    site = app.in_stack(lease.place.stack)
    push = site.push
    most = float("inf") if most_watch_seconds is None else most_watch_seconds
    return PushGoal(
        cluster=cluster_of(lease.place),
        build=build,
        run=run,
        template=GroupTemplate(site.instance_type, site.port, site.health_path),
        size=SizeBounds(site.min_size, site.max_size),
        need=need,
        headroom_pct=push.head_room_pct,
        launch_within_seconds=push.launch_timeout_seconds,
        side_by_side_seconds=min(push.side_by_side_seconds, most),
        watch_seconds=min(push.watch_seconds, most),
        scaling=ScalingPolicy(site.capacity.target_rps, need.start_seconds),
        keep_black=push.keep_black,
        needs_traffic=push.needs_traffic,
        token=lease.token,
    )


def rollback_goal(
    app: App, lease: Lease, need: Need, run: str, reason: str, *, to: str = "", is_severe: bool = True
) -> RollbackGoal:
    """The lease's cluster back to `to`, or to what served before."""
    from include.redblack import RollbackGoal, SizeBounds

    site = app.in_stack(lease.place.stack)
    return RollbackGoal(
        cluster=cluster_of(lease.place),
        run=run,
        reason=reason,
        size=SizeBounds(site.min_size, site.max_size),
        need=need,
        to=to,
        is_severe=is_severe,
        token=lease.token,
    )


def cluster_of(place: Place) -> ClusterRef:
    return ClusterRef(place.app, place.stack, place.region)
