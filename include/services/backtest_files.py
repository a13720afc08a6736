"""Recorded canaries on disk: a folder of the prod flow (pair.npz, settings.json, verdict.json), a file of pairs
(*.npz), or a request in Kayenta's form (*.json)."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from include.canary.config import JudgeConfig, Profile, judge_config
from include.canary.recording import settings_from_json
from include.canary.series import MetricPairs
from include.canary.verdict import Thresholds, Verdict, verdict_from_json
from include.errors import ConfigError
from include.services.judge_request import read_body, read_safely

PAIR, SETTINGS, VERDICT = "pair.npz", "settings.json", "verdict.json"
_REQUEST_KEYS = {"canaryConfig", "metricSetPairList"}


def find_canaries(place: Path) -> list[Path]:
    """The file that holds each canary's series, below `place` (or `place` itself), in the order of their paths.

    Of a folder with a pair.npz nothing else is a canary. Raises ConfigError where there is no such place.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise ConfigError("is no folder of recorded canaries", source=str(place))
    found: list[Path] = []
    for folder, inner, names in os.walk(place):
        inner.sort()
        wanted = [PAIR] if PAIR in names else [name for name in names if name.endswith((".npz", ".json"))]
        found += [path for name in wanted if (path := Path(folder, name)).is_file()]
    return sorted(found)


def is_folder(path: Path) -> bool:
    """Whether the canary is a folder as the prod flow keeps them."""
    return path.name == PAIR


def shown_name(path: Path, place: Path) -> str:
    """How a canary is called in a list: its folder, or its file, below `place`."""
    what = path.parent if is_folder(path) else path
    shown = str(what.relative_to(place)) if what.is_relative_to(place) else str(what)
    return shown if shown != "." else what.resolve().name


def read_settings(body: Mapping[str, Any], *, source: str) -> tuple[JudgeConfig, Thresholds | None]:
    """How a canary was judged, under a version as the prod flow keeps it, or bare settings; ConfigError else.

    The thresholds are None where they were not kept with the settings.
    """
    if "version" not in body:
        return judge_config(body, source=source), None
    if not isinstance(body.get("settings", {}), Mapping):
        raise ConfigError("must be an object", source=source, key="settings", value=type(body["settings"]).__name__)
    config, thresholds = settings_from_json({"thresholds": {}, **body}, source=source)
    return config, thresholds if "thresholds" in body else None


@contextmanager
def _told_as_fault(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file's content is a ConfigError that names it: the next file may be right."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", source=str(path)) from error
    except (ValueError, LookupError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        words = str(error) or "it ends early"
        raise ConfigError(f"is damaged: {type(error).__name__}: {words}", source=str(path)) from error


@dataclass(frozen=True)
class Recording:
    """One recorded canary, read as far as it is asked for. Each reader raises ConfigError for a file it cannot read."""

    path: Path

    @cached_property
    def _is_request(self) -> bool:
        return self.path.suffix == ".json"

    @cached_property
    def _body(self) -> Mapping[str, Any]:
        with _told_as_fault(self.path):
            return read_body(self.path.read_bytes(), source=str(self.path))

    @property
    def is_canary(self) -> bool:
        """False for JSON that is readable and something else."""
        return not self._is_request or not _REQUEST_KEYS.isdisjoint(self._body)

    @cached_property
    def _stored_pairs(self) -> MetricPairs:
        with _told_as_fault(self.path), self.path.open("rb") as file:
            return MetricPairs.from_npz(file)

    @cached_property
    def _requests(self) -> dict[Profile, tuple[JudgeConfig, Thresholds, MetricPairs]]:
        return {}

    def _request(self, profile: Profile) -> tuple[JudgeConfig, Thresholds, MetricPairs]:
        if profile not in self._requests:
            self._requests[profile] = read_safely(self._body, source=str(self.path), profile=profile)
        return self._requests[profile]

    def pairs(self, profile: Profile | None) -> MetricPairs:
        return self._request(profile or "redstart")[2] if self._is_request else self._stored_pairs

    @cached_property
    def _stored_settings(self) -> tuple[JudgeConfig | None, Thresholds | None]:
        place = self.path.with_name(SETTINGS)
        if not is_folder(self.path) or not place.is_file():
            return None, None
        with _told_as_fault(place):
            return read_settings(read_body(place.read_bytes(), source=str(place)), source=str(place))

    def settings(self, profile: Profile | None) -> JudgeConfig | None:
        """The settings that came with it, under `profile` (None: their own); None if there are none."""
        if self._is_request:
            return self._request(profile or "redstart")[0]
        config = self._stored_settings[0]
        return config if config is None or profile is None else config.model_copy(update={"profile": profile})

    def thresholds(self, profile: Profile | None, then: Verdict | None) -> Thresholds:
        """Those that came with it: with the request or the settings, else with the verdict; else the shipped ones."""
        if self._is_request:
            return self._request(profile or "redstart")[1]
        return self._stored_settings[1] or (then.thresholds if then is not None else Thresholds())

    def verdict(self) -> Verdict | None:
        """What was said then; None if that was not kept."""
        place = self.path.with_name(VERDICT)
        if not is_folder(self.path) or not place.is_file():
            return None
        with _told_as_fault(place):
            return verdict_from_json(read_body(place.read_bytes(), source=str(place)))
