"""The webhook's secret: the password of a connection of type generic."""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from include.errors import ConfigError

CONNECTION_ID = "redstart_webhook"


class WebhookHook(BaseHook):
    """Knows what the repository's host signs its words with."""

    def __init__(self, conn_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.conn_id = conn_id

    def secret(self) -> str:
        """Never empty: ConfigError where there is no such connection, or none with a password."""
        try:
            password = self.get_connection(self.conn_id).password
        except AirflowNotFoundException:
            raise ConfigError("is missing", source=f"connection {self.conn_id}") from None
        if not password:
            raise ConfigError("must be the webhook's secret", source=f"connection {self.conn_id}", key="password")
        return str(password)
