"""What contract tests share: the local cloud, asked through boto3, in no-process mode; databases for a ledger."""

import pytest

from tests.support.cloud_things import Things
from tests.support.ledger_databases import database, empty_database, postgres
from tests.support.local_cloud import LocalCloud, local_cloud, local_cloud_server

__all__ = ["database", "empty_database", "local_cloud", "local_cloud_server", "postgres"]


@pytest.fixture
def things(local_cloud: LocalCloud) -> Things:
    return Things(local_cloud)
