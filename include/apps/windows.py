"""When and in which order an environment's regions are pushed: quiet windows, freezes, holidays, waves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from include.apps.section import Section

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
RegionName = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
_HOURS = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone of the IANA database: {name!r}") from error
    return name


def _clock_hours(text: str) -> str:
    if not _HOURS.match(text):
        raise ValueError(f"hours are written HH:MM-HH:MM, as 23:00-06:30; found {text!r}")
    return text


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Hours = Annotated[str, AfterValidator(_clock_hours)]


def clock_times(hours: str) -> tuple[time, time]:
    """`23:00-06:30` -> its two ends; where the second is not later, it is of the next day."""
    first, last = hours.split("-")
    return time.fromisoformat(first), time.fromisoformat(last)


class TrafficMetric(Section):
    """The series of a market's requests in the metric store; `{region}` in a dimension stands for the region."""

    namespace: str = Field(min_length=1)
    metric: str = Field("RequestCount", min_length=1)
    dimensions: Mapping[str, str] = {}


class Freeze(Section):
    """No push begins from `start` until `end`: moments, in the market's own time where they name no zone."""

    start: datetime
    end: datetime
    why: str = Field(min_length=1)
    regions: tuple[RegionName, ...] = ()

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Self:
        if (self.start.tzinfo is None) != (self.end.tzinfo is None):
            raise ValueError("start and end must both name a time zone, or neither")
        if self.end <= self.start:
            raise ValueError("end must be later than start")
        return self


class Holiday(Section):
    """A day on which the market lives as on another day of the week."""

    day: date
    like: Weekday = "sunday"
    regions: tuple[RegionName, ...] = ()


class Windows(Section):
    """A region's push begins only in a quiet window of its market.

    Quiet is what the market's own curve, learned from `history_days` of its requests, shows below `below_pct` % of the
    day's peak, for at least as long as a push takes. With less than `least_days` of data, or where the curve has no
    such window, it is `quiet_hours`, in the market's own time. `at_peak` says what becomes of a push under way that
    will run into a peak.
    """

    below_pct: float = Field(60, gt=0, lt=100)
    history_days: int = Field(28, ge=7, le=455)
    least_days: float = Field(7, ge=1)
    quiet_hours: Annotated[tuple[Hours, ...], Field(min_length=1)] = ("01:00-07:00",)
    at_peak: Literal["finish", "hold", "roll_back"] = "finish"
    traffic: TrafficMetric | None = None
    freezes: tuple[Freeze, ...] = ()
    holidays: tuple[Holiday, ...] = ()

    @model_validator(mode="after")
    def learns_from_what_it_reads(self) -> Self:
        if timedelta(days=self.least_days) > timedelta(days=self.history_days):
            raise ValueError("least_days is above history_days: nothing would ever be learned")
        return self


class Waves(Section):
    """The first `first` regions are pushed, then the rest, at most `at_once` at a time (0: all of them).

    `order`: by the traffic that is usual, the least first; or as the regions are listed. A failure stops the regions
    not begun; with `on_failure = "roll_back"` it also takes those finished back, the last first.
    """

    order: Literal["least_traffic", "listed"] = "least_traffic"
    first: int = Field(1, ge=1)
    at_once: int = Field(0, ge=0)
    on_failure: Literal["halt", "roll_back"] = "halt"
