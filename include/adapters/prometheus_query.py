"""PromQL: queries for the groups of a canary, Kayenta's way to build one, and the answers' series. Pure functions.

Names and label values from outside are escaped or refused, so that none can say more than it names. What the author of
a Kayenta configuration writes as PromQL (label bindings, templates, extended scope parameters) stands as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from include.errors import ConfigError

Floats = npt.NDArray[np.float64]

# What to make of a step's samples and of a group's instances.
_AGGREGATIONS = {"Average": "avg", "Sum": "sum", "Minimum": "min", "Maximum": "max"}
_OVER_TIME = {"Average": "avg", "Sum": "avg", "Minimum": "min", "Maximum": "max"}
_COUNTER_ENDINGS = ("_total", "_count", "_sum", "_bucket")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KAYENTA_NAME = re.compile(r"[a-zA-Z0-9_:.\-]+")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SOURCE = "prometheus query"
_PROMQL = "PromQL:"


def escape_string(text: str) -> str:
    """`text` as the inside of a double-quoted PromQL string."""
    return (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\x00")
    )


def quote(text: str) -> str:
    return f'"{escape_string(text)}"'


def is_counter(name: str, kinds: Mapping[str, str]) -> bool:
    """Whether the series counts up: by the server's metadata (name -> type), else by the name's ending."""
    kind = kinds.get(name, "")
    if kind in {"counter", "gauge"}:
        return kind == "counter"
    return name.endswith(_COUNTER_ENDINGS)


def select(labels: Mapping[str, str]) -> str:
    """A selector of exactly these labels' values. Raises ConfigError for a label that Prometheus cannot have."""
    return "{" + ",".join(f"{require_label(name)}={quote(value)}" for name, value in labels.items()) + "}"


def group_query(name: str, scopes: Sequence[Mapping[str, str]], step_seconds: int, stat: str, *, counts: bool) -> str:
    """One query for a name in all scopes, grouped by the labels that tell them apart; a value stands for one step.

    A counter is read as its increase in the step, a level as the average (or extreme) of its samples in the step;
    `stat` then says what to make of the instances. Raises ConfigError for an unknown `stat` or labels that do not fit.
    """
    if stat not in _AGGREGATIONS:
        raise ConfigError(f"must be one of {', '.join(_AGGREGATIONS)}", source=_SOURCE, key="stat", value=stat)
    over = "increase" if counts else f"{_OVER_TIME[stat]}_over_time"
    matchers = [f"__name__={quote(name)}"]
    for label in scope_labels(scopes):
        values = list(dict.fromkeys(scope[label] for scope in scopes))
        if len(values) == 1:
            matchers.append(f"{label}={quote(values[0])}")
        else:
            matchers.append(f"{label}=~{quote('|'.join(map(re.escape, values)))}")
    by = ",".join(scope_labels(scopes))
    return f"{_AGGREGATIONS[stat]} by ({by}) ({over}({{{','.join(matchers)}}}[{step_seconds}s]))"


def scope_labels(scopes: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The labels that every scope names. Raises ConfigError where they are not the same for all, or none."""
    labels = tuple(sorted(scopes[0])) if scopes else ()
    for scope in scopes:
        if not scope or tuple(sorted(scope)) != labels:
            raise ConfigError(
                "must name the same labels, at least one", source=_SOURCE, key="scopes", value=dict(scope)
            )
    return tuple(require_label(label) for label in labels)


def require_label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ConfigError("is no label of Prometheus", source=_SOURCE, key="label", value=name)
    return name


@dataclass(frozen=True)
class PrometheusSeries:
    """One series of a matrix: `times` in seconds since the epoch, float64 [n] as are `values`, and its labels."""

    times: Floats
    values: Floats
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def step_seconds(self) -> int:
        """The distance of the first two points in whole seconds; 1 for a single point, as Kayenta reads it."""
        return round(float(self.times[1] - self.times[0])) if len(self.times) > 1 else 1


def read_matrix(body: str | bytes) -> list[PrometheusSeries]:
    """The series of a query_range answer; "NaN", "+Inf" and "-Inf" become what they say.

    Raises ValueError for what is no successful matrix.
    """
    answer = json.loads(body)
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise ValueError("no success")
    data = answer.get("data")
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        raise ValueError("no matrix")
    return [_to_series(one) for one in data["result"]]


def _to_series(one: Mapping[str, Any]) -> PrometheusSeries:
    points = one.get("values", ())  # a native histogram has none
    times = np.fromiter((at for at, _ in points), np.float64, len(points))
    return PrometheusSeries(times, np.array([float(value) for _, value in points], np.float64), one.get("metric", {}))


def pair_series(
    control: Sequence[PrometheusSeries], experiment: Sequence[PrometheusSeries]
) -> list[tuple[PrometheusSeries | None, PrometheusSeries | None]]:
    """Control's and experiment's series of the same tags together; None for a side without such a series."""
    controls, experiments = ({tuple(sorted(one.tags.items())): one for one in side} for side in (control, experiment))
    return [(controls.get(tags), experiments.get(tags)) for tags in controls | experiments]


@dataclass(frozen=True)
class KayentaScope:
    """Whom a Kayenta query is about, with Kayenta's names; `parameters` are its extendedScopeParams."""

    scope: str = ""
    location: str = ""
    project: str = ""
    resource_type: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def kayenta_query(
    query: Mapping[str, Any], scope: KayentaScope, templates: Mapping[str, str], *, scope_label: str = "instance"
) -> str:
    """The PromQL that Kayenta's Prometheus store would ask for a metric's `query` in a scope.

    `scope_label` holds an instance's name on gce_instance. Raises ConfigError for what Kayenta refuses as well.
    """
    custom = expand_filter(query, scope, templates)
    if custom.startswith(_PROMQL):
        return custom.removeprefix(_PROMQL)
    name = str(query.get("metricName") or "")
    if not _KAYENTA_NAME.fullmatch(name):
        raise ConfigError("is no name of a metric", source=_SOURCE, key="metricName", value=name)
    bindings = list(query.get("labelBindings") or ())
    filters = [*custom.split(","), *bindings] if custom else [*bindings, *_resource_filters(query, scope, scope_label)]
    by = ",".join(require_label(label) for label in query.get("groupByFields") or ())
    return f"avg({name}{{{','.join(filters)}}})" + (f" by ({by})" if by else "")


def _resource_filters(query: Mapping[str, Any], scope: KayentaScope, scope_label: str) -> list[str]:
    resource = str(query.get("resourceType") or "").strip() or scope.resource_type
    if resource not in {"gce_instance", "aws_ec2_instance"}:
        reason = "must be gce_instance or aws_ec2_instance where the query has no filter of its own"
        raise ConfigError(reason, source=_SOURCE, key="resourceType", value=resource)
    if not scope.location:
        raise ConfigError(f"is needed for {resource}", source=_SOURCE, key="location", value=scope.location)
    group, location, project = map(escape_string, (scope.scope, scope.location, scope.project))
    if resource == "aws_ec2_instance":
        return [f'asg_groupName="{group}"'] * bool(group) + [f'zone=~"{location}.{{1}}"']
    projects = f"projects/{project}/" if project else ""
    instances = [f'{require_label(scope_label)}=~"{group}-.{{4}}"'] * bool(group)
    return [*instances, f'zone=~".+/{projects}zones/{location}-.{{1}}"']


def expand_filter(query: Mapping[str, Any], scope: KayentaScope, templates: Mapping[str, str]) -> str:
    """The query's own filter with its variables filled in: the inline template wins over the named one; "" for none.

    Scope, location, project and resourceType are escaped for the inside of a PromQL string; the query's resourceType
    wins over the scope's, an extended parameter over both. Raises ConfigError for an unknown template or variable.
    """
    if query.get("customFilter") is not None:
        raise ConfigError("is gone, use customInlineTemplate", source=_SOURCE, key="customFilter")
    template, name = query.get("customInlineTemplate"), query.get("customFilterTemplate")
    if not template:
        if not name:
            return ""
        if name not in templates:
            raise ConfigError("is not among the templates", source=_SOURCE, key="customFilterTemplate", value=name)
        template = templates[name]
    own = {
        "scope": scope.scope,
        "location": scope.location,
        "project": scope.project,
        "resourceType": query.get("resourceType") or scope.resource_type,
    }
    return expand_template(
        template, {key: escape_string(value) for key, value in own.items() if value}, scope.parameters
    )


def expand_template(template: str, *bindings: Mapping[str, str]) -> str:
    """`template` with every `${name}` (or its stored form `$\\{name}`) filled in; later bindings win.

    Plain variables only: FreeMarker, which Kayenta uses, knows more. Raises ConfigError for an unknown variable.
    """
    known = {key: value for some in bindings for key, value in some.items()}

    def value_of(match: re.Match[str]) -> str:
        if (name := match[1].strip()) not in known:
            raise ConfigError("is a variable without value", source=_SOURCE, key=template, value=name)
        return known[name]

    return _VARIABLE.sub(value_of, unescape_template(template))


def escape_template(template: str | None) -> str | None:
    """The form in which an orchestrator may store a template without filling it in: `$\\{` for `${`."""
    return template.replace("${", "$\\{") if template else template


def unescape_template(template: str) -> str:
    return template.replace("$\\{", "${")
