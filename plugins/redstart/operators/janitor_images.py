"""The sweep of images and builders: in every region of an application, whichever environment uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.errors import RedstartError, RetryableError
from include.fleet import ClusterRef, ClusterView
from include.fleet.tags import APP
from include.ledger import EVERY_REGION, Event, Kind, Ledger, Place
from redstart.hooks.fleet import FleetHook
from redstart.operators import clock
from redstart.operators.bake import SLACK_SECONDS, WHOLE
from redstart.operators.cluster import place_of, who_of
from redstart.operators.drive import Fenced
from redstart.operators.janitor import RETRIES
from redstart.operators.station import StationOperator, fence, is_dry, key_of_run
from redstart.ui.links import SweptImagesLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.fleet import Builder, Fate, Image, ImageWorkshop
    from redstart.operators.drive import Account

GRACE_SECONDS = 3600
SETTLED_WITHIN = timedelta(days=2)


@dataclass
class Found:
    """What the regions said; `dark`: those that did not answer, and why."""

    views: list[ClusterView] = field(default_factory=list)
    images: dict[str, list[Image]] = field(default_factory=dict)
    builders: dict[str, list[Builder]] = field(default_factory=dict)
    dark: dict[str, str] = field(default_factory=dict)


class SweepImagesOperator(StationOperator):
    """Delete images that nothing uses and no rollback or release may need, with their snapshots, and end builders that
    no bake is at any more. Say of each other one why it stays.

    A region that does not answer is left as it is, and the other regions are swept; then the task fails and names it.

    **Retry and clear**: looks again; what is gone is gone.
    """

    operator_extra_links = (SweptImagesLink(),)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"retries": RETRIES, **kwargs})

    def rehearse(self, context: Context) -> dict[str, Any]:
        """It looks at the form itself."""
        return self.deliver(context)

    def deliver(self, context: Context) -> dict[str, Any]:
        is_real = not is_dry(context)
        with self.told(context) as account:
            found = self.look(context, account)
            if is_real:
                settle(self.ledger, self.everywhere, found)
            fates = self.fates(found)
            for region, ones in fates.items():
                for fate in sorted(ones, key=lambda one: not one.goes):
                    account.note(f"{region}: {fate.sentence}")
            gone = self.carry_out(context, account, found, fates) if is_real else []
            if not is_real:
                account.note("dry run, nothing was deleted")
            if found.dark:
                dark = "; ".join(f"{region}: {why.rstrip('.')}" for region, why in sorted(found.dark.items()))
                raise RetryableError(f"Not all could be swept ({dark}); the other regions were, look there.")
        return {"schema": 1, "deleted": gone}

    @property
    def everywhere(self) -> Place:
        return place_of(self.application, EVERY_REGION)

    def workshop(self, context: Context, region: str) -> ImageWorkshop:
        fenced: ImageWorkshop = Fenced(self.fleet_hook.workshop(region), fence(context))
        return fenced

    def look(self, context: Context, account: Account) -> Found:
        """An image may go only where all was seen that may use it."""
        app, found = self.application, Found()
        for region in app.image_regions:
            try:
                views = [self.view_of(name, region) for name in self.environments_in(region)]
                workshop = self.workshop(context, region)
                images, builders = workshop.find_images({APP: app.name}), workshop.find_builders(app.name)
            except RedstartError as error:
                found.dark[region] = str(error)
                account.note(f"{region} is left as it is: {error}")
                continue
            found.views += views
            found.images[region], found.builders[region] = images, builders
        return found

    def environments_in(self, region: str) -> list[str]:
        app = self.application
        return [name for name in app.environment_names if region in app.environment(name).region_names]

    def view_of(self, environment: str, region: str) -> ClusterView:
        site = self.application.environment(environment)
        fleet = FleetHook(site.connection_id).fleet(region, site.load_balancer)
        return fleet.view_cluster(ClusterRef(self.app, site.stack, region), health_of=())

    def fates(self, found: Found) -> dict[str, list[Fate]]:
        from include.bake.janitor import ImageRules, builder_fates, image_fates
        from include.redblack.needed import TOLD, needed_images

        app, now = self.application, clock.now()
        events = self.ledger.events(app=app.name, kinds=TOLD)
        keep = app.bake.keep_images
        needed = needed_images(found.views, events, now, production=app.prod.stack, candidates=keep)
        images = image_fates(found.images, needed, ImageRules(keep, app.bake.image_days), now)
        limit = WHOLE * app.bake.timeout_seconds + SLACK_SECONDS + GRACE_SECONDS
        return {
            region: [*builder_fates(found.builders[region], limit, now), *images[region]] for region in found.images
        }

    def carry_out(self, context: Context, account: Account, found: Found, fates: Mapping[str, list[Fate]]) -> list[str]:
        """The region where images are baked comes last: a commit whose image is there counts as baked, so it keeps it
        until every copy is gone."""
        home, gone = self.application.image_regions[0], []
        kept = {image.name for image in found.images.get(home, ())} if found.dark else set()
        for region in sorted(fates, key=lambda one: one == home):
            workshop = self.workshop(context, region)
            for fate in (one for one in fates[region] if one.goes):
                if region == home and fate.name in kept and fate.kind == "image":
                    account.note(f"{region}: image {fate.name} stays for now: a copy of it may be left elsewhere")
                    continue
                try:
                    self.delete(context, workshop, fate)
                except RedstartError as error:
                    kept.add(fate.name)
                    found.dark[region] = str(error)
                    account.note(f"{region}: {error}")
                    continue
                gone.append(fate.ident or fate.name)
                account.note(f"{region}: {fate.kind} {fate.name} is gone")
        return gone

    def delete(self, context: Context, workshop: ImageWorkshop, fate: Fate) -> None:
        """Written down before and after: what was killed in between is settled by the next sweep."""
        is_image = fate.kind == "image"
        kind = Kind.IMAGE_DELETED if is_image else Kind.BUILDER_ENDED
        place, name, now = place_of(self.application, workshop.region), fate.ident or fate.name, clock.now()
        data: dict[str, Any] = {"name": fate.name, "id": name, "region": place.region, "fact": str(kind)}
        data |= {"size_gib": fate.size_gib} if is_image else {"instance_hours": round(fate.instance_hours, 1)}
        key = f"{place}/{name}/{kind}"
        run, who = key_of_run(context), who_of(context)
        intent = Event(f"{key}/intended", Kind.STEP_INTENDED, now, self.everywhere, run, who, fate.why, data)
        self.ledger.record(intent)
        act: Callable[[str], None] = workshop.delete_image if is_image else workshop.end_builder
        act(name if is_image else fate.name)
        self.ledger.record(Event(key, kind, clock.now(), place, run, who, fate.why, data))


def settle(ledger: Ledger, everywhere: Place, found: Found) -> None:
    """What an earlier sweep meant to delete and is gone, was deleted: it was killed before it could say so."""
    since = clock.now() - SETTLED_WITHIN
    told = ledger.events(app=everywhere.app, kinds=(Kind.IMAGE_DELETED, Kind.BUILDER_ENDED), since=since)
    known = {one.event.key for one in told}
    for one in ledger.events(place=everywhere, kinds=(Kind.STEP_INTENDED,), since=since):
        event = one.event
        key, region = event.key.removesuffix("/intended"), str(event.data.get("region"))
        if key in known or region not in found.images or event.data.get("fact") is None:
            continue
        there = {image.image_id for image in found.images[region]} | {one.instance_id for one in found.builders[region]}
        if event.data.get("id") not in there:
            place = Place(everywhere.app, everywhere.stack, region)
            kind = Kind(str(event.data["fact"]))
            ledger.record(Event(key, kind, event.at, place, event.run, event.who, event.why, event.data))
