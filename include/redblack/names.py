"""Group names as Frigga has them: `app[-stack[-detail]]-vNNN`; an empty stack with a detail is `app--detail`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from include.errors import RefusedError

NUMBERS = 1000
_PUSH = re.compile(r"^(?P<head>.+)-v(?P<number>\d{3,6})$")
_PART = re.compile(r"^[A-Za-z0-9._]*$")


@dataclass(frozen=True)
class GroupName:
    """A parsed group name; `number` is 0-999 for names made here."""

    app: str
    stack: str
    detail: str
    number: int

    @property
    def cluster(self) -> str:
        """The name without its number: `api-main-canary` of `api-main-canary-v003`."""
        if self.detail:
            return f"{self.app}-{self.stack}-{self.detail}"
        return f"{self.app}-{self.stack}" if self.stack else self.app

    def __str__(self) -> str:
        return f"{self.cluster}-v{self.number:03d}"


def parse_name(name: str) -> GroupName | None:
    """The parts of `name`, or None where it does not follow Frigga's form."""
    match = _PUSH.match(name)
    if match is None:
        return None
    app, stack, detail = [*match["head"].split("-", 2), "", ""][:3]
    is_well_formed = app and _PART.match(app) and _PART.match(stack) and re.match(r"^[A-Za-z0-9._-]*$", detail)
    if not is_well_formed or _PUSH.match(match["head"]):
        return None
    return GroupName(app, stack, detail, int(match["number"]))


def next_number(latest: int | None, taken: Iterable[int]) -> int:
    """The first number after `latest` (the newest group's; None: 0) that is not `taken`; 999 is followed by 0.

    Newest is a matter of creation time, never of the biggest number: after the wrap v000 is younger than v999.
    RefusedError when all thousand are taken.
    """
    used = set(taken)
    first = 0 if latest is None else (latest + 1) % NUMBERS
    for offset in range(NUMBERS):
        number = (first + offset) % NUMBERS
        if number not in used:
            return number
    raise RefusedError("every group number from v000 to v999 is taken; delete old groups first")
