"""Release candidates: images that passed every station of their flow, as the ledger tells it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from include.errors import RefusedError
from include.ledger.events import Event, Json, Kind, Place, Recorded
from include.ledger.folds import SERVES, last_build

TOLD_OF_CANDIDATES = SERVES | {Kind.CANDIDATE_MADE, Kind.CANDIDATE_CHOSEN}
"""Facts that `candidates` is made from."""
SHORTEST_PREFIX = 7
SHOWN = 5
TITLE_LENGTH = 100
MOST_COMPARED = 50


@dataclass(frozen=True)
class StationTests:
    """What an environment's tests found: all passed but those that were skipped; a total of 0: it has none."""

    environment: str
    total: int
    skipped: int = 0
    report: str = ""

    @property
    def words(self) -> str:
        if not self.total:
            return f"{self.environment} no tests"
        return f"{self.environment} {self.total - self.skipped} passed"


@dataclass(frozen=True)
class Candidate:
    """A commit that may be released. `run` made it; `images`: region -> image id, as they were made.

    `pushed`: regions of production to which it was pushed to the end once; `live`: those where it serves, as far as
    the ledger knows (what was done past it, it does not know). `chosen`: runs that chose it.
    """

    app: str
    flow: str
    branch: str
    commit: str
    tree: str
    version: str
    subject: str
    author: str
    committed_epoch: int
    dag_id: str
    run_id: str
    run: str
    made_at: datetime
    image: str
    images: Mapping[str, str]
    stations: tuple[StationTests, ...]
    chosen: tuple[str, ...] = ()
    pushed: tuple[str, ...] = ()
    live: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Version and title."""
        return f"{self.version} ({self.title})"

    @property
    def title(self) -> str:
        """The subject, which anybody may have written, fit for a log and a terminal."""
        return plain(self.subject)


def candidate_data(candidate: Candidate) -> dict[str, Json]:
    """What CANDIDATE_MADE carries; place, run and moment are the event's own."""
    return {
        "flow": candidate.flow,
        "branch": candidate.branch,
        "commit": candidate.commit,
        "tree": candidate.tree,
        "version": candidate.version,
        "subject": candidate.subject,
        "author": candidate.author,
        "committed_epoch": candidate.committed_epoch,
        "dag_id": candidate.dag_id,
        "run_id": candidate.run_id,
        "image": candidate.image,
        "images": dict(candidate.images),
        "stations": [
            {"environment": one.environment, "total": one.total, "skipped": one.skipped, "report": one.report}
            for one in candidate.stations
        ],
    }


def made_key(app: str, flow: str, commit: str) -> str:
    """A commit is a candidate of a flow once, however often it is tested."""
    return f"{app}/{flow}/{commit}/{Kind.CANDIDATE_MADE}"


def candidates(events: Iterable[Recorded], flow: str = "") -> list[Candidate]:
    """Of one application (and, where it is given, one flow), the newest made first."""
    recorded = [one for one in events if one.event.kind in TOLD_OF_CANDIDATES]
    production = {one.event.place.stack for one in recorded if one.event.kind is Kind.CANDIDATE_MADE}
    recorded = [one for one in recorded if one.event.place.stack in production]
    found: dict[tuple[str, str], Candidate] = {}
    pushed: dict[str, list[str]] = {}
    chosen: dict[str, list[str]] = {}
    for one in recorded:
        event, commit = one.event, str(one.event.data.get("commit") or "")
        if event.kind is Kind.CANDIDATE_MADE and flow in ("", event.data.get("flow")):
            found[str(event.data.get("flow")), commit] = _candidate(event)
        elif event.kind is Kind.PUSH_FINISHED and event.place.region not in pushed.setdefault(commit, []):
            pushed[commit].append(event.place.region)
        elif event.kind is Kind.CANDIDATE_CHOSEN and event.run not in chosen.setdefault(commit, []):
            chosen[commit].append(event.run)
    live = _live_regions(recorded, {one.commit for one in found.values()})
    return [
        replace(
            one,
            chosen=tuple(chosen.get(one.commit, ())),
            pushed=tuple(pushed.get(one.commit, ())),
            live=tuple(live.get(one.commit, ())),
        )
        for one in reversed(found.values())
    ]


def newest_candidate(known: Sequence[Candidate], is_ancestor: Callable[[str, str], bool]) -> Candidate:
    """The one that was made last, of those that no other contains: an older commit that is tested again is made a
    candidate after the newer ones. `is_ancestor(commit, descendant)` is asked about the 50 that were made last.

    RefusedError where there is none.
    """
    _refuse_none(known)
    newest = known[0]
    for one in known[1:MOST_COMPARED]:
        if one.commit != newest.commit and is_ancestor(newest.commit, one.commit):
            newest = one
    return newest


def choose_candidate(known: Sequence[Candidate], wanted: str) -> Candidate:
    """The one with that version, or whose commit begins so (7 hex digits at least).

    RefusedError where there is none, or more than one.
    """
    _refuse_none(known)
    is_prefix = re.fullmatch(r"[0-9a-f]{7,40}", wanted) is not None
    found = [one for one in known if one.version == wanted or (is_prefix and one.commit.startswith(wanted))]
    if not found:
        newest = ", ".join(one.words for one in known[:SHOWN])
        raise RefusedError(f"{wanted!r} is no release candidate. The newest are: {newest}.")
    if len(found) > 1:
        both = ", ".join(f"{one.commit[:12]} {one.words}" for one in found)
        raise RefusedError(f"{wanted!r} is more than one candidate: {both}. Say more of the commit.")
    return found[0]


def plain(text: str, most: int = TITLE_LENGTH) -> str:
    """One printable line, at most so long."""
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def standing(candidate: Candidate, regions: Sequence[str]) -> str:
    """What became of it in production's `regions`, in words."""
    live = [region for region in regions if region in candidate.live]
    if live:
        return "live" if live == list(regions) else f"live in {', '.join(live)}"
    if was := [region for region in regions if region in candidate.pushed]:
        return "was live" if was == list(regions) else f"was live in {', '.join(was)}"
    return "chosen, not pushed" if candidate.chosen else "not pushed yet"


def _refuse_none(known: Sequence[Candidate]) -> None:
    if not known:
        raise RefusedError("There is no release candidate yet: one is made when a commit has passed all its stations.")


def _candidate(event: Event) -> Candidate:
    data: Mapping[str, Any] = event.data
    words: dict[str, Any] = {name: str(data.get(name) or "") for name in _WORDS}
    stations = tuple(
        StationTests(str(one["environment"]), int(one["total"]), int(one["skipped"]), str(one.get("report") or ""))
        for one in data.get("stations") or ()
    )
    return Candidate(
        app=event.place.app,
        run=event.run,
        made_at=event.at,
        committed_epoch=int(data.get("committed_epoch") or 0),
        images=dict(data.get("images") or {}),
        stations=stations,
        **words,
    )


_WORDS = ("flow", "branch", "commit", "tree", "version", "subject", "author", "dag_id", "run_id", "image")


def _live_regions(recorded: Sequence[Recorded], commits: set[str]) -> dict[str, list[str]]:
    places: dict[Place, None] = {one.event.place: None for one in recorded if one.event.kind in SERVES}
    found: dict[str, list[str]] = {}
    for place in places:
        build = last_build(recorded, place)
        if build is not None and build.commit in commits:
            found.setdefault(build.commit, []).append(place.region)
    return found
