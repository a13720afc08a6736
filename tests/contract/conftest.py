"""The contract of the local cloud, asked through boto3, in no-process mode."""

import pytest

from tests.support.cloud_things import Things
from tests.support.local_cloud import LocalCloud, local_cloud, local_cloud_server

__all__ = ["local_cloud", "local_cloud_server"]


@pytest.fixture
def things(local_cloud: LocalCloud) -> Things:
    return Things(local_cloud)
