"""The report: one file, nothing from outside, hostile names stay data, every number can be read back."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from include.canary import MetricPairs, Thresholds, decide, judge_config
from include.canary.judge import judge
from include.reports.canary import render_canary_report
from include.reports.packing import MISSING, embed_json, pack_series
from tests.support.canary_world import world

CONFIG = judge_config({"groups": {"all": 1}, "rules": [{"match": "*", "group": "all"}]}, source="test")
HOSTILE = '</script><img src=x onerror="alert(1)">'


def report_of(pairs: MetricPairs, **context: str) -> str:
    verdict = judge(CONFIG, Thresholds(), pairs)
    return render_canary_report(verdict, pairs, decide(verdict), context)


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found.group(1))


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_every_metric_is_a_cell_that_can_be_heard_and_reached_by_key() -> None:
    pairs = world(1, commit="slow")
    elements = Elements(report_of(pairs)).seen
    cells = [attrs for tag, attrs in elements if tag == "button" and "aria-label" in attrs and "tabindex" in attrs]
    assert len(cells) == len(pairs.names)
    assert [cell["tabindex"] for cell in cells].count("0") == 1
    assert any("hot" in (cell["class"] or "") and ", hot, +" in (cell["aria-label"] or "") for cell in cells)


def test_the_page_needs_nothing_from_outside() -> None:
    page = report_of(world(1), application="api")
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(""", page)
    policy = next(attrs["content"] for tag, attrs in Elements(page).seen if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_hostile_names_and_facts_stay_data() -> None:
    rng = np.random.default_rng(1)
    pairs = MetricPairs(
        (HOSTILE,), rng.normal(1, 0.1, (1, 48)), rng.normal(9, 0.1, (1, 48)), datetime(2026, 1, 1, tzinfo=UTC), 5
    )
    page = report_of(pairs, application=HOSTILE, commit=HOSTILE)
    assert "<img" not in page
    assert [tag for tag, _ in Elements(page).seen].count("script") == 2
    assert data_of(page)["rows"][0][0] == HOSTILE


def test_series_can_be_read_back_from_the_page() -> None:
    pairs = world(2, commit="leak", points=48)
    data = data_of(report_of(pairs))
    raw = np.frombuffer(zlib.decompress(base64.b64decode(data["data"])), dtype=np.uint8).astype(np.uint16)
    codes = (raw[: len(raw) // 2] + 256 * raw[len(raw) // 2 :]).reshape(len(pairs.names), 2, 48)
    place = [row[0] for row in data["rows"]].index("endpoint.e40.latency_p50_ms")
    values = np.where(codes[place] == MISSING, np.nan, data["low"][place] + codes[place] * data["quanta"][place])
    row = pairs.names.index("endpoint.e40.latency_p50_ms")
    original = np.stack([pairs.baseline[row], pairs.canary[row]])
    assert np.isnan(original).any()
    np.testing.assert_allclose(values, original, atol=np.nanmax(original) / 2000)


def test_big_canaries_stay_under_three_megabytes() -> None:
    rng = np.random.default_rng(3)
    noise = rng.lognormal(3, 1, (2, 1200, 480))
    pairs = MetricPairs(
        tuple(f"endpoint.e{k}.latency_p50_ms" for k in range(1200)), *noise, datetime(2026, 1, 1, tzinfo=UTC), 60
    )
    assert len(report_of(pairs).encode()) < 3_000_000


def test_outcome_and_reasons_are_told() -> None:
    bad, good = report_of(world(1, commit="slow")), report_of(world(1), application="api", commit="3f2a91c")
    assert "No-go" in bad
    assert "is below 95" in bad
    assert ">Go<" in good
    assert "3f2a91c" in good


def test_a_verdict_without_answers_shows_no_score() -> None:
    pairs = replace(world(1, points=12), errors=dict.fromkeys(world(1, points=12).names, "no route to host"))
    page = report_of(pairs)
    assert "Cannot tell yet" in page
    assert "<span>–</span>" in page


def test_packing_constants_gaps_and_infinities() -> None:
    baseline = np.array([[5.0, 5.0], [np.nan, np.nan], [np.inf, 1.0]])
    packed = pack_series(baseline, baseline)
    assert packed["low"] == [5.0, 0.0, 1.0]
    json.dumps(packed, allow_nan=False)


def test_embedded_json_cannot_end_its_element() -> None:
    text = embed_json({"name": HOSTILE})
    assert "<" not in text
    assert json.loads(text) == {"name": HOSTILE}
    with pytest.raises(ValueError, match="JSON"):
        embed_json(float("nan"))
