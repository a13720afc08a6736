"""Routers of all accounts and regions: made when a listener first needs one, told when something changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from include.errors import RedstartError
from include.localcloud.seams import (
    ListenerSpec,
    Router,
    RouterFactory,
    TargetGroupCounts,
    TargetGroupSpec,
    TargetHealth,
)

log = logging.getLogger(__name__)
Place = tuple[str, str]
"""Account and region."""


@dataclass(frozen=True)
class RouterSpec:
    """All that one router shall do."""

    target_groups: tuple[TargetGroupSpec, ...] = ()
    listeners: tuple[ListenerSpec, ...] = ()


class Routers:
    def __init__(self, factory: RouterFactory) -> None:
        self._factory = factory
        self._routers: dict[Place, Router] = {}
        self._applied: dict[Place, RouterSpec] = {}
        self._told: dict[Place, str] = {}

    def apply(self, specs: Mapping[Place, RouterSpec]) -> None:
        """A router begins with the first listener that forwards to a group: a region without any needs no process."""
        for place, spec in specs.items():
            is_needed = bool(spec.target_groups) or place in self._applied
            if not is_needed or spec == self._applied.get(place):
                continue
            try:
                self._of(place).apply(spec.target_groups, spec.listeners)
            except RedstartError as error:  # an address in use: tried again at every step, told once
                if self._told.get(place) != str(error):
                    log.error("router of %s in %s: %s", *place, error)
                self._told[place] = str(error)
                continue
            self._applied[place] = spec
            self._told.pop(place, None)

    def read_health(self) -> dict[Place, Mapping[tuple[str, str], TargetHealth]]:
        return {place: router.health() for place, router in self._routers.items()}

    def read_counts(self) -> dict[Place, Mapping[str, TargetGroupCounts]]:
        return {place: router.counts() for place, router in self._routers.items()}

    def get(self, account: str, region: str) -> Router:
        return self._of((account, region))

    def close(self) -> None:
        routers, self._routers = list(self._routers.values()), {}
        with ThreadPoolExecutor(max(1, len(routers)), thread_name_prefix="close") as pool:
            list(pool.map(lambda router: router.close(), routers))
        self._applied.clear()

    def _of(self, place: Place) -> Router:
        if place not in self._routers:
            self._routers[place] = self._factory(*place)
        return self._routers[place]
