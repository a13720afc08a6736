"""Registers Redstart with Airflow: pages and links. The only file that Airflow's plugin loader runs."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from redstart.ui import links
from redstart.ui.lazy import LazyApp


class RedstartPlugin(AirflowPlugin):
    """Reports and logs under /redstart, and the buttons on tasks that lead there."""

    name = "redstart"
    fastapi_apps = [{"app": LazyApp("redstart.ui.pages"), "url_prefix": links.URL_PREFIX, "name": "Redstart"}]
    operator_extra_links = list(links.ALL_LINKS)
