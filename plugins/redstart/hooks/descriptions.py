"""boto3's descriptions of AWS's services, read once a process: they are megabytes, and each client has a session of its
own that would read them anew."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook


def describe_once(hook: AwsGenericHook[Any]) -> None:
    """From now on the hook's sessions share what this process has read."""
    make = hook.get_session

    def make_sharing(*arguments: Any, **named: Any) -> Any:
        session = make(*arguments, **named)
        # boto3 has no public way to the session beneath, and the hook makes its sessions itself. Without: slower.
        beneath = getattr(session, "_session", None)
        if beneath is not None:
            beneath.register_component("data_loader", _loader())
        return session

    hook.get_session = make_sharing


@cache
def _loader() -> Any:
    from botocore.loaders import create_loader

    return create_loader()
