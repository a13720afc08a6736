"""What is delivered, whence and whereto: one `<app>.toml` per application and its typed model."""

from include.apps.flows import DeliverFlow, ReleaseFlow, VerifyFlow
from include.apps.loader import app_names, load_app, read_fragment
from include.apps.model import App, Environment, Region

__all__ = [
    "App",
    "DeliverFlow",
    "Environment",
    "Region",
    "ReleaseFlow",
    "VerifyFlow",
    "app_names",
    "load_app",
    "read_fragment",
]
