"""Peaks: a market's traffic of the last weeks -> the curve of its week -> quiet windows. All pure."""

from include.peaks.curve import expected_level, expected_spread, learn_curve
from include.peaks.now import answer_at, word_if_busy
from include.peaks.stretches import threshold_at
from include.peaks.values import Answer, Calendar, Counts, Curve, Freeze, Outlook, Rules, Source, Window, can_be_counts
from include.peaks.windows import quiet_windows

__all__ = [
    "Answer",
    "Calendar",
    "Counts",
    "Curve",
    "Freeze",
    "Outlook",
    "Rules",
    "Source",
    "Window",
    "answer_at",
    "can_be_counts",
    "expected_level",
    "expected_spread",
    "learn_curve",
    "quiet_windows",
    "threshold_at",
    "word_if_busy",
]
