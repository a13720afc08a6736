"""The sample application's load profile, as the product uses it."""

from __future__ import annotations

import math
import tomllib

from tests.support.sample_application import SOURCE, mix


def test_at_20_requests_a_second_every_endpoint_is_seen_in_a_third_of_the_periods() -> None:
    weights = [entry.weight for entry in mix().entries]
    assert max(weights) / min(weights) <= 6
    least = 20 * 5 * min(weights) / sum(weights)
    assert 1 - math.exp(-least) > 1 / 3


def test_every_endpoint_is_in_the_mix() -> None:
    table = tomllib.loads((SOURCE / "opt/app/settings/endpoints.toml").read_text())
    assert {entry.path.partition("?")[0] for entry in mix().entries} == {row["path"] for row in table.values()}
    assert len(table) == 64
