"""The one place where a stack's addresses and speeds are said; services, Airflow and the command line read it.

Every field is overridden by the environment variable REDSTART_<FIELD> (upper case). `airflow_env.py` makes
Airflow's settings and connections from the same values, so nothing is said twice.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[2]
APP = "api"
"""The application that serves from the start, and that the demo is about."""
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
PROD_ACCOUNT = "123456789012"
TEST_ACCOUNT = "210987654321"
MOST_BETWEEN_LOOKS = 1800
LEAST_LOOKED_AT = 120  # a quarter of a shorter soak is no evidence


class Settings(BaseSettings):
    """Defaults are the demo's; see docs/settings.md for what each means on real AWS."""

    model_config = SettingsConfigDict(env_prefix="REDSTART_", extra="ignore")

    home: Path = PROJECT / ".redstart"
    cloud_port: int = Field(28100, ge=1024, le=65535)
    traffic_port: int = Field(28101, ge=1024, le=65535)
    airflow_port: int = Field(28081, ge=1024, le=65535)
    network_octet: int = Field(10, ge=2, le=200)
    router_port: int = Field(8080, ge=1024, le=65535)
    api_host: str = "127.0.0.1"
    database: str = ""
    ledger: str = ""
    boot_seconds: float = 1.0
    traffic_rps: str = (
        "us-east-1=150,us-west-2=100,eu-west-1=100,search/us-west-2=40,search/eu-west-1=40,billing/us-east-1=40"
    )
    series_period_seconds: int = Field(5, ge=1, le=60)
    markets_without_history: str = ""
    soak_seconds: int = 8 * 3600
    look_seconds: int | None = Field(None, ge=0)
    watch_seconds: int | None = Field(None, ge=0)
    evidence: str = "shipped"
    jira_url: str = ""
    jira_user: str = ""
    jira_token: str = ""
    jira_project: str = ""

    @field_validator("markets_without_history")
    @classmethod
    def _names_regions(cls, text: str) -> str:
        if unknown := sorted({part.strip() for part in text.split(",")} - {"", *REGIONS}):
            raise ValueError(f"there is no market in {', '.join(unknown)}; there are {', '.join(REGIONS)}")
        return text

    @property
    def look_every_seconds(self) -> int:
        """How often a canary is judged before its soak ends: as set, else three times in a short soak, and never in
        one too short for that (0)."""
        if self.look_seconds is not None:
            return self.look_seconds
        return min(MOST_BETWEEN_LOOKS, self.soak_seconds // 4) if self.soak_seconds >= LEAST_LOOKED_AT else 0

    @property
    def regions_without_history(self) -> tuple[str, ...]:
        return tuple(filter(None, (part.strip() for part in self.markets_without_history.split(","))))

    @property
    def cloud_url(self) -> str:
        return f"http://127.0.0.1:{self.cloud_port}"

    @property
    def traffic_url(self) -> str:
        return f"http://127.0.0.1:{self.traffic_port}"

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def git_root(self) -> Path:
        return self.home / "git"

    @property
    def cloud_home(self) -> Path:
        return self.home / "cloud"

    @property
    def airflow_home(self) -> Path:
        return self.home / "airflow"

    @property
    def ledger_url(self) -> str:
        """The ledger's database: as set, else a file in the home."""
        return self.ledger or f"sqlite:///{self.home / 'ledger' / 'ledger.db'}"

    @property
    def storage(self) -> Path:
        return self.home / "storage"

    @property
    def logs(self) -> Path:
        return self.home / "logs"
