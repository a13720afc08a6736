"""The tasks that learn when regions may be pushed, and what their DAG says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.sdk import task_group

from include.apps import App
from redstart.groups.parsing import apps_with
from redstart.operators.learn_windows import LearnWindowsOperator

WINDOWS_DOC = """When each region of `{app}` may be pushed: learned once a day from the traffic of its own market.

| task | what it does |
|---|---|
| region.learn_windows | the curve of its market's week, from weeks of requests; quiet windows, into the ledger |

See them: [the page](/redstart/windows/{app}), or `./redstart windows {app}`. A push does not wait for this DAG: it
learns by itself, from the traffic of then. To push outside a window: `{app}_override`, or `./redstart override {app}`.

*Trigger* to learn now. A region that cannot be learned is retried, and fails; the ledger keeps what was learned before.
"""


def apps_that_learn() -> Iterator[App]:
    """Those whose production has quiet windows."""
    return (app for app in apps_with("windows") if app.prod.windows is not None)


def learn_tasks(app: App) -> None:
    """One for each region; none waits for another."""

    @task_group(group_id="region", tooltip="Every region at the same time")
    def region(region: str) -> None:
        LearnWindowsOperator(
            task_id="learn_windows", app=app.name, region=region, map_index_template="{{ task.region }}"
        )

    region.expand(region=list(app.prod.region_names))
