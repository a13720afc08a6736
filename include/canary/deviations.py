"""Which differences matter: beyond chance at the alarm rate in force, and larger than is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.canary.config import Evidence, Rule
from include.canary.statistics import Deviation, Findings, Floats

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Standards:
    """What k metrics are held to, as arrays [k]: alarm rates, and what a difference must exceed.

    `critical_rate` is the stricter one at which a critical metric stops the canary (of others: `rate`).
    """

    rate: Floats
    critical_rate: Floats
    floor: Floats
    allowed: tuple[Floats, Floats]
    critical_allowed: tuple[Floats, Floats]
    looks: tuple[Flags, Flags]
    is_critical: Flags
    is_cles: Flags


@dataclass(frozen=True)
class Outcome:
    """What became of k metrics, as arrays [k].

    `sign` of the deviation (0: none), the `test` that spoke and its one-sided `chance`; whether the metric is critical
    and `is_doubtful`: it deviates, but not surely enough to stop a canary alone; whether it `stops` it; and whether
    level, count or stock differ beyond chance at all.
    """

    sign: npt.NDArray[np.int8]
    test: npt.NDArray[np.object_]
    chance: Floats
    is_doubtful: Flags
    stops: Flags
    is_certain: Flags


def critical_rates(rules: Sequence[Rule], placed: Sequence[int], is_judged: Flags, minimum: Evidence) -> Floats:
    """The rate at which each metric may stop an identical canary; `placed` is its rule.

    Critical ones share what a canary may raise among them; of others it is the ordinary rate.
    """
    rates = np.full(len(placed), minimum.alarm)
    places = np.array(placed)
    is_critical = np.array([rules[place].critical and not rules[place].muted for place in placed], dtype=np.bool_)
    in_use = np.unique(places[is_critical & is_judged])
    for place in in_use:
        rows = places == place
        shared = minimum.canary_alarm / len(in_use) / max(int((rows & is_judged).sum()), 1)
        rates[rows] = min(shared, minimum.critical_alarm)
    return rates


def standards_of(rules: Sequence[Rule], critical_rate: Floats, minimum: Evidence) -> Standards:
    """The standards of metrics whose rules are `rules`."""
    allowed = tuple(np.array([rule.allowance(upward=upward) for rule in rules]) for upward in (True, False))
    stop_up = np.array([rule.allowed if rule.critical_allowed is None else rule.critical_allowed for rule in rules])
    stop_down = np.array(
        [
            rule.allowance(upward=False) if rule.critical_allowed_down is None else rule.critical_allowed_down
            for rule in rules
        ]
    )
    directions = np.array([rule.direction for rule in rules])
    return Standards(
        rate=np.full(len(rules), minimum.alarm),
        critical_rate=critical_rate,
        floor=np.array([rule.floor for rule in rules]),
        allowed=(allowed[0], allowed[1]),
        critical_allowed=(stop_up, stop_down),
        looks=(directions != "decrease", directions != "increase"),
        is_critical=np.array([rule.critical and not rule.muted for rule in rules], dtype=np.bool_),
        is_cles=np.array([rule.measure == "cles" for rule in rules], dtype=np.bool_),
    )


def _share(deviation: Deviation, findings: Findings, standards: Standards) -> Floats:
    """How large a deviation is in the measure that its rule is written in."""
    if not standards.is_cles.any():
        return deviation.share
    beyond = findings.superiority - 0.5 if deviation.test in {"level", "count"} else np.zeros(len(deviation.share))
    return np.where(standards.is_cles, beyond, deviation.share)


def find_deviations(findings: Findings, standards: Standards) -> Outcome:
    """Hold every test of every metric against the standards.

    A test speaks if its chance is at most its portion of the metric's alarm rate, and the difference exceeds both
    the allowed share and the floor. Of several that speak the least likely is told, first those that are sure enough
    for a critical metric. A narrower spread only matters where both directions are looked at.
    """
    k = len(standards.rate)
    sign, test = np.zeros(k, dtype=np.int8), np.full(k, "", dtype=object)
    rarest, chance, size = np.full(k, np.inf), np.ones(k), np.zeros(k)
    certain, sure = np.zeros(k, dtype=np.bool_), np.zeros(k, dtype=np.bool_)
    for deviation in findings.deviations:
        beyond, speaks, is_sure, share = _hold(deviation, findings, standards)
        own = np.where(standards.is_critical, deviation.strict, deviation.chance)
        if deviation.test not in {"tail", "spread"}:
            certain |= beyond
            chance = np.where((own < chance) & (sign == 0), own, chance)
        rarity = np.where(is_sure, 1e-3, 1.0) * own / deviation.part
        rows = np.flatnonzero(speaks & (rarity < rarest))
        rarest[rows], size[rows], chance[rows], sure[rows] = rarity[rows], share[rows], own[rows], is_sure[rows]
        sign[rows], test[rows] = (1 if deviation.upward else -1), deviation.test
    stop_at = np.where(sign > 0, standards.critical_allowed[0], standards.critical_allowed[1])
    deviates = standards.is_critical & (sign != 0)
    return Outcome(sign, test, chance, deviates & ~sure, deviates & sure & (size > stop_at), certain)


def _hold(deviation: Deviation, findings: Findings, standards: Standards) -> tuple[Flags, Flags, Flags, Floats]:
    """Of one test: is it beyond chance, does it speak, is that sure enough to stop a canary, and its signed share."""
    side = 0 if deviation.upward else 1
    looks = standards.looks[side]
    if deviation.test == "spread":
        looks = looks & (standards.looks[0] if deviation.upward else standards.looks[0] & standards.looks[1])
    with np.errstate(invalid="ignore"):
        share = (1.0 if deviation.upward else -1.0) * _share(deviation, findings, standards)
        beyond = (deviation.chance <= deviation.part * standards.rate) & looks & (findings.points > 0)
        speaks = beyond & (share > 0.0) & (share > standards.allowed[side])
        speaks &= np.abs(deviation.size) > standards.floor
    sure = speaks & (deviation.strict <= deviation.part * standards.critical_rate)
    if deviation.test in {"tail", "spread"}:  # of a critical metric these only speak when they are sure
        speaks = speaks & (sure | ~standards.is_critical)
    return beyond, speaks, sure, share
