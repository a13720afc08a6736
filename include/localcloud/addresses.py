"""Which hosts of a network's first /24 are whose: no subnet has it, so instances never get them."""

from __future__ import annotations

from collections.abc import Iterator

BALANCER_HOST, ADMIN_HOST, LAST_HOST = 10, 11, 254


def balancer_hosts() -> Iterator[int]:
    """Last octets for load balancers, in the order in which they are given: the router's admin API is among them."""
    yield BALANCER_HOST
    yield from range(ADMIN_HOST + 1, LAST_HOST + 1)
