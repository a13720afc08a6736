"""Recorded canaries judged again: each in every way that was asked for, several at a time."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from include.canary.backtest import Comparison, compare
from include.canary.config import JudgeConfig, Profile, parse_judge_config
from include.canary.judge import judge
from include.canary.series import MetricPairs
from include.canary.verdict import Verdict
from include.errors import ConfigError, RedstartError
from include.services.backtest_files import Recording, find_canaries, shown_name
from include.services.judge_request import sentence_of

AS_RECORDED = "as recorded"
_WORTH_PROCESSES = 12  # a process takes a second or two to load the judge


@dataclass(frozen=True)
class Way:
    """One way of judging: by the settings that came with a canary (`settings` None) or by these; `profile` None is
    the settings' own. `point_seconds`: the step that the counts' floors are written for (None: any step)."""

    name: str
    profile: Profile | None = None
    settings: JudgeConfig | None = None
    point_seconds: float | None = None

    def config_for(self, recording: Recording, pairs: MetricPairs) -> JudgeConfig | None:
        """None where the canary came without settings and this way brings none."""
        if self.settings is None:
            return recording.settings(self.profile)
        config = self.settings
        if self.point_seconds is not None:
            config = config.with_point(pairs.step_seconds, written_for_seconds=self.point_seconds)
        return config if self.profile is None else config.model_copy(update={"profile": self.profile})


def ways_of(profiles: Sequence[Profile], settings: Sequence[Path], point_seconds: float | None = None) -> list[Way]:
    """The recorded settings and each file's, by each of `profiles`; their own profile if none is given.

    Raises ConfigError for a file that is missing or does not hold settings.
    """
    asked: list[Profile | None] = list(dict.fromkeys(profiles)) or [None]
    ways = [Way(profile or AS_RECORDED, profile) for profile in asked]
    names = [path.name for path in settings]
    for path in dict.fromkeys(settings):
        name = path.name if names.count(path.name) == 1 else str(path)
        try:
            config = parse_judge_config(path.read_text(encoding="utf-8"), source=str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot be read: {error}", source=str(path)) from error
        ways += [Way(f"{name} {profile}" if profile else name, profile, config, point_seconds) for profile in asked]
    return ways


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, or only in part, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Rejudged:
    """What came of one canary; `comparison` is None where no way could judge it. `is_other`: it is none at all."""

    comparison: Comparison | None
    problems: tuple[Problem, ...] = ()
    is_other: bool = False


@dataclass(frozen=True)
class Backtest:
    """All of a run. `others` are JSON files that are no canaries; `seconds` is how long the judging took."""

    place: str
    ways: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    problems: tuple[Problem, ...]
    others: int
    seconds: float

    @property
    def canaries_per_second(self) -> float:
        return len(self.comparisons) / max(self.seconds, 1e-9)


def _problem(path: Path, error: RedstartError) -> Problem:
    """The error's words, without the path that stands beside them."""
    return Problem(str(path), sentence_of(error).removeprefix(f"{path}: "))


def _verdict_by(way: Way, recording: Recording, then: Verdict | None) -> Verdict | None:
    pairs = recording.pairs(way.profile)
    config = way.config_for(recording, pairs)
    return None if config is None else judge(config, recording.thresholds(way.profile, then), pairs)


def rejudge(path: Path, *, place: Path, ways: Sequence[Way]) -> Rejudged:
    """Judge one recorded canary in every way. Never raises for what a file holds: that is a problem to be told."""
    recording = Recording(path)
    problems: list[Problem] = []
    then: Verdict | None = None
    again: dict[str, Verdict] = {}
    try:
        if not recording.is_canary:
            return Rejudged(None, is_other=True)
        then = recording.verdict()
    except RedstartError as error:
        problems.append(_problem(path, error))
    for way in ways:
        try:
            verdict = _verdict_by(way, recording, then)
        except RedstartError as error:
            problems.append(_problem(path, error))
        else:
            again |= {way.name: verdict} if verdict is not None else {}
    if not again and not problems:
        problems.append(Problem(str(path), "came without settings; give --settings FILE.toml"))
    comparison = compare(shown_name(path, place), then, again) if again else None
    return Rejudged(comparison, tuple(dict.fromkeys(problems)))


def backtest(
    place: Path, ways: Sequence[Way], *, jobs: int | None = None, tell: Callable[[int, int], None] = lambda *_: None
) -> Backtest:
    """Judge all canaries below `place` in all `ways`, in `jobs` processes (None: as many as there are processors).

    `tell` hears how many of how many are done. Raises ConfigError if there is no such folder or no canary in it.
    """
    paths = find_canaries(place)
    if not paths:
        raise ConfigError("holds no recorded canary: no pair.npz, *.npz or *.json", source=str(place))
    began = time.monotonic()
    done: list[Rejudged] = []
    for rejudged in _rejudge_all(paths, place, ways, jobs or os.cpu_count() or 1):
        done.append(rejudged)
        tell(len(done), len(paths))
    return Backtest(
        place=str(place),
        ways=tuple(
            way.name for way in ways if any(one.comparison and way.name in one.comparison.again for one in done)
        ),
        comparisons=tuple(one.comparison for one in done if one.comparison is not None),
        problems=tuple(problem for one in done for problem in one.problems),
        others=sum(one.is_other for one in done),
        seconds=time.monotonic() - began,
    )


def _rejudge_all(paths: Sequence[Path], place: Path, ways: Sequence[Way], jobs: int) -> Iterator[Rejudged]:
    work = partial(rejudge, place=place, ways=tuple(ways))
    if jobs == 1 or len(paths) < _WORTH_PROCESSES:
        yield from map(work, paths)
        return
    # Fresh processes: a fork of one in which numpy has threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=context) as pool:
        yield from pool.map(work, paths)
