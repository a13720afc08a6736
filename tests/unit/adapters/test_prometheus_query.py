"""PromQL that is built, templates that are filled in and answers that are read; Kayenta's by its own records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.adapters.prometheus_query import (
    KayentaScope,
    escape_template,
    expand_filter,
    expand_template,
    group_query,
    is_counter,
    kayenta_query,
    pair_series,
    read_matrix,
    select,
    unescape_template,
)
from include.errors import ConfigError

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "kayenta"
TWO = [{"cluster": "b"}, {"cluster": "c"}]
QUERY_KEYS = ("metricName", "labelBindings", "customFilterTemplate", "customInlineTemplate")


def records(file: str, *functions: str) -> list[Any]:
    cases = json.loads((GOLDEN / file).read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if case["function"] in functions]


def check(expected: Mapping[str, Any], ask: Any) -> None:
    if "error" in expected:
        with pytest.raises(ConfigError):
            ask()
    else:
        assert ask() == expected["value"]


class TestKayentasRecords:
    def test_all_of_them_are_read(self) -> None:
        assert len(records("queries_prometheus.json", "prometheus_query")) == 14
        assert len(records("queries_prometheus.json", "template_expand")) == 30
        escaping = ("template_escape", "template_unescape", "template_escape_inline")
        assert len(records("queries_prometheus.json", *escaping)) == 13
        assert len(records("timeseries_prometheus.json", "prometheus_matrix", "prometheus_mix")) == 4

    @pytest.mark.parametrize("case", records("queries_prometheus.json", "prometheus_query"))
    def test_a_query_is_built_as_kayenta_builds_it(self, case: dict[str, Any]) -> None:
        given = case["inputs"]
        scope = KayentaScope(
            scope=given["scope"] or "",
            location=given["location"] or "",
            resource_type=given["resourceType"] or "",
            parameters=given["extendedScopeParams"] or {},
        )
        query = {key: given[key] for key in QUERY_KEYS}
        built = kayenta_query(query, scope, given["templates"], scope_label=given["scope_label"])
        assert built == case["expected"]["query"]

    @pytest.mark.parametrize("case", records("queries_prometheus.json", "template_expand"))
    def test_a_template_is_filled_in_or_refused(self, case: dict[str, Any]) -> None:
        given = case["inputs"]
        about = given.get("scope_attributes", {})
        scope = KayentaScope(
            about.get("scope", ""), about.get("location", ""), about.get("project", ""), about.get("resourceType", ""),
            given["extendedScopeParams"] or {},
        )  # fmt: skip
        query = {key: given[key] for key in ("customFilterTemplate", "customInlineTemplate")}
        check(case["expected"], lambda: expand_filter(query, scope, given["templates"] or {}) or None)

    @pytest.mark.parametrize(
        "case",
        records("queries_prometheus.json", "template_escape", "template_unescape", "template_escape_inline"),
    )
    def test_templates_go_to_their_stored_form_and_back(self, case: dict[str, Any]) -> None:
        given, expected = case["inputs"], case["expected"]
        if case["function"] == "template_escape":
            assert {name: escape_template(text) for name, text in given["templates"].items()} == expected["templates"]
        elif case["function"] == "template_unescape":
            check(expected, lambda: unescape_template(given["template"]))
        else:
            check(expected, lambda: escape_template(given["template"]))

    @pytest.mark.parametrize("case", records("timeseries_prometheus.json", "prometheus_matrix"))
    def test_an_answer_becomes_series(self, case: dict[str, Any]) -> None:
        series = read_matrix(json.dumps(case["inputs"]["response"]))
        expected = case["expected"]["series"] or []
        assert len(series) == len(expected)
        for one, wanted in zip(series, expected, strict=True):
            np.testing.assert_array_equal(one.values, wanted["values"])
            assert (one.times[0] * 1000, one.times[-1] * 1000) == pytest.approx((wanted["start_ms"], wanted["end_ms"]))
            assert (one.step_seconds, one.tags) == (wanted["step_s"], wanted["tags"])

    @pytest.mark.parametrize("case", records("timeseries_prometheus.json", "prometheus_mix"))
    def test_series_of_both_sides_become_pairs(self, case: dict[str, Any]) -> None:
        given = case["inputs"]
        control, experiment = (read_matrix(json.dumps(given[side])) for side in ("control", "experiment"))
        pairs = pair_series(control, experiment)
        assert len(pairs) == case["expected"]["pair_count"]
        assert all(one is not None for pair in pairs for one in pair)
        assert control[0].times[0] == pytest.approx(datetime.fromisoformat(given["start"]).timestamp())
        assert control[0].step_seconds == given["step_s"]


class TestKayentasOtherCases:
    """What the records do not show, from Kayenta's own source."""

    def test_groups_are_asked_for_by_label(self) -> None:
        query = {"metricName": "m", "groupByFields": ["uri", "method"], "labelBindings": ['a="b"']}
        built = kayenta_query(query, KayentaScope("s", "us-east-1", resource_type="aws_ec2_instance"), {})
        assert built == 'avg(m{a="b",asg_groupName="s",zone=~"us-east-1.{1}"}) by (uri,method)'

    def test_the_querys_resource_type_wins_and_a_project_narrows_the_zone(self) -> None:
        scope = KayentaScope("s", "europe-west1", "p", resource_type="aws_ec2_instance")
        built = kayenta_query({"metricName": "m", "resourceType": "gce_instance"}, scope, {}, scope_label="host")
        assert built == 'avg(m{host=~"s-.{4}",zone=~".+/projects/p/zones/europe-west1-.{1}"})'
        assert expand_template("${a}", {"a": "1"}, {"a": "2"}) == "2"

    @pytest.mark.parametrize(
        ("query", "scope", "key"),
        [
            ({"metricName": "m"}, KayentaScope("s", "l"), "resourceType"),
            ({"metricName": "m"}, KayentaScope("s", "l", resource_type="mesos"), "resourceType"),
            ({"metricName": "m"}, KayentaScope("s", resource_type="gce_instance"), "location"),
            ({"metricName": "m", "customFilter": "a=b"}, KayentaScope("s", "l"), "customFilter"),
            ({"customInlineTemplate": "a=b"}, KayentaScope("s", "l"), "metricName"),
            ({"metricName": "m} or up{", "customInlineTemplate": "a=b"}, KayentaScope("s", "l"), "metricName"),
            (
                {"metricName": "m", "customInlineTemplate": "a=b", "groupByFields": ["a) or (b"]},
                KayentaScope(),
                "label",
            ),
        ],
    )
    def test_what_cannot_be_asked_is_refused_with_its_key(
        self, query: dict[str, Any], scope: KayentaScope, key: str
    ) -> None:
        with pytest.raises(ConfigError, match=key):
            kayenta_query(query, scope, {})

    def test_a_groups_name_cannot_leave_its_string(self) -> None:
        hostile = 'x"} or up{a="\\'
        scope = KayentaScope(hostile, "l", resource_type="aws_ec2_instance")
        assert '="x\\"} or up{a=\\"\\\\"' in kayenta_query({"metricName": "m"}, scope, {})
        template = {"customInlineTemplate": 'PromQL:up{job="${scope}"}'}
        assert kayenta_query(template, scope, {}) == 'up{job="x\\"} or up{a=\\"\\\\"}'

    def test_a_value_that_looks_like_a_variable_is_not_filled_in_again(self) -> None:
        assert expand_template("${a} ${b}", {"a": "${b}", "b": "$\\{a}"}) == "${b} $\\{a}"


class TestGroupQueries:
    def test_a_counter_is_an_increase_and_a_level_an_average(self) -> None:
        assert group_query("errors_total", TWO, 60, "Sum", counts=True) == (
            'sum by (cluster) (increase({__name__="errors_total",cluster=~"b|c"}[60s]))'
        )
        assert group_query("heap", TWO[:1], 5, "Average", counts=False) == (
            'avg by (cluster) (avg_over_time({__name__="heap",cluster="b"}[5s]))'
        )
        assert "max by (cluster) (max_over_time(" in group_query("heap", TWO, 5, "Maximum", counts=False)

    def test_labels_that_differ_are_alternatives_and_the_rest_stands_firm(self) -> None:
        scopes = [{"region": "eu", "cluster": "a.b"}, {"region": "eu", "cluster": "a|b"}]
        query = group_query("m", scopes, 60, "Average", counts=False)
        assert query.startswith("avg by (cluster,region) (")
        assert r'cluster=~"a\\.b|a\\|b",region="eu"' in query

    @pytest.mark.parametrize("value", ['"', "\\", "\n", '"} or up{"', "ü", "${x}", "\r"])
    def test_names_and_values_are_escaped(self, value: str) -> None:
        query = group_query(value, [{"cluster": value}], 60, "Average", counts=False)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        assert f'{{__name__="{escaped}",cluster="{escaped}"}}' in query
        assert select({"cluster": value}) == f'{{cluster="{escaped}"}}'

    @pytest.mark.parametrize("label", ['a="b"} or up{c', "", "1a", "a-b", "ü"])
    def test_a_label_that_is_none_is_refused(self, label: str) -> None:
        with pytest.raises(ConfigError, match="is no label"):
            group_query("m", [{label: "b"}], 60, "Average", counts=False)
        with pytest.raises(ConfigError, match="is no label"):
            select({label: "b"})

    def test_scopes_of_different_labels_cannot_share_a_query(self) -> None:
        for scopes in ([{"cluster": "b"}, {"asg": "c"}], [{}], [{"cluster": "b"}, {}]):
            with pytest.raises(ConfigError, match="same labels"):
                group_query("m", scopes, 60, "Average", counts=False)

    def test_metadata_outweighs_a_names_ending(self) -> None:
        assert [is_counter(name, {}) for name in ("a_total", "a_count", "a_sum", "a_bucket", "a")] == [True] * 4 + [
            False
        ]
        assert is_counter("requests", {"requests": "counter"})
        assert not is_counter("disk_total", {"disk_total": "gauge"})
        assert is_counter("latency_sum", {"latency_sum": "unknown", "latency": "histogram"})


class TestAnswers:
    def answer(self, *result: dict[str, Any], kind: str = "matrix") -> str:
        return json.dumps({"status": "success", "data": {"resultType": kind, "result": list(result)}})

    def test_words_for_numbers_become_numbers(self) -> None:
        values = [[1.5, "1e+300"], [2.5, "NaN"], [3.5, "+Inf"], [4.5, "-Inf"], [5.5, "-0.25"]]
        (series,) = read_matrix(self.answer({"metric": {"a": "b"}, "values": values}))
        np.testing.assert_array_equal(series.values, [1e300, np.nan, np.inf, -np.inf, -0.25])
        np.testing.assert_array_equal(series.times, [1.5, 2.5, 3.5, 4.5, 5.5])

    def test_a_series_of_histograms_alone_is_empty(self) -> None:
        (series,) = read_matrix(self.answer({"metric": {}, "histograms": [[1, {"count": "1"}]]}))
        assert (series.values.shape, series.times.shape) == ((0,), (0,))

    @pytest.mark.parametrize(
        "body", ["<html>", "", "[]", '{"status":"error"}', '{"status":"success"}', '{"status":"success","data":[]}']
    )
    def test_anything_else_is_no_answer(self, body: str) -> None:
        with pytest.raises(ValueError, match=r"no success|no matrix|Expecting value"):
            read_matrix(body)
        with pytest.raises(ValueError, match="no matrix"):
            read_matrix(self.answer(kind="vector"))

    def test_a_series_without_partner_stands_alone(self) -> None:
        def side(*uris: str) -> str:
            return self.answer(*({"metric": {"uri": uri}, "values": [[1, "1"]]} for uri in uris))

        pairs = pair_series(read_matrix(side("/a", "/b")), read_matrix(side("/c", "/b")))
        found = [tuple(one and one.tags["uri"] for one in pair) for pair in pairs]
        assert found == [("/a", None), ("/b", "/b"), (None, "/c")]
