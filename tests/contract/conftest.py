"""The contract of the local cloud, asked through boto3, in no-process mode."""

from tests.support.local_cloud import local_cloud, local_cloud_server

__all__ = ["local_cloud", "local_cloud_server"]
