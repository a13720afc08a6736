"""The report: one file, nothing from outside, hostile names stay data, everything a reader needs is told."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

from include.canary import GateDecision, Label, MetricPairs, Thresholds, Verdict, decide, judge_config
from include.canary.judge import judge
from include.canary.looks import Look
from include.reports.canary import render_canary_report
from include.reports.packing import MISSING
from tests.support.canary_world import world
from tests.unit.reports.verdicts import HOSTILE, START, metric, pairs_of, verdict

CONFIG = judge_config({"groups": {"all": 1}, "rules": [{"match": "*", "group": "all"}]}, source="test")
GO = GateDecision(True, ("score 97.5 reaches 95",), "go")


def report_of(pairs: MetricPairs, **context: str) -> str:
    judged = judge(CONFIG, Thresholds(), pairs)
    return render_canary_report(judged, pairs, decide(judged), context)


def page_of(judged: Verdict, *looks: Look, decision: GateDecision = GO) -> str:
    return render_canary_report(judged, pairs_of(list(judged.metrics), points=judged.points), decision, {}, looks)


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found.group(1))


def both_sides(data: dict, row: int) -> np.ndarray:
    """[baseline and canary, points] as the page's script unpacks them."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(data["data"])), dtype=np.uint8).astype(np.uint16)
    codes = (raw[: len(raw) // 2] + 256 * raw[len(raw) // 2 :]).reshape(-1, 2, data["points"])[row]
    return np.where(codes == MISSING, np.nan, data["low"][row] + codes * data["quanta"][row])


class Page(HTMLParser):
    """Start tags with their attributes, and the words that are seen without script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._inside):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    @property
    def cells(self) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag == "button" and "tabindex" in attrs and "title" in attrs]


def test_every_metric_is_a_cell_that_can_be_heard_and_reached_by_key() -> None:
    pairs = world(1, commit="slow")
    cells = Page(report_of(pairs)).cells
    assert len(cells) == len(pairs.names)
    assert [cell["tabindex"] for cell in cells].count("0") == 1
    assert any("hot" in (cell["class"] or "") and ", hot, +" in (cell["title"] or "") for cell in cells)


def test_the_page_needs_nothing_from_outside() -> None:
    page = report_of(world(1), application="api")
    assert not re.search(r"""<[^>]*\s(?:src|href)\s*=|@import|url\(\s*["']?(?!data:)[a-z]""", page)
    policy = next(attrs["content"] for tag, attrs in Page(page).tags if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def page_full_of(name: str) -> str:
    """The same words wherever data comes from outside."""
    metrics = [metric(name, Label.HOT, reason=name, groups=(name,), tags={name: name}, effect=0.5)]
    judged = verdict(metrics, warnings=(name,), reason=name, advice=name, metadata={name: name})
    looks = (Look(START, START, 90.0, "no-go", reason=name),)
    context = {"application": name, "commit": name}
    return render_canary_report(judged, pairs_of(metrics), GateDecision(False, ("no",), "no-go"), context, looks)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_reasons_tags_and_facts_stay_data(name: str) -> None:
    page, tame = page_full_of(name), page_full_of("tame")
    assert [tag for tag, _ in Page(page).tags] == [tag for tag, _ in Page(tame).tags]
    assert "49" not in Page(page).text
    assert data_of(page)["columns"]["name"] == [name]
    assert " ".join(name.split()) in Page(page).text


def test_series_can_be_read_back_from_the_page() -> None:
    pairs = world(2, commit="leak", points=48)
    data = data_of(report_of(pairs))
    values = both_sides(data, data["columns"]["name"].index("endpoint.e40.latency_p50_ms"))
    row = pairs.names.index("endpoint.e40.latency_p50_ms")
    original = np.stack([pairs.baseline[row], pairs.canary[row]])
    assert np.isnan(original).any()
    np.testing.assert_allclose(values, original, atol=np.nanmax(original) / 2000)


def test_series_of_one_name_are_told_apart_by_their_tags() -> None:
    metrics = [metric("http.5xx", tags={"zone": zone}) for zone in "abc"]
    data = data_of(page_of(verdict(metrics)))
    assert data["columns"]["tags"] == ["zone=a", "zone=b", "zone=c"]
    assert [round(both_sides(data, row).mean()) for row in range(3)] == [10, 20, 30]


def test_a_metric_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(KeyError):
        render_canary_report(verdict([metric("http.5xx")]), pairs_of([metric("other")]), GO, {})


def test_big_canaries_stay_under_three_megabytes() -> None:
    rng = np.random.default_rng(3)
    noise = rng.lognormal(3, 1, (2, 1200, 480))
    metrics = [
        metric(f"endpoint.e{k}.latency_p50_ms", Label.HOT, reason=f"higher in the canary: {k} " + "why " * 30)
        for k in range(1200)
    ]
    pairs = MetricPairs(tuple(m.name for m in metrics), *noise, START, 60)
    page = render_canary_report(verdict(metrics, points=480), pairs, GO, {})
    assert len(page.encode()) < 3_000_000


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


def test_a_score_just_below_the_threshold_is_not_shown_as_the_threshold() -> None:
    assert "<span>94.99</span>" in page_of(verdict([metric("a")], score=94.9961))
    assert "<span>95</span>" in page_of(verdict([metric("a")], score=95.0))


def test_advice_warnings_and_profile_are_told_once() -> None:
    judged = verdict([metric("a")], advice="soak 40 min", warnings=("unknown key foo",), profile="kayenta")
    text = Page(page_of(judged)).text
    assert "Advice soak 40 min" in text
    assert "Warning unknown key foo" in text
    assert "Judge profile kayenta" in text
    told = GateDecision(False, ("cannot tell yet: nothing could be judged: soak 40 min",), "cannot tell yet")
    assert Page(page_of(judged, decision=told)).text.count("soak 40 min") == 1


def test_without_script_every_metric_that_is_not_alike_has_its_reason() -> None:
    metrics = [metric("a"), metric("b", Label.COLD, effect=-0.4), metric("c", Label.ERROR, reason="503 Slow Down")]
    text = Page(page_of(verdict(metrics))).text
    assert "2 of 3 metrics are not alike" in text
    assert "b ▼ cold -40 % as it is: b" in text
    assert "503 Slow Down" in text
    assert "as it is: a" not in text


@pytest.mark.parametrize(
    ("effect", "shade"),
    [(0.05, 1), (0.3, 2), (-0.3, 2), (0.7, 3), (1.0, 4), (-0.5, 4), (math.inf, 4), (-1.0, 4), (-3.0, 4)],
)
def test_the_shade_grows_with_the_difference(effect: float, shade: int) -> None:
    label = Label.HOT if effect > 0 else Label.COLD
    (cell,) = Page(page_of(verdict([metric("a", label, effect=effect)]))).cells
    assert f"s{shade}" in (cell["class"] or "").split()


def test_where_no_share_can_be_said_the_shade_is_of_the_superiority() -> None:
    cells = Page(page_of(verdict([metric(f"m{k}", Label.HOT, superiority=k / 100) for k in (60, 70, 99)]))).cells
    assert [(cell["class"] or "").split()[-1] for cell in cells] == ["s1", "s2", "s4"]


def test_looks_are_drawn_and_listed_in_order_whatever_their_order() -> None:
    looks = [
        Look(START + timedelta(hours=hour), START, score, outcome, 3.0, 7, f"reason {hour}")
        for hour, score, outcome in [(3, None, "no answer"), (1, 99.0, "go"), (2, 60.0, "no-go"), (4, 80.0, "no-go")]
    ]
    page = page_of(verdict([metric("a")]), *looks)
    text = Page(page).text
    assert "4 looks as a table" in text
    assert [text.index(f"reason {hour}") for hour in (4, 3, 2, 1)] == sorted(
        text.index(f"reason {k}") for k in range(1, 5)
    )
    assert "01:00:00" in text
    assert "95 to go" in text
    (line,) = re.findall(r'<polyline points="([^"]*)"', page)
    assert line.split()[0] == "0.00,2.00"  # between 50 and 100, at the left


def test_one_look_stands_in_the_middle_and_none_draws_nothing() -> None:
    one = page_of(verdict([metric("a")]), Look(START, START, 97.0, "go"))
    assert "1 look as a table" in one
    assert "left:50.00%" in one
    assert "Score during the soak" not in page_of(verdict([metric("a")]))


def test_what_json_cannot_say_is_said_otherwise() -> None:
    metrics = [metric("a", Label.HOT, effect=math.inf, interval=(-math.inf, math.nan), chance=0.0)]
    columns = data_of(page_of(verdict(metrics)))["columns"]
    assert (columns["effect"], columns["low"], columns["high"]) == ([1e308], [-1e308], [None])
    assert columns["share"] == ["from nothing"]


def test_infinite_points_are_gaps_and_are_counted() -> None:
    metrics = [metric("a"), metric("b")]
    pairs = pairs_of(metrics)
    pairs.canary[0, :3] = np.inf  # b: pairs stand in the reverse order
    data = data_of(render_canary_report(verdict(metrics), pairs, GO, {}))
    assert data["infinite"] == {"1": [0, 3]}
    assert np.isnan(both_sides(data, 1)[1, :3]).all()


def test_a_verdict_without_metrics_is_a_page() -> None:
    empty = MetricPairs((), np.zeros((0, 0)), np.zeros((0, 0)), datetime(2026, 1, 1, tzinfo=UTC), 60)
    page = render_canary_report(verdict([], points=0, classification="unknown"), empty, decide(verdict([])), {})
    assert "0 metrics" in page
