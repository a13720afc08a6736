"""Markets that could be: the requests of their last 28 days as a metric store has them, and the truth behind.

The truth is told by its own plain code, moment by moment; nothing here is shared with include/peaks but the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from include.peaks import Calendar, Counts, Rules, Window

SLOT_SECONDS = 900
STEP_SECONDS = 300
PER_SLOT = SLOT_SECONDS // STEP_SECONDS
HISTORY_DAYS = 28
HORIZON_DAYS = 8
ZONES = (
    "America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Santiago", "America/Sao_Paulo",
    "Europe/London", "Europe/Berlin", "Europe/Helsinki", "Africa/Casablanca", "Africa/Johannesburg", "Asia/Kolkata",
    "Asia/Tokyo", "Asia/Kathmandu", "Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe",
    "Pacific/Auckland", "America/Mexico_City",
)  # fmt: skip


@dataclass(frozen=True)
class Peak:
    """Of a day: at which hour, how wide (standard deviation in hours, before and after), how high."""

    hour: float
    before: float
    after: float
    height: float


@dataclass(frozen=True)
class Market:
    """`counts` are what is seen. What is true, in requests per second at `moments` (UTC seconds, every 5 minutes from
    two days before the first count to three days after the last day looked at; `days` by the market's clock): `traffic`
    is as it will be; `as_own` and `as_like` are a noise-free week's, with the holidays to come as their own weekday and
    as the one that the settings name (that day and the six hours after it)."""

    seed: int
    now: datetime
    calendar: Calendar
    rules: Rules
    counts: Counts
    moments: np.ndarray
    days: np.ndarray
    traffic: np.ndarray
    as_own: np.ndarray
    as_like: np.ndarray
    size: float


def market(seed: int, *, holes: float = 0.1, spikes: bool = True) -> Market:
    """One of the markets: its zone, shape, size, growth, noise and mishaps follow from the seed."""
    rng = np.random.default_rng(seed)
    zone = ZoneInfo(str(rng.choice(ZONES)))
    now = _now(rng, zone)
    first = int((now - timedelta(days=HISTORY_DAYS + 2)).timestamp()) // SLOT_SECONDS * SLOT_SECONDS
    last = int((now + timedelta(days=HORIZON_DAYS + 3)).timestamp())
    slots = np.arange(first, last, SLOT_SECONDS, dtype=np.int64)
    moments = (slots[:, None] + np.arange(PER_SLOT) * STEP_SECONDS).ravel()
    week = _Week(rng)
    clock = [datetime.fromtimestamp(int(slot), zone) for slot in slots]
    days = np.repeat([at.toordinal() for at in clock], PER_SLOT)
    hours = np.repeat([at.hour + at.minute / 60 for at in clock], PER_SLOT)
    hours = hours + ((moments % SLOT_SECONDS) + STEP_SECONDS / 2) / 3600
    holidays = _holidays(rng, now, zone)
    size = float(10 ** rng.uniform(np.log10(0.5), np.log10(5000)))
    growth = rng.uniform(-0.10, 0.15) * (moments - now.timestamp()) / (7 * 86_400)
    scale = size * np.exp(growth)
    past = {day: like for day, like in holidays.items() if day.toordinal() <= clock_day(now, zone)}
    traffic = scale * week.levels(days, hours, holidays if rng.random() < 0.5 else past)
    like = _like(days, hours, holidays)
    counts = _seen(rng, moments, traffic, days, now, holes=holes, spikes=spikes)
    share = float(rng.choice((0.5, 0.6, 0.6, 0.6, 0.7)))
    rules = Rules(share, float(rng.choice((1800, 3600, 5400, 7200))))
    calendar = Calendar(str(zone), holidays)
    as_own, as_like = scale * week.levels(days, hours, {}), scale * week.levels(like, hours, {})
    return Market(seed, now, calendar, rules, counts, moments, days, traffic, as_own, as_like, size)


def clock_day(moment: datetime, zone: ZoneInfo) -> int:
    return moment.astimezone(zone).toordinal()


def _like(days: np.ndarray, hours: np.ndarray, holidays: dict[date, int]) -> np.ndarray:
    """The days, with another day of the named weekday in place of each holiday and of the morning after it."""
    like = days.copy()
    for day, weekday in holidays.items():
        after = days - day.toordinal()
        on = (after == 0) | ((after == 1) & (hours < 6))
        like[on] = days[on] + (weekday - day.weekday())
    return like


class _Week:
    """The shape of a week: one or two peaks a day, another shape at the weekend, weekdays of their own levels."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.base = rng.uniform(0.05, 0.4)
        hour = float(rng.choice((20.5, 21.0, 13.5, rng.uniform(0, 24)))) + rng.normal(0, 0.7)
        self.weekday = [Peak(hour, rng.uniform(2.4, 5.0), rng.uniform(2.0, 3.5), 1.0)]
        if rng.random() < 0.4:
            away = rng.uniform(6, 11)
            self.weekday.append(Peak(hour - away, rng.uniform(1.8, 3), rng.uniform(1.8, 3), rng.uniform(0.3, 0.9)))
        shift, height = rng.normal(0, 1.0), rng.uniform(0.5, 1.3)
        self.weekend = [Peak(one.hour + shift, one.before, one.after, one.height * height) for one in self.weekday]
        self.factors = np.exp(rng.normal(0, 0.04, 7))
        self.weekend_days = (4, 5) if rng.random() < 0.1 else (5, 6)
        self.top = max(self._day(self.weekday, np.arange(0, 24, 0.05)))

    def levels(self, days: np.ndarray, hours: np.ndarray, holidays: dict[date, int]) -> np.ndarray:
        """A day begins when people get up: from 2 to 6 o'clock one turns into the next."""
        other = {day.toordinal(): like for day, like in holidays.items()}
        turned = np.clip((hours - 2) / 4, 0, 1)
        turned = turned * turned * (3 - 2 * turned)
        today = self._of(days, hours, other)
        return (turned * today + (1 - turned) * self._of(days - 1, hours, other)) / self.top

    def _of(self, days: np.ndarray, hours: np.ndarray, other: dict[int, int]) -> np.ndarray:
        lived = np.asarray([other.get(int(day), (int(day) - 1) % 7) for day in days])
        weekend = np.isin(lived, self.weekend_days)
        return self.factors[lived] * np.where(weekend, self._day(self.weekend, hours), self._day(self.weekday, hours))

    def _day(self, peaks: Sequence[Peak], hours: np.ndarray) -> np.ndarray:
        level = np.full_like(hours, self.base)
        for peak in peaks:
            for days in (-24, 0, 24):
                away = (hours - peak.hour + 12) % 24 - 12 + days
                width = np.where(away < 0, peak.before, peak.after)
                level += (1 - self.base) * peak.height * np.exp(-0.5 * (away / width) ** 2)
        return level


def _now(rng: np.random.Generator, zone: ZoneInfo) -> datetime:
    """A change of the clock in the history mostly, in the days to come else, where the zone has one."""
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=float(rng.uniform(0, 364 * 24)))
    days = [begin + timedelta(days=ahead) for ahead in range(365)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    changes = [day for day, one, other in zip(days, offsets, offsets[1:], strict=False) if one != other]
    if not changes or rng.random() < 0.05:
        return begin
    change = changes[int(rng.integers(len(changes)))]
    ahead = rng.uniform(1, 27) if rng.random() < 0.65 else rng.uniform(-7, 0)
    return change + timedelta(days=float(ahead))


def _holidays(rng: np.random.Generator, now: datetime, zone: ZoneInfo) -> dict[date, int]:
    """One day of the history, and with luck one of the days to come, each lived as another weekday."""
    today = now.astimezone(zone).date()
    found = {today - timedelta(days=int(rng.integers(1, 28))): int(rng.choice((5, 6)))}
    if rng.random() < 0.6:
        found[today + timedelta(days=int(rng.integers(1, 8)))] = int(rng.choice((5, 6, 6)))
    return found


def _seen(
    rng: np.random.Generator,
    moments: np.ndarray,
    traffic: np.ndarray,
    days: np.ndarray,
    now: datetime,
    *,
    holes: float,
    spikes: bool,
) -> Counts:
    moments, days, traffic = moments[::PER_SLOT], days[::PER_SLOT], traffic.reshape(-1, PER_SLOT).mean(axis=1)
    size = len(moments)
    ups = rng.normal(0, rng.uniform(0.005, 0.03), days.max() - days.min() + 1)[days - days.min()]
    noisy = traffic * np.exp(ups + _autoregressive(rng, size, 0.7, rng.uniform(0.01, 0.04)))
    if spikes:
        noisy = noisy * _mishaps(rng, size)
    counts = rng.poisson(noisy * SLOT_SECONDS).astype(float)
    begin = int((now - timedelta(days=HISTORY_DAYS)).timestamp())
    kept = (moments >= begin) & (moments + SLOT_SECONDS <= now.timestamp())
    starts, counts, seen_days = moments[kept], counts[kept], days[kept]
    width = 4 if rng.random() < 0.25 else 1
    if width > 1:
        whole = int(np.flatnonzero(starts % 3600 == 0)[0])
        length = (len(starts) - whole) // 4 * 4
        starts, seen_days = starts[whole : whole + length : 4], seen_days[whole : whole + length : 4]
        counts = counts[whole : whole + length].reshape(-1, 4).sum(axis=1)
    known = _known(rng, seen_days, holes)
    return Counts(starts[known], counts[known], SLOT_SECONDS * width)


def _autoregressive(rng: np.random.Generator, size: int, rho: float, sigma: float) -> np.ndarray:
    from scipy.signal import lfilter

    steps = rng.normal(0, sigma * np.sqrt(1 - rho * rho), size)
    return np.asarray(lfilter([1.0], [1.0, -rho], steps))


def _mishaps(rng: np.random.Generator, size: int) -> np.ndarray:
    """Factors on the traffic: slots and hours of ten times as much, and half a day or a day of outage."""
    factors = np.where(rng.random(size) < rng.uniform(0.005, 0.01), 10.0, 1.0)
    for _ in range(int(rng.integers(0, 4))):
        at = int(rng.integers(size))
        factors[at : at + 4] = 10.0
    if rng.random() < 0.4:
        at = int(rng.integers(size))
        factors[at : at + int(rng.choice((48, 96)))] = rng.choice((0.0, 0.05))
    return factors


def _known(rng: np.random.Generator, days: np.ndarray, share: float) -> np.ndarray:
    """False in the holes: single periods, or whole days and single periods."""
    known = np.ones(len(days), dtype=bool)
    if share and rng.random() < 0.5:
        lost = rng.choice(np.unique(days), size=int(rng.integers(1, 3)), replace=False)
        known &= ~np.isin(days, lost)
    left = share - (1 - known.mean())
    return known & (rng.random(len(days)) >= left) if left > 0 else known


def true_windows(world: Market, days: float = HORIZON_DAYS - 1, since: datetime | None = None) -> list[Window]:
    """The rules on the week without noise: with a coming holiday, the more of both days against the peak and the
    busiest hours of the less."""
    high, low = np.maximum(world.as_own, world.as_like), np.minimum(world.as_own, world.as_like)
    peaks, thirds = _peaks_and_thirds(world, low)
    half = 43_200 // STEP_SECONDS
    around = np.lib.stride_tricks.sliding_window_view(np.pad(low, half), 2 * half + 1).max(axis=1)
    share = min(world.rules.below_share, 2 / 3)
    quiet = (high < share * np.minimum(peaks, around)) & (high < thirds)
    found, begin = [], None
    for moment, is_quiet in zip(world.moments.tolist(), quiet.tolist(), strict=True):
        if is_quiet and begin is None:
            begin = moment
        if not is_quiet and begin is not None:
            found.append(Window(datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(moment, UTC)))
            begin = None
    until = world.now + timedelta(days=days)
    long_enough = [window for window in found if window.length.total_seconds() >= world.rules.least_seconds]
    return [window for window in long_enough if window.end > (since or world.now) and window.start < until]


def true_busiest(world: Market) -> np.ndarray:
    """Of each moment, whether it is in the top third of its day's traffic by the market's clock: in the busiest 8
    hours, or above 2/3 of the peak."""
    peaks, thirds = _peaks_and_thirds(world, world.traffic)
    return (world.traffic >= thirds) | (world.traffic > peaks * 2 / 3)


def _peaks_and_thirds(world: Market, traffic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    peaks, thirds = np.zeros_like(traffic), np.zeros_like(traffic)
    for day in np.unique(world.days)[1:-1]:
        of_day = world.days == day
        ordered = sorted(traffic[of_day])
        peaks[of_day], thirds[of_day] = ordered[-1], ordered[-8 * 3600 // STEP_SECONDS]
    return peaks, thirds
