"""What runs in production, as it was when the baseline was chosen: the verdict holds for that, and for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.errors import RefusedError
from include.fleet import ClusterView
from include.fleet.tags import ROLE, VERSION

if TYPE_CHECKING:
    from include.fleet import Group

AGAIN = (
    "The verdict does not hold for that. To have it judged again, clear canary.choose_baseline with everything after "
    "it (downstream): that is a new soak."
)


def images_of(view: ClusterView) -> list[str]:
    """The images whose groups take a region's traffic, canary and baseline aside; sorted."""
    return sorted({group.image_id for group in _serving(view)})


def recorded_images(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Region -> images in production, from choose_baseline's or launch_canary's result.

    One from before these were recorded knows only the canary's region.
    """
    found = result.get("production")
    if not found:
        baseline = result["baseline_image"] if "baseline_image" in result else result["build"]["image_id"]
        found = {result["region"]: [baseline]}
    return {region: list(images) for region, images in found.items()}


def is_same_production(earlier: Mapping[str, Any], later: Mapping[str, Any], new_images: Mapping[str, str]) -> bool:
    """Whether two results are of the same production; the new image, where the push has brought it already, changes
    nothing. `new_images`: region -> image. A region that one of them does not know is not compared."""
    was, now = recorded_images(earlier), recorded_images(later)
    return all(set(now[region]) <= {*was[region], new_images.get(region)} for region in was if region in now)


def refuse_if_changed(view: ClusterView, launched: Mapping[str, Any], new_image: str) -> None:
    """RefusedError where a region serves something that is neither what it served when the baseline was chosen, nor
    what is being pushed. `launched` is the result of the launch whose canary was judged."""
    region = view.cluster.region
    recorded = recorded_images(launched).get(region)
    if recorded is None:
        return
    for group in _serving(view):
        if group.image_id not in {*recorded, new_image}:
            version = group.tags.get(VERSION, "")
            now = f"{group.image_id} ({group.name}{f', version {version}' if version else ''})"
            raise RefusedError(
                f"Production changed: {region} now serves {now}. When the baseline was chosen it served "
                f"{' and '.join(recorded) or 'nothing'}, and this run brings {new_image}. {AGAIN}"
            )


def _serving(view: ClusterView) -> list[Group]:
    main = (group for group in view.groups if group.tags.get(ROLE, "main") == "main" and not group.is_partial)
    return [group for group in main if group.is_enabled]
