"""CloudWatch of the local cloud: high-resolution data, exact dimension sets, percentiles, AWS's paging."""

from include.localcloud.cloudwatch.app import CloudWatch

__all__ = ["CloudWatch"]
