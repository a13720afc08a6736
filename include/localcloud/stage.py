"""The one world of this process. moto's registries are global, so the world that they belong to is too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.localcloud.world import World

_worlds: list[World] = []


def enter(world: World) -> None:
    """Make `world` the one that moto's records belong to; an earlier world is left."""
    _worlds[:] = [world]


def current() -> World:
    if not _worlds:
        raise RuntimeError("no world was entered: the local cloud's records need one")
    return _worlds[0]
