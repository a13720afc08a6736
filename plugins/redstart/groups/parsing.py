"""Which flows a DAG file makes: those of every application, and in a task's own process only that task's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from airflow.sdk import get_parsing_context

from include.apps import App, DeliverFlow, ReleaseFlow, VerifyFlow, app_names, load_app

F = TypeVar("F", VerifyFlow, DeliverFlow, ReleaseFlow)


def flows_of(kind: type[F]) -> Iterator[tuple[App, str, F]]:
    """(application, name, flow) of every flow of the kind that this process needs."""
    for app in apps_to_parse():
        for name, flow in app.flows.items():
            if isinstance(flow, kind) and is_needed(app, name):
                yield app, name, flow


def apps_with(flow: str) -> Iterator[App]:
    """Applications whose DAG `<app>_<flow>`, which each of them has, this process needs."""
    return (app for app in apps_to_parse() if is_needed(app, flow))


def apps_to_parse() -> Iterator[App]:
    """An application's name has no underscore: a DAG id tells whose it is, and only that file is read."""
    wanted = get_parsing_context().dag_id
    owner = wanted.partition("_")[0] if wanted else None
    return (load_app(name) for name in app_names() if owner in (None, name))


def is_needed(app: App, flow: str) -> bool:
    wanted = get_parsing_context().dag_id
    return wanted is None or wanted == app.dag_id(flow)
