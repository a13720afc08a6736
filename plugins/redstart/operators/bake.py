"""From artifact to image, in every region."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.apps import load_app
from redstart.operators.drive import Fenced
from redstart.operators.station import BUILD_ARTIFACT, StationOperator, fence, result_of
from redstart.ui.links import ImagesLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.bake import BakeGoal
    from include.fleet import Image


class BakeImageOperator(StationOperator):
    """Bake an image of the artifact: boot the base image, unpack the artifact on it, snapshot it, copy the image
    to every region of this run and share it with the accounts of the settings.

    **Retry and clear**: an image of this commit is found by its tags and used; a builder that still runs is
    adopted; missing copies are made.
    """

    operator_extra_links = (ImagesLink(),)
    ui_color = "#f3ecf8"

    def __init__(self, *, app: str, **kwargs: Any) -> None:
        kwargs.setdefault("execution_timeout", timedelta(seconds=load_app(app).bake.timeout_seconds))
        super().__init__(app=app, **kwargs)

    def deliver(self, context: Context) -> dict[str, Any]:
        from include.bake import drive_bake

        home, beat = self.application.prod.region_names[0], fence(context)
        regions = {home, *self.selected(context).regions}
        workshops = {region: Fenced(self.fleet_hook.workshop(region), beat) for region in regions}
        goal = self.goal(context, home, workshops[home].find_base_image(self.application.bake.base_image))
        box = self.fleet_hook.builder_report(self.artifacts, goal.recipe.report_key)
        with self.told(context) as account:
            done = account.follow(drive_bake(workshops, goal, box))
            for region, image_id in sorted(done.images.items()):
                account.note(f"{image_id} in {region}: {done.name}")
        return {"schema": 1, "name": done.name, "images": dict(done.images)}

    def goal(self, context: Context, home: str, base: Image) -> BakeGoal:
        from include.bake import Artifact, BakeGoal, ImageRecipe, builder_script

        app, delivery = self.application, self.selected(context)
        built = result_of(context, BUILD_ARTIFACT)
        recipe = ImageRecipe(
            app=app.name,
            version=delivery.version,
            commit=delivery.commit,
            tree=delivery.tree,
            branch=app.source.prod_branch,
            base_image_id=base.image_id,
            build=delivery.run_key,
        )
        goal = BakeGoal(recipe, home, delivery.regions, "", app.bake.builder_type, app.bake.share_accounts)
        user_data = builder_script(
            recipe,
            Artifact(self.artifacts.get_url(built["key"]), built["sha256"]),
            self.artifacts.put_url(goal.recipe.report_key),
            limit_seconds=app.bake.timeout_seconds,
        )
        return BakeGoal(recipe, home, delivery.regions, user_data, app.bake.builder_type, app.bake.share_accounts)
