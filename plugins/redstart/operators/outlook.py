"""What is known of a market's traffic, and when a push of its region may begin: from the metric store, else from the
ledger, else from the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.apps import App, Environment
from include.errors import ConfigError, RedstartError, RefusedError, RetryableError
from include.ledger import Event, Kind, Ledger, Place
from include.ledger.folds import TOLD_OF_PUSHES, Outcome, pushes
from include.ledger.overrides import Override, override_in_force
from redstart.hooks.fleet import FleetHook
from redstart.hooks.installation import InstallationHook
from redstart.operators import clock
from redstart.operators.calendars import calendar_of, rules_of
from redstart.operators.cluster import place_of

if TYPE_CHECKING:
    from include.peaks import Answer, Calendar, Counts, Curve, Outlook, Rules

HISTORY_PERIOD_SECONDS = 900
RECENT_PERIOD_SECONDS = 60
RECENT = timedelta(minutes=15)
BUSY_LOOK = timedelta(minutes=5)
PUSHES_COMPARED = 5
EVENTS_COMPARED = 100
PUSH_MARGIN_SECONDS = 60
OUTLOOKS_REMEMBERED = 20
NOT_TO_BE_LEARNED = (ArithmeticError, ValueError, TypeError, LookupError)  # numpy's LinAlgError is a ValueError

log = logging.getLogger(__name__)

__all__ = ["OutlookReader", "Override", "RegionOutlook", "expected_push_seconds", "override_in_force"]


@dataclass(frozen=True, eq=False)
class RegionOutlook:
    """A region's windows and what they are judged by. `recent`: requests of the last quarter of an hour, minute by
    minute (none where the store is away); `level`: what is usual, in requests per second, None where nothing is known;
    `counts`: what was learned from; None: the metric store did not say. `at`: when all this was read."""

    place: Place
    outlook: Outlook
    rules: Rules
    recent: Counts
    override: Override | None = None
    level: float | None = None
    counts: Counts | None = None
    at: datetime | None = None

    def answer(self, now: datetime) -> Answer:
        """Whether a push may begin at a moment: where a person lets it, or in a quiet window that is quiet. Of a later
        moment than now the traffic of now says nothing."""
        from include.peaks import Answer, answer_at, word_if_busy

        if self.override is not None and self.override.is_in_force(now):
            return Answer(True, self.override.describe(), until=self.override.until)
        answer = answer_at(self.outlook, self.rules, now)
        if not answer.is_open or (self.at is not None and now > self.at + BUSY_LOOK):
            return answer
        if busy := word_if_busy(self.outlook, self.rules, self.recent, now):
            return Answer(False, busy, until=answer.until, opens=now + BUSY_LOOK)
        return answer


class OutlookReader:
    """The outlooks of the regions of an application's environment."""

    def __init__(self, app: App, environment: str, ledger: Ledger, now: Callable[[], datetime] = clock.now) -> None:
        self._app, self._environment, self._ledger, self._now = app, environment, ledger, now
        self._site = app.environment(environment)

    def read(self, region: str) -> RegionOutlook | None:
        """The region's outlook as of now; None: the environment pushes at any time.

        A metric store that is away or refuses does not stop it: the last curve in the ledger stands in, else the hours
        of the settings, and `outlook.why` says so. So do the settings' hours where nothing can be learned from what
        the store has. RetryableError where the ledger is away, ConfigError for settings
        and connections that cannot be used.
        """
        if self._site.windows is None:
            return None
        place, now = place_of(self._app, region, self._environment), self._now()
        calendar = calendar_of(self._site, region)
        most = InstallationHook().watch_seconds()
        rules = rules_of(self._site.windows, expected_push_seconds(self._ledger, place, self._site, most))
        override = override_in_force(self._ledger, place, now)
        try:
            history, recent = self._counts(region, now)
        except (RetryableError, RefusedError) as error:
            return self._without_store(place, calendar, rules, override, error)
        try:
            return self._learned(place, calendar, rules, override, history, recent)
        except NOT_TO_BE_LEARNED as error:  # a push must not wait for ever, nor a person's override, for odd counts
            log.exception("nothing can be learned from the requests of %s", place)
            return self._unlearned(place, calendar, rules, override, recent, error)

    def note(self, found: RegionOutlook, run: str = "", who: str = "") -> bool:
        """Keep the region's windows in the ledger, once for each change of them; False where they are there. What was
        not learned just now is no news."""
        from include.peaks.record import has_changed, outlook_data

        if found.counts is None:
            return False
        now, data = self._now(), outlook_data(found.outlook)
        newest = self._ledger.events(place=found.place, kinds={Kind.WINDOWS_LEARNED}, newest=1)
        if newest and not has_changed(newest[-1].event.data, data, newest[-1].event.at, now):
            return False
        key = f"{found.place}/{Kind.WINDOWS_LEARNED}/{now:%Y%m%dT%H%M%S%f}"
        return self._ledger.record(
            Event(key, Kind.WINDOWS_LEARNED, now, found.place, run, who, found.outlook.why, data)
        )

    def _counts(self, region: str, now: datetime) -> tuple[Counts, Counts]:
        """Requests of the weeks past, and of the last quarter of an hour."""
        site = self._site
        assert site.windows is not None
        market = FleetHook(site.connection_id).market(region, site.load_balancer, site.windows.traffic)
        since = now - timedelta(days=site.windows.history_days)
        return (
            market.counts(since, now, HISTORY_PERIOD_SECONDS),
            market.counts(now - RECENT, now, RECENT_PERIOD_SECONDS),
        )

    def _learned(
        self,
        place: Place,
        calendar: Calendar,
        rules: Rules,
        override: Override | None,
        history: Counts,
        recent: Counts,
    ) -> RegionOutlook:
        from include.peaks import learn_curve, quiet_windows
        from include.peaks.levels import mean_level

        now = self._now()
        curve = learn_curve(history, calendar, now)
        outlook = quiet_windows(curve, calendar, rules, now)
        # Of a day or two it would be chance which region comes first.
        level = mean_level(curve) if curve is not None and curve.days >= rules.least_days else None
        return RegionOutlook(place, outlook, rules, recent, override, level, history, now)

    def _unlearned(
        self,
        place: Place,
        calendar: Calendar,
        rules: Rules,
        override: Override | None,
        recent: Counts,
        error: Exception,
    ) -> RegionOutlook:
        from include.peaks import quiet_windows
        from include.peaks.windows import spoken_hours

        now = self._now()
        outlook = quiet_windows(None, calendar, rules, now)
        why = (
            f"nothing can be learned from the requests that the metric store has ({type(error).__name__}: {error}): "
            f"the settings' hours {spoken_hours(rules)} ({calendar.time_zone})"
        )
        return RegionOutlook(place, replace(outlook, why=why), rules, recent, override, at=now)

    def _without_store(
        self, place: Place, calendar: Calendar, rules: Rules, override: Override | None, error: RedstartError
    ) -> RegionOutlook:
        from include.peaks import quiet_windows
        from include.peaks.levels import mean_level, no_counts

        now = self._now()
        curve = self._remembered(place, now)
        outlook = quiet_windows(curve, calendar, rules, now)
        away = "does not answer" if isinstance(error, RetryableError) else "refuses"
        of = f"as learned on {curve.until:%d %b %H:%M} UTC" if curve is not None else "nothing is known of the traffic"
        why = f"the metric store {away} ({error}): {of}; {outlook.why}"
        return RegionOutlook(
            place,
            replace(outlook, why=why),
            rules,
            no_counts(RECENT_PERIOD_SECONDS),
            override,
            mean_level(curve),
            at=now,
        )

    def _remembered(self, place: Place, now: datetime) -> Curve | None:
        """The last curve that the ledger has of the place, where it is not older than what is learned from."""
        from include.peaks.record import outlook_of

        assert self._site.windows is not None
        oldest = now - timedelta(days=self._site.windows.history_days)
        events = self._ledger.events(
            place=place, kinds={Kind.WINDOWS_LEARNED}, since=oldest, newest=OUTLOOKS_REMEMBERED
        )
        for one in reversed(events):
            try:
                curve = outlook_of(one.event.data).curve
            except ConfigError:  # of another version: an earlier one may do
                continue
            if curve is not None:
                return curve
        return None


def expected_push_seconds(
    ledger: Ledger, place: Place, site: Environment, most_watch_seconds: float | None = None
) -> float:
    """How long a push of the place will take: as the longest of the last ones that came to their end, whatever became
    of them later; where there was none, by the settings. One that took longer than a try may has stood still, for a
    person or a peak, and says nothing of the next."""
    push = site.push
    took = [
        (one.finished - one.started).total_seconds()
        for one in pushes(ledger.events(place=place, kinds=TOLD_OF_PUSHES, newest=EVENTS_COMPARED))
        if one.outcome is not Outcome.FAILED and one.finished is not None
    ]
    if usual := [seconds for seconds in took if seconds <= push.timeout_seconds][:PUSHES_COMPARED]:
        return max(usual)
    most = float("inf") if most_watch_seconds is None else most_watch_seconds
    watched = min(push.side_by_side_seconds, most) + min(push.watch_seconds, most)
    return site.capacity.start_seconds + watched + PUSH_MARGIN_SECONDS
