"""What a sweep deletes of images and builders, and why; and why the others stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.bake.plan import USABLE
from include.fleet import Builder, Fate, Image
from include.fleet.fate import hours_since, span
from include.fleet.tags import COMMIT

FAILED_HOURS = 1.0
"""How long an image whose making failed is left for whoever asks why."""


@dataclass(frozen=True)
class ImageRules:
    """The newest `keep_images` commits keep theirs, and so does each one that is younger than `image_days`."""

    keep_images: int
    image_days: float


def image_fates(
    images: Mapping[str, Sequence[Image]], needed: Mapping[str, str], rules: ImageRules, now: datetime
) -> dict[str, list[Fate]]:
    """Region -> fate of each of its images. `needed`: image id or commit -> who needs it.

    Copies of one commit stay together: what is needed in one region may be pushed, or gone back to, in all.
    """
    of_commit: dict[str, list[Image]] = {}
    for image in (one for ones in images.values() for one in ones):
        of_commit.setdefault(commit_of(image), []).append(image)
    by_age = sorted(of_commit, key=lambda commit: (made_at(of_commit[commit]), commit), reverse=True)
    newest = set(by_age[: rules.keep_images])
    stays = {commit: _why_stays(commit, of_commit[commit], newest, needed, rules, now) for commit in of_commit}
    return {region: [_image_fate(one, stays[commit_of(one)], now) for one in ones] for region, ones in images.items()}


def builder_fates(builders: Iterable[Builder], limit_seconds: float, now: datetime) -> list[Fate]:
    """A bake ends its builder, or is given up itself, within `limit_seconds` of the builder's launch."""
    return [_builder_fate(one, limit_seconds, now) for one in builders]


def commit_of(image: Image) -> str:
    """Which images are copies of one another."""
    return image.tags.get(COMMIT) or image.name


def made_at(images: Iterable[Image]) -> datetime:
    return max(image.created_at for image in images)


def _why_stays(
    commit: str,
    copies: Sequence[Image],
    newest: set[str],
    needed: Mapping[str, str],
    rules: ImageRules,
    now: datetime,
) -> str:
    """ "" where nothing speaks for it."""
    for name in (*(image.image_id for image in copies), commit):
        if name in needed:
            return needed[name]
    if commit in newest:
        return f"among the newest {rules.keep_images}"
    if now - made_at(copies) < timedelta(days=rules.image_days):
        return f"younger than {rules.image_days:g} days"
    return ""


def _image_fate(image: Image, stays: str, now: datetime) -> Fate:
    age = span(now - image.created_at)
    if image.state == "pending":
        return _fate(image, False, "it is being made")
    if image.state not in USABLE:
        goes = hours_since(image.created_at, now) >= FAILED_HOURS
        return _fate(image, goes, f"its making ended {age} ago as {image.state}")
    if stays:
        return _fate(image, False, stays)
    return _fate(image, True, f"made {age} ago; nothing uses it, and no rollback or release may need it")


def _fate(image: Image, goes: bool, why: str) -> Fate:
    return Fate("image", image.name, goes, why, size_gib=image.size_gib, ident=image.image_id)


def _builder_fate(builder: Builder, limit_seconds: float, now: datetime) -> Fate:
    if builder.since is None:
        return _builder(builder, False, "AWS does not say when it was launched", 0.0)
    age, hours = now - builder.since, hours_since(builder.since, now)
    if age < timedelta(seconds=limit_seconds):
        return _builder(builder, False, f"launched {span(age)} ago, a bake may be at it", hours)
    limit = span(timedelta(seconds=limit_seconds))
    return _builder(builder, True, f"launched {span(age)} ago; no bake takes longer than {limit}", hours)


def _builder(builder: Builder, goes: bool, why: str, hours: float) -> Fate:
    return Fate("builder", builder.name, goes, why, hours, ident=builder.instance_id)
