"""What a rehearsal may ask the real account: a few reads, each once. It has no way to ask for anything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from include.adapters.aws_errors import ClientFactory
from include.errors import RefusedError

READS: Final[Mapping[str, frozenset[str]]] = {
    "autoscaling": frozenset({"describe_auto_scaling_groups"}),
    "elbv2": frozenset(
        {
            "describe_load_balancers", "describe_listeners", "describe_target_groups", "describe_target_health",
            "describe_tags",
        }
    ),
    "ec2": frozenset({"describe_subnets", "describe_launch_templates"}),
    "cloudwatch": frozenset({"get_metric_data"}),
}  # fmt: skip


class RealReads:
    """Answers of the real account, kept: each question is asked once, also where the answer was an error.

    Only reads that are named in `READS` get as far as a client.
    """

    def __init__(self, clients: ClientFactory) -> None:
        self._clients = clients
        self._answers: dict[str, Any] = {}

    def items(self, service: str, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
        """All items under `key`, of all pages; not to be changed. boto3's errors pass through."""

        def ask() -> list[dict[str, Any]]:
            client = self._client(service, operation)
            if client.can_paginate(operation):
                pages = client.get_paginator(operation).paginate(**arguments)
            else:
                pages = [getattr(client, operation)(**arguments)]
            return [item for page in pages for item in page.get(key, ())]

        found: list[dict[str, Any]] = self._once(f"{service} {operation} {_words(arguments)}", ask)
        return found

    def _client(self, service: str, operation: str) -> Any:
        if operation not in READS.get(service, ()):
            raise RefusedError(f"A rehearsal may not ask {service} for {operation}.")
        return self._clients(service)

    def _once(self, question: str, ask: Callable[[], Any]) -> Any:
        if question not in self._answers:
            try:
                self._answers[question] = ask()
            except Exception as error:  # kept and raised again: a store that is away costs its time-out each time
                self._answers[question] = error
        answer = self._answers[question]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _words(arguments: Mapping[str, Any]) -> str:
    """Moments are no part of a question: the rehearsal's clock runs away from the account's."""
    return json.dumps({key: value for key, value in arguments.items() if not isinstance(value, datetime)})
