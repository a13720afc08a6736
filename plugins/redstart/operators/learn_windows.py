"""Once a day every region's windows are learned anew, so that they are known before a push asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.errors import RetryableError
from redstart.operators.cluster import who_of
from redstart.operators.outlook import OutlookReader
from redstart.operators.station import StationOperator, key_of_run
from redstart.ui.links import LearnedLink, WindowsLink, region_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redstart.operators.drive import Account
    from redstart.operators.outlook import RegionOutlook

RETRIES = 3


class LearnWindowsOperator(StationOperator):
    """Learn the week of a region's market from its traffic, and note in the ledger when pushes of it may begin: page,
    board and bot read it there. Pushes learn by themselves, and wait for none of this.

    **Retry and clear**: learns again from the traffic of now; windows that are the same are noted once.
    """

    template_fields: Sequence[str] = ("region",)
    operator_extra_links = (WindowsLink(), LearnedLink())

    def __init__(self, *, app: str, region: Any, **kwargs: Any) -> None:
        super().__init__(app=app, **{"retries": RETRIES, **kwargs})
        self.region = region

    def deliver(self, context: Context) -> dict[str, Any]:
        context["region"] = self.region
        with self.told(context, region_file(self.app, key_of_run(context), self.task_id, self.region)) as account:
            reader = OutlookReader(self.application, self.environment, self.ledger)
            found = reader.read(self.region)
            if found is None:
                account.note(f"{self.environment} has no windows: its pushes begin at any time")
                return {"schema": 1, "region": self.region, "is_news": False, "windows": 0}
            if found.counts is None:
                raise RetryableError(f"{self.region}: nothing could be learned: {found.outlook.why}")
            is_news = reader.note(found, key_of_run(context), who_of(context))
            _tell(account, found, is_news=is_news)
            return {
                "schema": 1,
                "region": self.region,
                "is_news": is_news,
                "source": found.outlook.source.value,
                "windows": len(found.outlook.windows),
            }


def _tell(account: Account, found: RegionOutlook, *, is_news: bool) -> None:
    account.note(f"{found.place}: {found.outlook.why}")
    for one in found.outlook.windows:
        account.note(f"quiet {one.start:%a %d %b %H:%M} to {one.end:%a %d %b %H:%M} UTC")
    if not found.outlook.windows:
        account.note("no quiet window within the days looked at: on-call's override lets a push begin")
    account.note("noted in the ledger" if is_news else "the ledger has had the same windows already")
