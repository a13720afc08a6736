"""What a generator is to do, and against whom it may."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from include.errors import RefusedError
from include.loadgen.mix import Mix

CONNECTIONS = 512


@dataclass(frozen=True)
class Target:
    """Where requests go; `host_header` is what they say they go to (the address, where empty)."""

    host: str
    port: int
    host_header: str = ""

    @property
    def authority(self) -> str:
        return self.host_header or f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Plan:
    """`rps` requests per second in all, at random (Poisson) moments that `seed` decides, over `targets` in turn.

    Each is given up `timeout_seconds` after the moment it was meant for. `connections` caps those open at a time.
    Load is not sent to whoever happens to be named: RefusedError for a target that is neither a loopback address
    nor in `allowed_hosts`.
    """

    targets: tuple[Target, ...]
    rps: float
    mix: Mix
    seed: int = 0
    timeout_seconds: float = 10.0
    connections: int = CONNECTIONS
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if not self.targets:
            raise RefusedError("no target to send requests to")
        if self.rps < 0 or self.timeout_seconds <= 0 or self.connections < 1:
            raise RefusedError("rps must be 0 or more, the time-out over 0 and at least one connection allowed")
        for target in self.targets:
            if not (_is_loopback(target.host) or target.host in self.allowed_hosts):
                raise RefusedError(
                    f"{target.host} is no loopback address and not among the allowed hosts: no load sent"
                )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name may lead anywhere
        return False
