"""The red/black push of one region."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.apps import load_app
from include.errors import RetryableError
from redstart.operators import clock
from redstart.operators.drive import Fenced
from redstart.operators.production import refuse_if_changed
from redstart.operators.source import live_commits
from redstart.operators.station import LAUNCH_CANARY, StationOperator, fence, image_in, key_of_run, result_of
from redstart.ui.links import PushLogLink, push_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from include.redblack import PushGoal

WAIT_SECONDS = 30.0
HUNG_SECONDS = 300


class PushRedBlackOperator(StationOperator):
    """Replace the region's running version: launch the new group at the live count + head room, wait until it is
    healthy and takes traffic, take the old one out of traffic and keep it.

    Regions go one after another; one whose predecessor does not serve the commit waits, and gives up in the end.
    A push that fails is rolled back before this task fails. One that comes to no end in the settings' time is left
    as it is, and the error says what it waits for. A region that serves neither what it served when the baseline was
    chosen nor the new version is refused: the verdict does not hold for it.

    **Retry and clear**: nothing is remembered but what the groups themselves say: a push that was interrupted
    anywhere goes on there, or goes on rolling back. A region that already serves the commit has nothing to do.
    """

    template_fields: Sequence[str] = ("region",)
    operator_extra_links = (PushLogLink(),)
    ui_color = "#e6f4ea"

    def __init__(self, *, app: str, region: Any, **kwargs: Any) -> None:
        # The loop ends itself, with a reason; this is for a call that hangs.
        limit = load_app(app).prod.push.timeout_seconds + HUNG_SECONDS
        kwargs.setdefault("execution_timeout", timedelta(seconds=limit))
        super().__init__(app=app, **kwargs)
        self.region = region

    def deliver(self, context: Context) -> dict[str, Any]:
        from include.redblack import drive_push

        # What the UI shows instead of the mapped index.
        context["region"] = self.region
        self.wait_for_earlier_regions(self.selected(context))
        # Here, not in the gate alone: hours may lie between the two, and the regions before this one.
        image = image_in(context, self.region)
        refuse_if_changed(self.view(self.region), result_of(context, LAUNCH_CANARY), image)
        limit = self.application.prod.push.timeout_seconds
        fleet = Fenced(self.fleet(self.region), fence(context))
        with self.told(context, push_file(self.app, key_of_run(context), self.region)) as account:
            done = account.follow(drive_push(fleet, self.goal(context), clock.now), limit_seconds=limit)
        return {"schema": 1, "region": self.region, "group": done.group, "summary": done.summary}

    def wait_for_earlier_regions(self, delivery: Delivery) -> None:
        """RetryableError while a region that comes first does not serve the commit yet: it may be on its retries."""
        for region in delivery.regions[: delivery.regions.index(self.region)]:
            view = self.view(region)
            if live_commits(view) != {delivery.commit}:
                raise RetryableError(
                    f"{region} comes before {self.region} and does not serve {delivery.commit[:10]} alone yet.",
                    next_delay_seconds=WAIT_SECONDS,
                )

    def goal(self, context: Context) -> PushGoal:
        from include.redblack import Build, GroupTemplate, PushGoal, SizeBounds

        app, delivery = self.application, self.selected(context)
        prod = app.prod
        return PushGoal(
            cluster=self.cluster(self.region),
            build=Build(image_in(context, self.region), delivery.version, delivery.commit),
            run=delivery.run_key,
            template=GroupTemplate(prod.instance_type, prod.port, prod.health_path),
            size=SizeBounds(prod.min_size, prod.max_size),
            headroom_pct=prod.push.head_room_pct,
            launch_within_seconds=prod.push.launch_timeout_seconds,
            keep_black=prod.push.keep_black,
        )
