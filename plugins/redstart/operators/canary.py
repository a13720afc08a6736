"""Canary and baseline: launched beside production, and taken down on any outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.errors import RefusedError
from include.fleet import ClusterView
from include.fleet.tags import SOAK_END
from include.ledger import Claim, Holder
from redstart.operators import clock
from redstart.operators.cluster import claim_patiently, hold_cluster, place_of, who_of
from redstart.operators.goals import cluster_of, need_of
from redstart.operators.production import images_of, is_same_production, recorded_images
from redstart.operators.station import (
    CHOOSE_BASELINE,
    DRY,
    StationOperator,
    fence,
    image_in,
    images_of_run,
    key_of_run,
    result_of,
)
from redstart.ui.links import BaselineLink, CanaryGroupsLink, TeardownLogLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.redblack import Build, CanaryGoal
    from redstart.operators.cluster import Held
    from redstart.operators.drive import Account

SOAK_KEY = "soak"


class ChooseBaselineOperator(StationOperator):
    """Say what the new version is compared with: the group that takes most of the canary region's traffic now. And
    what serves in every region of this run: the verdict holds for that.

    Also the setup that makes sure of the teardown: Airflow runs a teardown when one of its setups has succeeded, so
    that a launch which fails half-way is taken down as well.

    **Retry and clear**: looks again. If what serves is something else by then, clearing this with everything after it
    has the new version judged again, in a soak of its own.
    """

    operator_extra_links = (BaselineLink(),)
    ui_color = "#fdf3d8"

    def deliver(self, context: Context) -> dict[str, Any]:
        from include.redblack import Build, enabled_groups

        delivery = self.selected(context)
        region = delivery.canary_region
        views = {name: self.view(name) for name in delivery.regions}
        view = views[region]
        running = max(enabled_groups(view), key=lambda group: (group.weight, group.name), default=None)
        if running is None:
            raise RefusedError(
                f"Nothing serves {view.cluster.name} in {region}: there is no baseline to compare with. Bring a first "
                "version up there once (docs/flows.md, A new application), then clear this."
            )
        with self.told(context) as account:
            build = Build.of_group(running)
            what = f"{build.version or 'unknown version'}, {build.image_id}"
            account.note(f"{running.name} in {region} ({what}) with {running.healthy_count} healthy instances")
            production = {name: images_of(found) for name, found in views.items()}
            for name, images in production.items():
                account.note(f"{name} serves {', '.join(images) or 'nothing'}")
        chosen = {"schema": 1, "region": region, "group": running.name, "build": asdict(build)}
        return {**chosen, "production": production}

    def rehearse(self, context: Context) -> dict[str, Any]:
        """In earnest it only looks, too."""
        try:
            return {**self.deliver(context), "dry_run": True}
        except RefusedError as error:
            return {**DRY, "refused": str(error)}


class CanaryOperator(StationOperator):
    """Works on the canary's region, under its lock for as long as that takes."""

    ui_color = "#fdf3d8"

    @contextmanager
    def held(self, context: Context, account: Account, region: str, why: str) -> Iterator[Held]:
        """The region under the lock; a push or a rollback that has it is waited for."""
        app, ledger, place = self.application, self.ledger, place_of(self.application, region)
        owner, who = key_of_run(context), who_of(context)
        claim = Claim(owner, Holder.CANARY, who, why, app.prod.push.lease_seconds)
        limit = app.prod.canary.launch_timeout_seconds
        held = claim_patiently(lambda: hold_cluster(app, ledger, place, claim, fence(context)), account, limit)
        try:
            yield held
        finally:
            ledger.free(place, clock.now(), owner=owner, who=who, why=f"{self.task_id} is over")

    def goal(self, context: Context, held: Held, canary: Build, baseline: Build, soak_seconds: float) -> CanaryGoal:
        from include.redblack import CanaryGoal, GroupTemplate

        prod = self.application.prod
        return CanaryGoal(
            cluster=cluster_of(held.lease.place),
            canary=canary,
            baseline=baseline,
            run=key_of_run(context),
            template=GroupTemplate(prod.instance_type, prod.port, prod.health_path),
            size=prod.canary.size,
            share_pct=prod.canary.share_pct,
            soak_seconds=soak_seconds,
            need=need_of(self.application, held.ledger, held.lease.place),
            launch_within_seconds=prod.canary.launch_timeout_seconds,
            token=held.lease.token,
        )


class LaunchCanaryOperator(CanaryOperator):
    """Launch a canary (the new image) and a baseline (the running one) of the same size, each with its share of the
    traffic. When both serve, the end of the soak is written down as a moment: on the canary group, in this task's
    result and in its state store, which outlives clears.

    **Retry**: a pair of this run is adopted, half-made ones are completed; a foreign one is replaced.
    **Clear**: during the soak the pair is adopted, or replaced if it is gone; the end stays where it was, and the
    judge sees only the time that the new pair served. After the soak nothing is launched; unless choose_baseline was
    cleared too and found another version in production: that is another pair, with a soak of its own.
    """

    operator_extra_links = (CanaryGroupsLink(),)

    def deliver(self, context: Context) -> dict[str, Any]:
        from include.redblack import Build, drive_canary

        delivery = self.selected(context)
        region = delivery.canary_region
        store = context.get("task_state_store")
        earlier = store.get(SOAK_KEY) if store is not None else None
        chosen = result_of(context, CHOOSE_BASELINE)
        images = images_of_run(context)
        if earlier and (earlier["image"] != images.get(region) or not is_same_production(earlier, chosen, images)):
            earlier = None  # a cleared run with another commit, or another version in production
        if earlier and datetime.fromisoformat(earlier["soak_end"]) <= clock.now():
            self.log.info("The soak ended at %s; nothing is launched again.", earlier["soak_end"])
            return dict(earlier)
        with self.told(context) as account, self.held(context, account, region, "launches canary and baseline") as held:
            new = Build(image_in(context, region), delivery.version, delivery.commit)
            fleet, goal = held.fleet, self.goal(context, held, new, Build(**chosen["build"]), self.soak(context))
            loop = drive_canary(fleet, goal, clock.now, held.journal)
            account.follow(loop, limit_seconds=2 * goal.launch_within_seconds)
            found = describe_soak(fleet.view_cluster(goal.cluster), goal, earlier)
            soak = {**found, "production": recorded_images(chosen)}
            account.note(f"canary   {soak['canary']} in {region}: {goal.canary.version}, {soak['image']}")
            account.note(
                f"baseline {soak['baseline']} in {region}: {soak['baseline_version']}, {soak['baseline_image']}"
            )
            if store is not None:
                store.set(SOAK_KEY, soak)
            # After the store: killed in between, the next try still sees that this pair is not the earlier one.
            fleet.tag_group(soak["canary"], {SOAK_END: soak["soak_end"]})
        return soak

    def soak(self, context: Context) -> int:
        """The form's soak, else the installation's, else the application's."""
        asked = context["params"].get("soak_seconds")
        return int(asked or self.installation.soak_seconds() or self.application.prod.canary.soak_seconds)

    def rehearse(self, context: Context) -> dict[str, Any]:
        canary, region = self.application.prod.canary, self.selected(context).canary_region
        chosen, image = result_of(context, CHOOSE_BASELINE), images_of_run(context).get(region, "no image")
        with self.told(context) as account:
            if "refused" in chosen:
                account.note(f"Dry run: no canary could be launched: {chosen['refused']}")
            else:
                baseline = f"{chosen['build']['image_id']} as the baseline of {chosen['group']}"
                account.note(
                    f"Dry run: would launch {canary.size} instances of {image} as the canary and {canary.size} of "
                    f"{baseline} in {region}, each with {canary.share_pct:g} % of the traffic, for a soak of "
                    f"{self.soak(context)} s"
                )
        return {**DRY, "region": region}


def describe_soak(view: ClusterView, goal: CanaryGoal, earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    """The launch's result. `earlier` is what a former try, or a cleared one, wrote down: its end stays.

    Its start stays only for the pair that it was written for, told by the end on the group: a pair that replaced
    it may have the same name.
    """
    from include.redblack import pair_of, soak_end

    canary, baseline = pair_of(view, goal)
    end = soak_end(view, goal)
    if end is None:
        raise RefusedError(f"{canary.name} carries no end of its soak.")
    start = end - timedelta(seconds=goal.soak_seconds)
    if earlier is not None:
        earlier_end = datetime.fromisoformat(earlier["soak_end"])
        start = datetime.fromisoformat(earlier["soak_start"]) if end == earlier_end else start
        end = earlier_end
    return {
        "schema": 1,
        "region": view.cluster.region,
        "canary": canary.name,
        "baseline": baseline.name,
        "image": goal.canary.image_id,
        "baseline_image": goal.baseline.image_id,
        "baseline_version": goal.baseline.version,
        "soak_start": start.isoformat(timespec="seconds"),
        "soak_end": end.isoformat(timespec="seconds"),
    }


class StopCanaryOperator(CanaryOperator):
    """Take canary and baseline out of traffic and delete them, on any outcome; however far their launch came.

    **Retry and clear**: safe; what is gone is gone. Groups of other runs are not touched.
    """

    operator_extra_links = (TeardownLogLink(),)

    def deliver(self, context: Context) -> dict[str, Any]:
        from include.redblack import Build, drive_teardown

        limit, region = self.application.prod.canary.launch_timeout_seconds, self.selected(context).canary_region
        with self.told(context) as account, self.held(context, account, region, "ends canary and baseline") as held:
            goal = self.goal(context, held, Build(""), Build(""), 0)
            loop = drive_teardown(held.fleet, goal, clock.now, held.journal)
            done = account.follow(loop, limit_seconds=limit)
        return {"schema": 1, "region": region, "summary": done.summary}
