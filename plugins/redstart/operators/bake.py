"""From artifact to image, in every region."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.apps import App, load_app
from redstart.operators import clock
from redstart.operators.drive import Fenced
from redstart.operators.station import BUILD_ARTIFACT, DRY, StationOperator, fence, result_of
from redstart.ui.links import ImagesLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.bake import BakeGoal, ImageRecipe
    from include.fleet import ImageWorkshop

WHOLE = 3
"""A bake may take so many times what its builder may: its snapshot and the copies come after it."""
SLACK_SECONDS = 120
TO_BE_BAKED = "(to be baked)"
"""In a dry run, in place of the id of an image that is not there yet."""


class BakeImageOperator(StationOperator):
    """Bake an image of the artifact: boot the base image, unpack the artifact on it, snapshot it, copy the image
    to every region of every environment, and share it with their accounts.

    **Retry and clear**: an image of this commit is found by its tags and used, whichever flow had it made, and also
    when the artifact is gone; a builder that still runs is adopted; missing copies are made. A builder that has not
    switched itself off in time is ended, and the task says so. A region that refuses its copy is named at the end;
    the others have theirs by then.
    """

    operator_extra_links = (ImagesLink(),)
    ui_color = "#f3ecf8"

    def __init__(self, *, app: str, **kwargs: Any) -> None:
        limit = WHOLE * load_app(app).bake.timeout_seconds + SLACK_SECONDS
        kwargs.setdefault("execution_timeout", timedelta(seconds=limit))
        super().__init__(app=app, **kwargs)

    def deliver(self, context: Context) -> dict[str, Any]:
        from include.bake import drive_bake

        app, beat = self.application, fence(context)
        workshops = {region: Fenced(self.fleet_hook.workshop(region), beat) for region in app.image_regions}
        with self.told(context) as account:
            goal = self.goal(context, workshops)
            box = self.fleet_hook.builder_report(self.artifacts, goal.recipe.report_key)
            loop = drive_bake(workshops, goal, box, clock.now)
            done = account.follow(loop, limit_seconds=WHOLE * app.bake.timeout_seconds)
            for region, image_id in sorted(done.images.items()):
                account.note(f"{image_id} in {region}: {done.name}")
        return {"schema": 1, "name": done.name, "images": dict(done.images)}

    def rehearse(self, context: Context) -> dict[str, Any]:
        """The image that is there, or a word in place of its id."""
        from include.bake.plan import USABLE

        recipe, images = self.recipe(context, ""), {}
        with self.told(context) as account:
            for region in self.application.image_regions:
                found = self.fleet_hook.workshop(region).find_images(recipe.identity)
                images[region] = next((one.image_id for one in found if one.state in USABLE), TO_BE_BAKED)
                account.note(f"Dry run: {images[region]} in {region}: {recipe.name}")
        return {**DRY, "name": recipe.name, "images": images}

    def goal(self, context: Context, workshops: Mapping[str, ImageWorkshop]) -> BakeGoal:
        """What is needed for building is asked for only where there is no image of the commit yet."""
        from include.bake import BakeGoal
        from include.bake.plan import USABLE
        from include.fleet.tags import BASE_IMAGE

        app = self.application
        home = app.image_regions[0]
        recipe, user_data = self.recipe(context, ""), ""
        found = [one for one in workshops[home].find_images(recipe.identity) if one.state in USABLE]
        if found:
            recipe = self.recipe(context, found[0].tags.get(BASE_IMAGE, ""))
        else:
            recipe = self.recipe(context, workshops[home].find_base_image(app.bake.base_image).image_id)
            user_data = self.user_data(context, recipe)
        return BakeGoal(
            recipe,
            home,
            app.image_regions,
            user_data,
            app.bake.builder_type,
            share_with=accounts_of(app),
            builder_limit_seconds=app.bake.timeout_seconds,
        )

    def recipe(self, context: Context, base_image_id: str) -> ImageRecipe:
        from include.bake import ImageRecipe

        delivery = self.selected(context)
        return ImageRecipe(
            app=self.app,
            version=delivery.version,
            commit=delivery.commit,
            tree=delivery.tree,
            branch=delivery.branch,
            base_image_id=base_image_id,
            build=run_url(context),
        )

    def user_data(self, context: Context, recipe: ImageRecipe) -> str:
        from include.bake import Artifact, builder_script

        built, limit = result_of(context, BUILD_ARTIFACT), self.application.bake.timeout_seconds
        artifact = Artifact(self.artifacts.get_url(built["key"]), built["sha256"])
        # Earlier than the builder's own end: so it says itself what took so long.
        return builder_script(recipe, artifact, self.artifacts.put_url(recipe.report_key), limit_seconds=2 * limit // 3)


def accounts_of(app: App) -> tuple[str, ...]:
    """Who is given the images: the settings' accounts, and those of all environments but production's own."""
    environments = (app.environment(name).account for name in app.environment_names)
    return tuple(sorted({*app.bake.share_accounts, *environments} - {app.prod.account}))


def run_url(context: Context) -> str:
    """The run's page. What AWS's services may not all take in a tag is escaped."""
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="http://localhost:8080")).rstrip("/")
    run = quote(str(context["run_id"]), safe=":+=@")
    return f"{base}/dags/{context['dag_run'].dag_id}/runs/{run}"
