"""Release candidates: made at the end of a verify flow, chosen at the begin of a release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.apps import ReleaseFlow, VerifyFlow
from include.apps.delivery import Delivery, choose_canary_region, order_regions, word_if_live
from include.errors import RefusedError
from include.ledger import EVERY_REGION, Event, Kind
from include.ledger.candidates import (
    TOLD_OF_CANDIDATES,
    Candidate,
    StationTests,
    candidate_data,
    candidates,
    choose_candidate,
    made_key,
    newest_candidate,
    plain,
)
from redstart.operators import clock
from redstart.operators.cluster import place_of, who_of
from redstart.operators.live import describe_trees, live_trees
from redstart.operators.patches import word_if_patch_is_lost
from redstart.operators.released import contains
from redstart.operators.station import BAKE_IMAGE, StationOperator, key_of_run, result_of
from redstart.operators.verified import tests_of
from redstart.ui.links import CandidateLink, CandidatesLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.fleet import Image
    from redstart.hooks.git import GitRepository
    from redstart.operators.drive import Account


class CandidateOperator(StationOperator):
    """A task of `flow` about its candidates."""

    operator_extra_links = (CandidateLink(), CandidatesLink())

    def __init__(self, *, app: str, flow: str, **kwargs: Any) -> None:
        super().__init__(app=app, **kwargs)
        self.flow = flow

    def record(self, context: Context, kind: Kind, key: str, candidate: Candidate, why: str = "") -> bool:
        """Whether it is news to the ledger."""
        place = place_of(self.application, EVERY_REGION)
        data, run = candidate_data(candidate), key_of_run(context)
        return self.ledger.record(Event(key, kind, clock.now(), place, run, who_of(context), why, data))


class MarkCandidateOperator(CandidateOperator):
    """Every station of the flow has passed: write down that the image is a release candidate.

    It may be released from then on; the list of candidates shows it.

    **Retry and clear**: a commit is a candidate once; marking it again changes nothing.
    """

    ui_color = "#e3f1ea"

    def deliver(self, context: Context) -> dict[str, Any]:
        flow = self.application.flows[self.flow]
        assert isinstance(flow, VerifyFlow)
        candidate = self.candidate(context, flow)
        with self.told(context) as account:
            for station in candidate.stations:
                account.note(f"passed: {station.words}")
            is_new = self.record(
                context, Kind.CANDIDATE_MADE, made_key(self.app, self.flow, candidate.commit), candidate
            )
            account.note(f"{candidate.words} {'is' if is_new else 'was already'} a release candidate")
        return {"schema": 1, "version": candidate.version, "commit": candidate.commit, "is_new": is_new}

    def candidate(self, context: Context, flow: VerifyFlow) -> Candidate:
        delivery, baked = self.selected(context), result_of(context, BAKE_IMAGE)
        return Candidate(
            app=self.app,
            flow=self.flow,
            branch=flow.branch,
            commit=delivery.commit,
            tree=delivery.tree,
            version=delivery.version,
            subject=delivery.subject,
            author=delivery.author,
            committed_epoch=delivery.committed_epoch,
            dag_id=str(context["dag_run"].dag_id),
            run_id=str(context["run_id"]),
            run=key_of_run(context),
            made_at=clock.now(),
            image=str(baked["name"]),
            images=dict(baked["images"]),
            stations=tuple(self.station(context, environment, delivery.commit) for environment in flow.environments),
        )

    def station(self, context: Context, environment: str, commit: str) -> StationTests:
        """What the environment's tests found; RefusedError where they were of another commit."""
        found = tests_of(context, environment, commit)
        return StationTests(environment, int(found["total"]), int(found["skipped"]), str(found["report"]))


class SelectCandidateOperator(CandidateOperator):
    """Take the release candidate of the form, or the newest: the one of the newest commit, whichever was made last. And
    find its images.

    **Refused**: a candidate without a commit that serves in production now and is on its branch: a patch would be
    taken away from users. The form has a field that lets it through.

    **Nothing new**: when its content already serves in every region of this run, everything after is skipped and the
    run succeeds; XCom `word` says so.

    **Retry and clear**: looks at the candidates and at production again; where the form names none, a cleared run may
    take a newer one.
    """

    ui_color = "#e3f1ea"

    def deliver(self, context: Context) -> dict[str, Any]:
        app, form = self.application, context["params"]
        flow = app.flows[self.flow]
        assert isinstance(flow, ReleaseFlow)
        regions = order_regions(app.prod, form.get("regions"))
        with self.told(context) as account:
            repository = self.repository
            repository.fetch()
            candidate = self.choose(repository, flow, form.get("candidate"), account)
            account.note(f"{candidate.words} by {plain(candidate.author)}, made {candidate.made_at:%d %b %H:%M} UTC")
            account.note(f"passed: {', '.join(one.words for one in candidate.stations)}")
            delivery = self.delivery(context, candidate, regions)
            if word := self.word_if_live(repository, delivery):
                context["ti"].xcom_push(key="word", value=word)
                account.add(word)
                raise AirflowSkipException(word)
            if word := word_if_patch_is_lost(self, context, account, delivery, repository):
                raise RefusedError(word)
            images = self.find_images(candidate, regions)
            for region, image in images.items():
                account.note(f"{image.image_id} in {region}: {image.name}")
            key = f"{key_of_run(context)}/{candidate.commit}/{Kind.CANDIDATE_CHOSEN}"
            self.record(context, Kind.CANDIDATE_CHOSEN, key, candidate, why=str(form.get("reason") or ""))
        found = {region: image.image_id for region, image in images.items()}
        return {**delivery.to_xcom(), "images": found, "name": candidate.image}

    def rehearse(self, context: Context) -> dict[str, Any]:
        """The same choice, which nobody keeps; where the run would end, it is told, and the plan goes on."""
        app, form = self.application, context["params"]
        flow = app.flows[self.flow]
        assert isinstance(flow, ReleaseFlow)
        regions, repository = order_regions(app.prod, form.get("regions")), self.repository
        with self.told(context) as account:
            repository.fetch()
            candidate = self.choose(repository, flow, form.get("candidate"), account)
            account.note(f"Dry run: would take {candidate.words} by {plain(candidate.author)}")
            delivery = self.delivery(context, candidate, regions)
            word = self.word_if_live(repository, delivery)
            word = word or word_if_patch_is_lost(self, context, account, delivery, repository)
            if word:
                account.note(f"the run would end here: {word}")
            images = self.available_images(candidate, regions)
            for region in regions:
                found = images.get(region)
                account.note(f"{found.image_id} in {region}: {found.name}" if found else f"no image in {region}")
        found_ids = {region: image.image_id for region, image in images.items()}
        return {**delivery.to_xcom(), "images": found_ids, "name": candidate.image, "dry_run": True}

    def delivery(self, context: Context, candidate: Candidate, regions: tuple[str, ...]) -> Delivery:
        return Delivery(
            app=self.app,
            run_key=key_of_run(context),
            commit=candidate.commit,
            tree=candidate.tree,
            version=candidate.version,
            subject=candidate.subject,
            author=candidate.author,
            committed_epoch=candidate.committed_epoch,
            regions=regions,
            canary_region=choose_canary_region(self.application.prod, regions),
            branch=candidate.branch,
        )

    def choose(self, repository: GitRepository, flow: ReleaseFlow, wanted: str | None, account: Account) -> Candidate:
        known = candidates(self.ledger.events(app=self.app, kinds=TOLD_OF_CANDIDATES), flow.candidates_of)
        if wanted:
            return choose_candidate(known, wanted)
        newest = newest_candidate(known, lambda commit, descendant: contains(repository, descendant, commit))
        if newest != known[0]:
            account.note(f"{known[0].words} was made later, of an older commit: the newest is {newest.version}")
        return newest

    def word_if_live(self, repository: GitRepository, delivery: Delivery) -> str | None:
        """Why there is nothing to push, or None."""
        trees = live_trees(repository, {region: self.view(region) for region in delivery.regions})
        self.log.info("Live now: %s", describe_trees(trees))
        return word_if_live(trees, delivery.tree, delivery.commit)

    def find_images(self, candidate: Candidate, regions: Sequence[str]) -> dict[str, Image]:
        """Region -> the candidate's newest available image; RefusedError naming the regions without one."""
        found = self.available_images(candidate, regions)
        if missing := [region for region in regions if region not in found]:
            raise RefusedError(
                f"There is no available image of {candidate.version} in {', '.join(missing)}: clear {BAKE_IMAGE} in "
                f"run {candidate.run_id} of {candidate.dag_id}, and this task when it has succeeded."
            )
        return found

    def available_images(self, candidate: Candidate, regions: Sequence[str]) -> dict[str, Image]:
        """The same, without the regions that have none."""
        from include.bake import ImageRecipe

        identity = ImageRecipe(self.app, candidate.version, candidate.commit, "", "", "").identity
        found = {}
        for region in regions:
            images = self.fleet_hook.workshop(region).find_images(identity)
            image = next((image for image in images if image.state == "available"), None)
            if image is not None:
                found[region] = image
        return found
