"""For every test: the project and the plugins on the path, and an Airflow home of this session's own.

The environment is set before anything imports airflow, which reads it once. The database is made only for tests
that ask for `airflow_db`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(tempfile.mkdtemp(prefix="redstart-test-airflow-"))

os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db?timeout=60",
    AIRFLOW__API__BASE_URL="http://127.0.0.1:28391",
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin,viewer:viewer",
    AIRFLOW__API_AUTH__JWT_SECRET="only for tests, and of no use to anybody else: " + "x" * 32,
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
    PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
)
for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AIRFLOW_CONFIG"):
    os.environ.pop(name, None)
for folder in (ROOT / "plugins", ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    """The session's Airflow home; it goes with the session."""
    yield HOME
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db(airflow_home: Path) -> Path:
    """An initialised Airflow database, made once (1-2 s)."""
    from airflow.utils import db

    db.initdb()
    return airflow_home / "airflow.db"
