"""Airflow's settings, connections and variables, made from the stack's own settings: nothing is said twice.

Each value that differs from Airflow's default carries its reason; the figures were measured on 3.3.2.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
from pathlib import Path

from include.services.settings import PROJECT, TEST_ACCOUNT, Settings


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Environment of every Airflow component (values are strings); pure but for the secrets it keeps in home."""
    home = settings.airflow_home
    return {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}",
        # setproctitle would overwrite /proc/<pid>/environ, and with it the marker by which a stack is ended.
        "SPT_NOENV": "1",
        **_core(settings),
        **_pace(),
        **_quiet(),
        **connections(settings),
        "AIRFLOW_CONN_REDSTART_WEBHOOK": _webhook(settings),
        "AIRFLOW__API_AUTH__JWT_SECRET": _kept_secret(home / "jwt_secret"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,oncall:op,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(home)),
    }


def _core(settings: Settings) -> dict[str, str]:
    # A 60 s busy time-out and an open-ended pool: with the defaults a fan-out locks SQLite for good.
    database = settings.database or f"sqlite:///{settings.airflow_home / 'airflow.db'}?timeout=60"
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "6",  # 32 forked workers by default
        "AIRFLOW__API__HOST": settings.api_host,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__WORKERS": "1",
        # The port alone leaves the execution API at 8080, and every task fails.
        "AIRFLOW__API__BASE_URL": settings.airflow_url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "20",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "-1",
    }


def _pace() -> dict[str, str]:
    return {
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",  # 1 s by default, per chained task
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # 5 s by default: the supervisor's lag after a task's end
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "60",  # 3 by default: a 50 s API outage ends every running task
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }


def _quiet() -> dict[str, str]:
    return {
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        # Two lines at every turn of the loop while a second commit waits for a soak of eight hours.
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.models.dag=WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__API__INSTANCE_NAME": "Redstart",
        "AIRFLOW__API__EXPOSE_CONFIG": "False",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
    }


def connections(settings: Settings) -> dict[str, str]:
    """Connections and variables by environment. Real AWS: leave the endpoint out, and the login to the role."""
    # Here, as SQLAlchemy takes a third of a second, for which `./redstart --help` need not wait.
    from include.adapters.ledger_connection import connection_of

    aws = {
        "conn_type": "aws",
        "login": "local",
        "password": "local",
        "extra": {
            "endpoint_url": settings.cloud_url,
            "region_name": "us-east-1",
            "traffic_period_seconds": 5,  # the local cloud's metrics; AWS's come every minute
        },
    }
    test = {**aws, "extra": {**aws["extra"], "role_arn": f"arn:aws:iam::{TEST_ACCOUNT}:role/redstart"}}  # type: ignore[dict-item]
    return {
        "AIRFLOW_CONN_REDSTART_AWS": json.dumps(aws),
        "AIRFLOW_CONN_REDSTART_AWS_TEST": json.dumps(test),
        "AIRFLOW_CONN_REDSTART_LEDGER": json.dumps(connection_of(settings.ledger_url)),
        "AIRFLOW_CONN_REDSTART_GIT": json.dumps({"conn_type": "generic", "host": str(settings.git_root)}),
        **_jira(settings),
        "AIRFLOW_VAR_REDSTART_STORAGE": f"file://{settings.storage}",
        "AIRFLOW_VAR_REDSTART_SOAK_SECONDS": str(settings.soak_seconds),
        "AIRFLOW_VAR_REDSTART_LOOK_SECONDS": str(settings.look_every_seconds),
        "AIRFLOW_VAR_REDSTART_WATCH_SECONDS": "" if settings.watch_seconds is None else str(settings.watch_seconds),
        "AIRFLOW_VAR_REDSTART_EVIDENCE": settings.evidence,
        # A connection with a role ignores its own endpoint for STS; the variable does not.
        "AWS_ENDPOINT_URL": settings.cloud_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _webhook(settings: Settings) -> str:
    """The secret by which the git host signs its word of a push; it stays the same from start to start."""
    return json.dumps({"conn_type": "generic", "password": _kept_secret(settings.home / "secrets" / "webhook")})


def _jira(settings: Settings) -> dict[str, str]:
    """Nothing where no Jira is named: conflicts are then only told in Airflow and in the ledger."""
    if not settings.jira_url:
        return {}
    jira = {
        "conn_type": "http",
        "host": settings.jira_url,
        "login": settings.jira_user,
        "password": settings.jira_token,
        "extra": {"project": settings.jira_project},
    }
    return {"AIRFLOW_CONN_REDSTART_JIRA": json.dumps(jira)}


def _kept_secret(path: Path) -> str:
    """The same secret for every component and every restart."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(48))
    return path.read_text().strip()


def _passwords(home: Path) -> Path:
    path = home / "passwords.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({user: user for user in ("admin", "oncall", "viewer")}))
        path.chmod(0o600)
    return path


def main() -> None:
    """Print the environment as shell exports: `eval "$(python -m include.services.airflow_env)"`."""
    for key, value in sorted(airflow_environment(Settings()).items()):
        print(f"export {key}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
