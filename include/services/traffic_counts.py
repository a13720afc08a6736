"""The traffic service's counters as JSON: what it shows, what it keeps in a file, and reading that file again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.loadgen import Counters, FailureSample

FORMAT = 1
SAMPLES = 50
GROUP, VERSION = 0, 2


class Ledger:
    """Counters per region, those of an earlier life of the service included; `since` is when the first began."""

    def __init__(self, path: Path, since: datetime) -> None:
        self.path, self.since = path, since
        self.earlier: dict[str, Counters] = {}
        self.samples: list[dict[str, Any]] = []
        self._read()

    def _read(self) -> None:
        """A file that is absent, or of another format, is no past."""
        try:
            document = json.loads(self.path.read_text("utf-8"))
            if document["format"] != FORMAT:
                return
            earlier = {region: Counters.from_document(kept) for region, kept in document["kept"].items()}
            self.since = datetime.fromisoformat(document["since"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        # What was under way when that life ended has no outcome any more.
        self.earlier = {region: _settled(counters) for region, counters in earlier.items()}
        self.samples = list(document.get("failures", []))

    def totals(self, now: Mapping[str, Counters]) -> dict[str, Counters]:
        """Region -> all that was ever counted."""
        regions = [*now, *(region for region in self.earlier if region not in now)]
        return {region: now.get(region, Counters()) + self.earlier.get(region, Counters()) for region in regions}

    def report(
        self, now: Mapping[str, Counters], rps: Mapping[str, float], samples: Mapping[str, tuple[FailureSample, ...]]
    ) -> dict[str, Any]:
        """What /counters answers: `total`, `regions`, the first 50 `failures`, `since`."""
        totals = self.totals(now)
        regions = {region: {"rps": rps.get(region, 0.0), **summary(counters)} for region, counters in totals.items()}
        total = {"rps": sum(rps.values()), **summary(sum(totals.values(), Counters()))}
        return {
            "since": self.since.isoformat(timespec="seconds"),
            "total": total,
            "regions": regions,
            "failures": self.failures(samples),
        }

    def failures(self, samples: Mapping[str, tuple[FailureSample, ...]]) -> list[dict[str, Any]]:
        fresh = [
            {**asdict(sample), "region": region, "at": datetime.fromtimestamp(sample.at, UTC).isoformat()}
            for region, found in samples.items()
            for sample in found
        ]
        return [*self.samples, *sorted(fresh, key=lambda sample: str(sample["at"]))][:SAMPLES]

    def write(self, report: Mapping[str, Any], now: Mapping[str, Counters]) -> None:
        """Replace the file in one step; a reader never sees half of it."""
        kept = {region: counters.to_document() for region, counters in self.totals(now).items()}
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps({"format": FORMAT, **report, "kept": kept}), "utf-8")
        temporary.replace(self.path)


def summary(counters: Counters) -> dict[str, Any]:
    """One region, or all. Latencies are ms, 0.0 where there were none; a 404 is no failure."""
    late = counters.lateness
    return {
        "sent": counters.sent,
        "ok": counters.ok,
        "failed": counters.failed,
        "under_way": counters.under_way,
        "by_status": {str(status): count for status, count in sorted(counters.statuses.items())},
        "errors": dict(counters.errors),
        "by_group": counters.by_part(GROUP),
        "by_version": counters.by_part(VERSION),
        "latency_p50_ms": round(counters.latency.quantile(0.5), 2),
        "latency_p99_ms": round(counters.latency.quantile(0.99), 2),
        "lateness_p99_ms": round(late.quantile(0.99), 2),
        "lateness_max_ms": round(late.maximum_ms, 2),
        "skipped": counters.skipped,
        "abandoned": counters.abandoned,
    }


def _settled(counters: Counters) -> Counters:
    return counters + Counters(abandoned=counters.under_way)
