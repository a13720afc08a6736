"""A Jira through a connection of type http: where it is absent, nobody is told by Jira."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from include.adapters.jira_issues import JiraIssues

CONNECTION_ID = "redstart_jira"


class JiraHook(BaseHook):
    """`host` (with https:// and a path, if any), `login` (the mail address; empty for a personal access token),
    `password` (the token); extra `project` (its key) and `issue_type` (Task where it is not said)."""

    def __init__(self, conn_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.conn_id = conn_id

    def issues(self) -> JiraIssues | None:
        """None where the installation has no Jira; ConfigError where the connection cannot be used. Contacts nobody."""
        try:
            connection = self.get_connection(self.conn_id)
        except AirflowNotFoundException:
            return None
        from include.adapters.jira_issues import JiraAccess, JiraIssues

        host, extra = connection.host or "", connection.extra_dejson
        url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
        port = f":{connection.port}" if connection.port else ""
        access = JiraAccess(
            url=f"{url.rstrip('/')}{port}",
            login=connection.login or "",
            secret=connection.password or "",
            project=str(extra.get("project", "")),
            issue_type=str(extra.get("issue_type", "Task")),
        )
        return JiraIssues(access)
