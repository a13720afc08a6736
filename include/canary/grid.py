"""Where a metric stands in the scannable grid: the more important, the further up and to the left."""

from __future__ import annotations

from collections.abc import Sequence

from include.canary.config import JudgeConfig


def order_of_importance(
    config: JudgeConfig, names: Sequence[str], placed: Sequence[int], weights: Sequence[float]
) -> list[int]:
    """Row numbers, most important first: critical, then by weight, then by the order of the rules and of the names.

    `placed` is each metric's rule. Findings play no part, so a metric stands in the same cell in every canary.
    Muted metrics come last.
    """

    def importance(row: int) -> tuple[bool, bool, float, int, int]:
        rule = config.rules[placed[row]]
        return rule.muted, not rule.critical, -round(weights[row], 9), placed[row], row

    return sorted(range(len(names)), key=importance)
