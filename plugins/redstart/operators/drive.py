"""Following a loop of observe, decide, do: what it says into the log, its pauses, its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from include.errors import RefusedError
from redstart.operators import clock

if TYPE_CHECKING:
    from include.bake import BakeProgress
    from include.redblack import Progress

READS = ("view_", "count_", "find_")


class Account:
    """Runs a loop to its end and keeps what it said, with times."""

    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say
        self._lines: list[str] = []

    def follow(self, loop: Iterable[Progress | BakeProgress], *, limit_seconds: float = math.inf) -> Any:
        """The loop's success (its Done or BakeDone); RefusedError with the reason where it ended without."""
        from include.bake import BakeDone
        from include.redblack import Done

        end = self.follow_to_end(loop, limit_seconds=limit_seconds)
        if isinstance(end, Done | BakeDone):
            return end
        raise RefusedError(end.sentence)

    def follow_to_end(self, loop: Iterable[Progress | BakeProgress], *, limit_seconds: float = math.inf) -> Any:
        """The loop's end, whichever it is.

        A loop that is still turning after `limit_seconds` is left where it is, for a person: RefusedError says at
        what. It may be waiting for something that will never come, such as a health that a rollback needs.
        """
        began = clock.now()
        for progress in loop:
            if progress.is_news:
                self.note(progress.sentence)
            if progress.end is not None:
                return progress.end
            if (clock.now() - began).total_seconds() >= limit_seconds:
                raise RefusedError(
                    f"Not at its end after {limit_seconds:.0f} s; last: {progress.sentence}. "
                    "Everything is left as it is; clear this task to go on from there."
                )
            clock.sleep(progress.pause_seconds)
        raise RefusedError("the loop stopped without saying how it ended")

    def note(self, sentence: str) -> None:
        self.add(sentence)
        self._say("%s", sentence)

    def add(self, sentence: str) -> None:
        """Only into the account: for what the task's log gets in another way, such as its error."""
        self._lines.append(f"{clock.now():%Y-%m-%d %H:%M:%S} {sentence}")

    def text(self) -> str:
        """A line each; the times are UTC."""
        return "".join(f"{line}\n" for line in self._lines)


class Fenced:
    """A fleet or workshop whose every change is preceded by `fence`; reads pass through."""

    def __init__(self, inner: Any, fence: Callable[[], None]) -> None:
        self._inner, self._fence = inner, fence

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name.startswith(READS) or not callable(found):
            return found

        def fenced(*arguments: Any, **keywords: Any) -> Any:
            self._fence()
            return found(*arguments, **keywords)

        return fenced
